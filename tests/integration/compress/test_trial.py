"""What was made is tried in a process of its own: a crash, an exception, NaN and noise each have their reason."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper
from tiny_models import save, value

from makeweight.artifact.model import Model
from makeweight.artifact.trial import Trial
from makeweight.bench import probe
from makeweight.compress.trial import FLOOR_DECIBELS, NeverAnswers, refuse_noise, try_out
from makeweight.config.settings import DataSettings, ModelSettings, TaskSettings
from makeweight.devices import local
from makeweight.devices.device import GivenUp
from makeweight.devices.to_its_end import Came, TooLong
from makeweight.runtimes.onnxruntime.runtime import OnnxRuntime
from makeweight.runtimes.runtime import RecipeFailed
from makeweight.user.declared import Declared
from makeweight_base.errors import ProcessLost
from makeweight_base.progress import Silent
from makeweight_probe.__main__ import LOST
from makeweight_probe.job import AnswersJob, Result
from split_values import split_of

RUNTIME = OnnxRuntime()
INPUTS = np.random.default_rng(0).standard_normal((80, 4)).astype(np.float32)
WEIGHTS = np.random.default_rng(1).standard_normal((4, 3)).astype(np.float32)
PRODUCT = [helper.make_node("MatMul", ["x", "w"], ["y"])]

# A runtime whose sessions end their process: what a crash in native code does.
ENDING = """
import os

def version():
    return "1"

def open_session(path, threads):
    os.kill(os.getpid(), {signal})
