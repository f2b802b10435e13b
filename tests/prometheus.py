"""The real Prometheus that tests run beside: Debian's, on the machine already or unpacked once into the build folder.

    programs = prometheus.install()                  # prometheus and promtool; skips, or fails in CI, without them
    programs.tool("check", "rules", str(path))       # promtool
    with throwaway.running(programs, tmp_path, rules=[path], targets={"job": ["127.0.0.1:9"]}) as client:
        client.query("up")                           # see prometheus/{throwaway,queries}.py of the monitors
        prometheus.until(lambda: client.query("up == 0"))

Series of the past: `backfill(programs, folder, openmetrics)` before `running(programs, folder)`.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from examples.monitoring import package
from lacking import lacking
from makeweight_base.errors import EnvironmentFailed
from makeweight_monitors.prometheus.throwaway import Programs

_BUILD = Path(__file__).resolve().parent.parent / "build" / "prometheus"
Found = TypeVar("Found")


@functools.cache
def install() -> Programs:
    """The programs on the PATH, else Debian's package, fetched by apt and only unpacked: no service is set up.

    Where apt cannot give it the test is skipped, and in CI it fails: there a part of the tests that silently does not
    run would look like one that passes.
    """
    try:
        return package.programs(_BUILD)
    except EnvironmentFailed as error:
        lacking(str(error))


def until(found: Callable[[], Found], seconds: float = 60, every: float = 0.1) -> Found:
    """What `found` returns as soon as that is something; the test fails when it never is."""
    end = time.monotonic() + seconds
    while not (answer := found()):
        assert time.monotonic() < end, f"not so after {seconds} s; the last answer was {answer!r}"
        time.sleep(every)
    return answer


def backfill(programs: Programs, folder: Path, openmetrics: str) -> None:
    """Put series with times into the data of a Prometheus that is then run in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    source = folder / "backfill.txt"
    source.write_text(openmetrics)
    done = programs.tool("tsdb", "create-blocks-from", "openmetrics", str(source), str(folder / "data"))
    assert done.returncode == 0, done.stdout
