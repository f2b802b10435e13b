"""A benchmark as a whole: how many processes, how much time each, and when it is enough."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from makeweight.bench import probe
from makeweight.bench.aim import Aim, from_rules
from makeweight.bench.grid import ROUNDS, Grid
from makeweight.bench.sitting import (
    COOLING,
    MOST_PROCESSES,
    MOST_REPEATS,
    THROUGHPUT_BATCH,
    Pair,
    carry_out,
    measurements,
)
from makeweight.budget.rule import Budget, Rule, rules_of
from makeweight.devices.device import DeviceOptions, Ended, GivenUp
from makeweight.measure import memory, operators, throughput
from makeweight.measure.timings import EMULATED
from makeweight_base.progress import Silent
from makeweight_probe.job import (
    BlocksJob,
    Cold,
    EnergyJob,
    Job,
    MatrixJob,
    MemoryJob,
    Model,
    ProfileJob,
    Result,
    Setting,
    StartsJob,
)

A, B = Model("onnxruntime", "a.onnx", 1), Model("onnxruntime", "b.onnx", 1)
AROUND = np.exp(np.linspace(-0.01, 0.01, 201))[:, None]


class Bench:
    """In place of a device, what runs the jobs on it. `ratio` is what each process finds; `share` how much of its time
    it takes."""

    name, python = "bench", ("python3",)

    def __init__(self, ratio: float | Callable[[int], float] = 0.5, share: float = 1.0) -> None:
        self.jobs: list[Job] = []
        self.settings: list[Setting] = []
        self._ratio = ratio if callable(ratio) else lambda _: ratio
        self._share = share

    def asked(self, job: Job, tell: Callable[[str], None], setting: Setting) -> Result:
        self.settings.append(setting)
        return self.run(self, job, tell)

    def run(self, device: object, job: Job, tell: Callable[[str], None]) -> Result:
        self.jobs.append(job)
        if isinstance(job, MemoryJob):
            return Result({}, {"load": 1.0, "run": 2.0, "path": job.model.path})
        if isinstance(job, EnergyJob):
            return Result({}, {"unavailable": "no meter"})
        if isinstance(job, ProfileJob):
            if any(model.runtime == "crashing" for model, _ in job.models):
                raise probe.JobFailed(self, Ended(-11, "gone"))  # type: ignore[arg-type]
            return Result({}, {"profiles": [{"path": model.path} for model, _ in job.models]})
        if isinstance(job, MatrixJob):
            if job.a.threads == 64:
                raise probe.JobFailed(self, Ended(-9, "gone"))  # type: ignore[arg-type]
            times = {
                f"batch{size}_{arm}": np.full(20, size * 1e5) for size in job.batches for arm in ("a", "b", "control")
            }
            return Result(times, {"lacking": {}, "seconds": job.seconds * self._share, "apart": job.apart})
        assert isinstance(job, BlocksJob)
        same = np.full((201, 5), 1e5)
        other = same * self._ratio(len(self.blocks) - 1) * AROUND
        samples = {"wall_a": same, "wall_b": other, "wall_control": same}
        if job.cold is not None:
            samples |= {"cold_a": same[:, 0], "cold_b": other[:, 0], "cold_control": same[:, 0]}
        count = len(self.blocks)
        state = {"before": {"load": float(2 * count - 1)}, "after": {"load": float(2 * count)}, "apart": job.apart}
        warming = [3, 10 + count] if job.warming is None else list(job.warming)
        facts = {"rounds": 201, "inner": 1, "seconds": job.seconds * self._share, "warming": warming, **state}
        return Result(samples, facts, {"0:0": np.array([count])} if job.outputs else {})

    @property
    def blocks(self) -> list[BlocksJob]:
        return [job for job in self.jobs if isinstance(job, BlocksJob)]


@pytest.fixture(autouse=True)
def bench_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "run", lambda device, job, tell, setting: device.asked(job, tell, setting))


def measure(bench: Bench, *, free: bool = True, aim: Aim | None = None, **options: Any) -> Any:
    given = DeviceOptions(**{"seconds": 12.0, "processes": 3, **options})
    threads = given.threads
    pair = Pair(replace(A, threads=threads), replace(B, threads=threads), "inputs.npz", free)
    return carry_out(bench, given, pair, aim or Aim((0.7,), memory=False), seed=7, progress=Silent())  # type: ignore[arg-type]


def test_processes_share_the_time_evenly() -> None:
    bench = Bench()
    taken = measure(bench, threads=2)
    assert [job.seconds for job in bench.blocks] == [4.0, 4.0, 4.0]
    assert {(job.a, job.b, job.inputs, job.limits) for job in bench.blocks} == {
        (replace(A, threads=2), replace(B, threads=2), "inputs.npz", (0.7,))
    }
    assert len({job.seed for job in bench.blocks}) == 3, "each draws its own order"
    assert taken.conditions == {"before": {"load": 1.0}, "after": {"load": 6.0}}


def test_what_one_process_leaves_the_others_may_use() -> None:
    bench = Bench(share=0.5)
    measure(bench)
    assert [job.seconds for job in bench.blocks] == [4.0, 5.0, 7.5]


def test_it_is_enough_when_all_processes_agree() -> None:
    bench = Bench(ratio=0.5, share=0.01)
    measure(bench)
    assert len(bench.blocks) == 3


def test_an_open_question_gets_more_processes_while_there_is_time() -> None:
    bench = Bench(ratio=0.7, share=0.1)
    measure(bench)
    assert len(bench.blocks) == MOST_PROCESSES
    assert sum(job.seconds * 0.1 for job in bench.blocks) < 12.0


def test_no_process_is_started_for_the_last_moments() -> None:
    """One with hardly a pair would say little, and widen the interval and the noise floor of all others."""
    bench = Bench(ratio=0.7, share=0.99)
    measure(bench)
    assert len(bench.blocks) == 3
    assert min(job.seconds for job in bench.blocks) > 12.0 / MOST_PROCESSES


def test_processes_that_disagree_leave_it_open() -> None:
    bench = Bench(ratio=lambda index: 0.9 if index == 1 else 0.5, share=0.1)
    measure(bench)
    assert len(bench.blocks) == MOST_PROCESSES


def test_time_is_never_spent_twice() -> None:
    bench = Bench(ratio=0.7, share=0.4)
    measure(bench)
    assert sum(job.seconds * 0.4 for job in bench.blocks) <= 12.0


@pytest.mark.parametrize(
    ("quantile", "processes", "runs"), [(0.5, 3, 11), (0.9, 3, 22), (0.99, 3, 221), (0.99, 5, 133)]
)
def test_the_samples_of_a_tail_are_shared_among_the_processes(quantile: float, processes: int, runs: int) -> None:
    """32 of the median, 64 of the 90th and 662 of the 99th percentile, or a few more."""
    bench = Bench()
    measure(bench, aim=Aim((), quantile, 1.5, memory=False), processes=processes)
    assert {job.target_runs for job in bench.blocks} == {runs}
    assert {job.target_seconds for job in bench.blocks} == {1.5}


def test_more_time_is_spent_in_full_where_no_test_decides_on_the_way() -> None:
    """As a report advises where an interval holds the limit: one that stops as soon is as wide again."""
    of_times = {"max": "5 ms", "max_ratio": 0.9, "max_regression": "5 %"}
    asked = {"latency_p50": of_times, "latency_p99": of_times, "cpu_time_p50": {"max_ratio": 0.9}}
    others = {"size": {"max": "1 MB"}, "peak_memory": {"max": "9 MB"}, "cold_start": {"max": "1 s"}}
    rules = rules_of(Budget.model_validate({**asked, **others}))

    def at_length(*rules: Rule, more: bool = True) -> bool:
        def ratio(rule: Rule) -> float | None:
            return rule.limit if rule.operator.comparison == "ratio" else None

        return from_rules(rules, ratio, memory=False, at_length=more).at_length

    opened = {"latency_p50.max", "latency_p99.max", "latency_p99.max_ratio", "cpu_time_p50.max_ratio"}
    assert {rule.id for rule in rules if at_length(rule)} == opened
    assert not at_length(*rules, more=False)
    bench = Bench()
    measure(bench, aim=Aim((), 0.99, 1.5, memory=False, at_length=True))
    assert [job.target_seconds for job in bench.blocks] == [job.seconds for job in bench.blocks] == [4.0] * 3
    assert min(job.target_runs for job in bench.blocks) > 10**8


@pytest.mark.parametrize(("free", "batch"), [(True, THROUGHPUT_BATCH), (False, None)])
def test_batches_only_where_the_models_take_any(free: bool, batch: int | None) -> None:
    bench = Bench()
    measure(bench, free=free)
    assert {job.batch for job in bench.blocks} == {batch}


@pytest.mark.parametrize(("processes", "repeats"), [(1, 1), (2, 2), (3, 2), (5, 3)])
def test_memory_is_measured_last_in_processes_of_its_own_as_long_as_they_may_move_it(
    processes: int, repeats: int
) -> None:
    bench = Bench()
    taken = measure(bench, aim=Aim((0.7,)), processes=processes)
    kinds = [type(job) for job in bench.jobs]
    assert kinds == [BlocksJob] * processes + [MemoryJob] * 2 * repeats
    assert {facts["path"] for facts in taken.memory["a"]} == {"a.onnx"}
    assert {facts["path"] for facts in taken.memory["b"]} == {"b.onnx"}
    assert len(taken.memory["a"]) == len(taken.memory["b"]) == repeats


class Swaying(Bench):
    """Of `b`, one process tells of more memory than the others."""

    def run(self, device: object, job: Job, tell: Callable[[str], None]) -> Result:
        result = super().run(device, job, tell)
        if isinstance(job, MemoryJob) and job.model.path == "b.onnx" and self.jobs.count(job) == 2:
            result.facts["run"] *= 1.1
        return result


def test_a_model_whose_memory_sways_is_measured_as_often_as_there_are_processes() -> None:
    taken = measure(Swaying(), aim=Aim((0.7,)), processes=3)
    assert [facts["run"] for facts in taken.memory["b"]] == [2.0, 2.2, 2.0]
    assert len(taken.memory["a"]) == 2
    figures = {(m.measurand.name, m.variant): m for m in memory.measure(taken, "v", "bench")}
    counts = {of: figures[of].samples for of in figures if "peak_memory" in of[0]}
    assert counts == {("peak_memory", "v"): 3, ("peak_memory", "baseline"): 2, ("peak_memory_ratio", "v"): 2}
    assert figures["peak_memory", "baseline"].method.endswith("range of 2 repeats")


@pytest.mark.parametrize(
    ("before", "asked"),
    [
        ([{"load": 1.0, "run": 2.0}] * 2, "bb"),
        ([{"load": 1.0, "run": 2.0}], "abb"),
        ([{"load": 1.0, "run": 2.0}, {"load": 3.0, "run": 2.0}], "abb"),
        ([{"unavailable": "no /proc"}], ""),
    ],
    ids=["enough", "too little", "unlike", "cannot be had"],
)
def test_what_was_told_of_the_baselines_memory_before_is_not_measured_again(
    before: list[dict[str, Any]], asked: str
) -> None:
    bench, pair = Bench(), Pair(A, B, "inputs.npz", free_batch=False)
    options = DeviceOptions(seconds=12.0, processes=3)
    taken = carry_out(bench, options, pair, Aim((0.7,)), 7, Silent(), memory_of_a=before)  # type: ignore[arg-type]
    assert "".join(job.model.path[0] for job in bench.jobs if isinstance(job, MemoryJob)) == asked
    assert taken.memory["a"][: len(before)] == before
    without = carry_out(bench, options, pair, Aim((), memory=False), 7, Silent(), memory_of_a=before)  # type: ignore[arg-type]
    assert without.memory == {"a": [], "b": []}


def test_the_first_process_is_asked_what_the_variant_answers_and_no_other_is_begun_for_it() -> None:
    bench = Bench()
    taken = measure(bench, aim=Aim((0.7,), memory=False, answers=True))
    assert [job.outputs for job in bench.blocks] == [True, False, False]
    assert len(bench.jobs) == 3
    assert taken.outputs == {"0:0": np.array([1])}
    assert measure(Bench()).outputs == {}


def test_how_many_runs_warm_a_block_is_measured_once() -> None:
    bench = Bench()
    measure(bench)
    assert [job.warming for job in bench.blocks] == [None, (3, 11), (3, 11)]


def test_arms_share_a_process_where_they_can() -> None:
    for other, apart in ((B, False), (replace(B, runtime="litert"), True), (replace(B, threads=4), True)):
        bench = Bench()
        taken = carry_out(
            bench,  # type: ignore[arg-type]
            DeviceOptions(seconds=12.0),
            Pair(A, other, "inputs.npz", False),
            Aim((0.7,), memory=False),
            seed=7,
            progress=Silent(),
        )
        assert {job.apart for job in bench.blocks} == {apart}
        assert taken.where == ("a process an arm" if apart else "in one process")


def test_empty_caches_are_asked_for_where_a_rule_does_and_take_half_the_time() -> None:
    bench = Bench()
    measure(bench, aim=Aim((0.7,), memory=False, cold_limits=(0.9,)))
    assert [job.cold for job in bench.blocks] == [Cold((0.9,), 11, job.seconds) for job in bench.blocks]
    assert bench.blocks[0].seconds == 2.0
    open_there = Bench(share=0.01)
    measure(open_there, aim=Aim((0.7,), memory=False, cold_limits=(0.5,)))
    assert len(open_there.blocks) == MOST_PROCESSES


def test_energy_is_asked_for_where_a_rule_is_about_it() -> None:
    bench = Bench()
    assert measure(bench, meter="rapl").energy is None
    assert not [job for job in bench.jobs if isinstance(job, EnergyJob)]
    taken = measure(bench, meter="rapl", aim=Aim((0.7,), memory=False, energy=True))
    assert taken.energy.facts == {"unavailable": "no meter"}
    (asked,) = (job for job in bench.jobs if isinstance(job, EnergyJob))
    assert (asked.a.path, asked.b.path, asked.meter, asked.apart) == ("a.onnx", "b.onnx", "rapl", False)
    rules = rules_of(Budget.model_validate({"energy": {"max": "12 mJ"}, "size": {"max": "1 MB"}}))
    asked_for = {rule.id: from_rules([rule], lambda _: None, memory=False).energy for rule in rules}
    assert asked_for == {"size.max": False, "energy.max": True}


def test_both_models_are_profiled_in_one_process_where_they_may_share_one() -> None:
    bench = Bench()
    taken = measure(bench, aim=Aim((0.7,), memory=False, profile=True))
    (job,) = (job for job in bench.jobs if isinstance(job, ProfileJob))
    assert [model.path for model, _ in job.models] == ["a.onnx", "b.onnx"]
    assert taken.profiles == {"a": {"path": "a.onnx"}, "b": {"path": "b.onnx"}}


def test_a_profiler_that_crashes_costs_nothing_else() -> None:
    bench = Bench()
    pair = Pair(A, replace(B, runtime="crashing"), "inputs.npz", free_batch=True)
    aim = Aim((0.7,), memory=False, profile=True)
    taken = carry_out(bench, DeviceOptions(seconds=12.0), pair, aim, seed=7, progress=Silent())  # type: ignore[arg-type]
    assert len(taken.processes) == 3
    assert taken.profiles["a"] == {"path": "a.onnx"}
    assert "signal 11" in taken.profiles["b"]["unavailable"]


class Hanging(Bench):
    """What profiles, and 64 threads, never return there."""

    def run(self, device: object, job: Job, tell: Callable[[str], None]) -> Result:
        if isinstance(job, ProfileJob) or (isinstance(job, MatrixJob) and job.a.threads == 64):
            raise GivenUp("it has not ended for 1840 s", where="device `bench`")
        return super().run(device, job, tell)


def test_what_hangs_beside_the_times_costs_nothing_else() -> None:
    """A profiler, or a cell of a matrix: half an hour of measuring was thrown away with it."""
    pair = Pair(A, B, "inputs.npz", free_batch=True)
    aim = Aim((0.7,), memory=False, profile=True, matrix=Grid((1,), {}, (1, 64), 1))
    taken = carry_out(Hanging(), DeviceOptions(seconds=12.0), pair, aim, seed=7, progress=Silent())  # type: ignore[arg-type]
    assert len(taken.processes) == 3
    assert "it has not ended for 1840 s" in taken.profiles["a"]["unavailable"]
    assert ["unavailable" in each.facts for each in taken.matrix if each.facts["threads"] == 64] == [True]
    assert all("unavailable" not in each.facts for each in taken.matrix if each.facts["threads"] == 1)


class Crowded(Bench):
    """Of two processors, one of either kind, of which a tenth is another's."""

    def run(self, device: object, job: Job, tell: Callable[[str], None]) -> Result:
        result = super().run(device, job, tell)
        result.facts["before"] = {"cpus": [0, 1], "kinds": [[1], [0]], "ticks": {"at_work": 100, "stolen": 0}}
        result.facts["after"] = {"ticks": {"at_work": 190, "stolen": 10}}
        return result


