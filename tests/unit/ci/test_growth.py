"""Growth against the merge base: what is measured, what follows from equal bytes, and what is never made up."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from makeweight import publish
from makeweight.artifact import artifact
from makeweight.artifact.artifact import Manifest
from makeweight.artifact.model import Model
from makeweight.artifact.ports import Port
from makeweight.bench import sitting
from makeweight.bench.aim import Aim
from makeweight.bench.sitting import Pair
from makeweight.budget.measurand import Measurand
from makeweight.budget.metric import METRICS
from makeweight.budget.operator import OPERATORS
from makeweight.budget.rule import Rule
from makeweight.ci import gate, measure, regression
from makeweight.decide import decide
from makeweight.decide.verdict import RuleVerdict
from makeweight.devices.device import DeviceOptions
from makeweight.devices.local import Local, LocalOptions
from makeweight.evidence import keys
from makeweight.evidence.evidence import NOTHING, Evidence
from makeweight.measure import samples
from makeweight.measure.timings import Timings
from makeweight.measurement import Measurement, unavailable
from makeweight_base.progress import Silent
from makeweight_probe.job import Model as ProbeModel
from makeweight_probe.job import Result
from model_values import invented_model
from unit.ci.conftest import Made, base_of, figure

ZERO = ("size: {max_ratio: 0.5}", "size: {max_regression: 0 %}")
NONE = ("max_regression: 5 %", "max_regression: 0 %")


def sound(*variants: str) -> list[Measurement]:
    return [figure("nonfinite_outputs", 0.0, variant=name, unit="fraction") for name in variants]


def size(value: float) -> Measurement:
    return figure("size", value, unit="B")


def grown(rules: list[Rule], now: list[Measurement], before: list[Measurement]) -> Measurement:
    (found,) = regression.of_figures(rules, "int8", "int8", now, before)
    return found


def judged(made: Made, *figures: Measurement, rule: str) -> list[RuleVerdict]:
    project = made(ZERO, NONE)
    found = decide(publish.terms(project), [*sound("int8", "other"), *figures], {})
    return [each for each in found.rules if each.rule == rule and each.variant == "int8"]


def test_the_same_artifact_has_not_grown_and_passes_at_nothing(made: Made) -> None:
    """0 % is a limit that can be met: a noise floor must not make equal bytes undecided."""
    project = made(ZERO, NONE)
    known, _ = gate.of_base(project, base_of(project))
    for rule in ("size.max_regression", "latency_p50.max_regression"):
        (found,) = judged(made, *known, rule=rule)
        assert found.verdict == "pass", found.sentence


@pytest.mark.parametrize(("now", "verdict"), [(100.0, "pass"), (99.0, "pass"), (101.0, "fail")])
def test_an_exact_figure_is_held_to_the_last_byte(made: Made, now: float, verdict: str) -> None:
    rules = regression.wanted(made(ZERO).rules, None)
    (found,) = judged(made, grown(rules, [size(now)], [size(100.0)]), rule="size.max_regression")
    assert found.verdict == verdict


def test_growth_from_nothing_to_nothing_is_none_and_to_something_has_no_percentage(made: Made) -> None:
    rules = regression.wanted(made(ZERO).rules, None)
    assert grown(rules, [size(0.0)], [size(0.0)]).value == 0
    found = grown(rules, [size(1.0)], [size(0.0)])
    assert found.status == "unavailable"
    assert "limit it with `max`" in str(found.reason)


@pytest.mark.parametrize(
    ("now", "before", "reason"),
    [
        ([], [size(1.0)], "not measured here"),
        ([unavailable(Measurand("size"), "int8", "B", "the disk was lost")], [size(1.0)], "the disk was lost"),
        ([size(1.0)], [], "the merge base has no figure of it"),
        ([size(1.0)], [unavailable(Measurand("size"), "int8", "B", "no disk there")], "no disk there"),
        ([size(1.0)], [figure("size", 1.0, variant="other")], "the merge base has no figure of it"),
        ([size(1.0)], [figure("size", 1.0, device="local")], "the merge base has no figure of it"),
    ],
)
def test_what_one_side_lacks_is_said_and_never_passes(
    made: Made, now: list[Measurement], before: list[Measurement], reason: str
) -> None:
    found = grown(regression.wanted(made(ZERO).rules, None), now, before)
    assert found.status == "unavailable"
    assert reason in str(found.reason)
    (ruled,) = judged(made, found, rule="size.max_regression")
    assert ruled.verdict == "inconclusive"


def test_rules_go_where_they_are_measured(made: Made) -> None:
    text = "latency_p50: [{max_regression: 5 %}, {device: pi5, max_regression: 1 %}]"
    rules = made(
        ZERO,
        ("latency_p50: {max_ratio: 0.9, max_regression: 5 %}", text),
        ("  local: {kind: local}\n", "  local: {kind: local}\n  pi5: {kind: local}\n"),
    ).rules
    assert [rule.id for rule in regression.wanted(rules, None)] == ["size.max_regression"]
    assert [rule.limit for rule in regression.wanted(rules, "local")] == [0.05]
    assert [rule.limit for rule in regression.wanted(rules, "pi5")] == [0.05, 0.01]


@pytest.fixture
def metered(monkeypatch: pytest.MonkeyPatch) -> tuple[Timings, list[Aim]]:
    """What measuring gives: energy and memory of a GPU, each a quarter more; and what it was asked for."""
    joules = {"joules_a": np.linspace(0.1, 0.2, 9), "joules_b": np.linspace(0.1, 0.2, 9) * 1.25, "idle": np.ones(10)}
    held = {arm: [{"load": 1e6, "run": 1e6, "device": {"bytes": size}}] for arm, size in (("a", 400e6), ("b", 500e6))}
    taken, asked = Timings((), held, Result(joules, {"source": "RAPL package-0"})), list[Aim]()

    def carry_out(*given: Any) -> Timings:
        asked.append(given[3])
        return taken

    monkeypatch.setattr(sitting, "carry_out", carry_out)
    return taken, asked


@pytest.mark.parametrize(
    ("name", "wants"), [("energy", (False, True)), ("gpu_memory", (True, False))], ids=["energy", "memory"]
)
def test_whatever_a_meter_reads_grows(metered: tuple[Timings, list[Aim]], name: str, wants: tuple[bool, bool]) -> None:
    taken, asked = metered
    rules = [Rule(METRICS[name], OPERATORS["max_regression"], 0.05)]
    pair = Pair(*[ProbeModel("onnxruntime", "m.onnx", 1)] * 2, "x.npz", free_batch=False)
    assert regression.measure(Local("local", LocalOptions()), LocalOptions(), pair, rules, 0, Silent()) is taken
    assert (asked[0].memory, asked[0].energy) == wants
    (found,) = regression.of_timings(taken, rules, "int8", "local", 1)
    assert (found.metric, found.comparison) == (name, "regression")
    assert found.value == pytest.approx(0.25)
    assert found.interval == pytest.approx((0.25, 0.25))


def test_the_file_of_growth_does_not_speak_over_the_evidence(made: Made) -> None:
    """It comes from where the model's code runs; the last figure of a name is the one that counts."""
    project = made()
    honest = figure("size", 0.9, comparison="ratio")
    known = Evidence((honest,), {}, {"int8": manifest("own")}, {}, {}, {}, {})
    forged = [
        figure("size", 0.1, comparison="ratio"),
        figure("accuracy", 0.0, unit="fraction", comparison="drop"),
        figure("latency_p50", 0.1, device="local", interval=(0.1, 0.1), comparison="ratio"),
        figure("size", 0.0, comparison="regression"),
    ]
    own = of_models("before", "own")
    assert gate.of_evidence(project, None, known, [*forged, own], {}, {"int8": "before"}, ()) == [honest, own]


