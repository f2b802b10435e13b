"""Latency, memory and throughput from raw samples: known samples give known figures, and a file replays them."""

import itertools
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from makeweight.bench import sitting
from makeweight.bench.sitting import settled
from makeweight.measure import latency, memory, timings
from makeweight.measure.latency import median_ratio, noise_floor
from makeweight.measure.timings import Timings
from makeweight.measurement import Measurement
from makeweight_base.errors import UsageError
from makeweight_probe.job import Result

US = 1000.0


def process(
    rounds: int,
    *,
    kept: int = 3,
    a: float = 100 * US,
    b: float = 50 * US,
    control: float = 100 * US,
    seed: int = 0,
    **facts: Any,
) -> Result:
    """One process whose arms take these times, each run spread by 1 % (in ns)."""
    rng = np.random.default_rng(seed)
    arms = {"a": a, "b": b, "control": control}
    samples = {
        f"{clock}_{arm}": ns * rng.lognormal(0, 0.01, (rounds, kept))
        for clock in ("wall", "cpu")
        for arm, ns in arms.items()
    }
    samples |= {"batch_a": np.full(5, 3.2e6), "batch_b": np.full(5, 1.6e6)}
    state = {"before": {"load": 0.5}, "after": {"load": 0.6}, "apart": False, "identity": {"cpu": "a fast one"}}
    return Result(samples, {"rounds": rounds, "inner": 1, "seconds": rounds * 3e-4, "batch": 32, **state, **facts})


def taken(*processes: Result, memory: dict[str, list[dict[str, Any]]] | None = None) -> Timings:
    peaks = {"a": [{"load": 5e6, "run": 9e6}] * 3, "b": [{"load": 4e6, "run": r} for r in (3e6, 5e6, 4.5e6)]}
    return Timings(processes, peaks if memory is None else memory)


def figures(found: Timings, threads: int = 1) -> dict[tuple[str, str], Measurement]:
    listed = list(sitting.measurements(found, "int8", "local", threads))
    assert len({(m.measurand.name, m.variant) for m in listed}) == len(listed)
    assert all(m.device == "local" for m in listed)
    return {(m.measurand.name, m.variant): m for m in listed}


THREE = taken(process(300, seed=1), process(300, seed=2), process(300, seed=3))


def test_figures_of_known_samples() -> None:
    found = figures(THREE)
    for metric in ("latency_p50", "cpu_time_p50"):
        own, base, ratio = found[metric, "int8"], found[metric, "baseline"], found[f"{metric}_ratio", "int8"]
        assert own.value == pytest.approx(50e-6, rel=0.002)
        assert base.value == pytest.approx(100e-6, rel=0.002)
        assert ratio.value == pytest.approx(0.5, rel=0.002)
        for m in (own, base, ratio):
            assert m.interval is not None
            assert m.value is not None
            assert m.interval[0] <= m.value <= m.interval[1]
            assert m.noise_floor == pytest.approx(noise_floor(THREE, "wall" if "latency" in metric else "cpu"))
    p99 = found["latency_p99", "int8"]
    assert p99.value == pytest.approx(50e-6 * math.exp(2.326 * 0.01), rel=0.005)
    assert (p99.samples, found["latency_p99_ratio", "int8"].samples) == (2700, 900), "runs, and pairs of blocks"


def test_throughput_and_memory() -> None:
    found = figures(THREE)
    assert (found["throughput", "int8"].value, found["throughput", "baseline"].value) == (20_000, 10_000)
    # the larger of load and run in each repeat: 4, 5 and 4.5 MB
    assert (found["peak_memory", "int8"].value, found["peak_memory", "int8"].interval) == (4.5e6, (4e6, 5e6))
    assert found["peak_memory", "baseline"].value == 9e6
    ratio = found["peak_memory_ratio", "int8"]
    assert (ratio.value, ratio.interval) == (0.5, (4e6 / 9e6, 5e6 / 9e6))
    assert found["energy", "int8"].status == "unavailable"


