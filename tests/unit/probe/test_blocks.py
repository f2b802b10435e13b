"""Turns of blocks, on a clock that the models themselves move: who runs when, what counts, and when it ends."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest

from makeweight_probe import arm, batches, blocks
from makeweight_probe.arm import Here
from makeweight_probe.blocks import (
    ARMS,
    BATCH_ROUNDS,
    KEPT,
    LOOK_EVERY,
    MIN_ROUNDS,
    TRIAL_NS,
    TRIALS,
)
from makeweight_probe.clock import SHORTEST_TIMED_NS
from makeweight_probe.job import BlocksJob, Cold, Model, Result
from makeweight_probe.session import Feeds

JOB = BlocksJob(
    a=Model("onnxruntime", "a", 1),
    b=Model("onnxruntime", "b", 1),
    inputs="inputs.npz",
    apart=False,
    warming=None,
    seconds=60.0,
    limits=(1.05,),
    target_runs=1,
    target_seconds=0.0,
    batch=None,
    cold=None,
    seed=3,
)
SAMPLES: list[Feeds] = [{"x": np.array([[float(i)]])} for i in range(5)]
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
    """Three models of known speed, and a record of what was run on what.

    `cold` is how many times as long the first, second, … run after another arm takes.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        a: int,
        b: int,
        cold: tuple[float, ...] = (),
        noise: Callable[[], float] = lambda: 1.0,
    ) -> None:
        self.calls: list[tuple[str, float]] = []
        durations = {"a": a, "b": b, "control": a}
        self._since = 0

        def model(name: str) -> Callable[[Feeds], None]:
            def run(sample: Feeds) -> None:
                self._since = self._since + 1 if self.calls and self.calls[-1][0] == name else 0
                self.calls.append((name, float(sample["x"][0, 0])))
                slower = cold[self._since] if self._since < len(cold) else 1.0
                clock.ns += int(durations[name] * len(sample["x"]) * slower * noise())

            return run

        self.arms = {name: Here(model(name), SAMPLES) for name in ARMS}

    def measure(self, job: BlocksJob, flush: int | None = None) -> Result:
        return blocks.measure(job, self.arms, len(SAMPLES), flush)

    def rounds(self, result: Result) -> list[list[tuple[str, float]]]:
        """The calls of the rounds that came after the trials."""
        warming, kept = result.facts["warming"], result.facts["kept"]
        size = (2 * warming[0] + warming[1] + 3 * kept) * result.facts["inner"]
        count = (result.facts["rounds"] - TRIALS) * size
        timed = self.calls[-count:]
        return [timed[i : i + size] for i in range(0, count, size)]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    fake = Clock()
    monkeypatch.setattr(blocks, "time", fake)
    monkeypatch.setattr(batches, "time", fake)
    monkeypatch.setattr(arm, "time", fake)
    return fake


def in_turn(timed: list[tuple[str, float]]) -> list[str]:
    """The arms in their order, each named once a block."""
    names = [name for name, _ in timed]
    return [name for index, name in enumerate(names) if index == 0 or names[index - 1] != name]


def test_a_round_is_one_block_of_every_arm_on_the_same_sample(clock: Clock) -> None:
    bench = Bench(clock, a=MS, b=2 * MS)
    result = bench.measure(JOB)
    for timed in bench.rounds(result):
        assert sorted(in_turn(timed)) == sorted(ARMS)
        assert len({sample for _, sample in timed}) == 1
        assert Counter(name for name, _ in timed) == {"a": 2 + KEPT, "b": 1 + KEPT, "control": 2 + KEPT}


def test_the_order_is_drawn_anew_every_round_and_repeats_with_the_seed(clock: Clock) -> None:
    job = replace(JOB, target_runs=600 * KEPT, target_seconds=600.0)
    orders = []
    for seed in (3, 3, 4):
        bench = Bench(clock, a=MS, b=2 * MS)
        found = bench.rounds(bench.measure(replace(job, seed=seed)))
        orders.append([tuple(in_turn(timed)) for timed in found])
    assert orders[0] == orders[1] != orders[2]
    counts = Counter(orders[0])
    assert set(counts) == set(permutations(ARMS))
    assert min(counts.values()) > 60, "each order about every sixth time"
    assert {sample for timed in found for _, sample in timed} == {0.0, 1.0, 2.0, 3.0, 4.0}


