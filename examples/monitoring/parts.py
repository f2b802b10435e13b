"""The programs of the demo: each started on a free port of 127.0.0.1, waited for, and ended by its own pid."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import requests

from makeweight_monitors.errors import EnvironmentFailed

_SECONDS = 60


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def run(name: str, command: Sequence[str]) -> None:
    """A program that ends by itself.

    Raises:
        EnvironmentFailed: it ended badly; what it said is part of the error.
    """
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise EnvironmentFailed(f"{name} failed: {(done.stderr or done.stdout).strip()}", where=" ".join(command))


@contextlib.contextmanager
def running(
    name: str, command: Sequence[str], ready: str, folder: Path, at: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A program, from when `ready` is answered with 200 to the end of the block. What it says is in `folder`.

    Args:
        at: its working folder; None: this one.

    Raises:
        EnvironmentFailed: it ended at once, or does not get ready; what it said is part of the error.
    """
    log = folder / f"{name}.log"
    with log.open("wb") as written:
        # of a session of its own: Ctrl-C is for whoever started it, and that ends it
        process = subprocess.Popen(
            command,
            cwd=at,
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait(name, process, ready, log)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(name: str, process: subprocess.Popen[bytes], ready: str, log: Path) -> None:
    end = time.monotonic() + _SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            raise EnvironmentFailed(f"the {name} ended at once: {_tail(log)}", where=str(log))
        with contextlib.suppress(requests.RequestException):
            if requests.get(ready, timeout=1).status_code == 200:
                return
        time.sleep(0.1)
    raise EnvironmentFailed(f"the {name} was not ready after {_SECONDS} s: {_tail(log)}", where=str(log))


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-1500:].strip()
