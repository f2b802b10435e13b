"""Trials as tasks of a Ray cluster.

A task's worker that is lost takes no other task with it, and Ray is told not to begin the task again: what its memory
monitor ends it would begin again for ever, whatever `max_retries` says (`task_oom_retries`):
https://docs.ray.io/en/latest/ray-core/scheduling/ray-oom-prevention.html

What is written lies in the project's folder, which every node sees under the same path, as Ray's own libraries want of
their storage: https://docs.ray.io/en/latest/train/user-guides/persistent-storage.html
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from typing import Any

from makeweight import registry
from makeweight.search.executor import GOES_ON, Done, Job
from makeweight.search.work import carry_out
from makeweight_base.errors import EnvironmentFailed, UsageError, first_line

_OTHERS = "Version mismatch"
"""How it begins what Ray says of a cluster with another Python, or another Ray."""


class Cluster:
    """A cluster that is there already."""

    shares_machine = False

    def __init__(
        self,
        address: str,
        cpus: float,
        memory: float | None,
        most: int | None = None,
        work: Callable[[Job], Any] | None = None,
    ) -> None:
        """Args:
            address: as Ray takes it; `auto`: the one that runs here.
            cpus, memory: what a task takes; memory in bytes.
            most: tasks at once; None: as many as there is room for.
            work: what is done with a job; None: a trial's.

        Raises:
            MissingExtra: Ray is not installed.
            EnvironmentFailed: no cluster answers there, or one of another Ray or Python.
            UsageError: no node has as much as a task takes: Ray would wait for one without a word.
        """
        registry.require_extra("`--ray`", "ray")
        import ray

        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        # a process of the project's own Python must not be wrapped in another tool's environment
        os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
        try:
            ray.init(address=address, log_to_driver=False, logging_level="ERROR", namespace="makeweight")
        except (ConnectionError, ValueError, RuntimeError, OSError) as error:
            if _OTHERS in str(error):
                told = " ".join(str(error).split())
                raise EnvironmentFailed(
                    f"the Ray cluster at `{address}` has other versions than there are here: {told}",
                    do="Start it with the Python and the Ray that are here, or run this with those of the cluster.",
                ) from error
            raise EnvironmentFailed(
                f"no Ray cluster answers at `{address}`: {first_line(error)}",
                do="Start one with `ray start --head`, and name it: `--ray auto`, or `--ray HOST:PORT`.",
            ) from error
        there = sum(_room(node["Resources"], cpus, memory) for node in ray.nodes() if node["Alive"])
        self.slots = int(there if most is None else min(there, most))
        if self.slots < 1:
            ray.shutdown()
            besides = "" if memory is None else f" and the {memory / 1e6:,.0f} MB of memory"
            raise UsageError(
                f"no node of the Ray cluster has the {cpus:g} processors{besides} that a trial takes",
                where="makeweight.yaml: search",
                do="Ask for fewer, or add a node.",
            )
        asked: dict[str, Any] = {"num_cpus": cpus, "max_retries": 0}
        if memory is not None:
            asked["memory"] = memory
        self._ray = ray
        self._task = ray.remote(**asked)(work or carry_out)
        self._running: dict[Any, Job] = {}

    def submit(self, job: Job) -> None:
        self._running[self._task.remote(dict(job))] = job

    def wait(self, seconds: float) -> list[Done]:
        if not self._running:
            return []
        done, _ = self._ray.wait(list(self._running), num_returns=1, timeout=seconds)
        return [self._ended(reference) for reference in done]

    def _ended(self, reference: Any) -> Done:
        job = self._running.pop(reference)
        lost = self._ray.exceptions
        try:
            return Done(job, self._ray.get(reference))
        except lost.RaySystemError as error:
            raise EnvironmentFailed(f"the Ray cluster was lost: {first_line(error)}", do=GOES_ON) from error
        except lost.RayTaskError as error:
            # whatever a recipe does is told in the result: this is a node that cannot so much as begin
            raise EnvironmentFailed(
                f"a node of the Ray cluster cannot carry trials out: {type(error.cause).__name__}: "
                f"{first_line(error.cause)}",
                do=f"Have the makeweight that is here on every node. {GOES_ON}",
            ) from error
        except lost.RayError as error:
            return Done(job, None, f"its worker was lost: {first_line(error)}")

    def close(self) -> None:
        for reference in self._running:
            with contextlib.suppress(Exception):  # it may have ended, or the cluster with it
                self._ray.cancel(reference, force=True)
        self._running.clear()
        self._ray.shutdown()


def _room(resources: Mapping[str, float], cpus: float, memory: float | None) -> float:
    """How many trials a node takes at once."""
    by_processors = resources.get("CPU", 0) // cpus
    return by_processors if memory is None else min(by_processors, resources.get("memory", 0) // memory)
