"""A benchmark as a whole: how many processes, how much time each, and when it is enough."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from makeweight.devices.benchmark import MOST_PROCESSES, THROUGHPUT_BATCH, Aim, Pair, carry_out
from makeweight.devices.device import DeviceOptions, Facts
from makeweight.measure import memory
from makeweight.measure.statistics import SAMPLES_NEEDED
from makeweight_base.progress import Silent
from makeweight_probe.job import Job, MemoryJob, Model, PairsJob, Result

A, B = Model("onnxruntime", "a.onnx"), Model("onnxruntime", "b.onnx")
AROUND = np.exp(np.linspace(-0.01, 0.01, 201))


class Bench:
    """A device that remembers its jobs. `ratio` is what each process finds; `share` how much of its time it takes."""

    def __init__(self, ratio: float | Callable[[int], float] = 0.5, share: float = 1.0) -> None:
        self.jobs: list[Job] = []
        self._ratio = ratio if callable(ratio) else lambda _: ratio
        self._share = share

    def facts(self) -> Facts:
        return Facts({"cpu": "x"}, {"load": float(len(self.jobs))})

    def run(self, job: Job, tell: Callable[[str], None]) -> Result:
        self.jobs.append(job)
        if isinstance(job, MemoryJob):
            return Result({}, {"load": 1.0, "run": 2.0, "path": job.model.path})
        same = np.full(201, 1e5)
        samples = {"wall_a": same, "wall_b": same * self._ratio(len(self.pairs) - 1) * AROUND, "wall_control": same}
        return Result(samples, {"rounds": 201, "inner": 1, "seconds": job.seconds * self._share})

    @property
    def pairs(self) -> list[PairsJob]:
        return [job for job in self.jobs if isinstance(job, PairsJob)]


def measure(bench: Bench, *, free: bool = True, aim: Aim | None = None, **options: Any) -> Any:
    given = DeviceOptions(**{"seconds": 12.0, "processes": 3, **options})
    pair = Pair(A, B, "inputs.npz", free)
    return carry_out(bench, given, pair, aim or Aim((0.7,), memory=False), seed=7, progress=Silent())  # type: ignore[arg-type]


def test_processes_share_the_time_evenly() -> None:
    bench = Bench()
    taken = measure(bench, threads=2)
    assert [job.seconds for job in bench.pairs] == [4.0, 4.0, 4.0]
    assert {(job.a, job.b, job.inputs, job.threads, job.limits) for job in bench.pairs} == {
        (A, B, "inputs.npz", 2, (0.7,))
    }
    assert len({job.seed for job in bench.pairs}) == 3, "each draws its own order"
    assert taken.conditions == {"before": {"load": 0.0}, "after": {"load": 3.0}}


def test_what_one_process_leaves_the_others_may_use() -> None:
    bench = Bench(share=0.5)
    measure(bench)
    assert [job.seconds for job in bench.pairs] == [4.0, 5.0, 7.5]


def test_it_is_enough_when_all_processes_agree() -> None:
    bench = Bench(ratio=0.5, share=0.01)
    measure(bench)
    assert len(bench.pairs) == 3


def test_an_open_question_gets_more_processes_while_there_is_time() -> None:
    bench = Bench(ratio=0.7, share=0.1)
    measure(bench)
    assert len(bench.pairs) == MOST_PROCESSES
    assert sum(job.seconds * 0.1 for job in bench.pairs) < 12.0


def test_no_process_is_started_for_the_last_moments() -> None:
    """One with hardly a pair would say little, and widen the interval and the noise floor of all others."""
    bench = Bench(ratio=0.7, share=0.99)
    measure(bench)
    assert len(bench.pairs) == 3
    assert min(job.seconds for job in bench.pairs) > 12.0 / MOST_PROCESSES


def test_processes_that_disagree_leave_it_open() -> None:
    bench = Bench(ratio=lambda index: 0.9 if index == 1 else 0.5, share=0.1)
    measure(bench)
    assert len(bench.pairs) == MOST_PROCESSES


def test_time_is_never_spent_twice() -> None:
    bench = Bench(ratio=0.7, share=0.4)
    measure(bench)
    assert sum(job.seconds * 0.4 for job in bench.pairs) <= 12.0


@pytest.mark.parametrize(("percentile", "processes"), [("p50", 3), ("p90", 3), ("p99", 3), ("p99", 5)])
def test_the_samples_of_a_tail_are_shared_among_the_processes(percentile: str, processes: int) -> None:
    bench = Bench()
    measure(bench, aim=Aim((), percentile, 1.5, memory=False), processes=processes)
    assert {job.target_rounds for job in bench.pairs} == {-(-SAMPLES_NEEDED[percentile] // processes)}
    assert {job.target_seconds for job in bench.pairs} == {1.5}
    assert sum(job.target_rounds for job in bench.pairs) >= SAMPLES_NEEDED[percentile]


@pytest.mark.parametrize(("free", "batch"), [(True, THROUGHPUT_BATCH), (False, None)])
def test_batches_only_where_the_models_take_any(free: bool, batch: int | None) -> None:
    bench = Bench()
    measure(bench, free=free)
    assert {job.batch for job in bench.pairs} == {batch}


def test_memory_is_measured_last_in_processes_of_its_own() -> None:
    bench = Bench()
    taken = measure(bench, aim=Aim((0.7,)))
    kinds = [type(job) for job in bench.jobs]
    assert kinds == [PairsJob] * 3 + [MemoryJob] * 2 * memory.REPEATS
    assert {facts["path"] for facts in taken.memory["a"]} == {"a.onnx"}
    assert {facts["path"] for facts in taken.memory["b"]} == {"b.onnx"}
    assert len(taken.memory["a"]) == len(taken.memory["b"]) == memory.REPEATS
