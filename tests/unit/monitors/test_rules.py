"""Rules from the budget: they follow it, keep their promise about who may roll back, and are the same each time."""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

import rules_project
from makeweight.project import reading
from makeweight_monitors import durations, eprocess, reference
from makeweight_monitors.metrics import CATALOGUE, CONTROLLER_CATALOGUE, EXPORTER_CATALOGUE, LATENCY, SERVING_CATALOGUE
from makeweight_monitors.rollback import looking
from makeweight_monitors.rules import declared, generate, names, processes, promql, text, totals, windows, yamltext
from makeweight_monitors.rules.dependencies import chooses_by_pattern, reached, words
from makeweight_monitors.rules.rule import Alert, Recording
from makeweight_monitors.rules.terms import LatencyLimit, Terms
from makeweight_monitors.rules.trials import cases, unit_tests
from makeweight_monitors.rules.trials.cases import Case, Check
from makeweight_monitors.rules.trials.together import together
from rules_project import REPOSITORY, digits

CANARY = "environment, namespace, model, revision, attempt, sha256"
"""Whose evidence it is."""
GOLDEN = Path(__file__).parent / "golden"
FULL = Terms(
    "digits",
    drop=0.01,
    slices={"heavy ink": 0.02, 'a "quoted" \\ one {{': 0.03},
    class_drop=0.05,
    classes=10,
    accuracy=0.98,
    flips=0.015,
    latency=(LatencyLimit(0.5, None, 0.7), LatencyLimit(0.99, 0.02, None)),
    examples=500,
)
CONTROLLED = replace(FULL, controlled=True)


def rendered(terms: Terms) -> str:
    return text.render(generate.groups(terms), generate.heading(terms, "0.0"), terms.runbooks)


def loaded(terms: Terms) -> list[dict[str, Any]]:
    return [rule for group in yaml.load(rendered(terms), yaml.CSafeLoader)["groups"] for rule in group["rules"]]


DETECTOR = """\
model: {onnx: model.onnx}
data: {load: 'shapes.data:load'}
task: detection
variants: {int8: {steps: [{quantize: {method: static}}]}}
budget: {map: {min: 40 %, max_drop: 1 pt}, latency_p99: {max: 20 ms}}
"""
FOUND = {
    **{name: value for name, value in rules_project.content().items() if name not in ("classes", "confidence")},
    "task": "detection",
    "unavailable": "an answer is any number of boxes",
}


@pytest.mark.parametrize(
    ("canary", "families"),
    [("", ()), ("canary: {max_accuracy_drop: 1 pt}\n", ("failures",))],
    ids=["no drop is tolerated", "a drop is tolerated"],
)
def test_where_no_answer_is_right_or_wrong_failures_and_latency_are_watched(
    canary: str, families: tuple[str, ...]
) -> None:
    project = reading.understand(DETECTOR + canary, "makeweight.yaml", REPOSITORY)
    terms, notes = declared.terms(project, reference.understand(FOUND), None)
    assert "are not watched: an answer is any number of boxes; latency" in notes[0]
    assert (terms.families(), len(notes)) == (families, 1 if families else 2)
    made = loaded(terms)
    told = {rule.get("alert") or rule["record"] for rule in made}
    assert {names.LATENCY_BURN, names.FAILED} <= told
    watched = told - {names.TOLERATED_DROP}
    assert not {name for name in watched if re.search("accura|confiden|disagree|class|unwatched", name, re.IGNORECASE)}
    assert (names.FAILURES_ABOVE_STABLE in told) == bool(families)
    assert cases.cases(terms)


def test_the_rules_of_the_reference_project_are_what_they_were() -> None:
    """Where they are meant to change, delete the file and run this again: it is written anew, and fails once."""
    terms, notes = digits()
    assert notes == []
    golden = GOLDEN / "digits.rules.yaml"
    if not golden.exists():
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(rendered(terms))
        pytest.fail(f"{golden} was missing and has been written: look at it, and commit it")
    assert rendered(terms) == golden.read_text()
    tests = unit_tests.render(cases.cases(terms), "rules.yaml", ["x"])
    assert tests == unit_tests.render(cases.cases(terms), "rules.yaml", ["x"])


def test_what_is_written_is_what_was_meant() -> None:
    plain = [rule for group in generate.groups(FULL) for rule in group.rules]
    for meant, read in zip(plain, loaded(FULL), strict=True):
        assert read["expr"] == meant.expression
        if isinstance(meant, Recording):
            assert read["record"] == meant.record
            assert read.get("labels", {}) == meant.labels
        else:
            assert read["alert"] == meant.name
            assert read["labels"] == text.labels_of(meant)
            assert read["annotations"]["description"] == meant.description
            assert read["annotations"]["summary"] == meant.summary


