"""When a comment is begun: by what is asked for, and by a verdict as it may be."""

from dataclasses import replace
from typing import Any

import pytest

from makeweight.ci.commenting import CHOICES, opens
from makeweight.decide.verdict import Alteration, Review, Verdict
from unit.report.invented_content import content

INVENTED = content().verdict
PASSED = replace(INVENTED, rules=[rule for rule in INVENTED.rules if rule.level == "error"])
SAME = replace(PASSED, provenance={**PASSED.provenance, "measured_at": "b" * 40})
NOTED = replace(SAME, notices=["This change loosens the budget."])
ALTERED = replace(SAME, review=Review((Alteration("`seed`", "0", "7"),)))
TIGHTER = replace(SAME, review=Review((Alteration("`size.max`", "2 MB", "1 MB", weakens=False),)))
WARNED = replace(SAME, rules=[*SAME.rules, replace(SAME.of("slim-int8")[0], verdict="fail", level="warn")])
BLOCKED, OPEN = replace(SAME, verdict="fail", ship=None), replace(SAME, verdict="inconclusive", ship=None)
NOTHING: Any = replace(SAME, verdict="not_applicable")


@pytest.mark.parametrize(
    ("verdict", "asked"),
    [
        (SAME, ["always"]),
        (PASSED, ["always", "on-change"]),
        (NOTED, ["always", "on-change"]),
        (ALTERED, ["always", "on-change"]),
        (TIGHTER, ["always", "on-change"]),
        (WARNED, ["always", "on-change"]),
        (NOTHING, ["always", "on-change"]),
        (BLOCKED, ["always", "on-change", "on-failure"]),
        (OPEN, ["always", "on-change", "on-failure"]),
        (None, ["always", "on-change", "on-failure"]),
    ],
    ids=[
        *("nothing changed", "measured anew", "noted", "weakened", "tightened", "warned", "nothing to decide"),
        *("blocked", "undecided", "error"),
    ],
)
def test_a_comment_is_begun_where_it_is_asked_for(verdict: Verdict | None, asked: list[str]) -> None:
    assert [when for when in CHOICES if opens(when, verdict)] == asked
