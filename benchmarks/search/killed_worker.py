"""A worker of a Ray cluster that is killed in the middle of a trial: what that costs, and whether any other trial is
begun again. The cluster is one of this machine's, with two processors; trials sleep, so that the seconds are Ray's own.

    python benchmarks/search/killed_worker.py
"""

from __future__ import annotations

import os
import signal
import tempfile
import time
from pathlib import Path
from typing import Any

from clusters import running

from makeweight.search.cluster import Cluster

SECONDS, TRIALS = 2.0, 4


def work(job: Any) -> dict[str, Any]:
    """Sleeps; the first time that the job is the one to be killed, half of it."""
    begun = Path(job["folder"], f"{job['name']}.begun")
    with begun.open("a") as file:
        file.write("begun\n")
    time.sleep(SECONDS / 2)
    if job["killed"] and begun.read_text().count("begun") == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(SECONDS / 2)
    return {"name": job["name"]}


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="makeweight-search-") as folder, running(2) as address:
        cluster = Cluster(address, 1, None, work=work)
        tried(cluster, folder, "warm", killed=None)
        whole = tried(cluster, folder, "whole", killed=None)
        hurt = tried(cluster, folder, "hurt", killed=1)
        cluster.close()
        begun = {path.stem: path.read_text().count("begun") for path in Path(folder).glob("hurt-*.begun")}
    again = {name: times for name, times in begun.items() if times > 1}
    kept = "kept  " if list(again) == ["hurt-1"] else "BROKEN"
    print(f"{kept} begun again: {again}; {TRIALS} trials of {SECONDS:g} s took {whole:.1f} s, with a kill {hurt:.1f} s")


def tried(cluster: Cluster, folder: str, name: str, killed: int | None) -> float:
    began = time.monotonic()
    for number in range(TRIALS):
        cluster.submit({"name": f"{name}-{number}", "folder": folder, "killed": number == killed})
    done = 0
    while done < TRIALS:
        for each in cluster.wait(60):
            if each.result is None:  # as a search does it
                cluster.submit(each.job)
            else:
                done += 1
    return time.monotonic() - began


if __name__ == "__main__":
    main()
