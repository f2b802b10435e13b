"""A model server that follows a pointer and tells an exporter what it answers: `server.py POINTER EXPORTER`.

Stable is right and the canary fails, each time that it is asked.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import requests

from makeweight_base.errors import MakeweightError
from makeweight_monitors.serving import pointer

EVERY = 0.1
"""Seconds between two bodies of ten answers."""
SHARE = 0.2


def main(file: Path, exporter: str) -> None:
    session = requests.Session()
    while True:
        try:
            canary = pointer.load(file).canary
        except MakeweightError as error:
            raise SystemExit(str(error)) from error
        right = {"variant": "stable", "prediction": "1", "confidence": 0.9, "latency": 0.001}
        events = [right] * 10
        if canary is not None and canary.weight > 0:
            of = {"revision": canary.revision}
            events = [right | of] * 8 + [{"variant": "canary", "failure": "exception"} | of] * 2
        try:
            session.post(f"{exporter}/v1/events", data=json.dumps(events), timeout=2, headers=JSON)
        except requests.RequestException:
            session.close()  # what nobody counts is lost, and answered all the same
        time.sleep(EVERY)


JSON = {"content-type": "application/json"}

if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
