"""What is timed: the model in the numbers that the recipe ends with, beside the baseline, until the limit is told."""

import itertools
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from makeweight.artifact.files import File
from makeweight.artifact.model import Model
from makeweight.bench import probe
from makeweight.bench.probe import JobFailed
from makeweight.compress.qat import Qat, QatOptions
from makeweight.compress.quantize import Quantize
from makeweight.compress.stopwatch import Stopwatch, untrained
from makeweight.compress.subject import Subject
from makeweight.devices.device import DeviceFailed, DeviceOptions, Ended, GivenUp
from makeweight.runtimes.format import FLOAT32, Format, Numbers
from makeweight.runtimes.runtime import RecipeFailed
from makeweight_probe.job import BlocksJob, Result


def model(name: str) -> Model:
    return Model(Path("/models"), "onnxruntime", (File(name, 1, "0"),), (), (), {})


def stopwatch(
    monkeypatch: pytest.MonkeyPatch, baseline_ns: float, jobs: list[BlocksJob], asked: list[Any]
) -> Stopwatch:
    """On a device where the model takes 3 ms."""

    def run(_: object, job: BlocksJob, *__: object) -> Result:
        jobs.append(job)
        around = np.exp(np.linspace(-0.01, 0.01, 201))[:, None]
        same, other = np.full((201, 5), baseline_ns), np.full((201, 5), 3e6) * around
        facts = {"rounds": 201, "inner": 1, "seconds": 0.5, "warming": [3, 3]}
        return Result({"wall_a": same, "wall_b": other, "wall_control": same}, facts)

    def lower(subject: Subject, format: Format) -> Model:
        asked.append((subject.source, format))
        return model("pruned.onnx")

    monkeypatch.setattr(probe, "run", run)
    device: Any = SimpleNamespace(name="desk")
    learned = Qat().format(QatOptions(exclude=("head",)))
    return Stopwatch(device, DeviceOptions(threads=2), model("base.onnx"), learned, Path("/inputs.npz"), lower, seed=7)


def test_it_is_measured_beside_the_baseline_in_the_format_of_the_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    jobs, asked = list[BlocksJob](), list[Any]()
    timed = stopwatch(monkeypatch, 4e6, jobs, asked).time(Subject("a module"), 0.9)
    assert timed.ratio.value == pytest.approx(0.75)
    assert (timed.seconds, timed.baseline, timed.processes) == (pytest.approx(0.003), pytest.approx(0.004), 3)
    assert timed.ratio.below(0.9)
    assert timed.ratio.above(0.6)
    assert not timed.ratio.below(0.75)
    assert {(job.a.path, job.b.path, job.inputs, job.limits, job.a.threads) for job in jobs} == {
        ("/models/base.onnx", "/models/pruned.onnx", "/inputs.npz", (0.9,), 2)
    }
    static = Format(Numbers("int8", "channel"), Numbers("int8"), "static", "minmax", (("head", FLOAT32),))
    assert asked == [("a module", static)]


def test_a_clock_that_sees_no_time_fails_the_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RecipeFailed, match="device `desk` has too coarse a clock"):
        stopwatch(monkeypatch, 0.0, [], []).time(Subject("a module"))


NEVER = "the measuring process has not ended for 1840 s"
HUNG = GivenUp(NEVER, where="device `desk`")


def ended(code: int) -> JobFailed:
    device: Any = SimpleNamespace(name="desk", python=["python3"])
    return JobFailed(device, Ended(code, ""))


@pytest.mark.parametrize(
    ("failures", "asked", "error", "told"),
    [
        (
            {"pruned.onnx": [HUNG, HUNG]},
            ["pruned.onnx", "base.onnx", "pruned.onnx"],
            RecipeFailed,
            f"^it was made, and cannot be timed on device `desk`, where the baseline can: {NEVER}$",
        ),
        (
            {"pruned.onnx": [ended(-11), ended(-11)]},
            ["pruned.onnx", "base.onnx", "pruned.onnx"],
            RecipeFailed,
            r"where the baseline can: the measuring process ended with signal 11: it said nothing$",
        ),
        ({"pruned.onnx": [HUNG], "base.onnx": [HUNG]}, ["pruned.onnx", "base.onnx"], GivenUp, NEVER),
        ({"pruned.onnx": [ended(-9)]}, ["pruned.onnx"], JobFailed, "ended with signal 9"),
        ({"pruned.onnx": [HUNG]}, ["pruned.onnx", "base.onnx", "pruned.onnx"], None, ""),
    ],
    ids=["never answers", "crashes", "the baseline hangs too", "killed from outside", "waited for another measurement"],
)
def test_a_model_that_cannot_be_timed_where_the_baseline_can_fails_its_recipe_and_no_other(
    monkeypatch: pytest.MonkeyPatch,
    failures: dict[str, list[DeviceFailed]],
    asked: list[str],
    error: type[Exception] | None,
    told: str,
) -> None:
    watch = stopwatch(monkeypatch, 4e6, [], [])
    timed, left, models = probe.run, {name: list(each) for name, each in failures.items()}, list[str]()

    def run(device: Any, job: Any, *given: Any) -> Result:
        models.append(Path(job.b.path).name)
        if left.get(models[-1]):
            raise left[models[-1]].pop(0)
        return timed(device, job, *given)

    monkeypatch.setattr(probe, "run", run)
    if error is None:
        assert watch.time(Subject("a module"), 0.9).ratio.value == pytest.approx(0.75)
    else:
        with pytest.raises(error, match=told):
            watch.time(Subject("a module"), 0.9)
    assert [name for name, _ in itertools.groupby(models)] == asked


def test_numbers_are_those_of_the_recipe_and_no_search_for_good_ones() -> None:
    def of(**options: Any) -> Format:
        return Quantize().format(Quantize.Options(**options))

    assert untrained(of(calibrate="entropy", equalize=True, correct_bias=True)) == of()
    assert untrained(of(method="dynamic")) == of(method="dynamic")
    assert untrained(of(method="weights", bits=4, rounding="gptq")) == of(method="weights", bits=4)
    assert untrained(FLOAT32) == FLOAT32


def test_an_emulated_device_tells_no_ratio_to_prune_by(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = stopwatch(monkeypatch, 4e6, [], [])
    timed = probe.run

    def imitated(*given: Any) -> Result:
        result = timed(*given)
        return Result(result.samples, {**result.facts, "identity": {"emulated": True}})

    monkeypatch.setattr(probe, "run", imitated)
    with pytest.raises(DeviceFailed, match="device `desk`: the processor is emulated"):
        watch.time(Subject("a module"), 0.9)
