"""Trials as tasks of a Ray cluster.

A task's worker that is lost takes no other task with it: Ray begins that one again. What is written lies in the
project's folder, which every node sees under the same path, as Ray's own libraries want of their storage:
https://docs.ray.io/en/latest/train/user-guides/persistent-storage.html
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from typing import Any

from makeweight import registry
from makeweight.search.executor import ATTEMPTS, Done, Job
from makeweight.search.work import carry_out
from makeweight_base.errors import EnvironmentFailed, UsageError, first_line


class Cluster:
    """A cluster that is there already."""

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
            EnvironmentFailed: no cluster answers there.
            UsageError: no node has as much as a task takes.
        """
        registry.require_extra("`--ray`", "ray")
        import ray

        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        # a process of the project's own Python must not be wrapped in another tool's environment
        os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
        try:
            ray.init(address=address, log_to_driver=False, logging_level="ERROR", namespace="makeweight")
        except (ConnectionError, ValueError, RuntimeError, OSError) as error:
            raise EnvironmentFailed(
                f"no Ray cluster answers at `{address}`: {first_line(error)}",
                do="Start one with `ray start --head`, and name it: `--ray auto`, or `--ray HOST:PORT`.",
            ) from error
        there = sum(node["Resources"].get("CPU", 0) // cpus for node in ray.nodes() if node["Alive"])
        self.slots = int(there if most is None else min(there, most))
        if self.slots < 1:
            ray.shutdown()
            raise UsageError(
                f"no node of the Ray cluster has the {cpus:g} processors that a trial takes",
                where="makeweight.yaml: search.cpus",
                do="Ask for fewer, or add a node.",
            )
        asked: dict[str, Any] = {"num_cpus": cpus, "max_retries": ATTEMPTS - 1}
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
        try:
            return Done(job, self._ray.get(reference))
        except self._ray.exceptions.RaySystemError as error:
            raise EnvironmentFailed(f"the Ray cluster was lost: {first_line(error)}") from error
        except self._ray.exceptions.RayError as error:
            return Done(job, None, f"its worker was lost, {ATTEMPTS} times: {first_line(error)}")

    def close(self) -> None:
        for reference in self._running:
            with contextlib.suppress(Exception):  # it may have ended, or the cluster with it
                self._ray.cancel(reference, force=True)
        self._running.clear()
        self._ray.shutdown()
