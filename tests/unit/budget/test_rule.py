"""The budget section: every metric knows its own units and operators, and says what would be right."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from makeweight.budget.metric import METRICS
from makeweight.budget.operator import OPERATORS
from makeweight.budget.rule import Budget, Rule, rules_of


def rules(**budget: object) -> list[Rule]:
    return rules_of(Budget.model_validate(budget))


def refused(**budget: object) -> str:
    with pytest.raises(ValidationError) as error:
        Budget.model_validate(budget)
    return "\n".join(entry["msg"] for entry in error.value.errors())


def test_one_rule_for_each_operator_in_the_order_of_the_catalogue() -> None:
    found = rules(latency_p50={"max_ratio": 0.7}, size={"max_ratio": 0.35, "max": "400 kB"})
    assert [rule.id for rule in found] == ["size.max", "size.max_ratio", "latency_p50.max_ratio"]
    assert [rule.limit for rule in found] == [400_000, 0.35, 0.7]
    assert [rule.measurand.name for rule in found] == ["size", "size_ratio", "latency_p50_ratio"]


@pytest.mark.parametrize("metric", METRICS)
def test_a_rule_sent_to_another_process_says_the_same(metric: str) -> None:
    operators = {
        name: operator.limit_dimension(METRICS[metric]).example
        for name, operator in OPERATORS.items()
        if operator.fits(METRICS[metric]) is None
    }
    found = rules(**{metric: operators})
    sent: list[Rule] = pickle.loads(pickle.dumps(found))  # noqa: S301 - our own bytes
    assert sent == found
    assert [rule.limit_text for rule in sent] == [rule.limit_text for rule in found]


def test_a_list_gives_one_metric_several_rules() -> None:
    found = rules(accuracy=[{"min": "95 %"}, {"max_drop": "2 pt", "slice": "night", "level": "warn"}])
    assert [(rule.id, rule.measurand.name, rule.level) for rule in found] == [
        ("accuracy.min", "accuracy", "error"),
        ("accuracy[slice=night].max_drop", "accuracy_drop[night]", "warn"),
    ]


def test_where_a_rule_holds_is_part_of_its_name() -> None:
    (found,) = rules(latency_p99={"max": "20 ms", "device": "pi5"})
    assert (found.id, found.device, found.limit) == ("latency_p99[pi5].max", "pi5", 0.02)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ({"size": {"max": "400 kB"}}, "at most 400 kB"),
        ({"accuracy": {"min": "95 %"}}, "at least 95 %"),
        ({"accuracy": {"max_drop": "0.5 pt"}}, "drop at most 0.5 pt"),
        ({"latency_p50": {"max_ratio": 0.7}}, "at most 0.7x"),
        ({"latency_p50": {"max_regression": "5 %"}}, "regression at most 5 %"),
    ],
)
def test_a_limit_in_words(text: dict[str, object], words: str) -> None:
    (found,) = rules(**text)
    assert found.limit_text == words


@pytest.mark.parametrize(
    ("budget", "said"),
    [
        ({"size": {}}, "no limit is given; give one of max, max_ratio"),
        ({"size": {"level": "warn"}}, "no limit is given"),
        ({"size": {"max": "-1 kB"}}, "no limit is negative"),
        ({"size": {"max_ratio": 0}}, "a limit must be above zero"),
        ({"size": {"min": "1 kB"}}, "lower is better here; use `max`"),
        ({"size": {"max_drop": "1 kB"}}, "limit how it grows with `max_ratio`"),
        ({"size": {"max": "1 kB", "device": "pi5"}}, "the same on every device; drop `device`"),
        ({"size": {"max": "1 kB", "slice": "night"}}, "`slice` goes with accuracy, f1, "),
        ({"size": {"max": "1 kB", "confidence": "95 %"}}, "`confidence` goes with evaluation metrics"),
        ({"parameters": {"max_regression": "5 %"}}, "counts are exact"),
        ({"accuracy": {"max": "95 %"}}, "higher is better here; use `min`"),
        ({"accuracy": {"max_ratio": 0.9}}, "use `min` or `max_drop`"),
        ({"accuracy": {"min": 95}}, "more than 100 %"),
        ({"accuracy": {"min": "95 %", "confidence": 95}}, "more than 100 %"),
        ({"accuracy": {"min": "95 %", "confidence": "40 %"}}, "greater than 0.5"),
        ({"size": {"max_ratio": 70}}, "write `70 %` if percent is meant"),
        ({"throughput": {"max_ratio": 2}}, "higher is better here; use `min`"),
        ({"negative_flips": {"max_drop": "1 pt"}}, "cannot drop"),
        ({"negative_flips": {"max_ratio": 2}}, "no negative flips against itself"),
        ({"latency_p50": {"max_regression": 5}}, "has no unit"),
        ({"latency_p50": "5 ms"}, "a rule is wanted here, such as `{max: 20 ms}`"),
        ({"accuracy": 0.9}, "a rule is wanted here, such as `{min: 95 %}`"),
        ({"accuracy": None}, "a rule is wanted here"),
    ],
)
def test_nonsense_is_refused_with_what_would_be_right(budget: dict[str, object], said: str) -> None:
    assert said in refused(**budget)


@pytest.mark.parametrize("metric", METRICS.values(), ids=lambda metric: metric.name)
@pytest.mark.parametrize("operator", OPERATORS.values(), ids=lambda operator: operator.name)
def test_every_metric_takes_exactly_the_operators_that_fit(metric, operator) -> None:  # type: ignore[no-untyped-def]
    example = operator.limit_dimension(metric).example
    if operator.fits(metric) is None:
        (found,) = rules(**{metric.name: {operator.name: example}})
        assert (found.metric, found.operator) == (metric, operator)
        assert found.limit > 0
    else:
        assert operator.fits(metric) in refused(**{metric.name: {operator.name: example}})


def test_every_metric_can_be_limited() -> None:
    for metric in METRICS.values():
        assert any(operator.fits(metric) is None for operator in OPERATORS.values()), metric.name


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("5 %")
keys = st.sampled_from([*OPERATORS, "device", "slice", "level", "when_unmeasured", "confidence", "other"])
entries = st.dictionaries(keys, scalars, max_size=4)


@given(
    st.dictionaries(st.sampled_from([*METRICS, "other"]), entries | st.lists(entries, max_size=2) | scalars, max_size=3)
)
def test_any_budget_is_read_or_refused(budget: dict[str, object]) -> None:
    try:
        found = rules_of(Budget.model_validate(budget))
    except ValidationError:
        return
    assert all(rule.operator.fits(rule.metric) is None and rule.limit >= 0 for rule in found)
