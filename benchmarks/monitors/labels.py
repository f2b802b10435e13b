"""A million predictions that wait for their label: memory, and how fast they are put and taken. Target: under 300 MB.

Each store, in memory and in a file, lives in a process of its own; its memory is the highest that the process had
(VmHWM of /proc), less what it had after the imports. Beside it, for scale, a plain dict of the same ids and answers,
which forgets everything at a restart, times nothing out, and is shared by no processes. Processor time of all threads.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

WAITING = 1_000_000
TARGET = 300.0
_STORE = """
import sys, time
from makeweight_monitors.observe.labelfile import Owner
from makeweight_monitors.observe.pending import Pending

where, count = sys.argv[1], int(sys.argv[2])

def peak():
    return next(int(line.split()[1]) / 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))

def name(index):  # as long as a UUID is
    return f"{index * 0x9E3779B97F4A7C15 % 2**64:016x}-{index:019d}"

before, owner = peak(), Owner("r1", "canary", "0.05")
if where == "dict":
    store = {}
    put = lambda index: store.__setitem__(name(index), (owner, "7", time.time()))
    tend = waiting = lambda: len(store)
    take = lambda index: store.pop(name(index))
else:
    kept = Pending(None if where == "memory" else where, every=0, most=count)
    def put(index):
        assert kept.put(name(index), owner, "7") is None
    tend = kept.tend
    waiting = lambda: sum(kept.waiting().values())
began = time.process_time()
for index in range(count):
    put(index)
    if index % 20_000 == 19_999:
        tend()
tend()
putting = time.process_time() - began
assert waiting() == count, waiting()
most = peak() - before
some = range(0, count, 50)
began = time.process_time()
if where == "dict":
    for index in some:
        take(index)
else:
    for first in range(0, len(some), 500):
        ids = [name(index) for index in some[first : first + 500]]
        assert {taken.result for taken in kept.take(ids)} == {"matched"}
taking = time.process_time() - began
print(most, putting / count * 1e6, taking / len(some) * 1e6)
"""


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="makeweight-labels-") as folder:
        for what, where in (
            ("a plain dict", "dict"),
            ("in memory", "memory"),
            ("in a file", str(Path(folder, "labels.sqlite"))),
        ):
            command = [sys.executable, "-c", _STORE, where, str(WAITING)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            megabytes, put, take = map(float, done.stdout.split())
            told = "" if where == "dict" else f", {megabytes / TARGET:.2f} of the target of {TARGET:.0f} MB"
            print(
                f"{WAITING:,} waiting, {what}: {megabytes:.0f} MB{told}; {put:.1f} µs to put one "
                f"({1e6 / put:,.0f}/s), {take:.1f} µs to take one ({1e6 / take:,.0f}/s)"
            )


if __name__ == "__main__":
    main()
