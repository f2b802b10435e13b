"""An exporter without a process around it: what is sent to it, what it answers, and what it has counted."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import asgi
from asgi import Answer

from makeweight_monitors.exporter.app import build
from makeweight_monitors.exporter.limits import Bounds
from makeweight_monitors.exporter.running import Running
from makeweight_monitors.exporter.settings import ModelSettings, understand
from makeweight_monitors.http.bearer import Bearer

CLASSES = ["cat", "dog", "owl"]
SURE = [0.0, 9.0, 0.0]
"""A dog."""


def settings(name: str = "digits", **said: Any) -> ModelSettings:
    if "task" not in said:
        said.setdefault("classes", CLASSES)
    said.setdefault("revision", "r1")
    said = {key: value for key, value in said.items() if value is not None}
    return understand(name, said, lambda *keys: ".".join(keys), Path())


def prediction(**said: Any) -> dict[str, Any]:
    return {"type": "prediction", "variant": "canary", "scores": SURE, **said}


class Exporting:
    """One exporter; close it, so that no thread stays."""

    def __init__(
        self,
        *models: ModelSettings,
        bounds: Bounds | None = None,
        bearer: Path | None = None,
        metrics_bearer: Path | None = None,
        **given: Any,
    ) -> None:
        tokens = [None if path is None else Bearer(path) for path in (bearer, metrics_bearer)]
        self.running = Running(models or (settings(),), bounds, *tokens, **given)
        self.app = build(self.running)

    def __enter__(self) -> Exporting:
        return self

    def __exit__(self, *_: object) -> None:
        self.running.close()

    def ask(
        self,
        method: str,
        path: str,
        chunks: Iterable[bytes] = (b"",),
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request by the letter of the ASGI specification."""
        return asgi.ask(self.app, method, path, chunks, headers)

    async def asked(
        self, method: str, path: str, chunks: Iterable[bytes] = (b"",), headers: Mapping[str, str] | None = None
    ) -> Answer:
        return await asgi.asked(self.app, method, path, chunks, headers)

    def post(self, events: Any, **headers: str) -> Answer:
        """Events as JSON, or bytes as they are."""
        body = events if isinstance(events, bytes) else json.dumps(events).encode()
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        given.setdefault("content-type", "application/json")
        return self.ask("POST", "/v1/events", [body], {"content-length": str(len(body)), **given})

    def lines(self, *events: Any) -> Answer:
        """Events as NDJSON; bytes are lines as they are."""
        lines = [one if isinstance(one, bytes) else json.dumps(one).encode() for one in events]
        return self.post(b"\n".join(lines), content_type="application/x-ndjson")

    def __getitem__(self, asked: str) -> dict[str, float]:
        """`name label label`: the counts of a metric by those labels, all else added up; zeros left out."""
        name, *labels = asked.split()
        found: dict[str, float] = {}
        for family in self.running.models.collect():
            for sample in family.samples:
                if sample.name == f"makeweight_{name}":
                    key = " ".join(sample.labels[label] for label in labels)
                    found[key] = found.get(key, 0) + sample.value
        return {key: value for key, value in found.items() if value}
