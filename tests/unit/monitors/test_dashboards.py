"""Dashboards from the budget: they follow it, keep to the habits of good dashboards, and are the same each time."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from dashboards_project import BUDGETS, PAGE, files, loaded, panels
from makeweight_monitors.dashboards import board, generate
from makeweight_monitors.dashboards.look import CANARY, STABLE
from makeweight_monitors.metrics import CATALOGUE, CONTROLLER_CATALOGUE, EXPORTER_CATALOGUE, SERVING_CATALOGUE
from makeweight_monitors.rules import generate as rules
from makeweight_monitors.rules import names
from makeweight_monitors.rules.dependencies import words
from makeweight_monitors.rules.rule import Recording
from makeweight_monitors.rules.terms import Terms

GOLDEN = Path(__file__).parent / "golden" / "digits.grafana"
BOARDS = {
    f"{budget}, {file}": (terms, file)
    for budget, terms in BUDGETS.items()
    for file in generate.BOARDS
    if file != "fleet.json" or budget == "digits"
}


@functools.cache
def board_of(name: str) -> dict[str, Any]:
    """Read when a test asks for it: collecting the tests needs none."""
    terms, file = BOARDS[name]
    return loaded(terms)[file]


def within(value: Any, key: str) -> Iterator[Any]:
    """Everything that stands under a key, however deep."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == key:
                yield inner
            yield from within(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from within(inner, key)


def test_the_files_of_the_reference_project_are_what_they_were() -> None:
    """Where they are meant to change, delete the folder and run this again: it is written anew, and fails once."""
    made = files(BUDGETS["digits"])
    if not GOLDEN.exists():
        for path, text in made.items():
            (GOLDEN / path).parent.mkdir(parents=True, exist_ok=True)
            (GOLDEN / path).write_text(text)
        pytest.fail(f"{GOLDEN} was missing and has been written: look at it, and commit it")
    kept = {PurePosixPath(path.relative_to(GOLDEN)) for path in GOLDEN.rglob("*") if path.is_file()}
    assert kept == set(made)
    for path, text in made.items():
        assert text == (GOLDEN / path).read_text(), path
    assert made == files(BUDGETS["digits"])


def test_the_fleet_is_the_same_for_every_project() -> None:
    first, second = (board.text(generate.dashboards(BUDGETS[name])["fleet.json"]) for name in ("digits", "regression"))
    assert first == second


# What Grafana's dashboard-linter asks for. Its rules about `job` and `instance` variables do not apply: figures are of
# a model over all its processes, recorded series bear neither label, and so its model takes their place.


@pytest.mark.parametrize("name", BOARDS)
def test_a_dashboard_takes_its_data_source_from_a_variable(name: str) -> None:
    one = board_of(name)
    (variable,) = [each for each in one["templating"]["list"] if each["type"] == "datasource"]
    assert (variable["name"], variable["label"], variable["query"]) == ("datasource", "Data source", "prometheus")
    assert {json.dumps(source, sort_keys=True) for source in within(one, "datasource")} == {
        '{"type": "prometheus", "uid": "${datasource}"}'
    }
    assert "__inputs" not in one
    for each in one["templating"]["list"]:
        if each["type"] == "query":
            assert each["refresh"] == 2, "a new model or revision is offered when the time changes"


@pytest.mark.parametrize("name", BOARDS)
def test_an_environment_can_be_chosen_by_each_of_its_labels(name: str) -> None:
    one = board_of(name)
    chosen = {each["name"]: each for each in one["templating"]["list"]}
    assert list(chosen)[:3] == ["datasource", "environment", "namespace"]
    for label in ("environment", "namespace"):
        each = chosen[label]
        assert each["query"]["query"] == f"label_values(makeweight_predictions_total, {label})"
        # all of them, those among them that bear no such label
        assert (each["multi"], each["includeAll"], each["allValue"], each["current"]["value"]) == (
            True, True, ".*", "$__all",
        )  # fmt: skip
    for each in chosen.values():
        if each["name"] == "revision":
            assert 'environment=~"$environment", namespace=~"$namespace"' in each["query"]["query"]
    for mark in one["annotations"]["list"]:
        check_here(mark["expr"])


def test_the_labels_that_tell_environments_apart_are_declared() -> None:
    for one in loaded(replace(BUDGETS["digits"], environment=("cluster",))).values():
        assert [each["name"] for each in one["templating"]["list"]][:3] == ["datasource", "cluster", "model"]
        for panel in panels(one):
            for target in panel["targets"]:
                assert "namespace" not in target["expr"]
                check_here(target["expr"], 'cluster=~"$cluster{0}", ')


@pytest.mark.parametrize("name", BOARDS)
def test_every_panel_says_what_it_shows(name: str) -> None:
    for panel in panels(board_of(name)):
        check_panel(panel)


def check_panel(panel: dict[str, Any]) -> None:
    assert len(panel["title"]) > 2
    assert len(panel["description"]) > 20
    assert panel["description"].endswith((".", "?")), panel["description"]
    assert panel["targets"]
    assert panel["fieldConfig"]["defaults"]["unit"] in {
        "none", "short", "percentunit", "reqps", "cps", "s", "decbytes", "dateTimeFromNow",
    }  # fmt: skip
    assert [target["refId"] for target in panel["targets"]] == [chr(65 + n) for n in range(len(panel["targets"]))]
    if panel["type"] in ("timeseries", "state-timeline"):
        legends = [target["legendFormat"] for target in panel["targets"]]
        assert "__auto" not in legends
        assert len(set(legends)) == len(legends)
        assert all(target["range"] for target in panel["targets"])
    else:
        assert all(target["instant"] for target in panel["targets"])


@pytest.mark.parametrize("name", BOARDS)
def test_every_question_is_asked_well(name: str) -> None:
    for panel in panels(board_of(name)):
        for target in panel["targets"]:
            check_question(target["expr"])


OF_THE_BUDGET = {names.ROLLBACK_LINE, names.TOLERATED_DROP, names.LIMIT}
"""The same in every environment."""


def check_here(expression: str, here: str = 'environment=~"$environment{0}", namespace=~"$namespace{0}", ') -> None:
    """It asks about the chosen environment alone; of alerts, about those of none too."""
    assert "$here" not in expression
    for name, matchers in re.findall(r"(makeweight[\w:]*|ALERTS)\{([^}]*)", expression):
        meant = here.format("|" if name == "ALERTS" else "")
        assert matchers.startswith(meant) == (name not in OF_THE_BUDGET), (name, matchers)


def check_question(expression: str) -> None:
    for function, counter, window in re.findall(r"(\w+)\((\w+_total)\{[^}]*\}\[([^]]+)\]", expression):
        assert function in ("rate", "increase"), counter
        assert window == "$__rate_interval" or function == "increase"
    for series in re.findall(r"(\w+_total)(?=\{|\[)", expression):
        # a counter by itself is only counted
        assert re.search(rf"(rate|increase)\({series}|count by \(\w+\) \({series}", expression), series
    selected = re.findall(r"(makeweight[\w:]*|ALERTS)\{([^}]*)", expression)
    assert all('model=~"$model"' in matchers for _, matchers in selected)
    check_here(expression)
    assert selected or expression.startswith("vector(")
    assert "vector(0)" not in expression, "a nought where nothing is known"


@pytest.mark.parametrize("name", BOARDS)
def test_panels_lie_side_by_side_and_have_numbers_of_their_own(name: str) -> None:
    one = board_of(name)
    for shown in (one["panels"], *(row["panels"] for row in one["panels"] if row["type"] == "row")):
        taken: set[tuple[int, int]] = set()
        for panel in shown:
            place = panel["gridPos"]
            cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
            assert place["x"] + place["w"] <= 24
            assert not cells & taken, panel["title"]
            taken |= cells
    rows = [panel for panel in one["panels"] if panel["type"] == "row"]
    numbers = [panel["id"] for panel in (*panels(one), *rows)]
    assert len(set(numbers)) == len(numbers)
    assert all(bool(row["panels"]) == row["collapsed"] for row in rows)


@pytest.mark.parametrize("name", BOARDS)
def test_stable_and_canary_have_one_colour_everywhere(name: str) -> None:
    for panel in panels(board_of(name)):
        if panel["type"] in ("timeseries", "barchart"):
            check_colours(panel)


def check_colours(panel: dict[str, Any]) -> None:
    colours = {
        override["matcher"]["options"]: prop["value"]["fixedColor"]
        for override in panel["fieldConfig"]["overrides"]
        for prop in override["properties"]
        if prop["id"] == "color"
    }
    for target in panel["targets"]:
        legend = target["legendFormat"]
        colour = colours.get(target["refId"], colours.get(legend))
        for arm, look in (("stable", STABLE), ("canary", CANARY)):
            if re.match(rf"({{{{model}}}} )?{arm}\b", legend) and "test split" not in legend:
                assert colour == look.color, (legend, colour)


OTHERS = {
    "no answer is right or wrong": Terms("boxes", drop=0.01, classification=False, judged=False),
    "nor is a drop tolerated": Terms("boxes", classification=False, judged=False),
    "a slice alone": Terms("part", slices={"night": 0.01}, classes=3),
}


@pytest.mark.parametrize("terms", [*BUDGETS.values(), *OTHERS.values()], ids=[*BUDGETS, *OTHERS])
def test_dashboards_read_nothing_that_nobody_writes(terms: Terms) -> None:
    """A panel is there only where the budget makes the rules record what it shows; the fleet's are of all budgets."""
    recorded = {rule.record for group in rules.groups(terms) for rule in group.rules if isinstance(rule, Recording)}
    every = (*CATALOGUE, *EXPORTER_CATALOGUE, *CONTROLLER_CATALOGUE, *SERVING_CATALOGUE)
    exported = {metric.series for metric in every}
    for file, one in loaded(terms).items():
        if file == "fleet.json":
            continue
        for panel in panels(one):
            for target in panel["targets"]:
                read = {word for word in words(target["expr"]) if word.startswith("makeweight")}
                assert read <= recorded | exported, (file, panel["title"])


def titles(budget: str, file: str) -> str:
    one = loaded(BUDGETS[budget])[file]
    return "\n".join([*(panel["title"] for panel in panels(one)), *(row["title"] for row in one["panels"])])


def test_panels_follow_the_budget() -> None:
    assert "By slice" in titles("digits", "drift.json")
    assert "By class" in titles("digits", "drift.json")
    assert "slice" not in titles("no limit at all", "drift.json").lower()
    assert "Wrong answers: e-value" in titles("digits", "canary.json")
    assert "Wrong answers: e-value" not in titles("no limit at all", "canary.json")
    assert "Budgets that burn" not in titles("no limit at all", "canary.json")
    assert "Split traffic" in titles("digits", "canary.json")
    assert not re.search("class|confidence", titles("regression", "drift.json"), re.IGNORECASE)
    assert '"barchart"' in json.dumps(loaded(BUDGETS["digits"])["drift.json"])
    assert "Accuracy by true class" not in titles("many classes", "drift.json")
    assert "Size of the errors" in titles("regression", "drift.json")
    assert "Safe without labels" not in titles("regression", "canary.json")
    assert "Wrong answers: e-value" in titles("regression", "canary.json")


def test_the_alert_on_selected_labels_has_its_panel_where_slices_alone_are_tested() -> None:
    terms = OTHERS["a slice alone"]
    assert names.LABELS_SELECTED in generate.panels(terms, generate.dashboards(terms))


def test_names_of_any_kind_make_addresses_and_questions_that_work() -> None:
    for terms in BUDGETS.values():
        for one in loaded(terms).values():
            assert re.fullmatch(r"[A-Za-z0-9_-]{1,40}", one["uid"])
    assert board.uid("canary", "digits") == "mw-canary-digits"
    assert board.uid("canary", "x" * 63) != board.uid("canary", "x" * 62)
    odd = loaded(BUDGETS["all that there is"])["canary.json"]
    (variable,) = [each for each in odd["templating"]["list"] if each["name"] == "model"]
    assert variable["query"]["query"] == (
        'label_values(makeweight_predictions_total{model="a \\"model\\" {{ $here"}, model)'
    )
    assert variable["multi"], "so that Grafana escapes it"
    assert variable["current"]["value"] == [BUDGETS["all that there is"].model]


def test_runbooks_are_linked_where_they_are_published() -> None:
    published = loaded(BUDGETS["all that there is"])["canary.json"]
    assert PAGE in [link.get("url") for link in published["links"]]
    assert PAGE in str(list(within(published["panels"], "overrides")))
    at_home = loaded(BUDGETS["digits"])["canary.json"]
    assert not [link for link in at_home["links"] if link["type"] == "link"]
