"""Trials in processes: one that is killed costs its own time."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from makeweight.search.executor import Done, Job
from makeweight.search.processes import Processes


def work(job: Job) -> dict[str, Any]:
    """Killed as often as the job asks for, each time after it was noted."""
    earlier = [*Path(job["folder"]).glob(f"{job['name']}-*")]
    if len(earlier) < job["kills"]:
        Path(job["folder"], f"{job['name']}-{len(earlier)}").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return {"name": job["name"], "earlier": len(earlier)}


@pytest.fixture
def processes() -> Iterator[Processes]:
    pool = Processes(1, work)
    yield pool
    pool.close()


def ended(pool: Processes, count: int) -> dict[str, Done]:
    found: list[Done] = []
    while len(found) < count:
        found += pool.wait(30)
    return {done.job["name"]: done for done in found}


def test_a_killed_process_is_begun_again_and_given_up_in_the_end(processes: Processes, tmp_path: Path) -> None:
    for name, kills in (("once", 1), ("never", 0), ("always", 99)):
        processes.submit({"name": name, "kills": kills, "folder": str(tmp_path)})
        done = ended(processes, 1)[name]
        if name == "always":
            assert done.result is None
            assert "killed" in done.lost
        else:
            assert done.result == {"name": name, "earlier": kills}


def test_nothing_under_way_is_nothing_to_wait_for(processes: Processes) -> None:
    assert processes.wait(0.0) == []