def test_times_are_those_of_the_models(clock: Clock) -> None:
    result = Bench(clock, a=MS, b=2 * MS).measure(JOB)
    assert set(result.samples) == {f"{name}_{each}" for name in ("wall", "cpu") for each in ARMS}
    for each, ns in (("a", MS), ("b", 2 * MS), ("control", MS)):
        np.testing.assert_array_equal(result.samples[f"wall_{each}"], ns)
        np.testing.assert_array_equal(result.samples[f"cpu_{each}"], ns / 2)
        assert result.samples[f"wall_{each}"].shape == (result.facts["rounds"], KEPT)


# Warming


def test_the_runs_that_find_the_caches_of_another_arm_are_dropped(clock: Clock) -> None:
    """Of the baseline's and of the variant's blocks as many as each of them takes to become warm."""
    slow_start = (3.0, 1.5, 1.1, 1.04)
    bench = Bench(clock, a=MS, b=2 * MS, cold=slow_start)
    result = bench.measure(JOB)
    assert result.facts["warming"] == [4, 4]
    np.testing.assert_allclose(result.samples["wall_a"], MS)
    np.testing.assert_allclose(result.samples["wall_b"], 2 * MS)


def test_the_first_two_milliseconds_never_count(clock: Clock) -> None:
    """Runs that get faster by less than what is let pass at each step do so for so long."""
    bench = Bench(clock, a=MS // 2, b=MS // 10, cold=(1.02,) * 20)
    result = bench.measure(JOB)
    assert result.facts["warming"] == [4, 20]
    np.testing.assert_allclose(result.samples["wall_b"], MS // 10)


def test_the_curve_of_a_block_is_on_record(clock: Clock) -> None:
    result = Bench(clock, a=MS, b=MS, cold=(3.0, 1.5)).measure(JOB)
    curve = dict(result.facts["curves"]["a"])
    assert [curve[start] / MS for start in (0, 1, 2, 3, 4)] == [3.0, 1.5, 1.0, 1.0, 1.0]
    assert max(curve) + KEPT <= TRIAL_NS / MS + KEPT


def test_what_one_process_measured_the_next_is_told(clock: Clock) -> None:
    bench = Bench(clock, a=MS, b=MS, cold=(3.0, 1.5))
    result = bench.measure(replace(JOB, warming=(2, 7)))
    assert (result.facts["warming"], result.facts["curves"], result.facts["rounds"]) == ([2, 7], {}, MIN_ROUNDS)
    timed = bench.calls[-MIN_ROUNDS * (2 * (2 + KEPT) + 7 + KEPT) :]
    assert Counter(name for name, _ in timed) == {
        "a": MIN_ROUNDS * (2 + KEPT),
        "b": MIN_ROUNDS * (7 + KEPT),
        "control": MIN_ROUNDS * (2 + KEPT),
    }


def test_one_run_is_dropped_at_least(clock: Clock) -> None:
    assert Bench(clock, a=2 * MS, b=3 * MS).measure(JOB).facts["warming"] == [1, 1]


def trial(*begin: float, then: float = 1.0, runs: int = 64) -> list[float]:
    return [*begin, *[then] * (runs - len(begin))]


@pytest.mark.parametrize(
    ("trials", "dropped"),
    [
        ([[9.0, 1.0]], 1),
        ([trial()] * 5, 1),
        ([trial(9, 1.5, 1.1, 1.02)] * 5, 3),
        ([trial(9, 1.2, *[1.1] * 6, *[1.05] * 24)] * 5, 32),
        ([trial(9, 1.2, 1.2)] * 4 + [trial(9, 0.9, 0.9)], 3),
        ([trial(9)] * 3 + [trial(9, *[1.3] * 15)] * 2, 1),
        ([trial(9, then=ns) for ns in (1.0, 1.4, 2.0, 3.0, 1.1)], 1),
    ],
    ids=["a long model", "always warm", "three", "slowly", "one is lucky", "two are disturbed", "another clock rate"],
)
def test_warm_is_as_fast_as_what_follows(trials: list[list[float]], dropped: int) -> None:
    assert blocks.warm_after(np.array(trials), 1) == dropped


def test_the_curve_takes_the_usual_trial() -> None:
    """Of three trials one was disturbed; a step of the curve spans the runs up to the next."""
    trials = np.array([[5.0, 2, 1, 1, 1, 1, 1, 1], [5.2, 2, 1, 1, 1, 1, 1, 1], [50, 20, 10, 10, 10, 10, 10, 10]])
    assert blocks.curve(trials, 3) == {0: 5.2, 1: 2.0, 2: 1.0, 3: 1.0, 4: 1.0}
    assert blocks.curve(trials[:, :2], 1) == {0: 5.2, 1: 2.0}


@pytest.mark.parametrize(("ms", "kept"), [(4, 5), (5, 3), (6, 3), (7, 1), (50, 1)], ids=lambda value: str(value))
def test_blocks_of_long_models_are_short(clock: Clock, ms: int, kept: int) -> None:
    result = Bench(clock, a=ms * MS, b=ms * MS // 2).measure(replace(JOB, seconds=2.0))
    assert result.facts["kept"] == kept
    assert result.samples["wall_a"].shape[1] == result.samples["wall_b"].shape[1] == kept
    assert result.facts["warming"] == [1, 1]


# How long it goes on


@pytest.mark.parametrize("speed", [2 * MS, MS // 2], ids=["over", "within"])
def test_it_stops_at_the_first_look_once_decided(clock: Clock, speed: int) -> None:
    assert Bench(clock, a=MS, b=speed).measure(JOB).facts["rounds"] == MIN_ROUNDS


def test_it_goes_on_while_one_of_several_limits_is_open(clock: Clock) -> None:
    """Blocks exactly at a limit decide nothing, so only the clock ends it."""
    job = replace(JOB, limits=(1.05, 2.0), seconds=1.0, warming=(1, 1))
    result = Bench(clock, a=MS, b=2 * MS).measure(job)
    assert result.facts["rounds"] == 42, "6 runs of 1, 1 and 2 ms each: the 42nd is the first to end after a second"
    assert result.facts["seconds"] == pytest.approx(42 * 0.024)


def test_it_goes_on_for_the_runs_that_a_tail_needs(clock: Clock) -> None:
    job = replace(JOB, target_runs=221, target_seconds=600.0)
    rounds = Bench(clock, a=MS, b=2 * MS).measure(job).facts["rounds"]
    assert 221 <= rounds * KEPT < 221 + (LOOK_EVERY + 1) * KEPT


def test_a_tail_that_takes_too_long_is_given_up(clock: Clock) -> None:
    job = replace(JOB, target_runs=100_000, target_seconds=0.8)
    seconds = Bench(clock, a=MS, b=2 * MS).measure(job).facts["seconds"]
    assert 0.8 <= seconds < 0.8 + (LOOK_EVERY + 1) * 0.024


def test_time_is_up_even_before_the_fewest_rounds(clock: Clock) -> None:
    result = Bench(clock, a=400 * MS, b=400 * MS).measure(replace(JOB, seconds=3.0))
    assert result.facts["rounds"] == 2, "a round takes 2.4 s, so the second is the last"


def test_without_a_limit_it_stops_when_the_runs_are_done(clock: Clock) -> None:
    assert Bench(clock, a=MS, b=MS).measure(replace(JOB, limits=())).facts["rounds"] == MIN_ROUNDS


def test_noise_alike_in_both_arms_decides_within_not_over(clock: Clock) -> None:
    rng = np.random.default_rng(9)
    bench = Bench(clock, a=MS, b=MS, noise=lambda: float(rng.lognormal(0, 0.05)))
    result = bench.measure(replace(JOB, limits=(1.10,)))
    assert result.facts["seconds"] < 60
    assert np.median(result.samples["wall_b"] / result.samples["wall_a"]) < 1.1


def test_calls_too_short_for_the_clock_are_timed_together(clock: Clock) -> None:
    """2.5 calls of the fastest arm reach what the clock can tell: three are timed together, of every arm alike."""
    fast = SHORTEST_TIMED_NS * 2 // 5
    bench = Bench(clock, a=fast, b=10 * fast)
    result = bench.measure(JOB)
    assert result.facts["inner"] == 3
    np.testing.assert_allclose(result.samples["wall_a"], fast)
    np.testing.assert_allclose(result.samples["wall_b"], 10 * fast)
    for timed in bench.rounds(result):
        assert sorted(in_turn(timed)) == sorted(ARMS)
        # of 12 and 120 us, 167 and 17 make two milliseconds
        assert Counter(name for name, _ in timed) == {
            "a": 3 * (167 + KEPT),
            "b": 3 * (17 + KEPT),
            "control": 3 * (167 + KEPT),
        }


def test_a_clock_that_stands_still_neither_divides_by_zero_nor_runs_forever(clock: Clock) -> None:
    ticks = iter(range(10**9))
    clock.perf_counter = lambda: next(ticks) * 1e-3  # type: ignore[method-assign]
    bench = Bench(clock, a=0, b=0)
    with np.errstate(all="ignore"):
        result = bench.measure(replace(JOB, seconds=0.01))
    assert result.facts["rounds"] >= 1


def test_with_more_threads_there_is_no_cpu_time(clock: Clock) -> None:
    two = Model("onnxruntime", "a", 2)
    samples = Bench(clock, a=MS, b=2 * MS).measure(replace(JOB, a=two, b=two)).samples
    assert set(samples) == {"wall_a", "wall_b", "wall_control"}


# Batches


def test_batches_are_timed_for_throughput(clock: Clock) -> None:
    result = Bench(clock, a=MS, b=2 * MS).measure(replace(JOB, batch=32))
    np.testing.assert_array_equal(result.samples["batch_a"], [32 * MS] * BATCH_ROUNDS)
    np.testing.assert_array_equal(result.samples["batch_b"], [64 * MS] * BATCH_ROUNDS)
    assert result.facts["batch"] == 32


def test_long_batches_are_cut_short(clock: Clock) -> None:
    """1.6 s each: both arms once to try, and the third round of both is being run when half of 20 s is over."""
    result = Bench(clock, a=50 * MS, b=50 * MS).measure(replace(JOB, batch=32, seconds=20.0))
    assert len(result.samples["batch_a"]) == len(result.samples["batch_b"]) == 3


def test_batches_that_would_take_longer_than_all_the_blocks_are_not_begun(clock: Clock) -> None:
    result = Bench(clock, a=100 * MS, b=200 * MS).measure(replace(JOB, batch=32, seconds=10.0))
    assert not any(name.startswith("batch") for name in result.samples)
    assert result.facts["batch"] is None
    assert result.facts["no_batches"] == "a batch of 32 takes about 3.2 s, too long for the time given"


def test_the_warm_up_of_a_slow_model_is_short(clock: Clock) -> None:
    bench = Bench(clock, a=1100 * MS, b=1100 * MS)
    result = bench.measure(replace(JOB, seconds=1.0))
    assert result.facts["rounds"] == 1
    assert len(bench.calls) == 2 * 3 + 2 * 3, "twice each to warm up, then one round of a cold and a warm run"


def test_a_process_for_which_no_time_is_left_still_has_a_round(clock: Clock) -> None:
    result = Bench(clock, a=MS, b=2 * MS).measure(replace(JOB, seconds=0.0, warming=(1, 1)))
    assert result.facts["rounds"] == 1
    assert (np.median(result.samples["wall_a"]), np.median(result.samples["wall_b"])) == (MS, 2 * MS)


# Empty caches


def test_single_runs_with_empty_caches(clock: Clock) -> None:
    """Each of them alone, so each of them finds what another arm left: 4 times the warm time."""
    job = replace(JOB, cold=Cold((), rounds=7, seconds=60.0))
    bench = Bench(clock, a=MS, b=2 * MS, cold=(4.0,))
    result = bench.measure(job, flush=64)
    # the one that ran last may run again
    assert Counter(result.samples["cold_a"] / MS).most_common(1)[0][0] == 4.0
    assert Counter(result.samples["cold_b"] / MS).most_common(1)[0][0] == 8.0
    assert {name: len(result.samples[f"cold_{name}"]) for name in ARMS} == dict.fromkeys(ARMS, 7)
    assert result.facts["flush"] == 64
    assert result.facts["seconds"] > bench.measure(JOB).facts["seconds"], "its time counts"


def test_empty_caches_are_timed_until_their_limit_is_decided_or_the_time_is_up(clock: Clock) -> None:
    decided = replace(JOB, cold=Cold((1.5,), rounds=7, seconds=60.0))
    assert 8 <= len(Bench(clock, a=MS, b=2 * MS).measure(decided, 64).samples["cold_b"]) < 12
    never = replace(JOB, cold=Cold((2.0,), rounds=7, seconds=0.4))
    assert len(Bench(clock, a=MS, b=2 * MS).measure(never, 64).samples["cold_b"]) == 101


def test_caches_of_unknown_size_cannot_be_emptied(clock: Clock) -> None:
    result = Bench(clock, a=MS, b=MS).measure(replace(JOB, cold=Cold((), rounds=7, seconds=60.0)))
    assert not any(name.startswith("cold") for name in result.samples)
    assert "does not tell how large its caches are" in result.facts["no_cold"]
