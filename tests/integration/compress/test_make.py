"""Recipes that no built-in technique or runtime makes today, carried out as those to come will be."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import onnx
import pytest

from makeweight.artifact import artifact
from makeweight.artifact.artifact import Manifest
from makeweight.artifact.model import Model
from makeweight.compress import technique
from makeweight.compress.make import make
from makeweight.compress.prune import Prune
from makeweight.compress.quantize import Quantize
from makeweight.compress.recipe import Plan, Step, Variant
from makeweight.compress.subject import Subject
from makeweight.compress.technique import Effect, Given, Needs
from makeweight.compress.whole_split import WholeSplit
from makeweight.config.settings import ModelSettings
from makeweight.devices.entry import DeviceEntry
from makeweight.devices.local import LocalOptions
from makeweight.project.project import Project
from makeweight.runtimes import traced
from makeweight.runtimes.format import Format, SourceKind
from makeweight.runtimes.onnxruntime.runtime import OnnxRuntime
from makeweight.runtimes.runtime import Program
from makeweight.user import data
from makeweight.user.ports import as_declared
from makeweight_base.errors import UsageError
from makeweight_base.progress import Silent
from split_values import split_of

pytestmark = pytest.mark.usefixtures("probed_here")

INT8 = Step(Quantize(), Quantize.Options())
DEVICES = {"here": DeviceEntry("here", "local", LocalOptions(processes=1, seconds=60))}


class Transformation:
    """What the two below have in common."""

    sets_number_format: ClassVar[bool] = False
    packages: ClassVar[tuple[str, ...]] = ("pip",)
    Options = technique.Options

    def effect(self, options: Any) -> Effect:
        return "changes"

    def codebook(self, options: Any) -> None:
        return None

    def needs(self, options: Any) -> Needs:
        return Needs()

    def training(self, options: Any) -> None:
        return None


class Rename(Transformation):
    """Works on files alone: the model gets another producer."""

    name: ClassVar[str] = "rename"
    accepts: ClassVar[frozenset[SourceKind]] = frozenset({"graph"})

    def apply(self, subject: Subject, options: Any, given: Given) -> Subject:
        assert isinstance(subject.source, Model)
        proto = onnx.load(subject.source.path)
        proto.producer_name = "renamed"
        path = given.scratch / "renamed.onnx"
        onnx.save(proto, path)
        return Subject(OnnxRuntime().read(path))


class Mask:
    def after_step(self, module: Any) -> None:
        """Nothing trains here."""


class Binarize(Transformation):
    """Works on modules, and leaves its mask behind."""

    name: ClassVar[str] = "binarize"
    accepts: ClassVar[frozenset[SourceKind]] = frozenset({"module", "graph"})

    def apply(self, subject: Subject, options: Any, given: Given) -> Subject:
        weight = subject.source[0].weight.detach()
        given.notes[self.name] = {"made zero": int(weight[::2].count_nonzero())}
        weight[::2] = 0
        return subject.leaving(self.name, Mask())


def step(made: Any) -> Step:
    return Step(made, made.Options())


Make = Callable[..., Manifest]


@pytest.fixture
def carry_out(make_project: Any, small_baseline: Path, tmp_path: Path) -> Make:
    """Carry a plan out on the small project."""
    project: Project = make_project()
    baseline = artifact.read(small_baseline)

    def carry_out(*steps: Step, lowering: Step | None = None, into: str = "made") -> Manifest:
        target = tmp_path / into
        target.mkdir()
        variant = Variant("v", "onnxruntime", Plan(steps, lowering), [])
        return make(variant, project.declared, baseline, target, Silent(), devices=DEVICES)

    return carry_out


def test_a_step_that_wants_a_file_gets_one_and_the_number_format_comes_after_it(carry_out: Make) -> None:
    manifest = carry_out(step(Rename()), lowering=INT8)
    assert (manifest.status, manifest.quantized, manifest.floating) == ("ready", 4, 0)
    assert {"torch", "onnxscript", "pip"} <= set(manifest.versions)


def test_what_was_made_was_tried_beside_float32(carry_out: Make) -> None:
    trial = carry_out(lowering=INT8).trial
    assert trial is not None
    assert (trial.examples, trial.against, trial.dependent) == (64, "float32", False)
    (noise,) = trial.decibels.values()
    assert noise is not None
    assert noise > 20


def test_a_model_is_timed_in_the_numbers_that_it_will_be_lowered_in(carry_out: Make) -> None:
    timed = Step(Prune(), Prune.Options(latency={"max": "3600 s"}, epochs=0))
    manifest = carry_out(timed, lowering=INT8)
    assert manifest.status == "failed"
    assert "on device `here`, in int8, static, and `latency` wants at most 3,600 s" in str(manifest.reason)
    found = manifest.notes["prune"]["latency"]
    whole = found["tries"][-1]
    assert (found["device"], whole["ratio"], whole["processes"]) == ("here", 0, 1)
    low, high = whole["interval"]
    assert 0 < low <= whole["latency ratio"] <= high
    assert whole["latency ratio"] == pytest.approx(whole["seconds"] / whole["baseline seconds"])


def test_the_layers_that_cost_most_stay_in_float(carry_out: Make, tmp_path: Path) -> None:
    def quantize(**options: Any) -> Step:
        return Step(Quantize(), Quantize.Options(**options))

    manifest = carry_out(lowering=quantize(signal_to_noise=52))
    assert manifest.reason is None
    told = manifest.notes["quantize"]["by sensitivity"]
    kept, noise = told["kept in float"], told["signal to noise"]
    assert noise["with no layer in float"] < noise["wanted"] == 52 <= noise["reached"]
    assert manifest.notes["quantize"]["left in float"]["`exclude` names it"]
    assert manifest.floating == len(kept) == 4 - int(manifest.quantized or 0) > 0
    assert all(alone > noise["with no layer in float"] for alone in kept.values())
    # and the file is what naming them makes
    by_hand = carry_out(lowering=quantize(exclude=tuple(kept)), into="by hand")
    assert by_hand.made().sha256 == manifest.made().sha256


def test_layers_stay_in_float_until_the_accuracy_holds(carry_out: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    declared = list[Model]()

    def noted(model: Model, settings: ModelSettings) -> Model:
        declared.append(as_declared(model, settings))
        return declared[-1]

    def drop(_: WholeSplit, model: Model) -> float:
        """A point for each layer on integers."""
        assert any(model is each for each in declared), "an input that is a constant would be asked of the examples"
        return 0.01 * float(OnnxRuntime().inspect(model).quantized or 0)

    monkeypatch.setattr(WholeSplit, "drop", drop)
    monkeypatch.setattr("makeweight.compress.supply.as_declared", noted)
    manifest = carry_out(lowering=Step(Quantize(), Quantize.Options(max_drop="2.5 pt")))  # type: ignore[arg-type]
    assert manifest.reason is None
    told = manifest.notes["quantize"]["by sensitivity"]
    assert told["max drop"] == {
        "of": "accuracy", "examples": 48, "wanted": 0.025, "with no layer in float": 0.04, "reached": 0.02
    }  # fmt: skip
    assert told["by layers in float"]["2"] == 0.02
    assert (manifest.floating, manifest.quantized, len(told["kept in float"])) == (2, 2, 2)


def test_a_drop_is_that_of_the_whole_split(make_project: Any, small_baseline: Path, tmp_path: Path) -> None:
    declared, runtime = make_project().declared, OnnxRuntime()
    baseline, validation = artifact.read(small_baseline).made(), data.load(declared, "validation")
    proto = onnx.load(baseline.path)
    last = proto.graph.node[-1].input[1:]
    for tensor in proto.graph.initializer:
        if tensor.name in last:  # another model's last layer, whose answers are not all the same
            drawn = np.random.default_rng(1).standard_normal(tuple(tensor.dims)).astype(np.float32)
            tensor.CopyFrom(onnx.numpy_helper.from_array(100 * drawn * (len(tensor.dims) == 2), tensor.name))
    onnx.save(proto, tmp_path / "other.onnx")
    other, whole = runtime.read(tmp_path / "other.onnx"), WholeSplit(declared, runtime, baseline, validation)
    (batch,) = validation.batches(validation.length())
    right = [
        np.mean(runtime.open(model).run(batch.inputs)[0].argmax(axis=1) == batch.targets) for model in (baseline, other)
    ]
    wanted = right[0] - right[1]
    assert whole.drop(other) == pytest.approx(wanted)
    assert wanted != 0
    assert whole.drop(baseline) == 0
    beyond = split_of("validation", batch.inputs, batch.targets + 10)
    with pytest.raises(UsageError, match=r"the validation split: target 1\d is beyond the model's 3 classes"):
        WholeSplit(declared, runtime, baseline, beyond)


def test_without_a_number_format_the_file_is_what_the_step_left(carry_out: Make) -> None:
    manifest = carry_out(step(Rename()))
    assert onnx.load(manifest.made().path).producer_name == "renamed"
    assert manifest.made().path.name == "model.onnx"


def test_what_a_step_leaves_behind_goes_into_the_lowering(carry_out: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    lower, lowered = OnnxRuntime.lower, []

    def watched(self: Any, source: Any, *rest: Any) -> Model:
        lowered.append(source)
        return lower(self, source, *rest)

    monkeypatch.setattr(OnnxRuntime, "lower", watched)
    manifest = carry_out(step(Binarize()), lowering=INT8)
    assert manifest.status == "ready"
    program, floating = lowered
    assert isinstance(program, Program)
    assert isinstance(floating, Model)  # the same in float32: it is what is quantized, and compared with
    assert set(program.left) == {"binarize"}
    assert {name: value.shape for name, value in program.example.items()} == {"image": (4, 1, 6, 6)}


def test_what_a_technique_notes_is_kept_of_each_of_its_steps(carry_out: Make) -> None:
    manifest = carry_out(step(Binarize()), step(Binarize()))
    assert set(manifest.notes) == {"binarize", "binarize 2"}
    assert manifest.notes["binarize"]["made zero"] > manifest.notes["binarize 2"]["made zero"] == 0


@pytest.fixture
def lowered(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What a runtime lowers that cannot quantize its own files: as ExecuTorch, which quantizes the captured program."""
    lower, sources = OnnxRuntime.lower, list[Any]()

    def objection(self: Any, format: Format, source: SourceKind) -> str | None:
        return "its files cannot be quantized again" if format.ranges and source == "graph" else None

    def watched(self: Any, source: Any, *rest: Any) -> Model:
        sources.append(source)
        return lower(self, source, *rest)

    monkeypatch.setattr(OnnxRuntime, "objection", objection)
    monkeypatch.setattr(OnnxRuntime, "lower", watched)
    return sources


