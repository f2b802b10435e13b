"""Collect the tests twice, seconds and hash seeds apart, and compare: two workers must agree on what there is to run.

`python tests/collected_twice.py` prints what differs and ends with 1. A name that holds the clock, an address in memory
or the order of a set differs between pytest-xdist's workers, who then refuse to run anything.
"""

from __future__ import annotations

import difflib
import os
import subprocess
import sys
import time

# The clock in a gzip header, or in a name, has gone on by then.
SECONDS_APART = 1.1
# A longer name is data rather than words, and data are what differs.
LONGEST = 250


def collecting(seed: str) -> subprocess.Popen[str]:
    """One process that collects them."""
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", "--collect-only", "--quiet", "-p", "no:cacheprovider"],
        env={**os.environ, "PYTHONHASHSEED": seed},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def collected(run: subprocess.Popen[str]) -> list[str]:
    """The names of all tests, as that process has collected them."""
    lines = run.communicate()[0].splitlines()
    if run.returncode:
        what = "\n".join(line for line in lines if "::" not in line)
        sys.exit(f"the tests cannot be collected:\n{what.strip()[-3000:]}")
    return [line for line in lines if "::" in line]


def main() -> int:
    run = collecting("1")
    time.sleep(SECONDS_APART)
    other = collecting("2")
    first, second = collected(run), collected(other)
    differing = [line[:200] for line in difflib.unified_diff(first, second, lineterm="", n=0)]
    if differing:
        print("tests whose names differ from one collection to the next; give them ids in words:", file=sys.stderr)
        print("\n".join(differing), file=sys.stderr)
        return 1
    long = [line[:120] for line in first if len(line) > LONGEST]
    if long:
        print("tests whose names are data; give them ids in words:", file=sys.stderr)
        print("\n".join(long), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