def of_models(before: str, own: str) -> Measurement:
    """Growth as it was measured of two models."""
    measured = figure("latency_p50", 0.02, device="local", interval=(0.01, 0.03), comparison="regression")
    return replace(measured, key=keys.growth(before=before, own=own))


def manifest(sha256: str) -> Manifest:
    return Manifest("int8", "ready", "onnxruntime", [], 0, None, {}, model=invented_model(sha256))


@pytest.mark.parametrize(("sha256", "status"), [("i", "measured"), ("another", "unavailable")])
def test_of_a_silent_device_only_equal_bytes_say_anything(made: Made, sha256: str, status: str) -> None:
    known = Evidence((), {}, {"int8": manifest(sha256)}, {}, {}, {}, {})
    found = gate.of_evidence(made(), base_of(made()), known, [], {"local": "it did not answer"}, {}, ())
    (told,) = [m for m in found if m.measurand.name == "latency_p50_regression" and m.variant == "int8"]
    assert (told.device, told.status) == ("local", status)
    assert told.reason in (None, "it did not answer")


def test_a_variant_that_the_base_lacks_or_that_failed_has_nothing_to_have_grown_from(made: Made) -> None:
    project = made(ZERO)
    for base in (
        base_of(made(("  int8: {steps: [{quantize: {method: dynamic}}]}\n", "")), size(100.0)),
        base_of(made(), size(100.0), provenance={"failed": {"int8": "no memory"}}),
        base_of(None, size(100.0)),
    ):
        found = gate.of_evidence(project, base, NOTHING, [], {}, {}, ())
        assert [m for m in found if m.variant == "int8" and m.comparison == "regression"] == []


