"""A model server that follows pointers and tells an exporter what it answers: `server.py EXPORTER POINTER…`.

Stable is right and the canary fails, each time that it is asked.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import requests

from makeweight_base.errors import MakeweightError
from makeweight_monitors.serving import pointer
from makeweight_monitors.serving.pointer import Pointer

EVERY = 0.1
"""Seconds between two bodies of ten answers of each model."""


def main(exporter: str, files: Sequence[Path]) -> None:
    session = requests.Session()
    while True:
        try:
            told = [event for file in files for event in events(pointer.load(file))]
        except MakeweightError as error:
            raise SystemExit(str(error)) from error
        try:
            session.post(f"{exporter}/v1/events", data=json.dumps(told), timeout=2, headers=JSON)
        except requests.RequestException:
            session.close()  # what nobody counts is lost, and answered all the same
        time.sleep(EVERY)


def events(now: Pointer) -> list[dict[str, object]]:
    """Ten answers of a model."""
    of: dict[str, object] = {"model": now.stable.model}
    right = {"variant": "stable", "prediction": "1", "confidence": 0.9, "latency": 0.001}
    if now.canary is None or now.canary.weight == 0:
        return [right | of] * 10
    of["revision"] = now.canary.revision
    return [right | of] * 8 + [{"variant": "canary", "failure": "exception"} | of] * 2


JSON = {"content-type": "application/json"}

if __name__ == "__main__":
    main(sys.argv[1], [Path(file) for file in sys.argv[2:]])
