"""Prism, which holds HTTP requests against an OpenAPI description: in front of a server, or in place of one."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

_PROGRAM = "node_modules/@stoplight/prism-cli/dist/index.js"
_SECONDS = 120


@dataclass(frozen=True)
class Violation:
    method: str
    path: str
    message: str


class Watching(requests.Session):
    """A session that keeps what Prism has against the requests that went through it."""

    def __init__(self) -> None:
        super().__init__()
        self.violations: list[Violation] = []

    def request(self, method: str, url: str, *args: Any, **given: Any) -> requests.Response:  # type: ignore[override]
        response = super().request(method, url, *args, **given)
        found = response.headers.get("sl-violations", "")
        # Of answers it tells too, up to a length at which the list breaks off; they are a test's own, or the
        # description's, whose examples do not all keep to it. What a request has wrong comes first.
        if '"location":["request"' in found:
            self.violations.append(Violation(method, response.request.path_url, found))
        if response.headers.get("Content-Type", "").startswith("application/problem+json"):
            self.violations.append(Violation(method, response.request.path_url, response.text))
        return response


@contextlib.contextmanager
def running(folder: Path, description: Path, upstream: str | None, log: Path) -> Iterator[str]:
    """The address of a Prism on loopback: one that passes requests on to `upstream`, or that answers by examples."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mode = ["mock", str(description)] if upstream is None else ["proxy", str(description), upstream]
    command = [str(shutil.which("node")), str(folder / _PROGRAM), *mode, "--host", "127.0.0.1", "--port", str(port)]
    with log.open("w") as written:
        process = subprocess.Popen(command, stdout=written, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    try:
        _wait(process, port, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = time.monotonic() + _SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            raise AssertionError(f"Prism ended: {log.read_text()[-2000:]}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    raise AssertionError(f"Prism did not start: {log.read_text()[-2000:]}")