def test_a_process_that_differs_widens_the_interval() -> None:
    """Pooled, its pairs would hide among the others' that memory layout may sway all of a process's pairs alike."""
    odd = taken(process(300, seed=1), process(300, seed=2), process(30, b=60 * US, seed=3))
    ratio, (low, high) = median_ratio(odd)
    assert ratio == pytest.approx(0.5, rel=0.005)
    assert low < 0.501
    assert high == pytest.approx(0.6, rel=0.01)


def test_the_noise_floor_is_the_worst_process_of_identical_models() -> None:
    assert noise_floor(THREE) < 0.005
    biased = taken(process(300, seed=1), process(300, control=93 * US, seed=2), process(300, seed=3))
    assert noise_floor(biased) == pytest.approx(100 / 93 - 1, rel=0.05), "in either direction"


def test_what_few_pairs_sway_is_no_noise_floor() -> None:
    """The interval tells it already. Here the control's median is 3 % off by chance, its standard error 5 % or so."""
    swayed, surely = process(25, seed=6), process(25, seed=6)
    ratios = np.random.default_rng(0).normal(0, 0.2, (25, 1))
    ratios -= np.median(ratios)
    swayed.samples["wall_control"] = swayed.samples["wall_a"] * np.exp(0.03 + ratios)
    assert noise_floor(taken(swayed)) == 0
    surely.samples["wall_control"] = surely.samples["wall_a"] * np.exp(0.03 + ratios / 40)
    # of a normal distribution, the median's standard error is sqrt(pi / 2) of the mean's
    less = math.sqrt(math.pi / 2) * 0.2 / 40 / math.sqrt(25)
    assert math.log1p(noise_floor(taken(surely))) == pytest.approx(0.03 - less, abs=less / 2)


def test_a_tails_noise_floor_is_at_least_its_own() -> None:
    jumpy = process(900, seed=4)
    jumpy.samples["wall_control"][:30] *= 2
    assert noise_floor(taken(jumpy)) < 0.005
    assert noise_floor(taken(jumpy), quantile=0.99) > 0.5
    assert figures(taken(jumpy))["latency_p99_ratio", "int8"].noise_floor == noise_floor(taken(jumpy), quantile=0.99)


@pytest.mark.parametrize(
    ("rounds", "there"),
    [
        (31, set()),
        (32, {"p50"}),
        (63, {"p50"}),
        (64, {"p50", "p90"}),
        (661, {"p50", "p90"}),
        (662, {"p50", "p90", "p99"}),
    ],
)
def test_a_percentile_needs_its_samples(rounds: int, there: set[str]) -> None:
    found = figures(taken(process(rounds, kept=1)))
    for percentile, needed in (("p50", 32), ("p90", 64), ("p99", 662)):
        for name in (f"latency_{percentile}", f"latency_{percentile}_ratio"):
            m = found[name, "int8"]
            assert (m.status == "measured") == (percentile in there)
            if percentile not in there:
                assert m.reason == f"{percentile} needs {needed} samples, and there was time for {rounds}"
                assert m.samples == rounds, "so that it can be told how much longer it takes"


def test_cpu_time_needs_a_single_thread() -> None:
    found = figures(THREE, threads=4)
    assert found["cpu_time_p50", "int8"].status == "unavailable"
    assert "misses the other 3 threads" in str(found["cpu_time_p50", "int8"].reason)
    assert found["cpu_time_p50", "int8"].samples is None, "more time would not help"
    assert found["latency_p50", "int8"].status == "measured"


def test_calls_timed_together_have_no_tail() -> None:
    found = figures(taken(process(900, inner=5)))
    assert found["latency_p50", "int8"].status == "measured"
    assert "5 were timed together, which hides the tail" in str(found["latency_p99", "int8"].reason)


