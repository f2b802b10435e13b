"""The loop of pairs, on a clock that the models themselves move: who runs when, and when it ends."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest

from makeweight_probe import pairs
from makeweight_probe.job import Model, PairsJob, Result
from makeweight_probe.pairs import (
    ARMS,
    BATCH_ROUNDS,
    LOOK_EVERY,
    MIN_ROUNDS,
    SHORTEST_TIMED_NS,
    Sample,
)

JOB = PairsJob(
    a=Model("onnxruntime", "a"),
    b=Model("onnxruntime", "b"),
    inputs="inputs.npz",
    threads=1,
    seconds=60.0,
    limits=(1.05,),
    target_rounds=1,
    target_seconds=0.0,
    batch=None,
    seed=3,
)
SAMPLES: list[Sample] = [{"x": np.array([[float(i)]])} for i in range(5)]
MS = 1_000_000


class Clock:
    """Stands in for the module `time`; only running a model lets it go on. Half of the time is CPU time."""

    def __init__(self) -> None:
        self.ns = 0

    def perf_counter(self) -> float:
        return self.ns / 1e9

    def perf_counter_ns(self) -> int:
        return self.ns

    def thread_time_ns(self) -> int:
        return self.ns // 2


class Bench:
    """Three models of known speed, and a record of what was run on what."""

    def __init__(self, clock: Clock, *, a: int, b: int, noise: Callable[[], float] = lambda: 1.0) -> None:
        self.calls: list[tuple[str, float]] = []
        durations = {"a": a, "b": b, "control": a}

        def model(arm: str) -> Callable[[Sample], None]:
            def run(sample: Sample) -> None:
                self.calls.append((arm, float(sample["x"][0, 0])))
                clock.ns += int(durations[arm] * len(sample["x"]) * noise())

            return run

        self.runs = {arm: model(arm) for arm in ARMS}

    def rounds(self, result: Result) -> list[list[tuple[str, float]]]:
        """The calls of the timed rounds, without the warm-up before them."""
        count = int(result.facts["rounds"]) * len(ARMS) * int(result.facts["inner"])
        timed = self.calls[-count:]
        size = len(ARMS) * int(result.facts["inner"])
        return [timed[i : i + size] for i in range(0, count, size)]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    fake = Clock()
    monkeypatch.setattr(pairs, "time", fake)
    return fake


def test_every_round_runs_every_arm_once_on_the_same_sample(clock: Clock) -> None:
    bench = Bench(clock, a=MS, b=2 * MS)
    for timed in bench.rounds(pairs.measure(JOB, bench.runs, SAMPLES, None)):
        assert sorted(arm for arm, _ in timed) == sorted(ARMS)
        assert len({sample for _, sample in timed}) == 1


def test_the_order_is_drawn_anew_every_round_and_repeats_with_the_seed(clock: Clock) -> None:
    job = replace(JOB, target_rounds=600, target_seconds=600.0)
    orders = []
    for seed in (3, 3, 4):
        bench = Bench(clock, a=MS, b=2 * MS)
        found = bench.rounds(pairs.measure(replace(job, seed=seed), bench.runs, SAMPLES, None))
        orders.append([tuple(arm for arm, _ in timed) for timed in found])
    assert orders[0] == orders[1] != orders[2]
    counts = Counter(orders[0])
    assert set(counts) == set(permutations(ARMS))
    assert min(counts.values()) > 60, "each order about every sixth time"
    assert {sample for timed in found for _, sample in timed} == {0.0, 1.0, 2.0, 3.0, 4.0}


def test_times_are_those_of_the_models(clock: Clock) -> None:
    bench = Bench(clock, a=MS, b=2 * MS)
    result = pairs.measure(JOB, bench.runs, SAMPLES, None)
    assert set(result.samples) == {f"{name}_{arm}" for name in ("wall", "cpu") for arm in ARMS}
    for arm, ns in (("a", MS), ("b", 2 * MS), ("control", MS)):
        np.testing.assert_array_equal(result.samples[f"wall_{arm}"], ns)
        np.testing.assert_array_equal(result.samples[f"cpu_{arm}"], ns / 2)
        assert result.samples[f"wall_{arm}"].shape == (result.facts["rounds"],)
    assert result.facts["seconds"] == pytest.approx(result.facts["rounds"] * 4e-3)


@pytest.mark.parametrize("speed", [2 * MS, MS // 2], ids=["over", "within"])
def test_it_stops_at_the_first_look_once_decided(clock: Clock, speed: int) -> None:
    bench = Bench(clock, a=MS, b=speed)
    assert pairs.measure(JOB, bench.runs, SAMPLES, None).facts["rounds"] == MIN_ROUNDS


def test_it_goes_on_while_one_of_several_limits_is_open(clock: Clock) -> None:
    """Pairs exactly at a limit decide nothing, so only the clock ends it."""
    bench = Bench(clock, a=MS, b=2 * MS)
    result = pairs.measure(replace(JOB, limits=(1.05, 2.0), seconds=1.0), bench.runs, SAMPLES, None)
    assert result.facts["seconds"] == pytest.approx(1.0, abs=5e-3)
    assert result.facts["rounds"] == 250


def test_it_goes_on_for_the_rounds_that_a_tail_needs(clock: Clock) -> None:
    bench = Bench(clock, a=MS, b=2 * MS)
    job = replace(JOB, target_rounds=221, target_seconds=600.0)
    rounds = pairs.measure(job, bench.runs, SAMPLES, None).facts["rounds"]
    assert 221 <= rounds < 221 + LOOK_EVERY


def test_a_tail_that_takes_too_long_is_given_up(clock: Clock) -> None:
    bench = Bench(clock, a=MS, b=2 * MS)
    job = replace(JOB, target_rounds=100_000, target_seconds=0.4)
    rounds = pairs.measure(job, bench.runs, SAMPLES, None).facts["rounds"]
    assert 100 <= rounds < 100 + LOOK_EVERY


def test_time_is_up_even_before_the_fewest_rounds(clock: Clock) -> None:
    bench = Bench(clock, a=400 * MS, b=400 * MS)
    result = pairs.measure(replace(JOB, seconds=3.0), bench.runs, SAMPLES, None)
    assert result.facts["rounds"] == 3


def test_without_a_limit_it_stops_when_the_rounds_are_done(clock: Clock) -> None:
    bench = Bench(clock, a=MS, b=MS)
    assert pairs.measure(replace(JOB, limits=()), bench.runs, SAMPLES, None).facts["rounds"] == MIN_ROUNDS


def test_noise_alike_in_both_arms_decides_within_not_over(clock: Clock) -> None:
    rng = np.random.default_rng(9)
    bench = Bench(clock, a=MS, b=MS, noise=lambda: float(rng.lognormal(0, 0.05)))
    result = pairs.measure(replace(JOB, limits=(1.10,)), bench.runs, SAMPLES, None)
    assert result.facts["seconds"] < 60
    ratios = result.samples["wall_b"] / result.samples["wall_a"]
    assert np.median(ratios) < 1.1


def test_calls_too_short_for_the_clock_are_timed_together(clock: Clock) -> None:
    """2.5 calls of the fastest arm reach what the clock can tell: three are timed together, of every arm alike."""
    fast = SHORTEST_TIMED_NS * 2 // 5
    bench = Bench(clock, a=fast, b=10 * fast)
    result = pairs.measure(JOB, bench.runs, SAMPLES, None)
    assert result.facts["inner"] == 3
    np.testing.assert_allclose(result.samples["wall_a"], fast)
    np.testing.assert_allclose(result.samples["wall_b"], 10 * fast)
    for timed in bench.rounds(result):
        assert [arm for arm, _ in timed[::3]] == [arm for arm, _ in timed[2::3]], "one arm after the other"


def test_a_clock_that_stands_still_neither_divides_by_zero_nor_runs_forever(clock: Clock) -> None:
    ticks = iter(range(10**9))
    clock.perf_counter = lambda: next(ticks) * 1e-3  # type: ignore[method-assign]
    bench = Bench(clock, a=0, b=0)
    with np.errstate(all="ignore"):
        result = pairs.measure(replace(JOB, seconds=0.01), bench.runs, SAMPLES, None)
    assert result.facts["rounds"] >= 1


def test_with_more_threads_there_is_no_cpu_time(clock: Clock) -> None:
    bench = Bench(clock, a=MS, b=2 * MS)
    samples = pairs.measure(replace(JOB, threads=2), bench.runs, SAMPLES, None).samples
    assert set(samples) == {"wall_a", "wall_b", "wall_control"}


def test_batches_are_timed_for_throughput(clock: Clock) -> None:
    bench = Bench(clock, a=MS, b=2 * MS)
    batch = {"x": np.zeros((32, 1))}
    result = pairs.measure(replace(JOB, batch=32), bench.runs, SAMPLES, batch)
    np.testing.assert_array_equal(result.samples["batch_a"], [32 * MS] * BATCH_ROUNDS)
    np.testing.assert_array_equal(result.samples["batch_b"], [64 * MS] * BATCH_ROUNDS)
    assert result.facts["batch"] == 32


def test_long_batches_are_cut_short(clock: Clock) -> None:
    """1.6 s each: two rounds of both arms are done when half of 10 s is over."""
    bench = Bench(clock, a=50 * MS, b=50 * MS)
    job = replace(JOB, batch=32, seconds=10.0)
    result = pairs.measure(job, bench.runs, SAMPLES, {"x": np.zeros((32, 1))})
    assert len(result.samples["batch_a"]) == len(result.samples["batch_b"]) == 2


def test_batches_that_would_take_longer_than_all_the_pairs_are_not_begun(clock: Clock) -> None:
    bench = Bench(clock, a=100 * MS, b=200 * MS)
    job = replace(JOB, batch=32, seconds=10.0)
    result = pairs.measure(job, bench.runs, SAMPLES, {"x": np.zeros((32, 1))})
    assert not any(name.startswith("batch") for name in result.samples)
    assert result.facts["batch"] is None
    assert result.facts["no_batches"] == "a batch of 32 takes about 3.2 s, too long for the time given"


def test_the_warm_up_of_a_slow_model_is_short(clock: Clock) -> None:
    bench = Bench(clock, a=1100 * MS, b=1100 * MS)
    result = pairs.measure(replace(JOB, seconds=1.0), bench.runs, SAMPLES, None)
    assert result.facts["rounds"] == 1
    assert len(bench.calls) == 2 * 3 + 3, "twice each to warm up, then one round"