"""


def model(path: Path, nodes: list[Any] = PRODUCT, batch: int | str = "N", **weights: Any) -> Model:
    stored = {"w": WEIGHTS, **weights}
    return RUNTIME.read(save(path, nodes, [value("x", [batch, 4])], [value("y", [batch, 3])], stored))


def tried(made: Model, reference: Model | None, kind: Any = "classification", macs: int | None = 12) -> Trial:
    declared = Declared(Path(), ModelSettings(onnx="m.onnx"), DataSettings(load="a:b"), TaskSettings(kind=kind), seed=0)
    return try_out(made, reference, split_of("c", {"x": INPUTS}, np.zeros(80)), declared, RUNTIME, macs, Silent())


def test_noise_and_agreement_are_those_of_numpy(tmp_path: Path) -> None:
    own = np.round(WEIGHTS)
    trial = tried(model(tmp_path / "own.onnx", w=own), model(tmp_path / "float.onnx"))
    chosen = INPUTS[np.linspace(0, 79, 64).round().astype(int)]
    before, after = chosen @ WEIGHTS, chosen @ own
    noise = 20 * np.log10(np.linalg.norm(before) / np.linalg.norm(before - after))
    assert trial.decibels["y"] == pytest.approx(noise, abs=0.01)
    assert trial.agreement == pytest.approx(np.mean(before.argmax(1) == after.argmax(1)), abs=1e-4)
    assert (trial.examples, trial.dependent) == (64, False)


def test_a_regression_has_no_top_class(tmp_path: Path) -> None:
    whole = model(tmp_path / "float.onnx")
    assert tried(whole, whole, "regression").agreement is None


@pytest.mark.parametrize("kind", ["classification", "regression", "detection"])
def test_an_output_that_nobody_judges_may_be_drawn(tmp_path: Path, kind: str) -> None:
    nodes = [*PRODUCT, helper.make_node("RandomNormalLike", ["y"], ["drawn"])]
    outputs = [value("y", ["N", 3]), value("drawn", ["N", 3])]
    made = RUNTIME.read(save(tmp_path / "drawn.onnx", nodes, [value("x", ["N", 4])], outputs, {"w": WEIGHTS}))
    if kind == "detection":  # which has several
        with pytest.raises(RecipeFailed, match="`drawn` is another each time that the same example is asked"):
            tried(made, None, kind)
    else:
        assert tried(made, None, kind).examples == 64


def test_an_expensive_model_is_tried_on_fewer_examples(tmp_path: Path) -> None:
    whole = model(tmp_path / "float.onnx")
    assert [tried(whole, None, macs=macs).examples for macs in (10**9, 10**11, None)] == [10, 8, 16]


@pytest.mark.parametrize("batch", ["N", 4])
def test_a_batch_that_matters_is_found_where_there_is_a_choice(tmp_path: Path, batch: int | str) -> None:
    mixing = [
        helper.make_node("MatMul", ["x", "w"], ["p"]),
        helper.make_node("ReduceMean", ["p"], ["m"], axes=[0]),
        helper.make_node("Sub", ["p", "m"], ["y"]),
    ]
    trial = tried(model(tmp_path / "mixing.onnx", mixing, batch), None)
    assert trial.dependent is (batch == "N")
    assert trial.examples == 64


def test_nan_is_told_by_its_output(tmp_path: Path) -> None:
    broken = [helper.make_node("MatMul", ["x", "w"], ["p"]), helper.make_node("Log", ["p"], ["y"])]
    with pytest.raises(RecipeFailed, match=r"`y` holds NaN or infinity where it was a number before \(\d+ times in 64"):
        tried(model(tmp_path / "broken.onnx", broken), model(tmp_path / "float.onnx"))


def test_a_model_that_opens_and_cannot_run(tmp_path: Path) -> None:
    """Which rows are read depends on the values."""
    picking = [
        helper.make_node("Cast", ["x"], ["i"], to=7),
        helper.make_node("Gather", ["w", "i"], ["p"]),
        helper.make_node("ReduceSum", ["p"], ["s"], keepdims=0),
        helper.make_node("Expand", ["s", "shape"], ["y"]),
    ]
    made = model(tmp_path / "picking.onnx", picking, 1, shape=np.array([1, 3]), w=WEIGHTS[:1])
    with pytest.raises(RecipeFailed, match=r"^it was made, and cannot be run: .*indices element out of data bounds"):
        tried(made, model(tmp_path / "float.onnx", batch=1))


@pytest.mark.parametrize(
    ("signal", "error", "told"),
    [
        ("SIGSEGV", RecipeFailed, "it was made, and crashes onnxruntime when it is opened or run"),
        ("SIGABRT", RecipeFailed, "it was made, and crashes onnxruntime when it is opened or run"),
        ("SIGKILL", ProcessLost, "the process that tried the model out was ended"),
    ],
)
def test_a_process_that_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, signal: str, error: type[Exception], told: str
) -> None:
    """By a crash of the model's, or from outside, as Linux does where memory is short."""
    about = tmp_path / "site" / "ending-1.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: ending\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[makeweight.sessions]\nending = ending_session\n")
    (about.parent / "ending_session.py").write_text(ENDING.format(signal=f"__import__('signal').{signal}"))
    monkeypatch.setenv("PYTHONPATH", str(about.parent))
    whole = model(tmp_path / "float.onnx")
    made = Model(whole.folder, "ending", whole.files, whole.inputs, whole.outputs, {})
    with pytest.raises(error, match=rf"{told} \(signal {signal}\)"):
        tried(made, whole)
    assert "ending_session" not in sys.modules


def test_what_is_advised_of_a_model_that_never_answers_can_be_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is tried on no device of the configuration, so none has a `patience:` to mend."""

    def never(*_: object, **__: object) -> Came:
        raise TooLong

    monkeypatch.setattr(local, "to_its_end", never)
    with pytest.raises(GivenUp, match="has not ended for 1840 s") as told:
        tried(model(tmp_path / "float.onnx"), None)
    assert (
        told.value.do == "See whether the model ever answers on this machine, or what else keeps it busy for so long."
    )


def test_a_reference_whose_process_is_killed_is_no_fault_of_the_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of two runtimes, where memory is short: the model would be failed for good."""
    said = "the process of arm reference ended with signal 9: it said nothing"
    monkeypatch.setattr(local, "to_its_end", lambda *_, **__: Came(LOST, "", f"{said}\n"))
    with pytest.raises(ProcessLost, match=f"^the process of what the model is held against was lost: {said}\n"):
        tried(model(tmp_path / "own.onnx"), model(tmp_path / "float.onnx"))


