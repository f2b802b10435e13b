"""Labels that waive: only what can be read for certain counts, and what does not count is told."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from makeweight.ci import gate, waiver_sources
from makeweight.decide.waivers import Waiver
from makeweight.github.labels import Label
from unit.ci.conftest import CONFIG, Made, base_of

DAY = date(2026, 12, 31)
LOOSE = ("max_ratio: 0.5", "max_ratio: 0.9")


def read(name: str, description: str = "until 2026-12-31: why", *, trusted: bool = True) -> Waiver | str:
    """The waiver of one label, or why there is none."""
    found, objections = waiver_sources.of_labels([Label(name, description, "boss", trusted)])
    ((one,)) = [*found, *objections]
    return one


@pytest.mark.parametrize(
    ("name", "rule", "variant"),
    [
        ("waive:size.max", "size.max", None),
        ("waive: size.max ", "size.max", None),
        ("waive:size.max@slim-int8", "size.max", "slim-int8"),
        ("waive:latency_p50[pi5].max_ratio@int8", "latency_p50[pi5].max_ratio", "int8"),
        ("waive:accuracy[slice=night@sea].max_drop", "accuracy[slice=night@sea].max_drop", None),
        ("waive:accuracy[slice=night@sea].max_drop@int8", "accuracy[slice=night@sea].max_drop", "int8"),
        ("waive:budget", "budget", None),
        ("waive:", "", None),
        ("waive:size.max@", "size.max@", None),
    ],
)
def test_a_label_names_a_rule_and_may_name_a_variant(name: str, rule: str, variant: str | None) -> None:
    assert read(name) == Waiver(rule, variant, "why", DAY, "label by @boss")


@pytest.mark.parametrize(
    ("description", "reason"),
    [
        ("until 2026-12-31: why", "why"),
        ("UNTIL 2026-12-31: why", None),
        ("until 2026-12-31 why", "why"),
        ("until 2026-12-31, why: because", "why: because"),
        ("until 2026-12-31 - why", "why"),
        ("until 2026-12-31: `x` <b>|</b>\n::error::y", "`x` <b>|</b>\n::error::y"),
        ("until 2026-12-31", None),
        ("until 2026-12-31:   ", None),
        ("until 2026-12-310: why", None),
        ("until 2026-13-01: why", None),
        ("until 31.12.2026: why", None),
        ("why, until 2026-12-31: x", None),
        ("", None),
        ("until 0000-01-01: why", None),
    ],
)
def test_a_description_has_a_day_and_a_reason_or_it_is_none(description: str, reason: str | None) -> None:
    found = read("waive:size.max", description)
    if reason is None:
        assert isinstance(found, str)
        assert "until YYYY-MM-DD: reason" in found
    else:
        assert isinstance(found, Waiver)
        assert (found.reason, found.until) == (reason, DAY)


@given(st.text(), st.text(), st.booleans())
def test_no_label_brings_it_down_and_none_of_a_stranger_counts(name: str, description: str, trusted: bool) -> None:
    found, objections = waiver_sources.of_labels([Label(f"waive:{name}", description, None, trusted)])
    assert len(found) + len(objections) == 1
    assert trusted or not found


def test_who_set_a_label_need_not_be_known() -> None:
    (told,) = waiver_sources.of_labels([Label("waive:size.max", "until 2026-12-31: x", None, False)])[1]
    assert "the one who set it may not write" in told


@pytest.mark.parametrize(("days", "counts"), [(-1, True), (0, True), (1, False)])
def test_the_last_day_still_counts(made: Made, days: int, counts: bool) -> None:
    waiver = read("waive:budget")
    assert isinstance(waiver, Waiver)
    ruled = gate.ruling(made(LOOSE), base_of(made()), [waiver], landed=False, today=DAY + timedelta(days))
    limit = next(rule.limit for rule in ruled.rules if rule.id == "size.max_ratio")
    assert limit == (0.9 if counts else 0.5)
    assert any("lapsed after 2026-12-31" in notice for notice in ruled.notices) is not counts


def test_a_waiver_of_the_budget_for_one_variant_is_told_to_be_none(made: Made) -> None:
    """A budget has no variants: its author is waiting for an effect."""
    waiver = read("waive:budget@int8")
    assert isinstance(waiver, Waiver)
    ruled = gate.ruling(made(LOOSE), base_of(made()), [waiver], landed=False, today=DAY)
    assert next(rule.limit for rule in ruled.rules if rule.id == "size.max_ratio") == 0.5
    assert any("`budget` on `int8`" in notice and "matches no rule" in notice for notice in ruled.notices)


def test_a_waiver_of_the_file_counts_by_the_branch_that_it_stands_on(made: Made) -> None:
    entry = "waivers: [{rule: size.max_ratio, variant: int8, reason: a driver, until: 2026-12-31}]\n"
    (found,) = waiver_sources.of_file(made(config=CONFIG + entry), "main")
    assert found == Waiver("size.max_ratio", "int8", "a driver", DAY, "makeweight.yaml on main", standing=True)
    # the head's own waivers are nobody's word: `ruling` is told those that count, and asks the project for none
    loose = made(LOOSE, config=CONFIG + entry.replace("size.max_ratio, variant: int8", "budget"))
    ruled = gate.ruling(loose, base_of(made()), [], landed=False, today=DAY)
    assert ruled.waivers == ()
    assert next(rule.limit for rule in ruled.rules if rule.id == "size.max_ratio") == 0.5