@pytest.mark.parametrize("arm", ["a", "b", "control"])
def test_a_coarse_clock_is_told(arm: str) -> None:
    """Some systems count a thread's time in ticks of 10 ms."""
    coarse = process(100)
    coarse.samples[f"cpu_{arm}"][:60] = 0
    found = figures(taken(coarse))
    assert "the clock is too coarse" in str(found["cpu_time_p50", "int8"].reason)
    assert found["latency_p50", "int8"].status == "measured"


def test_a_fixed_batch_has_no_throughput() -> None:
    alone = process(100)
    del alone.samples["batch_a"], alone.samples["batch_b"]
    assert "one fixed batch" in str(figures(taken(alone))["throughput", "int8"].reason)


def test_one_process_knows_its_throughput_no_better_than_its_turns_do() -> None:
    """Of ten batches the median lies between the second and the ninth, with 98 %; a process that differs widens it."""
    alone = process(100)
    for arm, ms in (("a", 3.2), ("b", 1.6)):
        alone.samples[f"batch_{arm}"] = ms * 1e6 * np.linspace(0.91, 1.09, 10)
    own = figures(taken(alone))["throughput", "int8"]
    assert own.value == pytest.approx(20_000, rel=0.001)
    assert own.interval == pytest.approx((32 / (1.6e-3 * 1.07), 32 / (1.6e-3 * 0.93)))
    other = process(100)
    other.samples.update({name: values * 1.5 for name, values in alone.samples.items() if name.startswith("batch")})
    low, high = figures(taken(alone, other))["throughput", "int8"].interval or (0.0, 0.0)
    assert low <= 20_000 / 1.5 * 1.001
    assert high >= 20_000 * 0.999


def test_batches_that_no_clock_sees_have_no_throughput() -> None:
    still = process(100)
    still.samples["batch_b"] = np.zeros(5)
    assert "some batches took no measurable time" in str(figures(taken(still))["throughput", "int8"].reason)


def test_batches_that_take_too_long_are_told() -> None:
    short, long = process(100), process(100, batch=None, no_batches="a batch of 32 takes about 3.2 s, too long")
    del long.samples["batch_a"], long.samples["batch_b"]
    assert figures(taken(long, long))["throughput", "int8"].reason == "a batch of 32 takes about 3.2 s, too long"
    assert figures(taken(long, short))["throughput", "int8"].value == 20_000, "one process had the time"


@pytest.mark.parametrize(
    ("facts", "metric", "reason"),
    [
        ({"unavailable": "/proc/self/status cannot be read (peak memory needs Linux)"}, "peak_memory", "needs Linux"),
        ({"load": 0, "run": 0}, "peak_memory_ratio", "not above the import"),
    ],
)
def test_memory_that_cannot_be_had_is_told(facts: dict[str, Any], metric: str, reason: str) -> None:
    found = figures(taken(process(100), memory={"a": [facts], "b": [{"load": 1e6, "run": 1e6}]}))
    assert found[metric, "int8"].status == "unavailable"
    assert reason in str(found[metric, "int8"].reason)


def test_times_and_their_ratio_are_one_truth() -> None:
    """The machine is three times as fast in the second process, which has other shares of both models' good blocks."""
    fast, slow = process(40, a=100 * US, b=70 * US, seed=1), process(60, a=300 * US, b=270 * US, seed=2)
    found = figures(taken(slow, fast))
    for clock in ("latency", "cpu_time"):
        for percentile in ("p50", "p90"):
            own, base, ratio = (
                found[f"{clock}_{percentile}{tail}", of].value
                for tail, of in (("", "int8"), ("", "baseline"), ("_ratio", "int8"))
            )
            assert own / base == pytest.approx(ratio), (clock, percentile)


def test_the_value_of_a_block_is_the_median_of_its_runs() -> None:
    """Two of its five runs were disturbed: they belong to the tail, and not to the median."""
    steady = process(200, kept=5)
    for arm, ns in (("a", 100 * US), ("b", 50 * US), ("control", 100 * US)):
        steady.samples[f"wall_{arm}"] = np.tile([ns, ns, 3 * ns, ns, 4 * ns], (200, 1))
    found = figures(taken(steady))
    assert found["latency_p50", "int8"].value == pytest.approx(50e-6)
    assert found["latency_p90", "int8"].value == pytest.approx(200e-6)
    assert found["latency_p50", "int8"].samples == 1000


