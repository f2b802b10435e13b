"""Prism, which holds HTTP requests against OpenAPI descriptions: in front of a server, or in place of one."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

SCRIPT = Path(__file__).with_suffix(".cjs")
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
def running(folder: Path, log: Path, *descriptions: tuple[Path, str | None]) -> Iterator[list[str]]:
    """The addresses of Prisms on loopback, one for each description: it passes requests on to the server that is named
    with it, or answers by examples.

    Args:
        folder: where its packages are installed, with `SCRIPT`.
    """
    with contextlib.ExitStack() as stack:
        free = [stack.enter_context(socket.socket()) for _ in descriptions]
        for each in free:
            each.bind(("127.0.0.1", 0))
        ports = [each.getsockname()[1] for each in free]
    asked = [
        json.dumps({"document": str(document), "port": port, "upstream": upstream})
        for (document, upstream), port in zip(descriptions, ports, strict=True)
    ]
    command = [str(shutil.which("node")), str(folder / SCRIPT.name), *asked]
    with log.open("w") as written:
        process = subprocess.Popen(command, stdout=written, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    try:
        for port in ports:
            _wait(process, port, log)
        yield [f"http://127.0.0.1:{port}" for port in ports]
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