def test_what_is_to_be_known_of_the_processors_is_said_once() -> None:
    """Four threads on two processors were timed without a word."""
    said: list[str] = []
    progress: Any = SimpleNamespace(say=said.append)
    pair = Pair(replace(A, threads=4), replace(B, threads=4), "inputs.npz", free_batch=True)
    carry_out(Crowded(), DeviceOptions(seconds=12.0, threads=4), pair, Aim((0.7,), memory=False), 7, progress)  # type: ignore[arg-type]
    assert len(said) == 3
    assert said[0].startswith("  4 threads shared the 2 processors that measuring may run on there")
    assert said[1].startswith("  its processors are of 2 kinds, the fastest first: 1; 0")
    assert said[2].startswith("  its host took 10% of its processors' time meanwhile")


class Hot(Bench):
    """Throttled in those of its processes, counted from 1."""

    def __init__(self, *throttled: int) -> None:
        super().__init__()
        self._throttled = throttled

    def run(self, device: object, job: Job, tell: Callable[[str], None]) -> Result:
        result = super().run(device, job, tell)
        events = int(isinstance(job, BlocksJob) and len(self.blocks) in self._throttled)
        states = {"before": {"throttling": {"events": 4}}, "after": {"throttling": {"events": 4 + events}}}
        return replace(result, facts={**result.facts, **states, "identity": {}})


