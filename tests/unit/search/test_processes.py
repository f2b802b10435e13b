"""Trials in processes: one that is killed costs its own time."""

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
    file `after` is."""
    folder = Path(job["folder"])
    earlier = [*folder.glob(f"{job['name']}-*")]
    Path(folder, f"{job['name']}-{len(earlier)}").touch()
    if len(earlier) < job["kills"]:
        wait_for(folder / job.get("once", ""))
        os.kill(os.getpid(), signal.SIGKILL)
    wait_for(folder / job.get("after", ""))
    return {"name": job["name"], "earlier": len(earlier)}


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


def test_a_killed_process_is_begun_again_and_given_up_in_the_end(processes: Processes, tmp_path: Path) -> None:
    # Ctrl-C is for who began them, from their first moment on
    assert [deaf(pid) for pool in processes._idle for pid in pool._processes] == [True, True]
    shared = {"folder": str(tmp_path)}
    processes.submit({**shared, "name": "always", "kills": 99, "once": "beside-0"})
    processes.submit({**shared, "name": "beside", "kills": 0, "after": "always-2"})
    done = ended(processes, 2)
    assert done["always"].result is None
    assert "killed" in done["always"].lost
    # what was at work beside it was begun once
    assert done["beside"].result == {"name": "beside", "earlier": 0}
    processes.submit({**shared, "name": "once", "kills": 1})
    assert ended(processes, 1)["once"].result == {"name": "once", "earlier": 1}


def test_nothing_under_way_is_nothing_to_wait_for() -> None:
    pool = Processes(0, work)
    assert pool.wait(0.0) == []
    pool.close()
