"""Our evaluator of expressions: what it gives (beside GitHub's own in test_action_grammar.py), and what it refuses."""

from __future__ import annotations

import pytest

from integration.action.expressions import Context, NotKnown, evaluate, filled, holds, names

CONTEXT = Context(
    {
        "inputs": {"check": "true", "project": "."},
        "steps": {"gate": {"outputs": {"verdict": "pass"}, "outcome": "failure"}},
        "github": {"event": {"number": 7}},
    }
)


def test_contexts() -> None:
    assert evaluate("steps.gate.outputs.verdict", CONTEXT) == "pass"
    assert evaluate("steps.gate.outputs.not-yet", CONTEXT) is None
    assert evaluate("github.event.pull_request.head.sha", CONTEXT) is None
    assert evaluate("GitHub.Event['number'] == 7", CONTEXT) is True
    assert filled("a ${{ inputs.check }} b ${{ github.event.number }}", CONTEXT) == "a true b 7"


@pytest.mark.parametrize(
    "expression",
    [
        "inputs.chek",
        "steps.gat.outputs.verdict",
        "secrets.TOKEN",
        "nothing.here",
        "formt('x')",
        "hashFiles('x')",
        "a b",
        "'open",
        "1 +",
        "inputs.*",
        "",
        "(true",
        '"double"',
    ],
)
def test_what_is_not_known_is_refused(expression: str) -> None:
    with pytest.raises(NotKnown):
        evaluate(expression, CONTEXT)


@pytest.mark.parametrize(
    ("condition", "status", "runs"),
    [
        (None, "success", True),
        (None, "failure", False),
        ("inputs.check == 'true'", "success", True),
        ("inputs.check == 'true'", "failure", False),
        ("always() && inputs.check == 'false'", "success", False),
        ("always()", "cancelled", True),
        ("failure()", "failure", True),
        ("failure()", "cancelled", False),
        ("!cancelled()", "failure", True),
        ("${{ cancelled() }}", "cancelled", True),
        ("success() || failure()", "failure", True),
        (False, "success", False),
    ],
)
def test_conditions(condition: str | None, status: str, runs: bool) -> None:
    assert holds(condition, Context(CONTEXT.values, status)) is runs


def test_names_are_collected() -> None:
    text = "x ${{ steps.a.outputs.b && needs['c'].result }} ${{ matrix[inputs.d] }} ${{ 'steps.no' }}"
    assert set(names(text)) == {
        ("steps", "a", "outputs", "b"),
        ("needs", "c", "result"),
        ("inputs", "d"),
        ("matrix", "*"),
    }
