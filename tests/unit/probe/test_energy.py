"""Energy of an inference: a machine of known power, by a clock of its own."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from makeweight.budget.measurand import Measurand
from makeweight.layout import BASELINE
from makeweight.measure import energy as figures
from makeweight.measure import timings
from makeweight.measure.timings import Timings
from makeweight.measurement import Measurement
from makeweight_probe import energy
from makeweight_probe.arm import Times
from makeweight_probe.job import EnergyJob, Model, Result, dump_job, load_job
from makeweight_probe.meters import NoMeter


class Machine:
    """It takes `idle` watts, which drift, and `more` for each inference; its meter shows both."""

    source = "a machine of paper"

    def __init__(self, idle: float = 10.0, drift: float = 0.0, breaks_at: float = np.inf) -> None:
        self.now, self.taken = 0.0, 0.0
        self._idle, self._drift, self._breaks_at = idle, drift, breaks_at

    def clock(self) -> float:
        return self.now

    def pass_by(self, seconds: float) -> None:
        # the mean power of a span whose power changes evenly
        self.taken += (self._idle + self._drift * (self.now + seconds / 2)) * seconds
        self.now += seconds

    def joules(self) -> float:
        if self.now >= self._breaks_at:
            raise NoMeter("the cable came off")
        return self.taken

    def close(self) -> None:
        pass


class Paper:
    """An arm that takes so many seconds and joules an inference, beside what is idle."""

    def __init__(self, machine: Machine, seconds: float, joules: float) -> None:
        self._machine, self._seconds, self._joules = machine, seconds, joules
        self.samples: list[int] = []

    def block(self, sample: int, runs: int, inner: int) -> Times:
        self.samples.append(sample)
        self._machine.pass_by(runs * inner * self._seconds)
        self._machine.taken += runs * inner * self._joules
        return {"wall": [self._seconds * 1e9] * runs}


def measured(machine: Machine, a: Paper, b: Paper, samples: int = 4) -> Result:
    arms, order = {"a": a, "b": b}, np.random.default_rng(0)
    return energy.measure(machine, arms, samples, order, machine.clock, machine.pass_by)


@pytest.mark.parametrize("drift", [0.0, 0.05], ids=["steady", "warming"])
def test_what_an_inference_takes_beside_what_is_idle(drift: float) -> None:
    machine = Machine(drift=drift)
    found = measured(machine, Paper(machine, 0.010, 0.300), Paper(machine, 0.004, 0.080))
    assert found.facts == {"source": "a machine of paper", "inferences": {"a": 100, "b": 250}}, "a second each"
    assert len(found.samples["joules_a"]) == len(found.samples["joules_b"]) == len(found.samples["idle"]) - 1
    # between two rests an even drift is what their mean says, but for the place of a block among the two
    assert found.samples["joules_a"] == pytest.approx(0.300, rel=0.01 if drift else 1e-9)
    assert found.samples["joules_b"] == pytest.approx(0.080, rel=0.01 if drift else 1e-9)


def test_every_round_has_the_next_sample_and_an_order_of_its_own() -> None:
    machine = Machine()
    a, b = (Paper(machine, 0.5, 1.0) for _ in "ab")
    measured(machine, a, b, samples=4)
    assert a.samples[-energy.ROUNDS :] == b.samples[-energy.ROUNDS :] == [n % 4 for n in range(energy.ROUNDS)]


def test_a_slow_model_makes_one_inference_a_block() -> None:
    machine = Machine()
    found = measured(machine, Paper(machine, 3.0, 60.0), Paper(machine, 1.4, 20.0))
    assert found.facts["inferences"] == {"a": 1, "b": 1}
    assert float(np.median(found.samples["joules_a"])) == pytest.approx(60.0)


def test_a_meter_that_stands_still_or_fails_is_no_meter() -> None:
    still = Machine(idle=0.0)
    assert measured(still, Paper(still, 0.01, 0.0), Paper(still, 0.01, 0.0)).facts == {
        "unavailable": "a machine of paper stands still while the processor works"
    }
    broken = Machine(breaks_at=5.0)
    assert measured(broken, Paper(broken, 0.01, 0.1), Paper(broken, 0.01, 0.1)).facts == {
        "unavailable": "the cable came off"
    }


def test_the_job_survives_its_file() -> None:
    job = EnergyJob(
        Model("onnxruntime", "a.onnx", 1, ("a.bin",)), Model("pocket", "b", 2), "x.npz", True, "rapl", 3, "y"
    )
    assert load_job(dump_job(job)) == job
    places = {"a.onnx": "/a", "a.bin": "/b", "b": "/c", "x.npz": "/x", "y": "/y"}
    moved = job.moved(places)
    assert {file for files in moved.files() for file in files} == set(places.values())


def process(**identity: object) -> Result:
    return Result({}, {"identity": identity, "before": {}, "after": {}})


def judged(told: Result | None, **identity: object) -> dict[Measurand, Measurement]:
    taken = Timings((process(**identity),), {}, told)
    return {
        (each.measurand if each.variant != BASELINE else Measurand(BASELINE)): each
        for each in figures.measure(taken, "int8", "pi5")
    }


def test_figures_are_medians_over_the_rounds_and_the_ratio_is_paired() -> None:
    rng = np.random.default_rng(1)
    load = rng.uniform(0.9, 1.3, 9)  # what else ran in a round
    samples = {"joules_a": 0.3 * load, "joules_b": 0.06 * load, "idle": np.full(10, 7.5)}
    found = judged(Result(samples, {"source": "RAPL package-0", "inferences": {}}))
    own, ratio = found[Measurand("energy")], found[Measurand("energy", "ratio")]
    ordered = sorted(samples["joules_b"])
    assert (own.value, own.interval, own.unit, own.status) == (ordered[4], (ordered[1], ordered[7]), "J", "measured")
    assert ratio.value == pytest.approx(0.2)
    assert ratio.interval == pytest.approx((0.2, 0.2)), "what sways both sways the ratio not"
    assert found[Measurand(BASELINE)].value == sorted(samples["joules_a"])[4]
    assert "RAPL package-0, 7.5 W idle taken off" in str(own.method)


def test_a_round_whose_baseline_is_lost_in_what_is_idle_bounds_the_ratio_by_nothing() -> None:
    """0.02 J by less than nothing is no ratio below nought: it counts as above all others, and two of nine such rounds
    leave no upper end among the order statistics, which are the second and the eighth."""
    own, base = np.linspace(0.016, 0.024, 9), np.full(9, 0.1)
    base[0] = -0.01
    found = judged(Result({"joules_a": base, "joules_b": own, "idle": np.full(10, 7.5)}, {"source": "s"}))
    ratio = found[Measurand("energy", "ratio")]
    assert ratio.value == pytest.approx(0.21)
    assert ratio.interval == pytest.approx((0.18, 0.24))
    base[1] = 0.0
    found = judged(Result({"joules_a": base, "joules_b": own, "idle": np.full(10, 7.5)}, {"source": "s"}))
    assert "lost in what" in str(found[Measurand("energy", "ratio")].reason)
    assert found[Measurand("energy")].value == pytest.approx(0.02)


@pytest.mark.parametrize(
    ("told", "identity", "reason"),
    [
        (None, {}, "where a rule of the budget names it"),
        (Result({}, {"unavailable": "rapl: only root may read it"}), {}, "rapl: only root may read it"),
        (Result({"joules_a": np.full(9, 0.1), "joules_b": np.full(9, -0.01)}, {"source": "s"}), {}, "lost in what"),
        (Result({"joules_a": np.full(9, 0.1), "joules_b": np.full(9, 0.1)}, {}), {"emulated": True}, "emulated"),
    ],
    ids=["not-asked", "no-meter", "lost", "emulated"],
)
def test_without_a_figure_there_is_a_reason(told: Result | None, identity: dict[str, object], reason: str) -> None:
    found = judged(told, **identity)
    assert all(each.value is None and reason in str(each.reason) for each in found.values())
    assert set(found) == {Measurand("energy"), Measurand("energy", "ratio")}


def test_raw_samples_survive_their_file(tmp_path: Path) -> None:
    samples = {"joules_a": np.array([0.3, 0.31]), "joules_b": np.array([0.1, 0.09]), "idle": np.array([7.0, 7.1, 7.2])}
    timings.write(tmp_path / "t.npz", Timings((), {}, Result(samples, {"source": "RAPL package-0"})))
    again = timings.read(tmp_path / "t.npz").energy
    assert again is not None
    assert again.facts == {"source": "RAPL package-0"}
    assert {name: values.tolist() for name, values in again.samples.items()} == {
        name: values.tolist() for name, values in samples.items()
    }
    timings.write(tmp_path / "t.npz", Timings((), {}))
    assert timings.read(tmp_path / "t.npz").energy is None
    assert json.loads(json.dumps(again.facts)) == again.facts