def test_only_the_sequential_tests_may_roll_back() -> None:
    asking = {rule["alert"] for rule in loaded(FULL) if rule.get("labels", {}).get("kind") == "rollback"}
    assert asking == {
        names.FAILURES_ABOVE_STABLE,
        names.ACCURACY_DROP_PAIRED,
        names.ACCURACY_DROP_SPLIT,
        names.ACCURACY_DROP_SLICE,
        names.ACCURACY_DROP_CLASS,
    }
    for rule in loaded(FULL):
        if rule.get("labels", {}).get("kind") == "rollback":
            evalue = r"makeweight:\w+:evalue\{model=\"digits\"\}"
            excess = r"makeweight:shadowed:labels_excess\{model=\"digits\"\}"
            doubt = rf"/ on \({CANARY}\) group_left \(\) exp\(clamp_min\({excess}, 0\) \^ 2\)"
            guard = rf"unless on \({CANARY}\) {excess} > 3.0902"
            of_pairs = rule["alert"] not in (names.FAILURES_ABOVE_STABLE, names.ACCURACY_DROP_SPLIT)
            value = rf"\(\n  {evalue}\n  {doubt}\n  {guard}\n\)" if of_pairs else evalue
            assert re.fullmatch(value + r" > \d+", rule["expr"])
            # what befalls both arms shows on both at the next look
            assert rule.get("for", "0s") == ("15s" if rule["alert"] == names.FAILURES_ABOVE_STABLE else "0s")


def test_all_tests_together_keep_alpha() -> None:
    """By the union bound: one over each line, as often as that line is used."""
    used = {"failures": 1, "paired": 1, "split": 1, "slice": len(FULL.slices), "class": FULL.classes}
    assert sum(many / FULL.line(test) for test, many in used.items()) == pytest.approx(FULL.alpha)  # type: ignore[arg-type]
    shared = Terms("digits", drop=0.01, models=7)
    assert 7 * sum(1 / shared.line(test) for test in shared.families()) == pytest.approx(shared.alpha)


@pytest.mark.parametrize("alert", generate.alerts(generate.groups(FULL)), ids=lambda alert: alert.name)
def test_every_alert_says_what_it_is_and_where_to_read_on(alert: Alert) -> None:
    page = (REPOSITORY / "docs/monitors/runbooks.md").read_text()
    assert f"\n## {alert.name}\n" in page
    assert text.runbook("docs/monitors/runbooks.md", alert.name).endswith(f"#{alert.name.lower()}")
    assert len(alert.summary) > 20
    assert len(alert.description) > 40
    assert alert.level.kind != "rollback" or alert.level.severity == "page"


def test_no_sentence_of_an_alert_asks_the_series_for_a_label_that_the_alert_adds() -> None:
    """`$labels` are those of the series alone: the sentence would have a hole."""
    for alert in generate.alerts(generate.groups(FULL)):
        for label in (*alert.labels, "kind", "severity"):
            assert f"$labels.{label}" not in alert.summary + alert.description, alert.name
    every = [alert.summary for alert in generate.alerts(generate.groups(FULL)) if alert.name == names.FLIPS_BURN]
    assert every
    assert not any("$labels.variant" in summary for summary in every), "a pair is of no variant"


def test_every_runbook_is_of_an_alert_that_exists() -> None:
    page = (REPOSITORY / "docs/monitors/runbooks.md").read_text()
    assert set(re.findall(r"^## (Makeweight\w+)$", page, re.MULTILINE)) == {
        alert.name for alert in generate.alerts(generate.groups(CONTROLLED))
    }


def test_every_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    existing = {alert.name for alert in generate.alerts(generate.groups(CONTROLLED))}
    checks = [check for case in cases.cases(CONTROLLED) for check in case.checks]
    assert {name for check in checks for name in check.fires} == existing
    assert {name for check in checks for name in check.about - check.fires} == existing - {names.WATCHDOG}


