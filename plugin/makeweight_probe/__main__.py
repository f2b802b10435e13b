"""`python -m makeweight_probe JOB.json RESULT.npz`: one job in one fresh process."""

from __future__ import annotations

import gc
import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np

from makeweight_probe import memory
from makeweight_probe.job import Job, MemoryJob, Model, PairsJob, Result, dump_result, load_job
from makeweight_probe.pairs import ARMS, Sample, measure


def main(arguments: list[str]) -> int:
    job_path, result_path = arguments
    dump_result(run(load_job(Path(job_path).read_text())), Path(result_path))
    return 0


def run(job: Job) -> Result:
    return _memory(job) if isinstance(job, MemoryJob) else _pairs(job)


def _open(model: Model, threads: int) -> Any:
    session = importlib.import_module(f"makeweight_probe.sessions.{model.runtime}")
    return session.open_session(model.path, threads)


def _pairs(job: PairsJob) -> Result:
    models = {"a": job.a, "b": job.b, "control": job.a}
    # Where a model lands in memory sways its speed: the order of loading is drawn anew in every process.
    order = np.random.default_rng(job.seed + 1).permutation(len(ARMS))
    sessions = {ARMS[index]: _open(models[ARMS[index]], job.threads) for index in order}
    samples = _samples(job.inputs)
    batch = None
    if job.batch is not None:
        batch = {
            name: np.concatenate([samples[i % len(samples)][name] for i in range(job.batch)]) for name in samples[0]
        }
    gc.disable()  # a collection in the middle of a timed call would be charged to that arm
    return measure(job, {arm: session.run for arm, session in sessions.items()}, samples, batch)


def _memory(job: MemoryJob) -> Result:
    importlib.import_module(f"makeweight_probe.sessions.{job.model.runtime}").warm_import()
    samples = _samples(job.inputs)
    try:
        imported = memory.peak_bytes()
        memory.reset_peak()
        before = memory.peak_bytes()
        session = _open(job.model, job.threads)
        load_peak = memory.peak_bytes()
        memory.reset_peak()
        for index in range(job.runs):
            session.run(samples[index % len(samples)])
        run_peak = memory.peak_bytes()
    except memory.NoHighWaterMark as error:
        return Result({}, {"unavailable": str(error)})
    return Result(
        {},
        {
            "import_peak": imported,
            "baseline": before,
            "load": load_peak - before,
            "run": run_peak - before,
        },
    )


def _samples(path: str) -> list[Sample]:
    """What each inference is fed with: arrays named `index:input`, in the shape that the model takes."""
    samples: dict[int, Sample] = {}
    with np.load(path, allow_pickle=False) as data:
        for key in data.files:
            index, _, name = key.partition(":")
            samples.setdefault(int(index), {})[name] = data[key]
    return [samples[index] for index in sorted(samples)]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
