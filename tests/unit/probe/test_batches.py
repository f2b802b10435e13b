"""Batches of several sizes, on a clock that the models themselves move: what a turn holds, and when it ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from makeweight_probe import ArmLost, arm, batches
from makeweight_probe.blocks import ARMS
from makeweight_probe.job import MatrixJob, Model, Result
from makeweight_probe.session import Feeds

MS = 1e6
JOB = MatrixJob(
    a=Model("onnxruntime", "a", 2),
    b=Model("onnxruntime", "b", 2),
    inputs="inputs.npz",
    apart=False,
    batches=(8, 1),
    examples=1,
    rounds=4,
    seconds=60.0,
    seed=3,
)


class Clock:
    """Stands in for the module `time`."""

    def __init__(self) -> None:
        self.ns = 0.0

    def perf_counter(self) -> float:
        return self.ns / 1e9


class Timed:
    """An arm whose batches take so long; it keeps what it was asked for."""

    def __init__(self, clock: Clock, ns: Callable[[int], float]) -> None:
        self._clock, self._ns = clock, ns
        self.asked: list[tuple[int, int, int, int]] = []

    def batch(self, size: int, warming: int, runs: int, inner: int) -> float:
        self.asked.append((size, warming, runs, inner))
        took = self._ns(size)
        self._clock.ns += took * (warming + runs * inner)
        return took


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    fake = Clock()
    monkeypatch.setattr(batches, "time", fake)
    return fake


def measure(
    clock: Clock, job: MatrixJob = JOB, *, alike: bool = True, **models: Callable[[int], float]
) -> tuple[Result, dict[str, Timed]]:
    """By default an example takes a ms in the baseline and half of that in the variant."""
    speed = {"a": lambda size: size * MS, "b": lambda size: size * MS / 2, **models}
    speed["control"] = speed["a"]
    arms: dict[str, Any] = {name: Timed(clock, speed[name]) for name in ARMS}
    return batches.measure(job, arms, alike=alike), arms


def test_each_size_is_timed_by_itself_and_the_smallest_first(clock: Clock) -> None:
    result, arms = measure(clock)
    assert {name: values.tolist() for name, values in result.samples.items()} == {
        **{f"batch{size}_{arm}": [size * MS] * 4 for size in (1, 8) for arm in ("a", "control")},
        **{f"batch{size}_b": [size * MS / 2] * 4 for size in (1, 8)},
    }
    sizes = [size for size, *_ in arms["b"].asked]
    assert sizes == sorted(sizes)
    assert result.facts["lacking"] == {}
    assert (result.facts["rounds"], result.facts["seconds"]) == (8, clock.ns / 1e9)


def test_a_turn_is_warmed_up_and_long_enough_to_be_timed(clock: Clock) -> None:
    """2 ms of what does not count and 5 ms of what does; of a batch that takes longer than 80 ms, that alone."""
    _, arms = measure(clock, a=lambda _: 0.1 * MS, b=lambda size: 3 * MS if size == 1 else 90 * MS)
    assert set(arms["a"].asked[2:6]) == {(1, 20, 50, 1)}
    assert arms["b"].asked[2:6] == [(1, 1, 2, 1)] * 4
    assert set(arms["b"].asked[6:]) == {(8, 0, 1, 1)}
    _, arms = measure(clock, a=lambda _: 0.004 * MS)
    assert set(arms["a"].asked[2:6]) == {(1, 500, 417, 3)}, "of 4 us the clock tells three together"


def test_the_models_take_turns_in_an_order_that_repeats_with_the_seed(clock: Clock) -> None:
    orders = []
    for seed in (1, 1, 2):
        order: list[str] = []

        def speed(name: str, order: list[str] = order) -> Callable[[int], float]:
            def ns(size: int) -> float:
                order.append(name)
                return size * 100 * MS

            return ns

        job = replace(JOB, batches=(1,), rounds=30, seconds=600.0, seed=seed)
        measure(clock, job, a=speed("a"), b=speed("b"))
        orders.append(order[len(ARMS) :])
    assert orders[0] == orders[1] != orders[2]
    for start in range(0, len(orders[0]), len(ARMS)):
        assert sorted(orders[0][start : start + len(ARMS)]) == ["a", "a", "b"]


def test_the_time_is_kept_and_shared_evenly(clock: Clock) -> None:
    """A first try of all arms and each round take 0.5 s with 1, 1 s with 2: the sixth round ends after half of 6 s."""
    job = replace(JOB, batches=(1, 2), rounds=99, seconds=6.0)
    result, _ = measure(clock, job, a=lambda size: size * 200 * MS, b=lambda size: size * 100 * MS)
    assert len(result.samples["batch1_b"]) == 6
    assert len(result.samples["batch2_b"]) == 2
    assert result.facts["seconds"] == pytest.approx(6.5), "the turns that are run when the time is up are finished"


def test_a_batch_that_would_take_too_long_is_not_begun(clock: Clock) -> None:
    result, arms = measure(clock, replace(JOB, batches=(1, 100), seconds=2.0), a=lambda size: size * 10 * MS)
    assert {size for size, *_ in arms["a"].asked} == {1}
    assert result.facts["lacking"] == {"100": "a batch of 100 takes about 1 s, too long for the time given"}


def test_what_a_model_does_not_take_costs_that_size_alone(clock: Clock) -> None:
    def picky(size: int) -> float:
        if size == 8:
            raise RuntimeError("cannot  reshape\n[8] to [1]")
        return size * MS

    result, _ = measure(clock, replace(JOB, batches=(1, 8, 32)), b=picky)
    assert set(result.samples) == {f"batch{size}_{arm}" for size in (1, 32) for arm in ARMS}
    assert result.facts["lacking"] == {"8": "the variant does not take 8 at once: cannot reshape [8] to [1]"}


def test_a_process_that_is_lost_takes_the_larger_sizes_with_it(clock: Clock) -> None:
    def greedy(size: int) -> float:
        if size == 8:
            raise ArmLost("the process of arm b ended with signal 9")
        return size * MS

    result, _ = measure(clock, replace(JOB, batches=(1, 8, 32)), b=greedy)
    assert set(result.samples) == {f"batch1_{arm}" for arm in ARMS}
    assert result.facts["lacking"] == dict.fromkeys(("8", "32"), "the process of arm b ended with signal 9")


def test_samples_of_several_sizes_make_no_batch(clock: Clock) -> None:
    result, arms = measure(clock, alike=False)
    assert (result.samples, arms["a"].asked) == ({}, [])
    assert result.facts["lacking"] == dict.fromkeys(("1", "8"), batches.UNLIKE)


def test_a_sample_may_hold_several_examples(clock: Clock) -> None:
    _, arms = measure(clock, replace(JOB, batches=(4, 8), examples=4))
    assert {size for size, *_ in arms["a"].asked} == {1, 2}


def test_a_clock_that_stands_still_divides_by_nothing(clock: Clock) -> None:
    result, _ = measure(clock, a=lambda _: 0.0, b=lambda _: 0.0)
    assert np.all(result.samples["batch8_b"] == 0)


def test_what_interrupts_a_batch_now_and_then_does_not_count(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two that warm, then the median of three times two."""
    took = iter([50, 50, 1, 3, 40, 60, 2, 4])
    fed = []

    def run(feeds: Feeds) -> list[Any]:
        fed.append(feeds["x"].ravel().tolist())
        clock.ns += next(took)
        return []

    clock.perf_counter_ns = lambda: clock.ns  # type: ignore[attr-defined]
    monkeypatch.setattr(arm, "time", clock)
    here = arm.Here(run, [{"x": np.array([[1.0]])}, {"x": np.array([[2.0]])}])
    assert here.batch(3, 2, 3, 2) == 3
    assert fed == [[1.0, 2.0, 1.0]] * 8, "the first ones over again where there are too few"