def sit(bench: Bench, **options: Any) -> tuple[Any, list[float]]:
    rests: list[float] = []
    pair, given = Pair(A, B, "inputs.npz", free_batch=True), DeviceOptions(seconds=12.0, **options)
    aim = Aim((0.7,), memory=False)
    return carry_out(bench, given, pair, aim, 7, Silent(), rests.append), rests  # type: ignore[arg-type]


def test_a_process_in_which_the_device_was_throttled_is_measured_again_after_a_rest() -> None:
    bench = Hot(2)
    taken, rests = sit(bench)
    assert (len(bench.blocks), len(taken.processes), rests) == (4, 3, [COOLING])
    assert taken.slowed is None
    assert bench.blocks[2] == bench.blocks[1], "the same process once more"


def test_where_it_goes_on_nothing_is_claimed() -> None:
    """Each time and ratio is unavailable with the reason, and so every rule on one is inconclusive."""
    taken, rests = sit(Hot(*range(1, 99)))
    assert len(rests) == MOST_REPEATS
    assert taken.slowed == "the processor was throttled 1 time"
    figures = {figure.measurand.name: figure for figure in measurements(taken, "int8", "board", 1)}
    for name in ("latency_p50", "latency_p50_ratio", "cpu_time_p99", "throughput"):
        assert figures[name].status == "unavailable", name
        assert "slowed down while it was measured: the processor was throttled" in str(figures[name].reason)


