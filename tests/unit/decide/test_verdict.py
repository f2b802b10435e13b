"""verdict.json: what was decided survives its file, and a file that is no verdict never reads as one."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from makeweight.decide.verdict import EXIT_CODES, RuleVerdict, VariantVerdict, Verdict, dumps, loads
from makeweight_base.errors import Exit, UsageError

RULE = RuleVerdict(
    rule="latency_p50.max_ratio",
    metric="latency_p50",
    operator="max_ratio",
    variant="int8",
    device="pi5",
    slice=None,
    limit=0.7,
    limit_text="at most 0.7x",
    value=0.69,
    interval=(0.65, 0.73),
    verdict="inconclusive",
    level="error",
    sentence="latency p50 on pi5 is 0.69x [0.65, 0.73] of the baseline's: the limit lies within that interval.",
    settle="makeweight benchmark int8 --device pi5 --seconds 240",
)
VERDICT = Verdict(
    verdict="inconclusive",
    sentence="no variant is known to pass every rule; “int8” is nearest.",
    ship=None,
    policy="best",
    prefer="latency",
    project="digits",
    variants=[VariantVerdict("int8", "inconclusive", False, "open: latency_p50.max_ratio")],
    rules=[RULE, replace(RULE, verdict="not_applicable", interval=None, value=None, level="warn", settle=None)],
    measurements=[{"metric": "size", "variant": "int8", "value": 5, "interval": None}],
    provenance={"seed": 0, "artifacts": {"int8": None}},
)


def test_a_verdict_survives_its_file() -> None:
    assert loads(dumps(VERDICT), "verdict.json") == VERDICT


def test_only_errors_that_are_broken_or_open_block() -> None:
    blocking = {
        (level, outcome)
        for level in ("error", "warn")
        for outcome in EXIT_CODES
        if replace(RULE, level=level, verdict=outcome).blocks  # type: ignore[arg-type]
    }
    assert blocking == {("error", "fail"), ("error", "inconclusive")}


def test_exit_codes_are_those_of_the_interface() -> None:
    assert {outcome: int(code) for outcome, code in EXIT_CODES.items()} == {
        "pass": 0,
        "fail": 1,
        "inconclusive": 3,
        "not_applicable": 0,
    }
    assert [int(code) for code in (Exit.USAGE, Exit.ENVIRONMENT)] == [2, 4]


@given(st.integers(0, len(dumps(VERDICT)) - 2))
def test_a_file_that_was_cut_short_is_refused(length: int) -> None:
    with pytest.raises(UsageError, match=r"^reports/verdict\.json: this is no verdict"):
        loads(dumps(VERDICT)[:length], "reports/verdict.json")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"verdict": "inconclusive"', '"verdict": "passed"'),
        ('"verdict": "inconclusive"', '"verdict": ["pass"]'),
        ('"level": "error"', '"level": "fatal"'),
        ('"value": 0.69', '"value": NaN'),
        ('"value": 0.69', '"value": "0.69 or so"'),
        ('"limit": 0.7', '"limit": Infinity'),
        ('"ships": false', '"ships": "perhaps"'),
        ('"interval": [', '"interval": [1, '),
        ('"project": "digits",', ""),
        ('  "rules": [', '<<<<<<< HEAD\n  "rules": ['),
    ],
)
def test_a_damaged_file_is_refused(old: str, new: str) -> None:
    text = dumps(VERDICT)
    assert old in text
    with pytest.raises(UsageError, match="this is no verdict"):
        loads(text.replace(old, new, 1), "verdict.json")


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["verdict", "rules", "variants", "x"]), inner, max_size=3)
        ),
        max_leaves=6,
    )
)
def test_any_other_json_is_refused(data: object) -> None:
    with pytest.raises(UsageError, match="this is no verdict"):
        loads(json.dumps(data), "verdict.json")


def test_what_is_no_number_is_never_written() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        dumps(replace(VERDICT, rules=[replace(RULE, value=float("nan"))]))