@pytest.mark.parametrize(
    ("before", "now", "types"),
    [("int64", "int32", ("int64", "int32")), ("int32", "int32", ("int32", "int32")), ("int64", "int64", ("int64",))],
    ids=["it changed its runtime", "on another runtime than the baseline", "all alike"],
)
def test_two_models_are_fed_in_the_types_that_each_takes(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str, now: str, types: tuple[str, ...]
) -> None:
    """A runtime may have narrower integers than the baseline, in whose types the samples are stored."""
    monkeypatch.chdir(tmp_path)
    layout = (project := made()).layout
    baseline, a, b = (invented_model(inputs=(Port("x", ("N", 4), each),)) for each in ("int64", before, now))
    monkeypatch.setattr(Model, "is_whole", lambda _: True)
    manifest = Manifest("baseline", "ready", "onnxruntime", [], 0, None, {}, model=baseline)
    artifact.write(layout.artifact("baseline"), manifest)
    samples.store(layout.inputs, [{"x": np.arange(4, dtype=np.int64).reshape(1, 4)}])
    pair = measure._pair(project, a, b, DeviceOptions(), tmp_path)
    fed = [np.load(path)["0:x"] for path in (pair.inputs, pair.inputs_b) if path is not None]
    assert tuple(values.dtype.name for values in fed) == types
    assert all(values.tolist() == [[0, 1, 2, 3]] for values in fed)


TWO = ("  local: {kind: local}\n", "  local: {kind: local}\n  pi5: {kind: local}\n")


def of_growth(found: list[Measurement], device: str | None = None) -> dict[str, tuple[str, str | None]]:
    """Of int8: what is known of each growth on a device, and why it is not."""
    own = [m for m in found if (m.variant, m.device, m.comparison) == ("int8", device, "regression")]
    assert len({m.measurand for m in own}) == len(own)
    return {m.measurand.name: (m.status, m.reason) for m in own}


def test_a_device_that_this_run_did_not_measure_leaves_growth_open(made: Made) -> None:
    """Where nothing is told of it, its rule would read as one without a merge base, which lets everything through."""
    project, known = made(TWO), Evidence((), {}, {"int8": manifest("another")}, {}, {}, {}, {})
    own = of_models("before", "another")
    found = gate.of_evidence(project, base_of(made(TWO)), known, [own], {}, {"int8": "before"}, ())
    assert of_growth(found, "local") == {"latency_p50_regression": ("measured", None)}
    said = "it was not compared with the merge base in this run"
    assert of_growth(found, "pi5") == {"latency_p50_regression": ("unavailable", said)}
    decided = decide(publish.terms(project), [*sound("int8", "other"), *found], {})
    own_rules = [r for r in decided.rules if (r.rule, r.variant) == ("latency_p50.max_regression", "int8")]
    grown_there = {r.device: r.verdict for r in own_rules}
    assert grown_there == {"local": "pass", "pi5": "inconclusive"}


