"""A program that runs for the time of a block: started, waited for until it answers, ended by its own pid."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from makeweight_base.errors import EnvironmentFailed
from makeweight_base.loopback import proxies

_SECONDS = 60


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@contextlib.contextmanager
def running(
    name: str, command: Sequence[str], ready: str, log: Path, *, at: Path | None = None, apart: bool = False
) -> Iterator[None]:
    """A program, from when the address `ready` answers with 200 to the end of the block.

    Args:
        name: how errors call it.
        log: where what it says is written.
        at: its working folder; None: this one.
        apart: whether Ctrl-C is only for the process that started it, which then ends it.

    Raises:
        EnvironmentFailed: it ended at once, or does not get ready; what it said is part of the error.
    """
    with log.open("wb") as written:
        process = subprocess.Popen(
            command, cwd=at, stdin=subprocess.DEVNULL, stdout=written, stderr=subprocess.STDOUT, start_new_session=apart
        )
    try:
        _wait(name, process, ready, log)
        yield
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(name: str, process: subprocess.Popen[bytes], ready: str, log: Path) -> None:
    import requests

    end = time.monotonic() + _SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            raise EnvironmentFailed(f"{name} ended at once: {_tail(log)}", where=str(log))
        with contextlib.suppress(requests.RequestException):
            if requests.get(ready, timeout=1, proxies=proxies(ready)).status_code == 200:
                return
        time.sleep(0.05)
    raise EnvironmentFailed(f"{name} was not ready after {_SECONDS} s: {_tail(log)}", where=str(log))


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-2000:].strip()
