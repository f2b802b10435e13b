"""How fine a clock is, by clocks that go in steps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from makeweight.measure import latency
from makeweight.measure.timings import Timings
from makeweight_probe import batches, blocks, clock
from makeweight_probe.arm import Times
from makeweight_probe.job import BlocksJob, MatrixJob, Model


def going(step: int, reading: int = 50) -> Callable[[], int]:
    """One that goes by so many ns, of which a reading takes as many as that."""
    now = [0]

    def read() -> int:
        now[0] += reading
        return now[0] // step * step

    return read


def test_the_step_of_a_clock_is_told_where_readings_are_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    assert clock.step_ns(going(4_000_000)) == 4_000_000
    assert clock.step_ns(going(200)) == 200
    assert clock.step_ns(going(1)) == 0
    monkeypatch.setattr(clock, "_MOST", 5000)
    assert clock.step_ns(lambda: 7) == 0, "one that stands tells no times at all"
    assert clock.step_ns() < 1_000_000


class Arm:
    """A model that takes so long, timed by a clock of 4 ms."""

    def __init__(self, ns: int) -> None:
        self._ns, self._now = ns, 0

    def block(self, sample: int, runs: int, inner: int) -> Times:
        times = []
        for _ in range(runs):
            begun, self._now = self._now, self._now + self._ns * inner
            times.append((self._now // 4_000_000 - begun // 4_000_000) * 4e6 / inner)
        return {"wall": times}

    def batch(self, size: int, warming: int, runs: int, inner: int) -> float:
        return float(np.median(self.block(0, warming + runs, inner)["wall"][warming:]))


def test_a_coarse_clock_times_several_together_and_its_step_is_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    """Times of 6.0 and 7.3 ms were told as 4 or 8, by clocks that differed by nothing."""
    monkeypatch.setattr(blocks, "step_ns", lambda: 4_000_000)
    a, b = (Model("onnxruntime", path, 1) for path in "ab")
    job = BlocksJob(a, b, "inputs.npz", False, (1, 1), 0.05, (), 1, 0.0, None, None, 1)
    arms = {"a": Arm(6_000_000), "b": Arm(7_300_000), "control": Arm(6_000_000)}
    result = blocks.measure(job, arms, 1, None)  # type: ignore[arg-type]
    assert result.facts["inner"] >= 100 * 4 / 8
    assert np.median(result.samples["wall_b"]) / np.median(result.samples["wall_a"]) == pytest.approx(7.3 / 6, rel=0.02)
    result.facts.update(apart=False, identity={})
    taken = Timings((result,), {})
    assert 0.005 < latency.noise_floor(taken) < 0.02
    assert taken.step("cold") == 4_000_000, "single runs are timed one by one"


def test_what_takes_less_than_a_step_is_timed_together_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """One by one, inferences of 3 ms were told as 0 or 4."""
    monkeypatch.setattr(blocks, "step_ns", lambda: 4_000_000)
    a, b = (Model("onnxruntime", path, 1) for path in "ab")
    job = BlocksJob(a, b, "inputs.npz", False, (1, 1), 0.05, (), 1, 0.0, None, None, 1)
    arms = {"a": Arm(3_000_000), "b": Arm(3_600_000), "control": Arm(3_000_000)}
    result = blocks.measure(job, arms, 1, None)  # type: ignore[arg-type]
    assert result.facts["inner"] == 100
    assert np.median(result.samples["wall_b"]) / np.median(result.samples["wall_a"]) == pytest.approx(1.2, rel=0.02)
    assert clock.together(0, 0) == 1, "of a clock that stands, more of nothing tells nothing"


def test_batches_are_timed_by_the_same_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "step_ns", lambda: 4_000_000)
    a, b = (Model("onnxruntime", path, 1) for path in "ab")
    job = MatrixJob(a, b, "inputs.npz", False, (8,), 1, 20, 60.0, 1)
    arms = {"a": Arm(6_000_000), "b": Arm(7_300_000), "control": Arm(6_000_000)}
    result = batches.measure(job, arms, alike=True)  # type: ignore[arg-type]
    ratio = np.median(result.samples["batch8_b"]) / np.median(result.samples["batch8_a"])
    assert ratio == pytest.approx(7.3 / 6, rel=0.02)
    assert 0.005 < latency.noise_floor(Timings((result,), {}), "batch8") < 0.02