def test_how_the_arms_lived_is_told() -> None:
    methods = {m.method for m in figures(THREE).values() if m.metric == "latency_p50"}
    assert all("3 processes, in one process" in method for method in methods)
    apart = figures(taken(process(300), process(300, apart=True)))["latency_p50_ratio", "int8"]
    assert "2 processes, a process an arm, in turns of blocks" in apart.method


# Empty caches


def test_latency_with_empty_caches_is_a_figure_where_it_was_asked_for() -> None:
    assert not any(metric.startswith("latency_cold") for metric, _ in figures(THREE))
    cold = process(300)
    rng = np.random.default_rng(5)
    cold.samples.update({f"cold_{arm}": ns * US * rng.lognormal(0, 0.01, 40) for arm, ns in COLD.items()})
    found = figures(taken(cold))
    assert found["latency_cold_p50", "int8"].value == pytest.approx(200e-6, rel=0.01)
    ratio = found["latency_cold_p50_ratio", "int8"]
    assert ratio.value == pytest.approx(0.8, rel=0.01)
    assert ratio.samples == 40
    assert "single runs with empty caches" in ratio.method
    assert found["latency_p50_ratio", "int8"].value == pytest.approx(0.5, rel=0.01)


COLD = {"a": 250, "b": 200, "control": 250}


def test_empty_caches_that_could_not_be_had_are_told() -> None:
    unknown = figures(taken(process(300, no_cold="the caches' size is not told")))
    assert unknown["latency_cold_p50", "int8"].reason == "the caches' size is not told"
    short = process(300)
    short.samples.update({f"cold_{arm}": np.full(31, ns * US) for arm, ns in COLD.items()})
    assert (
        figures(taken(short))["latency_cold_p50_ratio", "int8"].reason
        == "p50 needs 32 samples, and there was time for 31"
    )


# When it is decided


@pytest.mark.parametrize(
    ("b", "control", "limit", "done"),
    [
        (50, 100, 0.7, True),
        (90, 100, 0.7, True),
        (70, 100, 0.7, False),
        # clear of the interval, not of what identical models differ by
        (68, 108, 0.7, False),
        (60, 108, 0.7, True),
    ],
)
def test_settled_means_clear_of_interval_and_noise_floor(b: float, control: float, limit: float, done: bool) -> None:
    found = taken(*(process(300, b=b * US, control=control * US, seed=seed) for seed in range(3)))
    assert settled(found, (limit,)) is done
    assert settled(found, (limit, 0.7)) == (done and settled(found, (0.7,)))
    assert settled(found, ()) is True


# Replays


def test_every_figure_replays_from_the_file(tmp_path: Path) -> None:
    timings.write(tmp_path / "local.npz", THREE)
    again = timings.read(tmp_path / "local.npz")
    assert list(sitting.measurements(again, "int8", "local", 1)) == list(
        sitting.measurements(THREE, "int8", "local", 1)
    )
    assert again.conditions == THREE.conditions
    assert again.identity == THREE.identity == {"cpu": "a fast one"}
    assert (again.rounds, again.seconds) == (900, pytest.approx(0.27))


def test_more_than_ten_processes_keep_their_samples_apart(tmp_path: Path) -> None:
    many = taken(*(process(40 + seed, seed=seed) for seed in range(12)))
    timings.write(tmp_path / "local.npz", many)
    again = timings.read(tmp_path / "local.npz")
    assert [len(values) for values in again.turns("wall_a")] == list(range(40, 52))
    for one, other in zip(many.processes, again.processes, strict=True):
        np.testing.assert_array_equal(one.samples["cpu_b"], other.samples["cpu_b"])