class Disturbed(Bench):
    """Throttled in those of its cold starts, and of its energy, counted from 1."""

    def __init__(self, *throttled: int) -> None:
        super().__init__()
        self._throttled = throttled

    def run(self, device: object, job: Job, tell: Callable[[str], None]) -> Result:
        if not isinstance(job, StartsJob | EnergyJob):
            return super().run(device, job, tell)
        self.jobs.append(job)
        events = int(sum(type(each) is type(job) for each in self.jobs) in self._throttled)
        states = {"before": {"throttling": {"events": 4}}, "after": {"throttling": {"events": 4 + events}}}
        if isinstance(job, EnergyJob):
            samples = {"joules_a": np.full(9, 0.2), "joules_b": np.full(9, 0.1), "idle": np.full(10, 7.5)}
            return Result(samples, {"source": "RAPL package-0", **states})
        launches = np.exp(np.linspace(-0.01, 0.01, 20)) * 1e6
        samples = {"start_a": launches, "start_b": launches / 2, "start_control": launches}
        return Result(samples, {"rounds": 20, "seconds": 1.0, "inner": 1, "apart": True, "identity": {}, **states})


@pytest.mark.parametrize(
    ("throttled", "asked", "reason"),
    [((1,), 2, None), (range(1, 99), 1 + MOST_REPEATS, "the processor was throttled 1 time")],
    ids=["once", "always"],
)
def test_cold_starts_and_energy_of_a_device_that_slows_down_are_no_others_than_its_times(
    throttled: Iterable[int], asked: int, reason: str | None
) -> None:
    bench, rests = Disturbed(*throttled), list[float]()
    pair, aim = Pair(A, B, "inputs.npz", True), Aim((0.7,), memory=False, energy=True, start_limits=(1.05,))
    taken = carry_out(bench, DeviceOptions(seconds=12.0), pair, aim, 7, Silent(), rests.append)  # type: ignore[arg-type]
    for kind in (StartsJob, EnergyJob):
        assert len([job for job in bench.jobs if isinstance(job, kind)]) == asked
    assert rests == [COOLING] * 2 * (asked - 1)
    figures = {figure.measurand.name: figure for figure in measurements(taken, "int8", "board", 1)}
    for name in ("cold_start", "cold_start_ratio", "energy", "energy_ratio"):
        assert (figures[name].status == "unavailable") is (reason is not None), name
        assert reason is None or reason in str(figures[name].reason)