@pytest.mark.parametrize("terms", [FULL, CONTROLLED], ids=["no controller", "a controller"])
def test_cases_that_are_tried_together_see_what_each_saw_alone(terms: Terms) -> None:
    groups, alone = generate.groups(terms), cases.cases(terms)

    def seen(case: Case) -> list[tuple[Check, frozenset[tuple[str, str]]]]:
        """Each check, with the series that its alerts read."""
        read = [generate.read_by(check.about, groups) for check in case.checks]
        return [
            (check, frozenset(row.notation() for row in case.rows if row.name in names_))
            for check, names_ in zip(case.checks, read, strict=True)
        ]

    joined = together(alone, groups)
    assert Counter(one for case in joined for one in seen(case)) == Counter(one for case in alone for one in seen(case))
    assert sorted(name for case in joined for name in case.name.split("; ")) == sorted(case.name for case in alone)
    assert len(joined) < len(alone)


def test_the_cases_stay_a_file_that_can_be_read() -> None:
    written = unit_tests.render(cases.cases(FULL), "rules.yaml", ["x"])
    assert len(written) < 100_000
    plain = yaml.load(written, yaml.CSafeLoader)["tests"]
    assert [test["name"] for test in plain] == [case.name for case in cases.cases(FULL)]
    assert plain[0]["input_series"][1] == dict(
        zip(("series", "values"), cases.cases(FULL)[0].rows[1].notation(), strict=True)
    )


def test_rules_read_nothing_that_nobody_exports() -> None:
    every = (*CATALOGUE, *EXPORTER_CATALOGUE, *CONTROLLER_CATALOGUE, *SERVING_CATALOGUE)
    recorded = {rule["record"] for rule in loaded(CONTROLLED) if "record" in rule}
    exported = {metric.series for metric in every} | {
        "makeweight_latency_seconds" + s for s in ("_bucket", "_sum", "_count")
    }
    for rule in loaded(CONTROLLED):
        read = {word for word in words(rule["expr"]) if word.startswith("makeweight")}
        assert read <= recorded | exported, rule
        assert not chooses_by_pattern(rule["expr"])


def test_every_recorded_name_is_in_the_list() -> None:
    listed = {value for value in vars(names).values() if isinstance(value, str)}
    listed |= {*names.LATENCY.values(), *names.LATENCY_RATIO.values()}
    families = [names.PAIRS, *names.BY_PART.values(), names.FAILURES, names.SPLIT]
    listed |= {name for family in families for name in astuple(family)}
    exported = {metric.series for metric in CATALOGUE} | {f"{LATENCY.series}_{of}" for of in ("bucket", "count", "sum")}
    listed |= {names.step(series) for series in exported}
    listed |= {*names.EVER.values()}
    listed |= {of(metric) for metric in CATALOGUE for of in (names.total, names.ended)}
    listed |= {name for family in (names.SCORES, names.PREDICTED, names.ERRORS) for name in astuple(family)}
    for rule in loaded(FULL):
        name = rule.get("record") or rule["alert"]
        burning = re.fullmatch(r"makeweight:(wrong|flips|slow_p\d+):(ratio|count)\d+[mhd]", name)
        assert name in listed or burning, name


def test_a_process_that_ended_counts_as_living_until_it_is_carried_on() -> None:
    """It is taken for ended once it was not scraped for so long, and found at the next look for such."""
    carried = durations.seconds(processes.REACH) + durations.seconds(windows.SLOW_INTERVAL)
    assert durations.seconds(totals.LIVING) > carried
    (ended,) = (group for group in generate.groups(FULL) if group.name == "makeweight-ended")
    assert ended.interval == windows.SLOW_INTERVAL
    assert not [rule for rule in ended.rules if 'variant="stable"' in rule.expression], "known at the first look"


def test_every_selector_names_the_model() -> None:
    """Rules of several models live side by side in one Prometheus, under the same names."""
    of_no_model = {metric.series for metric in EXPORTER_CATALOGUE}
    for rule in loaded(FULL):
        for name in {word for word in words(rule["expr"]) if word.startswith("makeweight")} - of_no_model:
            found = re.findall(rf"(?<![\w:\"]){name}(?![\w:])(.{{0,17}})", rule["expr"])
            assert found
            assert all(after.startswith('{model="digits"') for after in found), (rule["expr"], name)


def test_a_tighter_budget_makes_other_rules() -> None:
    before, _ = digits()
    after, _ = digits(replaced=("max_drop: 1 pt", "max_drop: 0.5 pt"))
    assert (before.drop, after.drop) == (0.01, 0.005)
    assert rendered(before) != rendered(after)
    assert before.slices == {"heavy ink": 0.02, "light ink": 0.02}
    assert (before.class_drop, before.accuracy, before.flips) == (0.05, 0.98, 0.015)
    assert before.latency == (LatencyLimit(0.5, None, 0.7),)
    assert before.examples == 500
    assert 0 < before.reference_psi < 1


