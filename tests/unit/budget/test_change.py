"""What a change does to the budget: nothing looser counts unless somebody agreed, and what is looser is told."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from makeweight.budget.change import changes, code, effective
from makeweight.budget.rule import Budget, Rule, rules_of


def rules(**budget: object) -> list[Rule]:
    return rules_of(Budget.model_validate(budget))


def never(_: str) -> bool:
    return False


@pytest.mark.parametrize(
    ("before", "after", "kind", "words"),
    [
        ({"max": "1 MB"}, {"max": "2 MB"}, "loosened", "at most 1 MB → at most 2 MB"),
        ({"max": "2 MB"}, {"max": "1 MB"}, "tightened", "at most 2 MB → at most 1 MB"),
        ({"max": "1 MB"}, {"max": "1 MB", "level": "warn"}, "loosened", "level error → level warn"),
        (
            {"max": "1 MB", "when_unmeasured": "warn"},
            {"max": "1 MB"},
            "tightened",
            "`warn` when unmeasured → `fail` when unmeasured",
        ),
        (
            {"max": "1 MB"},
            {"max": "1 MB", "when_unmeasured": "ignore"},
            "loosened",
            "`fail` when unmeasured → `ignore` when unmeasured",
        ),
        (
            {"max": "2 MB"},
            {"max": "1 MB", "level": "warn"},
            "loosened",
            "at most 2 MB, level error → at most 1 MB, level warn",
        ),
    ],
)
def test_each_part_of_a_rule_has_a_looser_side(
    before: dict[str, object], after: dict[str, object], kind: str, words: str
) -> None:
    (found,) = changes(rules(size=before), rules(size=after))
    assert (found.rule, found.kind, f"{found.was} → {found.now}") == ("size.max", kind, words)


def test_a_lower_limit_is_looser_where_more_is_asked_for() -> None:
    (found,) = changes(rules(accuracy={"min": "95 %"}), rules(accuracy={"min": "94 %"}))
    assert found.kind == "loosened"
    assert (found.was, found.now) == ("at least 95 %", "at least 94 %")


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [(None, "95 %", "tightened"), ("95 %", None, "loosened"), ("99 %", "95 %", "loosened"), (0.9, 0.95, "tightened")],
)
def test_less_confidence_is_looser(before: object, after: object, kind: str) -> None:
    old, new = (rules(accuracy={"max_drop": "1 pt", "confidence": each}) for each in (before, after))
    (found,) = changes(old, new)
    assert found.kind == kind
    assert "confidence" in found.was
    assert "confidence" in found.now


def test_rules_come_and_go() -> None:
    found = changes(rules(size={"max": "1 MB"}), rules(accuracy={"min": "95 %"}))
    assert [(each.rule, each.kind, each.was, each.now) for each in found] == [
        ("size.max", "removed", "at most 1 MB", "removed"),
        ("accuracy.min", "added", "none", "at least 95 %"),
    ]


def test_a_rule_that_moves_to_one_device_is_gone_from_the_others() -> None:
    found = changes(rules(latency_p50={"max_ratio": 0.7}), rules(latency_p50={"max_ratio": 0.7, "device": "pi5"}))
    assert [each.kind for each in found] == ["removed", "added"]


def test_limits_that_read_alike_are_told_apart() -> None:
    (found,) = changes(rules(size={"max": "1000001 B"}), rules(size={"max": "1000002 B"}))
    assert (found.was, found.now) == ("at most 1.000001 MB", "at most 1.000002 MB")


def test_a_slice_cannot_close_the_backticks_that_its_rule_stands_in() -> None:
    (found,) = changes(rules(accuracy={"min": 0.5, "slice": "a`b"}), [])
    assert code(found.rule).count("`") == 2


def test_what_is_looser_does_not_count_and_what_is_tighter_does() -> None:
    before = rules(size={"max": "1 MB"}, accuracy={"min": "95 %"}, latency_p50={"max_ratio": 0.7})
    after = rules(size={"max": "2 MB"}, accuracy={"min": "96 %"}, macs={"max": "5 M"})
    counts = {rule.id: rule.limit for rule in effective(before, after, never)}
    assert counts == {"size.max": 1e6, "macs.max": 5e6, "accuracy.min": 0.96, "latency_p50.max_ratio": 0.7}
    agreed = {rule.id: rule.limit for rule in effective(before, after, lambda rule: rule == "size.max")}
    assert agreed == {**counts, "size.max": 2e6}


_RULES = st.lists(
    st.builds(
        lambda limit, level, unmeasured, slice_, confidence, operator: Rule(
            metric=rules(accuracy={operator: "1 %" if operator == "min" else "1 pt"})[0].metric,
            operator=rules(accuracy={operator: "1 %" if operator == "min" else "1 pt"})[0].operator,
            limit=limit,
            slice=slice_,
            level=level,
            when_unmeasured=unmeasured,
            confidence=confidence,
        ),
        st.sampled_from([0.1, 0.2, 0.3]),
        st.sampled_from(["error", "warn"]),
        st.sampled_from(["fail", "warn", "ignore"]),
        st.sampled_from([None, "a"]),
        st.sampled_from([None, 0.9, 0.95]),
        st.sampled_from(["min", "max_drop"]),
    ),
    unique_by=lambda rule: rule.id,
    max_size=4,
)


@given(_RULES, _RULES)
def test_the_budget_that_counts_is_never_looser_than_the_bases(before: list[Rule], after: list[Rule]) -> None:
    counts = effective(before, after, never)
    assert {change.kind for change in changes(before, counts)} <= {"tightened", "added"}
    assert {rule.id for rule in counts} == {rule.id for rule in (*before, *after)}


@given(_RULES, _RULES, st.booleans())
def test_what_was_agreed_to_counts_as_it_is(before: list[Rule], after: list[Rule], some: bool) -> None:
    accepted: Callable[[str], bool] = (lambda rule: rule.endswith(".min")) if some else (lambda _: True)
    counts = {rule.id: rule for rule in effective(before, after, accepted)}
    proposed = {rule.id: rule for rule in after}
    for name in {rule.id for rule in (*before, *after)}:
        if accepted(name):
            assert counts.get(name) == proposed.get(name)


@given(_RULES)
def test_the_same_budget_has_no_changes(budget: list[Rule]) -> None:
    assert changes(budget, list(reversed(budget))) == []


def test_a_group_without_a_name_does_not_pass_for_all_examples() -> None:
    """Its rule would have the id of the rule about all of them, and so be no change."""
    for metric, said in (
        ("accuracy", {"max_drop": "1 pt", "slice": ""}),
        ("latency_p50", {"max": "1 ms", "device": ""}),
    ):
        with pytest.raises(ValidationError, match="at least 1 character"):
            rules(**{metric: said})