class Imitated(Bench):
    """Its processor is another one's work."""

    def run(self, device: object, job: Job, tell: Callable[[str], None]) -> Result:
        result = super().run(device, job, tell)
        return replace(result, facts={**result.facts, "identity": {"emulated": True}})


def test_where_no_time_counts_one_process_tells_that_and_nothing_else_is_timed() -> None:
    """Cold starts and a profile would take minutes on an emulated processor."""
    bench = Imitated()
    taken = measure(bench, aim=Aim((0.7,), energy=True, profile=True, start_limits=(1.05,)))
    assert [type(job) for job in bench.jobs] == [BlocksJob, *[MemoryJob] * 4]
    figures = {figure.measurand.name: figure for figure in measurements(taken, "int8", "board", 1)}
    for name in ("latency_p50_ratio", "throughput", "cold_start", "energy"):
        assert (figures[name].value, figures[name].reason) == (None, EMULATED), name
    told = operators.profiles(taken)
    assert told is not None
    assert {each.reason for each in told} == {EMULATED}


def test_every_job_is_carried_out_as_the_device_is_to_be_set() -> None:
    bench = Bench()
    sit(bench, cpus=[2, 3], governor="performance")
    assert set(bench.settings) == {Setting((2, 3), "performance")}


# A matrix