NEVER = "^it was made, and never answers: it was ended after 1840 s, and what it is held against answers here$"


@pytest.mark.parametrize(
    ("machine", "error", "told"),
    [("at work", NeverAnswers, NEVER), ("stuck", GivenUp, "^the measuring process has not ended for 1840 s$")],
)
def test_a_model_that_never_answers_fails_where_what_it_is_held_against_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, machine: str, error: type[Exception], told: str
) -> None:
    """Where that does not answer either it is the machine, and no variant is told to be no good for it."""
    made, whole = model(tmp_path / "own.onnx"), model(tmp_path / "float.onnx")
    asked: list[tuple[str, str | None]] = []

    def run(_: object, job: AnswersJob, tell: object) -> Result:
        asked.append((Path(job.model.path).name, None if job.reference is None else Path(job.reference.path).name))
        if len(asked) == 1 or machine == "stuck":
            raise GivenUp("the measuring process has not ended for 1840 s")
        return Result({}, {})

    monkeypatch.setattr(probe, "run", run)
    with pytest.raises(error, match=told):
        tried(made, whole)
    assert asked == [("own.onnx", "float.onnx"), ("float.onnx", None)]


@pytest.mark.parametrize(("value", "fails"), [(FLOOR_DECIBELS - 0.1, True), (FLOOR_DECIBELS, False), (None, False)])
def test_any_output_with_too_much_noise_fails(value: float | None, fails: bool) -> None:
    trial = Trial(64, "float32", {"scores": 40.0, "boxes": value})
    if not fails:
        refuse_noise(trial)
        return
    with pytest.raises(RecipeFailed, match=r"^`boxes` is no longer what it was in float32: signal to noise 5\.9 dB"):
        refuse_noise(trial)


@pytest.mark.parametrize(
    ("decibels", "share", "fails"),
    [(-3.0, 0.9, False), (30.0, 0.1, False), (-3.0, 0.49, True)],
    ids=["some classes tip over", "pixels are off by one", "most are others"],
)
def test_integers_that_are_mostly_others_fail(decibels: float, share: float, fails: bool) -> None:
    trial = Trial(64, "float32", {"class": decibels}, same={"class": share})
    if not fails:
        refuse_noise(trial)
        return
    with pytest.raises(RecipeFailed, match=r"^`class` .*: 49\.0% of its integers are the same, and less than 50% is"):
        refuse_noise(trial)


def test_classes_that_a_model_picks_itself_are_compared_by_how_many_are_the_same(tmp_path: Path) -> None:
    def picking(path: Path, weight: Any) -> Model:
        nodes = [*PRODUCT, helper.make_node("ArgMax", ["y"], ["class"], axis=1, keepdims=0)]
        outputs = [value("y", ["N", 3]), value("class", ["N"], 7)]
        return RUNTIME.read(save(path, nodes, [value("x", ["N", 4])], outputs, {"w": weight}))

    own = np.round(WEIGHTS * 2) / 2
    trial = tried(picking(tmp_path / "own.onnx", own), picking(tmp_path / "float.onnx", WEIGHTS))
    chosen = INPUTS[np.linspace(0, 79, 64).round().astype(int)]
    before, after = ((chosen @ each).argmax(1) for each in (WEIGHTS, own))
    assert trial.same == {"class": pytest.approx(np.mean(before == after), abs=1e-4)}
    spread = 10 * np.log10(((before - before.mean()) ** 2).sum() / ((before - after) ** 2).sum())
    assert trial.decibels["class"] == pytest.approx(spread, abs=0.01)
    assert not trial.dependent
    refuse_noise(trial)