def test_a_runtime_that_cannot_quantize_its_own_files_is_given_the_module(carry_out: Make, lowered: list[Any]) -> None:
    manifest = carry_out(lowering=INT8)
    # what it is held against in float32 is the baseline's own file
    assert (manifest.status, [type(source) for source in lowered]) == ("ready", [Program])
    assert manifest.trial is not None
    assert manifest.trial.against == "float32"
    assert "torch" in manifest.versions


def test_what_steps_left_of_a_module_is_asked_itself_what_its_file_is_held_against(
    carry_out: Make, lowered: list[Any], make_project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = carry_out(step(Binarize()), lowering=INT8)
    (program,) = lowered
    split = data.calibration(make_project().declared)
    chosen = split.take(np.linspace(0, split.length() - 1, 64).round().astype(int)).first(64).inputs
    wanted = traced.answers(program.module, traced.tensors(chosen))["output"]
    session = OnnxRuntime().open(manifest.made())
    given = np.concatenate([session.run({"image": image[None]})[0] for image in chosen["image"]])
    noise = 20 * np.log10(np.linalg.norm(wanted) / np.linalg.norm(wanted - given))
    assert manifest.trial is not None
    assert manifest.trial.decibels["output"] == pytest.approx(noise, abs=0.1)
    assert manifest.trial.against == "float32"
    # where a file may have become no smaller, one in float32 has to tell
    monkeypatch.setattr("makeweight.compress.make._CLEARLY", 10)
    again = carry_out(step(Binarize()), lowering=INT8, into="again")
    assert again.trial is not None
    assert again.trial.decibels["output"] == pytest.approx(noise, abs=0.1)
    assert [type(source) for source in lowered] == [Program] * 3


def test_a_format_that_makes_the_file_no_smaller_is_said_so(carry_out: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    lower, floating = OnnxRuntime.lower, list[int]()

    def padded(self: Any, source: Any, format: Format, calibration: Any, target: Any, *rest: Any) -> Model:
        made = lower(self, source, format, calibration, target, *rest)
        if not format.ranges:
            floating.append(made.size)
            return made
        proto = onnx.load(made.path)
        proto.producer_name = "x" * 100_000
        onnx.save(proto, made.path)
        return self.read(made.path)

    monkeypatch.setattr(OnnxRuntime, "lower", padded)
    rename = step(Rename())
    manifest = carry_out(rename, lowering=INT8)
    assert manifest.status == "ready"
    told = manifest.notes["quantize"]["no smaller"]
    assert re.fullmatch(rf"{manifest.size:,} bytes, and [\d,]+ in float32", told)
    assert int(told.split()[3].replace(",", "")) == pytest.approx(floating[0], abs=100)  # another producer's name
