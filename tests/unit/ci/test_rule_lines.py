"""Every rule has its line, however the budget is written."""

from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from makeweight.budget.metric import METRICS
from makeweight.budget.operator import OPERATORS
from makeweight.ci import lines
from makeweight.project.reading import understand
from makeweight_base.errors import ConfigError
from unit.ci.conftest import CONFIG

GPU = "  gpu: {kind: local, execution_provider: cuda}\n"
HEAD = (
    CONFIG.partition("budget:")[0]
    .replace("npz: {test: test.npz, calibration: calibration.npz}", "load: 'code:load', slices: 'code:slices'")
    .replace("  local: {kind: local}\n", "  local: {kind: local}\n  pi5: {kind: local}\n" + GPU)
    .replace(
        "task: classification\n",
        "task: {kind: classification, classes: [cat, dog]}\n"
        "pipeline: {preprocess: 'code:before', samples: 'code:raw'}\n",
    )
)
FITTING = [
    (metric, operator)
    for metric in METRICS.values()
    for operator in OPERATORS.values()
    if operator.fits(metric) is None and "classification" in metric.tasks
]


@st.composite
def budgets(draw: st.DrawFn) -> dict[str, Any]:
    """Some rules of each metric: as a mapping or a list, with devices, slices and limits that are left empty."""
    found: dict[str, Any] = {}
    for metric in {metric.name: metric for metric, _ in draw(st.lists(st.sampled_from(FITTING), min_size=1))}.values():
        own = [operator for fitting, operator in FITTING if fitting is metric]
        place: list[dict[str, str]] = [{}]
        if metric.meter == "gpu":
            place = [{"device": "gpu"}]
        elif metric.per_device:
            place += [{"device": "local"}, {"device": "pi5"}]
        if metric.name == "accuracy":
            place += [{"slice": "night"}, {"slice": "a, b: [c] #d @e `f` ünï"}]
        specs = []
        for where in draw(st.lists(st.sampled_from(place), min_size=1, unique_by=str)):
            chosen = draw(st.lists(st.sampled_from(own), min_size=1, unique_by=lambda each: each.name))
            limits = {each.name: each.limit_dimension(metric).example for each in chosen}
            empty = {each.name: None for each in own if each not in chosen and draw(st.booleans())}
            specs.append({**where, **limits, **empty})
        found[metric.name] = specs[0] if len(specs) == 1 and draw(st.booleans()) else specs
    return found


@given(budgets(), st.sampled_from([True, False, None]))
def test_the_lines_are_those_of_the_rules_and_of_no_others(tmp_path_factory: Any, budget: Any, flow: Any) -> None:
    whole = yaml.safe_dump({"budget": budget}, default_flow_style=flow, allow_unicode=True, width=10**6)
    text = HEAD + (whole.strip().removeprefix("{").removesuffix("}") if flow else whole)
    try:
        rules = understand(text, "makeweight.yaml", tmp_path_factory.getbasetemp()).rules
    except ConfigError as error:
        raise AssertionError(f"{error}\n{text}") from error
    found = lines.of(text).rules
    assert set(found) == {rule.id for rule in rules}
    rows = text.splitlines()
    for rule in rules:
        assert rule.operator.name in rows[found[rule.id] - 1]
    assert rows[lines.of(text).budget - 1].startswith("budget:")


def test_rules_that_come_by_an_anchor_have_the_line_of_what_can_be_seen() -> None:
    text = HEAD + "budget:\n  size: &strict {max_ratio: 0.5}\n  macs:\n    <<: *strict\n"
    found = lines.of(text).rules
    rows = text.splitlines()
    assert found["size.max_ratio"] == rows.index("  size: &strict {max_ratio: 0.5}") + 1
    assert found["macs.max_ratio"] in (rows.index("  macs:") + 1, rows.index("    <<: *strict") + 1)


def test_a_budget_of_another_shape_has_no_lines() -> None:
    for odd in ("budget: 3\n", "budget: [size]\n", "budget:\n", "budget: {size: 400 kB, macs: [1, {max: 5 M}]}\n", ""):
        assert set(lines.of(HEAD + odd).rules) <= {"macs.max"}