def test_what_was_answered_is_kept_beside_the_times(tmp_path: Path) -> None:
    answered = {"0:0": np.arange(3.0), "0:1": np.array([True]), "10:0": np.zeros((2, 0), np.int64)}
    timings.write(tmp_path / "local.npz", replace(taken(process(3)), outputs=answered))
    again = timings.read(tmp_path / "local.npz")
    assert again.outputs.keys() == answered.keys()
    assert len(again.turns("wall_a")[0]) == 3
    for name, values in answered.items():
        np.testing.assert_array_equal(again.outputs[name], values, strict=True)


def test_what_was_never_run_has_a_file_too(tmp_path: Path) -> None:
    timings.write(tmp_path / "local.npz", Timings((), {}))
    again = timings.read(tmp_path / "local.npz")
    assert (again.processes, again.rounds, again.seconds, again.runs("wall_a")) == ((), 0, 0, [])


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "local.npz"
    with pytest.raises(UsageError, match=r"local\.npz: no such timings yet"):
        timings.read(path)
    timings.write(path, THREE)
    whole = path.read_bytes()
    for content in (b"", whole[:-30], whole[: len(whole) // 2], b"hello"):
        path.write_bytes(content)
        with pytest.raises(UsageError, match=r"local\.npz: cannot be read"):
            timings.read(path)
    np.savez(path, about=np.array(json.dumps({"processes": []})))
    with pytest.raises(UsageError, match="cannot be read"):
        timings.read(path)


def test_figures_do_not_depend_on_the_order_of_processes() -> None:
    turned = replace(THREE, processes=THREE.processes[::-1])
    one, other = (
        {(m.measurand.name, m.variant): (m.value, m.interval) for m in latency.measure(found, "int8", "local", 1)}
        for found in (THREE, turned)
    )
    assert one.keys() == other.keys()
    for key, (value, interval) in one.items():
        assert other[key][0] == pytest.approx(value), key
        assert other[key][1] == pytest.approx(interval), key


def test_memory_takes_the_middle_of_the_repeats() -> None:
    peaks = {"a": [{"load": 1e6, "run": r} for r in (1e6, 9e6, 2e6)], "b": [{"load": 0, "run": 3e6}] * 3}
    by_name = {(m.measurand.name, m.variant): m for m in memory.measure(taken(memory=peaks), "v", "local")}
    assert by_name["peak_memory", "baseline"].value == 2e6
    assert by_name["peak_memory_ratio", "v"].value == 1.5


def test_further_repeats_of_memory_would_move_no_figure_once_enough_agree() -> None:
    """Whatever they told: the figure of all stays among those that were made, even were the others the least and the
    most that can be."""

    def told(*peaks: float) -> list[dict[str, Any]]:
        return [{"load": peak, "run": 0.0, "device": {"bytes": 2 * peak}} for peak in peaks]

    counts = {}
    for most in range(1, 8):
        made = [100e6 + 10e3 * number for number in range(most)]
        counts[most] = next(count for count in range(most + 1) if memory.enough(told(*made[:count]), most))
        known = made[: counts[most]]
        for rest in itertools.product((1.0, 1e12), repeat=most - len(known)):
            repeats = told(*known, *rest)
            found = memory.measure(taken(memory={"a": told(1e6), "b": repeats}), "v", "local")
            (peak,) = (m.value for m in found if m.variant == "v" and m.metric == "peak_memory" and not m.comparison)
            assert peak is not None
            assert known[0] <= peak <= known[-1], (most, rest)
    assert counts == {1: 1, 2: 2, 3: 2, 4: 3, 5: 3, 6: 4, 7: 4}
    assert memory.enough([], 0)


@pytest.mark.parametrize(
    ("other", "agrees"),
    [
        ({"load": 99.5e6, "run": 1e6}, True),
        ({"load": 98.5e6, "run": 1e6}, False),
        ({"load": 98.5e6, "run": 100e6}, True),  # the larger of the two phases is the figure
        ({"load": 100e6, "run": 1e6, "device": {"bytes": 5e8}}, True),
        ({"load": 100e6, "run": 1e6, "device": {"bytes": 4e8}}, False),
        ({"load": 100e6, "run": 1e6, "device": {"unavailable": "no bindings"}}, True),
    ],
    ids=["pages", "more", "other phase", "gpu", "gpu more", "gpu not told"],
)
def test_repeats_of_memory_agree_within_a_hundredth(other: dict[str, Any], agrees: bool) -> None:
    first = {"load": 100e6, "run": 1e6, **({"device": {"bytes": 5.02e8}} if "device" in other else {})}
    assert memory.enough([first, other], 3) is agrees


def test_memory_by_phase_says_how_each_was_measured() -> None:
    told = {"load": 1e6, "first": 3e6, "steady": 2e6, "run": 3e6, "anonymous": 2e6, "mapped": 5e5}
    figures = memory.measure(taken(memory={"a": [told] * 2, "b": [told] * 2}), "v", "local")
    methods = {m.metric: m.method for m in figures if m.variant == "v" and m.comparison is None}
    own = {metric: method.partition(", ")[0] for metric, method in methods.items()}
    assert own.pop("memory_anonymous") == "RssAnon after the runs over that after the runtime's import"
    assert own.pop("memory_mapped") == "Rss of the mappings of the model's own files after the runs"
    assert set(own) == {"peak_memory", "memory_load", "memory_first_run", "memory_steady"}
    assert set(own.values()) == {"VmHWM of load and run over the runtime's import"}
    assert all(method.endswith(", fresh processes, range of 2 repeats") for method in methods.values())


def test_memory_of_a_gpu_is_told_where_one_computes() -> None:
    def peaks(*held: Any) -> list[dict[str, Any]]:
        return [{"load": 1e6, "run": 1e6, "device": each} for each in held]

    def figures(a: Any, b: Any) -> dict[tuple[str, str], Any]:
        measured = memory.measure(taken(memory={"a": a, "b": b}), "v", "gpu")
        return {(m.measurand.name, m.variant): m for m in measured if m.metric == "gpu_memory"}

    sizes = ({"bytes": 4e8}, {"bytes": 6e8}, {"bytes": 5e8})
    found = figures(peaks(*sizes), peaks(*({"bytes": each["bytes"] / 2} for each in sizes)))
    assert found["gpu_memory", "baseline"].value == 5e8
    assert found["gpu_memory_ratio", "v"].value == 0.5
    assert "NVML" in found["gpu_memory", "v"].method
    absent = figures(peaks(*sizes), peaks(*sizes[:2], {"unavailable": "no bindings"}))
    assert {each.reason for each in absent.values()} == {"no bindings"}
    assert not figures([{"load": 1e6, "run": 1e6}], [{"load": 1e6, "run": 1e6}])


def test_the_sizes_that_varied_are_told() -> None:
    sizes = [{"words": [1, 4], "sr": []}, {"words": [1, 9], "sr": []}, {"words": [1, 31], "sr": []}]
    assert taken(process(60, sizes=sizes)).fed == "`words` [1, 4] to [1, 31]"
    assert taken(process(60, sizes=sizes[:1])).fed == ""
    told = {each.method for each in figures(taken(process(60, sizes=sizes))).values() if each.metric == "latency_p50"}
    assert all("fed with `words` [1, 4] to [1, 31]" in str(method) for method in told)


def test_times_of_an_emulated_processor_are_unavailable() -> None:
    """Its memory is not."""
    emulated = taken(*(process(20, identity={"cpu": "a slow one", "emulated": True}) for _ in range(3)))
    figures = list(sitting.measurements(emulated, "int8", "board", 1))
    times = [figure for figure in figures if figure.metric.startswith(("latency", "cpu_time", "throughput"))]
    assert len(times) > 6
    assert all(figure.value is None and "emulated" in str(figure.reason) for figure in times)
    assert any(figure.metric == "peak_memory" and figure.value for figure in figures)