GRID = Grid((1, 8, 32), {32: "`int8` takes batches of 8 alone"}, (1, 2), 1)


def test_each_number_of_threads_has_processes_of_its_own_and_the_time_of_a_benchmark() -> None:
    bench = Bench(share=0.5)
    taken = measure(bench, aim=Aim((0.7,), matrix=GRID))
    jobs = [job for job in bench.jobs if isinstance(job, MatrixJob)]
    assert bench.jobs[-6:] == jobs, "last of all"
    assert [(job.a.threads, job.b.threads) for job in jobs] == [(1, 1)] * 3 + [(2, 2)] * 3
    assert [job.seconds for job in jobs] == [4.0, 5.0, 7.5] * 2
    assert {(job.batches, job.rounds, job.examples, job.apart) for job in jobs} == {((1, 8), ROUNDS, 1, False)}
    assert len({job.seed for job in jobs[:3]}) == 3
    assert [(each.facts["threads"], each.facts["batches"]) for each in taken.matrix] == [
        (threads, [1, 8, 32]) for threads in (1, 1, 1, 2, 2, 2)
    ]
    assert {each.facts["lacking"]["32"] for each in taken.matrix} == {"`int8` takes batches of 8 alone"}


def test_no_matrix_is_measured_where_none_is_asked_for() -> None:
    bench = Bench()
    assert measure(bench).matrix == ()
    assert not [job for job in bench.jobs if isinstance(job, MatrixJob)]


def test_threads_that_end_the_process_cost_nothing_else() -> None:
    bench = Bench()
    taken = measure(bench, aim=Aim((0.7,), memory=False, matrix=replace(GRID, threads=(1, 64))))
    assert len(taken.processes) == 3
    assert [each.facts["threads"] for each in taken.matrix] == [1, 1, 1, 64]
    assert "signal 9" in taken.matrix[-1].facts["unavailable"]


def test_where_no_batch_can_be_asked_for_nothing_is_begun() -> None:
    bench = Bench()
    taken = measure(bench, aim=Aim((0.7,), memory=False, matrix=Grid((8,), {8: "of 1 alone"}, (1,), 1)))
    assert not [job for job in bench.jobs if isinstance(job, MatrixJob)]
    (figure, _) = (each for each in throughput.measure(replace(taken, processes=()), "int8", "board") if each.batch)
    assert figure.reason == "of 1 alone"


def test_no_cell_is_measured_where_no_time_counts_and_each_says_why() -> None:
    bench = Imitated()
    taken = measure(bench, aim=Aim((0.7,), memory=False, matrix=GRID))
    assert [type(job) for job in bench.jobs] == [BlocksJob]
    told = {
        (figure.batch, figure.threads): figure.reason
        for figure in measurements(taken, "int8", "board", 1)
        if figure.measurand.is_cell
    }
    assert told == {(batch, threads): EMULATED for batch in (1, 8, 32) for threads in (1, 2)}
