"""Trials in processes: one that is killed takes no other with it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from makeweight.search.executor import Done, Job
from makeweight.search.processes import Processes


def wait_for(path: Path) -> None:
    while not path.exists():
        time.sleep(0.01)


def work(job: Job) -> dict[str, Any]:
    """Killed as often as the job asks for, each time after it was noted and the file `once` is there; ends when the
    file `after` is, `stuck` where the job asks for that."""
    folder = Path(job["folder"])
    earlier = [*folder.glob(f"{job['name']}-*")]
    Path(folder, f"{job['name']}-{len(earlier)}").touch()
    if len(earlier) < job["kills"]:
        wait_for(folder / job.get("once", ""))
        os.kill(os.getpid(), signal.SIGKILL)
    wait_for(folder / job.get("after", ""))
    return {"name": job["name"], "earlier": len(earlier), **({"stuck": True} if job.get("stuck") else {})}


@pytest.fixture
def processes() -> Iterator[Processes]:
    pool = Processes(2, work)
    yield pool
    pool.close()


def ended(pool: Processes, count: int) -> dict[str, Done]:
    found: list[Done] = []
    while len(found) < count:
        found += pool.wait(30)
    return {done.job["name"]: done for done in found}


def deaf(pid: int) -> bool:
    """Whether a process blocks or ignores SIGINT, as the system tells."""
    told = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)
    return bool((int(told["SigBlk"], 16) | int(told["SigIgn"], 16)) >> (signal.SIGINT - 1) & 1)


def test_a_process_that_ends_loses_its_own_job_and_no_other(processes: Processes, tmp_path: Path) -> None:
    # Ctrl-C is for who began them, from their first moment on
    assert [deaf(pid) for pool in processes._idle for pid in pool._processes] == [True, True]
    shared = {"folder": str(tmp_path)}
    processes.submit({**shared, "name": "killed", "kills": 1, "once": "beside-0"})
    processes.submit({**shared, "name": "beside", "kills": 0, "after": "killed-1"})
    (lost,) = ended(processes, 1).values()
    assert (lost.result, lost.lost) == (None, "its process was ended (signal SIGKILL)")
    # who asked says whether it is begun again, and what was at work beside it is not touched
    processes.submit(lost.job)
    done = ended(processes, 2)
    assert {name: each.result for name, each in done.items()} == {
        "killed": {"name": "killed", "earlier": 1},
        "beside": {"name": "beside", "earlier": 0},
    }
    # of one that is still at what it gave up nothing else is asked
    processes.submit({**shared, "name": "stuck", "kills": 0, "stuck": True})
    ((_, own),) = processes._running.values()
    (child,) = own._processes.values()
    assert ended(processes, 1)["stuck"].result == {"name": "stuck", "earlier": 0, "stuck": True}
    assert (own in processes._idle, child.exitcode) == (False, -signal.SIGKILL)
    # what has nothing to do is not waited for either
    idle = [child for pool in processes._idle for child in pool._processes.values()]
    processes.close()
    assert [child.exitcode for child in idle] == [-signal.SIGKILL]


def test_nothing_under_way_is_nothing_to_wait_for() -> None:
    pool = Processes(0, work)
    assert pool.wait(0.0) == []
    pool.close()