def test_the_canary_section_goes_before_the_budget() -> None:
    terms, _ = digits("\ncanary: {max_accuracy_drop: 3 pt, false_rollback_rate: 0.01}\n")
    assert (terms.drop, terms.alpha) == (0.03, 0.01)
    assert terms.line("paired") == pytest.approx(500)


def test_without_a_tolerated_drop_nothing_is_rolled_back_and_that_is_said() -> None:
    bare = (REPOSITORY / "makeweight.yaml").read_text()
    bare = re.sub(r"(?s)budget:.*", "budget: {size: {max: 1 MB}}\n", bare)
    terms, notes = rules_project.read(bare)
    assert any("no rule may ask for a rollback" in note for note in notes)
    assert not [rule for rule in loaded(terms) if rule.get("labels", {}).get("kind") == "rollback"]
    assert {rule.get("alert") for rule in loaded(terms)} >= {names.WATCHDOG, names.NOTHING_OBSERVED}
    assert "Nothing here asks for a rollback" in rendered(terms)


@pytest.mark.parametrize("interval", [1, 15])
def test_the_watchdog_is_evaluated_several_times_within_what_makes_it_old(interval: int) -> None:
    groups = generate.groups(Terms("m", interval=interval))
    (beat,) = (group.interval for group in groups if names.WATCHDOG in {one.name for one in generate.alerts((group,))})
    assert beat is not None
    assert looking.MISSED * durations.seconds(beat) <= looking.STALE


def test_limits_for_one_device_wait_to_be_asked_for() -> None:
    devices = ("devices:\n", "devices:\n  pi:\n    kind: local\n")
    bound = ("  latency_p50:\n", "  latency_p99: {max: 20 ms, device: pi}\n  latency_p50:\n")
    text_of = (REPOSITORY / "makeweight.yaml").read_text().replace(*devices).replace(*bound)
    terms, notes = rules_project.read(text_of)
    assert terms.latency == (LatencyLimit(0.5, None, 0.7),)
    assert notes == ["`latency_p99[pi].max` is not watched: it is for one device; name it with `--device`"]
    terms, notes = rules_project.read(text_of, device="pi")
    assert terms.latency == (LatencyLimit(0.5, None, 0.7), LatencyLimit(0.99, 0.02, None))
    assert notes == []


def test_a_limit_beyond_the_histogram_is_told() -> None:
    slow = ("max_ratio: 0.7", "max: 60 s")
    _, notes = digits(replaced=slow)
    assert notes == ["`latency_p50.max` is not watched: 60 s is beyond what latencies are counted up to"]


def test_bets_stand_in_the_rule_to_twelve_figures() -> None:
    (rule,) = (rule for rule in loaded(FULL) if rule.get("record") == names.PAIRS.evalue_since)
    for bet in eprocess.paired(0.01):
        assert f"* {bet.harm:.12g} -" in rule["expr"]
        assert f"* {-bet.help:.12g} -" in rule["expr"]


@pytest.mark.parametrize("width", [yamltext.WIDTH, math.inf], ids=["folded", "endless"])
@given(value=st.text() | st.sampled_from(["yes", "1", "a: b", "it's", "a\nb", "- a", "# a", "{{ $x }}", "0x1", "~"]))
def test_any_text_comes_out_as_it_went_in(width: float, value: str) -> None:
    content = {"as it is": value, "long": " ".join([value] * 40), value or "-": [{"in a list": value}]}
    assert yaml.safe_load(yamltext.document(content, ["a heading", ""], width=width)) == content


def test_a_long_text_is_folded_and_several_lines_are_a_block() -> None:
    written = yamltext.document({"expr": "a\n+ b", "description": "word " * 30 + "end", "list": ["x"]}, ["made"])
    folded = "  " + " ".join(["word"] * 22), "  " + " ".join(["word"] * 8) + " end"
    assert written.splitlines() == ["# made", "expr: |-", "  a", "  + b", "description: >-", *folded, "list:", "- x"]


def test_label_values_may_hold_anything() -> None:
    assert promql.equals("slice", 'a "b" \\ c\nd') == 'slice="a \\"b\\" \\\\ c\\nd"'


def test_dependencies_are_read_from_the_text() -> None:
    assert "b_total" in words('sum by (x) (rate(b_total{c="d_total"}[5m]))')
    assert "d_total" not in words('sum by (x) (rate(b_total{c="d_total"}[5m]))')
    assert reached(["a + b"], {"a": ["c * 2"], "c": ["d"]}) == {"a", "b", "c", "d"}
    assert chooses_by_pattern('{__name__=~"x.*"}')