@pytest.mark.parametrize(
    ("before", "own", "beside"),
    [("before", "earlier", "before"), ("older", "another", "before"), ("before", "another", None)],
    ids=["another model was measured", "beside another one", "nothing lies beside"],
)
def test_growth_of_other_models_than_are_at_hand_is_none(made: Made, before: str, own: str, beside: str | None) -> None:
    """What a device handed over in an earlier attempt lies there still where it does not answer in this one."""
    known = Evidence((), {}, {"int8": manifest("another")}, {}, {}, {}, {})
    there = {} if beside is None else {"int8": beside}
    found = gate.of_evidence(made(), base_of(made()), known, [of_models(before, own)], {}, there, ())
    said = "it was not compared with the merge base in this run"
    assert of_growth(found, "local") == {"latency_p50_regression": ("unavailable", said)}


def test_equal_bytes_have_not_grown_whatever_was_handed_over(made: Made) -> None:
    known = Evidence((), {}, {"int8": manifest("i")}, {}, {}, {}, {})
    found = gate.of_evidence(made(), base_of(made()), known, [of_models("older", "earlier")], {}, {}, ())
    (grown,) = [m for m in found if (m.variant, m.device, m.comparison) == ("int8", "local", "regression")]
    assert grown.value == 0


@pytest.mark.parametrize(("beside", "status"), [("i", "measured"), ("older", "unavailable"), (None, "unavailable")])
def test_equal_bytes_of_something_else_have_not_grown_only_beside_the_bases_own(
    made: Made, beside: str | None, status: str
) -> None:
    """The base says of itself which models it had, and a change that was merged may have said so of the next one's."""
    known, there = Evidence((), {}, {"int8": manifest("i")}, {}, {}, {}, {}), {"int8": beside} if beside else {}
    found = gate.of_evidence(made(), base_of(made()), known, [], {}, there, {"int8"})
    (grown,) = [m for m in found if (m.variant, m.device, m.comparison) == ("int8", "local", "regression")]
    assert grown.status == status


@pytest.mark.parametrize(("sha256", "verdict"), [("i", "pass"), ("another", "inconclusive")])
def test_a_rule_about_growth_outlives_the_device_that_it_names(made: Made, sha256: str, verdict: str) -> None:
    before = made(TWO, ("{max_ratio: 0.9, max_regression: 5 %}", "{device: pi5, max_regression: 5 %}"))
    head, known = made(), Evidence((), {}, {"int8": manifest(sha256)}, {}, {}, {}, {})
    found = gate.of_evidence(head, base_of(before), known, [], {}, {}, ())
    terms = publish.terms(head, before.rules)
    (ruled,) = [r for r in decide(terms, found, {}).rules if (r.device, r.variant) == ("pi5", "int8")]
    assert ruled.verdict == verdict, ruled.sentence


def test_growth_of_a_group_of_examples_is_its_own(made: Made) -> None:
    project = made(
        ("task: classification", "task: regression"),
        ("npz: {test: test.npz, calibration: calibration.npz}", "load: 'code:load', slices: 'code:slices'"),
        ("size: {max_ratio: 0.5}", "mae: [{max_regression: 10 %}, {slice: night, max_regression: 10 %}]"),
    )
    rules = regression.wanted(project.rules, None)

    def errors(whole: float, night: float | None) -> list[Measurement]:
        listed = [figure("mae", whole, unit="number")]
        return listed if night is None else [*listed, figure("mae", night, unit="number", slice="night")]

    def verdicts(now: list[Measurement], before: list[Measurement]) -> dict[str, str]:
        told = list(regression.of_figures(rules, "int8", "int8", now, before))
        decided = decide(publish.terms(project), [*sound("int8", "other"), *told], {})
        return {r.rule: r.verdict for r in decided.rules if r.variant == "int8" and r.metric == "mae"}

    assert verdicts(errors(1.0, 3.0), errors(1.0, 2.0)) == {
        "mae.max_regression": "pass",
        "mae[slice=night].max_regression": "fail",
    }
    assert verdicts(errors(1.0, 2.0), errors(1.0, 2.0))["mae[slice=night].max_regression"] == "pass"
    assert verdicts(errors(1.0, 2.0), errors(1.0, None))["mae[slice=night].max_regression"] == "inconclusive"
