"""A real exporter as a process of its own: `with running(folder, "--model", "digits") as exporter: ...`"""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests
from prometheus_client.parser import text_string_to_metric_families as parse

import prometheus

VERB = ("-m", "makeweight_monitors", "exporter")
COMMAND = [sys.executable, *VERB]
SURE = [0.0, 9.0, 0.0]
"""Scores of the second of three classes."""


class Exporter:
    """One that runs, and its address."""

    def __init__(self, process: subprocess.Popen[str], address: str, log: Path) -> None:
        self.process = process
        self.address = address
        self.log = log
        self.session = requests.Session()
        self.session.trust_env = False  # certificates are those of the test

    def send(self, *events: Any, **given: Any) -> requests.Response:
        """Events as NDJSON; bytes are a body as it is."""
        whole = len(events) == 1 and isinstance(events[0], bytes)
        body = events[0] if whole else b"\n".join(json.dumps(event).encode() for event in events)
        headers = {"Content-Type": "application/x-ndjson", **given.pop("headers", {})}
        return self.session.post(f"{self.address}/v1/events", data=body, headers=headers, timeout=60, **given)

    def counts(self, name: str, *labels: str) -> dict[str, float]:
        """Of a metric by these labels, all else added up; zeros left out."""
        found: dict[str, float] = {}
        for family in parse(self.session.get(f"{self.address}/metrics", timeout=30).text):
            for sample in family.samples:
                if sample.name == f"makeweight_{name}":
                    key = " ".join(sample.labels[label] for label in labels)
                    found[key] = found.get(key, 0) + sample.value
        return {key: value for key, value in found.items() if value}

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """The exit code."""
        self.process.send_signal(number)
        return self.process.wait(60)


def after(script: str) -> list[str]:
    """The command of an exporter in whose process some Python runs first."""
    first = f"{script}\nimport runpy; runpy.run_module('makeweight_monitors', run_name='__main__', alter_sys=True)"
    return [sys.executable, "-c", first, "exporter"]


@contextlib.contextmanager
def running(
    folder: Path,
    *arguments: str,
    port: int = 0,
    most_file: int | None = None,
    script: str = "",
    python: Path | str = sys.executable,
) -> Iterator[Exporter]:
    """An exporter in a folder, on any free port of this machine unless one is given; ended with the block.

    Args:
        most_file: bytes that no file of it may exceed: what it writes beyond fails as on a full disk.
        script: Python that runs in it first, by the real one.
        python: what begins it.
    """
    log = folder / "exporter.log"
    command = [*(after(script) if script else (python, *VERB)), "--port", str(port), *arguments]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with log.open("w") as said:
        process = subprocess.Popen(command, cwd=folder, stdout=said, stderr=subprocess.STDOUT, text=True)
        if most_file is not None:
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (most_file, before[1]))
    try:

        def address() -> str:
            assert process.poll() is None, log.read_text()
            found = re.search(r"listening on (\S+)", log.read_text())
            return found[1] if found else ""

        exporter = Exporter(process, prometheus.until(address), log)
        yield exporter
        exporter.session.close()
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                os.kill(process.pid, signal.SIGKILL)
                process.wait()


def prediction(**said: Any) -> dict[str, Any]:
    return {"type": "prediction", "variant": "canary", "scores": SURE, **said}


def label(id: Any, truth: Any) -> dict[str, Any]:
    return {"type": "label", "id": id, "truth": truth}
