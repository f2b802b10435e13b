"""Collect the tests twice, seconds and hash seeds apart, and compare: two workers must agree on what there is to run.

`python tests/collected_twice.py` prints what differs and ends with 1. A name that holds the clock, an address in memory
or the order of a set differs between pytest-xdist's workers, who then refuse to run anything.
"""

from __future__ import annotations

import difflib
import os
import subprocess
import sys

# A longer name is data rather than words, and data are what differs.
LONGEST = 250


def collected(seed: str) -> list[str]:
    """The names of all tests, as one process collects them."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "--quiet", "-p", "no:cacheprovider"],
        env={**os.environ, "PYTHONHASHSEED": seed},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    lines = done.stdout.splitlines()
    if done.returncode:
        what = "\n".join(line for line in lines if "::" not in line)
        sys.exit(f"the tests cannot be collected:\n{what.strip()[-3000:]}")
    return [line for line in lines if "::" in line]


def main() -> int:
    # One after the other: collecting takes seconds, by which the clock in a gzip header or in a name has gone on, and
    # what the first compiles the second finds compiled.
    first, second = collected("1"), collected("2")
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
