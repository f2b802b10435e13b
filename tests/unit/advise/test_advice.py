"""Ranked advice on made-up facts."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up import CONVOLUTIONS, LOCAL, TRANSFORMER, drop, facts, latency, model, size

from makeweight.advise import measuring, sensitivity, sentences, timing, trying, writing
from makeweight.advise.expected import expected
from makeweight.advise.facts import DataFacts, DeviceFacts, Facts, Goal, PruningFacts, SensitivityFacts, TriedFacts
from makeweight.advise.goals import goals
from makeweight.advise.ranking import Ranking, Reading, rank
from makeweight.advise.rules import RULES
from makeweight.artifact.trial import Trial
from makeweight.budget.metric import METRICS
from makeweight.budget.operator import OPERATORS
from makeweight.budget.rule import Rule
from makeweight.cli import main
from makeweight.compress import mixed_precision
from makeweight.compress.trial import NeverAnswers
from makeweight.devices.device import GivenUp
from makeweight.devices.local import LocalOptions
from makeweight.measure.operators import Operator, Profile
from makeweight.project.reading import understand
from makeweight.runtimes.runtime import LayerFacts, RecipeFailed
from makeweight_base.errors import ConfigError, ProcessLost
from makeweight_base.progress import Silent

CONFIG = """\
name: some
{model}
data: {{load: "some.data:load"}}
task: classification
variants: {{{variant}}}
budget: {{size: {{max_ratio: 0.4}}, accuracy: {{max_drop: 1 pt}}, latency_p50: {{max: 2 ms}}}}
"""
MODULE = 'model: {build: "some.model:build", weights: weights.pt, inputs: {x: [N, 8]}'
STATIC = "mine: {steps: [{quantize: {method: static, calibrate: %s}}]}"
SOURCES = {
    ("module", "onnxruntime"): (MODULE + "}", STATIC % "mse"),
    ("module", "litert"): (MODULE + ", runtime: litert}", STATIC % "minmax"),
    ("module", "executorch"): (MODULE + ", runtime: executorch}", STATIC % "minmax"),
    ("graph", "onnxruntime"): ("model: {onnx: model.onnx}", STATIC % "mse"),
    ("graph", "litert"): ("model: {tflite: model.tflite}", STATIC % "minmax"),
    ("graph", "executorch"): ("model: {pte: model.pte}", ""),
}
"""The model and a variant of it; what is finished takes no recipe."""


def config(source: str = "module", runtime: str = "onnxruntime") -> str:
    own, variant = SOURCES[source, runtime]
    return CONFIG.format(model=own, variant=variant)


def any_recipe(_: object) -> Reading:
    return Reading()


def ranked(known: Facts, **other: Any) -> Ranking:
    return rank(known, RULES, other.pop("read", any_recipe), **other)


def names(ranking: Ranking) -> list[str]:
    return [each.rule.name for each in ranking.advice]


def aside(ranking: Ranking, name: str) -> str:
    return next(each.reason for each in ranking.aside if each.rule.name == name)


def test_nothing_is_trained_where_numbers_alone_will_do() -> None:
    ranking = ranked(facts(size(0.4), drop(0.01)))
    assert names(ranking)[0] == "int8"
    assert ranking.standing == "reachable"
    assert set(dict(ranking.advice[0].chances).values()) == {"expected"}


def test_a_latency_that_integers_do_not_reach_is_pruned_for() -> None:
    narrow = PruningFacts(0.5, 0.27, 0.28)
    ranking = ranked(facts(latency(0.3), drop(0.05), pruning=narrow))
    assert names(ranking)[0] == "slim-int8"
    assert "prune" in ranking.advice[0].recipe["steps"][0]
    fixed = facts(latency(0.3), drop(0.05), absent={"pruning": "the layers are too narrow"})
    assert "the layers are too narrow" in aside(ranked(fixed), "slim-int8")


def test_training_for_integers_is_advised_where_integers_lose_too_much() -> None:
    seen = SensitivityFacts("static", "validation", 12.0)
    tried = {"int8": TriedFacts(size=280_000, drop=0.06, examples=500)}
    ranking = ranked(facts(size(0.4), drop(0.01), sensitivity=seen, tried=tried))
    assert names(ranking)[:3] == ["int8-corrected", "int8-mixed", "int8-aware"]
    corrected = {"method": "static", "calibrate": "mse", "correct_bias": True}
    assert ranking.advice[0].recipe == {"steps": [{"quantize": corrected}]}
    assert ranking.advice[1].recipe["steps"][0]["quantize"]["max_drop"] == "1 pt"
    fine = {"int8": TriedFacts(size=280_000, drop=0.001, examples=500)}
    kept = ranked(facts(size(0.4), drop(0.01), sensitivity=seen, tried=fine))
    assert names(kept)[0] == "int8"
    assert "which the budget allows" in aside(kept, "int8-aware")


def test_a_transformer_has_its_ranges_found_at_run_time() -> None:
    ranking = ranked(facts(size(0.5), drop(0.01), model=model(layers=TRANSFORMER, attends=True)))
    assert names(ranking)[0] == "int8-dynamic"
    small = ranked(facts(size(0.2), drop(0.03), model=model(layers=TRANSFORMER, attends=True)))
    assert names(small)[0] == "int4-weights"


@pytest.mark.parametrize(
    "layers",
    [
        pytest.param((LayerFacts("fc", "product", 900_000, 225_000),), id="one-huge-product"),
        pytest.param((LayerFacts("words", "table", 900_000, 0),), id="a-table-of-words"),
    ],
)
def test_what_is_mostly_one_matrix_is_taken_apart_without_training_too(layers: Any) -> None:
    untrained = DataFacts(None, False, 100, 256)
    file = model(source="graph", layers=layers)
    ranking = ranked(facts(size(0.1), model=file, data=untrained), of_module=any_recipe)
    assert "low-rank" in names(ranking)
    assert "low-rank-int8" in names(ranked(facts(size(0.1), model=model(layers=layers))))
    assert "low-rank" not in names(ranked(facts(size(0.1))))
    # what ends in 8 bits is no way out where these lose too much
    lossy = facts(size(0.1), model=file, data=untrained, sensitivity=SensitivityFacts("static", "validation", 12.0))
    assert aside(ranked(lossy), "low-rank") == aside(ranked(lossy), "shared")


def test_time_that_no_layer_of_weights_takes_is_named_where_it_decides() -> None:
    slow = DeviceFacts(
        "local", ("avx512_vnni",), 1e-3, kinds={"convolution": 0.3, "other": 0.7}, beside=("Resize", 0.6)
    )
    known = facts(latency(0.3), devices=(slow,))
    assert "On `local`, 60% of the time is in `Resize`" in sentences.headline(ranked(known), known)
    small = facts(size(0.001), devices=(slow,))
    assert "Resize" not in sentences.headline(ranked(small), small)
    reached = facts(size(0.001), latency(0.95), devices=(slow,))
    assert [goal.figure for goal in ranked(reached).advice[0].misses] == ["size"]
    assert "Resize" not in sentences.headline(ranked(reached), reached)
    spread = facts(latency(0.3), devices=(replace(slow, beside=("Resize", 0.2)),))
    assert "Resize" not in sentences.headline(ranked(spread), spread)


def test_what_a_delegate_does_not_tell_of_may_be_layers_of_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    shares = {"DELEGATE_CALL": 0.8, "Softmax": 0.1, "Convolution": 0.05}
    profile = Profile(tuple(Operator(name, name, None, part) for name, part in shares.items()))
    taken = SimpleNamespace(identity={}, emulated=None, memory={"a": []})
    monkeypatch.setattr(timing.sitting, "carry_out", lambda *_: taken)
    monkeypatch.setattr(timing.operators, "profiles", lambda _: (profile, profile))
    monkeypatch.setattr(timing.latency, "medians", lambda _: {"a": 1.0})
    monkeypatch.setattr(timing, "model_of", lambda *_: None)
    nobody: Any = None
    entry: Any = SimpleNamespace(name="local", options=LocalOptions(), connect=lambda: None)
    assert timing.timed(entry, nobody, Path(), memory=False, seed=0).beside == ("Softmax", 0.1)


def test_float16_is_for_speed_only_where_the_processor_computes_in_it() -> None:
    able = DeviceFacts("local", ("asimdhp",), 1e-3)
    assert "float16" in names(ranked(facts(latency(0.8), devices=(able,))))
    assert "not expected to lower the latency" in aside(ranked(facts(latency(0.8))), "float16")


def test_without_dot_products_of_bytes_no_speed_is_promised() -> None:
    slow = DeviceFacts("local", ("avx2",), 1e-3)
    [int8] = [each for each in ranked(facts(latency(0.8), devices=(slow,))).advice if each.rule.name == "int8"]
    assert [chance for goal, chance in int8.chances] == ["possible"]
    assert "has no dot products of bytes" in sentences.why(int8, facts(latency(0.8), devices=(slow,)))


def test_kinds_of_layers_are_told_by_their_bytes_and_the_graph_itself_last() -> None:
    layers = (LayerFacts("a", "convolution", 100), LayerFacts("b", "product", 200), LayerFacts("c", "other", 400))
    kinds = ["normalization and other", "products", "convolutions"]
    assert [name for name, *_ in sentences.bytes_told(model(layers=layers, size=1500))] == [*kinds, "the graph itself"]
    assert [name for name, *_ in sentences.bytes_told(model(layers=layers, size=700))] == kinds


def test_where_sums_of_8_bits_overflow_weights_have_7() -> None:
    x86 = DeviceFacts("local", ("avx2", "fma"), 1e-3)
    assert ranked(facts(size(0.4), devices=(x86,))).advice[0].recipe == {
        "steps": [{"quantize": {"method": "static", "bits": 7}}]
    }
    elsewhere = facts(size(0.4), devices=(x86,), model=model(runtime="litert"))
    assert ranked(elsewhere).advice[0].recipe == {"steps": [{"quantize": {"method": "static"}}]}
    lossy = SensitivityFacts("static", "validation", 12.0)
    known = facts(size(0.9), drop(0.01), devices=(x86,), sensitivity=lossy)
    ranking = rank(known, RULES, writing.reader(config(), Path()))
    last = {each.rule.name: each.recipe["steps"][-1] for each in ranking.advice}
    assert [last[name]["quantize"]["bits"] for name in ("int8", "int8-mixed", "shared-int8")] == [7, 7, 7]


def test_time_that_was_profiled_says_what_a_rule_reaches() -> None:
    """Convolutions take half of an inference, products a tenth, the runtime itself the rest."""
    profiled = replace(LOCAL, kinds={"convolution": 0.5, "product": 0.1, "other": 0.1})
    [int8] = [rule for rule in RULES if rule.name == "int8"]
    [time] = [each for each in expected(int8, facts(size(0.4), devices=(profiled,))) if each.figure == "latency"]
    assert (time.low, time.high) == (pytest.approx(1 - 0.6 * 0.65), pytest.approx(1 - 0.6 * 0.2))


def test_a_file_without_its_module_is_not_trained() -> None:
    ranking = ranked(facts(size(0.4), model=model(source="graph")))
    assert names(ranking)
    assert all(each.rule.effort == "seconds" for each in ranking.advice)
    assert "only a PyTorch module can be trained" in aside(ranking, "slim-int8")


def of_file(runtime: str, **more: Any) -> tuple[Facts, Ranking]:
    """A project whose model is a file of that runtime and that has no variants yet, and the advice on it."""
    known = facts(size(0.4), model=model(source="graph", runtime=runtime, **more))
    text = "\n".join(line for line in config("graph", runtime).splitlines() if not line.startswith("variants"))
    read, of_module = (writing.reader(text, Path(), of_module=each) for each in (False, True))
    return known, rank(known, RULES, read, (), of_module)


def test_what_takes_the_module_of_a_file_is_told_apart() -> None:
    known, ranking = of_file("litert")
    assert names(ranking)[0] == "int8"
    # with its module, LiteRT has no learned ranges and no tables of values either
    assert {each.rule.name for each in ranking.aside if each.module} == {"slim-int8", "student-int8"}
    assert "none that were learned" in aside(ranking, "int8-aware")
    lacking = replace(known, data=DataFacts(calibration=8))
    besides = {each.rule.name: each.besides for each in ranked(lacking).aside if each.module}
    assert "no examples to train on" in besides["slim-int8"]


def test_of_a_finished_file_is_told_what_its_module_would_allow() -> None:
    known, ranking = of_file("executorch", finished=True, layers=())
    assert (ranking.standing, names(ranking)) == ("nothing", [])
    assert "A file of executorch is finished" in sentences.headline(ranking, known)
    assert {each.rule.name for each in ranking.aside if each.module} >= {"int8", "int8-aware", "slim-int8"}
    assert "gains nothing by them" in aside(ranking, "float16")


def test_a_file_in_integers_is_to_be_begun_again_in_floating_point() -> None:
    known, ranking = of_file("litert", integers=True)
    assert names(ranking) == []
    assert "begin with the float32 model" in sentences.headline(ranking, known)


def test_examples_without_targets_train_nothing() -> None:
    unlabelled = DataFacts(1000, False, None, 256)
    assert "no targets" in aside(ranked(facts(size(0.4), data=unlabelled)), "student-int8")


def test_a_budget_that_is_met_says_so() -> None:
    known = facts(size(2.0), drop(0.01))
    ranking = ranked(known)
    assert ranking.standing == "met"
    assert sentences.headline(ranking, known).startswith("The baseline meets every limit")


def test_a_budget_that_nothing_reaches_says_what_is_nearest() -> None:
    known = facts(size(0.001), drop(0.01))
    ranking = ranked(known)
    assert ranking.standing == "nearest"
    best = {each.rule.name: each.expected for each in ranking.advice}
    lows = {name: next(one.low for one in told if one.figure == "size") for name, told in best.items()}
    assert lows[names(ranking)[0]] == min(lows.values())
    assert "comes nearest" in sentences.headline(ranking, known)


def test_a_baseline_that_misses_the_accuracy_is_to_be_trained_first() -> None:
    known = facts(size(0.4), drop(-0.02))
    ranking = ranked(known)
    assert ranking.standing == "baseline"
    assert "train it better first" in sentences.headline(ranking, known)


def test_where_no_technique_pays_none_is_advised() -> None:
    tiny = model(size=1000, macs=60, layers=(LayerFacts("only", "product", 240, 60),))
    known = facts(size(0.5), latency(0.9), model=tiny, devices=(replace(LOCAL, latency=15e-6),))
    ranking = ranked(known)
    assert (ranking.standing, names(ranking)) == ("nothing", [])
    assert sentences.headline(ranking, known).startswith("No technique pays")
    lacking = replace(known, absent={"inputs": "data/test.npz: no such file"})
    assert sentences.headline(ranked(lacking), lacking) == (
        "Nothing can be tried here yet (data/test.npz: no such file): mend that, and ask again."
    )


def test_a_recipe_that_failed_or_broke_the_budget_is_set_aside() -> None:
    failed = ranked(facts(size(0.4), tried={"int8": TriedFacts(reason="no convolution and no product")}))
    assert aside(failed, "int8") == "no convolution and no product"
    broke = facts(size(0.4), broken={"mine": "accuracy"})
    twin = ranked(broke, read=lambda recipe: Reading(twin="mine" if "quantize" in str(recipe) else None))
    assert aside(twin, "int8") == "`mine` of this project is that recipe, and breaks accuracy"


def test_what_a_rule_does_not_reach_stays_as_it_is() -> None:
    """Half the bytes at a quarter, and half the products at four fifths."""
    layers = (LayerFacts("a", "convolution", 500_000, 10_000_000), LayerFacts("b", "other", 500_000, 10_000_000))
    known = facts(size(0.4), model=model(layers=layers, macs=20_000_000))
    [int8] = [rule for rule in RULES if rule.name == "int8"]
    told = {each.figure: each for each in expected(int8, known)}
    assert told["size"].low == pytest.approx(0.5 + 0.5 * 0.25)
    assert told["latency"].high == pytest.approx(0.5 + 0.5 * 0.8)


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        pytest.param(ProcessLost("the process was ended (signal SIGKILL)"), "signal SIGKILL", id="memory"),
        pytest.param(GivenUp("it has not ended for 1840 s", where="device `pi5`"), "device `pi5`: it has", id="hangs"),
    ],
)
def test_a_recipe_that_the_machine_does_not_carry_out_is_set_aside_and_the_others_are_tried(
    monkeypatch: pytest.MonkeyPatch, failure: Exception, told: str
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise failure

    monkeypatch.setattr(trying, "make", fails)
    project: Any = SimpleNamespace(declared=None, devices={}, task=SimpleNamespace(kind="classification"))
    nobody: Any = None
    tried = trying.tried(project, nobody, nobody, {"int8": nobody, "shared": nobody}, None, 60.0, Silent())
    assert [*tried] == ["int8", "shared"]
    assert told in aside(ranked(facts(size(0.4), tried=tried)), "int8")


def in_8_bits(
    monkeypatch: pytest.MonkeyPatch, outcomes: list[Trial | Exception], *layers: str, seconds: float
) -> SensitivityFacts:
    """What is found of a model of these layers, as one after the other comes out so."""

    def try_out(*_: object) -> Trial:
        if isinstance(outcome := outcomes.pop(0), Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(mixed_precision, "try_out", try_out)
    inspected = SimpleNamespace(layers=layers)
    runtime = SimpleNamespace(suffix=".onnx", objection=lambda *_: None, inspect=lambda _: inspected)
    declared = SimpleNamespace(task=SimpleNamespace(ranked=()))
    supply: Any = SimpleNamespace(
        runtime=runtime, declared=declared, scratch=Path(), progress=Silent(), lowered=lambda *_: None
    )
    nobody: Any = None
    splits: Any = {"validation": SimpleNamespace(name="validation")}
    return sensitivity.tried(supply, nobody, model(), splits, seconds)


def test_8_bits_that_answer_and_whose_noise_cannot_be_told_are_not_unusable(monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes: list[Trial | Exception] = [Trial(8, None, {"boxes": None}), RecipeFailed("`boxes` holds NaN")]
    with pytest.raises(RecipeFailed, match="cannot be held against float32"):
        in_8_bits(monkeypatch, outcomes, seconds=0.0)
    assert len(outcomes) == 1, "the model is asked once"
    assert in_8_bits(monkeypatch, outcomes, seconds=0.0).decibels is None


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        pytest.param(NeverAnswers("it never\nanswers"), "it never answers", id="never answers"),
        pytest.param(ProcessLost("it was ended (signal SIGKILL)"), "it was ended (signal SIGKILL)", id="killed"),
    ],
)
def test_what_layers_win_stays_known_where_one_after_them_never_answers(
    monkeypatch: pytest.MonkeyPatch, failure: Exception, told: str
) -> None:
    outcomes = [Trial(8, None, {"boxes": 10.0}), Trial(8, None, {"boxes": 16.0}), failure]
    found = in_8_bits(monkeypatch, outcomes, "stem", "body", "head", seconds=60.0)
    assert (found.decibels, found.alone) == (10.0, {"stem": 6.0})
    assert found.untried == f"after 1 of 3 groups of layers: {told}"
    # of the layers that were not tried nobody knows whether 8 bits lose by one of them
    quiet = replace(found, alone={"stem": 0.5})
    assert len(sentences.sensitivity_told(facts(sensitivity=quiet))) == 1
    assert len(sentences.sensitivity_told(facts(sensitivity=replace(quiet, untried=None)))) == 2


def test_what_was_tried_takes_the_place_of_ranges() -> None:
    tried = {"int8": TriedFacts(size=300_000, drop=0.004, examples=400)}
    [int8] = [each for each in ranked(facts(size(0.4), tried=tried)).advice if each.rule.name == "int8"]
    told = {each.figure: each for each in int8.expected}
    assert (told["size"].low, told["size"].high) == (0.3, 0.3)
    # two standard errors of 0.4 % of 400 examples are 0.63 points, and the rule's own range ends at 1
    assert told["drop"].low == pytest.approx(-0.001)
    assert told["drop"].high == pytest.approx(0.01)


def test_a_free_name_is_given_and_a_twin_keeps_its_own() -> None:
    assert ranked(facts(size(0.4)), taken=("int8", "int8-2")).advice[0].name == "int8-3"
    read = writing.reader(config(), Path())
    assert read({"steps": [{"quantize": {"method": "static", "calibrate": "mse", "bits": 8}}]}).twin == "mine"
    assert read({"steps": [{"quantize": {"method": "static"}}]}) == Reading()


@pytest.mark.parametrize("ends", ["\n", "\r\n"], ids=["LF", "CRLF"])
def test_a_recipe_is_put_into_the_file_and_every_other_line_stays(ends: str, tmp_path: Path) -> None:
    path = tmp_path / "makeweight.yaml"
    before = config().replace("\n", ends).encode()
    path.write_bytes(before)
    writing.write(tmp_path, "advised", ranked(facts(size(0.4))).advice[0], ["why"])
    pairs = list(zip(before.splitlines(keepends=True), path.read_bytes().splitlines(keepends=True), strict=True))
    [(old, new)] = [(one, other) for one, other in pairs if one != other]
    assert old.startswith(b"variants:")
    assert b"advised" in new
    assert new.endswith(ends.encode())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--write", "mine"], "there is a variant `mine` already"),
        (["--write", "search"], "`search` is no name for a variant"),
        (["--write", "a name"], "`a name` is no name for a variant"),
        (["--write", "more", "--rule", "int9"], "there is no rule of advice `int9`; did you mean `int8`?"),
    ],
    ids=["taken", "reserved", "no-name", "no-rule"],
)
def test_what_cannot_be_written_is_refused_before_anything_is_measured(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "makeweight.yaml").write_text(config())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(measuring, "facts", None)
    assert main(["advise", *words]) == 2
    assert said in capsys.readouterr().err


def test_rules_of_the_budget_become_goals() -> None:
    budget = understand(config(), "makeweight.yaml", Path()).rules
    by_rule = {goal.rule: goal for goal in goals(budget, model(), (LOCAL,), {}, "classification")}
    assert by_rule["size.max_ratio"].needed == 0.4
    assert by_rule["accuracy.max_drop"].needed == pytest.approx(0.01)
    assert by_rule["latency_p50.max"].needed == pytest.approx(2.0)
    away = goals(budget, model(), (DeviceFacts("pi"),), {}, "classification")
    assert [goal.needed for goal in away if goal.figure == "latency"] == [None]


def untold(metric: str, *devices: DeviceFacts) -> Goal:
    rule = Rule(METRICS[metric], OPERATORS["max_ratio"], 0.5)
    (goal,) = goals([rule], model(), devices or (LOCAL,), {}, "classification")
    assert (goal.figure, goal.needed) == (None, None)
    return goal


@pytest.mark.parametrize("metric", ["end_to_end_latency_p50", "cold_start", "energy"])
def test_of_a_time_that_is_not_the_models_alone_nothing_is_promised(metric: str) -> None:
    """Where decoding takes nine tenths, a model of half the time saves a twentieth."""
    known = facts(size(2.0), untold(metric))
    ranking = ranked(known)
    # the size is met, and this limit may not be
    assert ranking.standing == "reachable"
    assert {chance for goal, chance in ranking.advice[0].chances if goal.figure is None} == {"unknown"}
    assert "is to be measured" in sentences.headline(ranking, known)


def test_a_latency_of_the_baselines_that_nobody_knows_is_not_met_by_it() -> None:
    assert ranked(facts(size(2.0), latency(None))).standing == "reachable"


def test_what_computes_beside_the_processor_is_promised_nothing() -> None:
    card = DeviceFacts("card", ("avx512_vnni",), 1e-3, by="cuda")
    goal = untold("latency_p50", card)
    assert goal.device == "card"
    known = facts(size(0.4), goal, devices=(card,))
    first = ranked(known).advice[0]
    assert "latency" not in {each.figure for each in first.expected}
    assert "card" not in sentences.why(first, known)


def test_how_ranges_are_had_is_decided_by_what_most_bytes_are_in() -> None:
    convolves, attending = LayerFacts("a", "convolution", 900_000), LayerFacts("b", "product", 50_000)
    assert model(layers=(convolves, attending), attends=True).suits == "static"
    assert model(layers=(convolves, LayerFacts("b", "recurrence", 50_000))).suits == "static"
    assert model(layers=(LayerFacts("a", "convolution", 9_000), attending), attends=True).suits == "dynamic"
    assert model(layers=(LayerFacts("b", "recurrence", 50_000),)).suits == "dynamic"
    assert model(layers=(), attends=True).suits == "dynamic"


def test_8_bits_that_answer_nothing_usable_are_not_advised() -> None:
    useless = SensitivityFacts("static", "validation", None)
    ranking = ranked(facts(size(0.4), drop(0.01), sensitivity=useless))
    assert aside(ranking, "int8") == "8 bits after training answer nothing usable on validation"
    assert names(ranking)[0] == "int8-mixed"


def test_a_drop_that_was_counted_says_more_than_noise() -> None:
    """Of a detector nobody may be able to tell the noise, and its boxes are counted all the same."""
    counted = {"int8": TriedFacts(size=280_000, drop=0.001, examples=500)}
    ranking = ranked(facts(size(0.4), drop(0.01), task="detection", tried=counted))
    assert "lose 0.1 pt on validation, which the budget allows" in aside(ranking, "int8-aware")
    dynamic = {"int8-dynamic": TriedFacts(size=280_000, drop=0.001, examples=500)}
    noisy = SensitivityFacts("dynamic", "validation", 12.0)
    transformer = model(layers=TRANSFORMER, attends=True)
    known = facts(size(0.2), drop(0.01), model=transformer, sensitivity=noisy, tried=dynamic)
    assert "shared" in names(ranked(known))


def test_what_finds_its_ranges_at_run_time_needs_no_calibration_examples() -> None:
    uncalibrated = DataFacts(1000, True, 100, None)
    moving = model(layers=TRANSFORMER, attends=True)
    ranking = ranked(facts(size(0.2), model=moving, data=uncalibrated, pruning=PruningFacts(0.5, 0.4, 0.4)))
    assert {"slim-int8", "student-int8"} <= {*names(ranking)}
    still = ranked(facts(size(0.2), data=uncalibrated, pruning=PruningFacts(0.5, 0.4, 0.4)))
    assert "no calibration examples" in aside(still, "slim-int8")


def test_tables_of_words_are_no_shorter_with_half_of_the_blocks() -> None:
    [shallow] = [rule for rule in RULES if rule.name == "shallow-int8"]
    known = facts(size(0.4), model=model(layers=TRANSFORMER, attends=True))
    [size_left] = [each for each in expected(shallow, known) if each.figure == "size"]
    # 60 % of the bytes are tables, 39 % products, 1 % neither
    assert size_left.low == pytest.approx(0.01 + 0.6 * 0.25 + 0.39 * 0.12)


def told_of(task: str, budget: str, kind: Any) -> list[str]:
    """The figures that goals of a budget are about, where rules of advice promise some."""
    text = config().replace("task: classification", f"task: {task}").replace("accuracy: {max_drop: 1 pt}", budget)
    rules = understand(text, "makeweight.yaml", Path()).rules
    quality = {"rmse": 3.0, "metric": 40.0, "accuracy": 0.9}
    return [str(goal.figure) for goal in goals(rules, model(), (LOCAL,), quality, kind) if goal.figure is not None]


def test_only_a_share_is_lost_as_rules_promise_it() -> None:
    assert "drop" in told_of("classification", "accuracy: {min: 80 %}", "classification")
    for task, budget in (
        # an error has a unit of its own, and so has whatever a metric of the user's gives
        ("regression", "rmse: {max_ratio: 1.1}, r2: {max_drop: 0.01}"),
        ('{kind: custom, metric: "a:b"}', "metric: {max_drop: 0.5}"),
        # what is counted here is the accuracy
        ("classification", "f1: {max_drop: 1 pt}"),
    ):
        kind = task if task.isalpha() else "custom"
        assert told_of(task, budget, kind) == ["size", "latency"], task
    for each in ranked(facts(size(0.3), task="regression")).advice:
        assert "drop" not in {one.figure for one in each.expected}
        assert not [words for words in sentences.assumed(each, facts()) if words.startswith("of what is lost")]


def test_a_finished_program_takes_no_recipe() -> None:
    text = CONFIG.format(model=SOURCES["graph", "executorch"][0], variant=STATIC % "minmax")
    with pytest.raises(ConfigError, match="an ExecuTorch program is finished"):
        writing.reader(text, Path())


@pytest.mark.parametrize(("source", "runtime"), SOURCES)
def test_each_recipe_is_taken_by_the_configuration_or_set_aside_in_its_words(source: Any, runtime: str) -> None:
    read = writing.reader(config(source, runtime), Path())
    known = facts(size(0.4), size(None), drop(0.01), model=model(source=source, runtime=runtime))
    ranking = rank(known, RULES, read)
    for each in ranking.advice:
        text = config(source, runtime).replace("variants: {", "variants: {advised: " + yaml_flow(each.recipe) + ", ")
        assert "advised" in understand(text, "makeweight.yaml", Path()).variants
    assert len(ranking.advice) + len(ranking.aside) == len(RULES)
    assert all(each.reason for each in ranking.aside)


shares = st.sampled_from([TRANSFORMER, CONVOLUTIONS, ()])
limits = st.one_of(st.none(), st.floats(0.01, 1.5))


@settings(max_examples=25, deadline=None)
@given(
    source=st.sampled_from(["module", "graph"]),
    layers=shares,
    attends=st.booleans(),
    integers=st.booleans(),
    wanted=st.tuples(limits, limits, st.one_of(st.none(), st.floats(-0.1, 0.1))),
    data=st.sampled_from([DataFacts(), DataFacts(calibration=8), DataFacts(100, True, 10, 8), DataFacts(100, False)]),
    isa=st.sampled_from([None, (), ("avx512_vnni",), ("asimdhp",)]),
)
def test_whatever_the_facts_no_advice_is_refused_and_one_that_meets_more_is_not_behind(
    source: Any, layers: Any, attends: bool, integers: bool, wanted: Any, data: DataFacts, isa: Any
) -> None:
    read = writing.reader(config(source), Path())
    known = facts(
        size(wanted[0]),
        latency(wanted[1]),
        drop(wanted[2]),
        model=model(source=source, layers=layers, attends=attends, integers=integers),
        data=data,
        devices=(DeviceFacts("local", isa, 1e-3),),
    )
    ranking = rank(known, RULES, read)
    assert ranking == rank(known, RULES, read)
    missed = [len(each.misses) for each in ranking.advice]
    assert missed == sorted(missed)
    assert all(read(each.recipe).objection is None for each in ranking.advice)
    assert all(one.low <= one.high for each in ranking.advice for one in each.expected)
    assert sentences.headline(ranking, known).strip()


def test_what_the_users_code_prints_is_no_part_of_the_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def measured(*_: object) -> Facts:
        print("reading 3 files")  # noqa: T201 - as a loader does
        return facts(size(0.4))

    monkeypatch.setattr(measuring, "facts", measured)
    (tmp_path / "makeweight.yaml").write_text(config())
    assert main(["advise", "--json", "--project", str(tmp_path)]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["advice"]
    assert "reading 3 files" in told.err


def yaml_flow(recipe: Any) -> str:
    return yaml.safe_dump(recipe, default_flow_style=True, width=10_000).strip()


def test_every_rule_says_where_it_is_from() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert rule.sources, rule.name
        assert any(source.url.startswith("https://") for source in rule.sources), rule.name
        own = [source.url for source in rule.sources if not source.url.startswith("https://")]
        assert all((Path(__file__).parents[3] / url).is_file() for url in own), rule.name
        assert {effect.figure for effect in rule.effects} & {"size", "size_compressed"}, rule.name
