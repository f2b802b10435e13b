"""A controlled controller with its HTTP interface, asked without a server around it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import asgi
from asgi import Answer

from controlled import LABELS, Controlled
from makeweight_monitors.http.bearer import Bearer
from makeweight_monitors.rollback import signing
from makeweight_monitors.rollback.app import build
from makeweight_monitors.rollback.running import Running

SECRET = b"a secret of some length"
TOKEN = {"authorization": "Bearer open sesame"}
ALERT = {"labels": LABELS, "status": "firing"}


class Served(Controlled):
    """One with its interface."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        (folder / "token").write_text("open sesame")
        bearer = Bearer(folder / "token")
        self.running = Running(self.controller, bearer, bearer, SECRET, 5.0)
        self.app = build(self.running)

    def ask(self, method: str, path: str, body: Any = b"", headers: Any = TOKEN) -> Answer:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return asgi.ask(self.app, method, path, [raw], {"content-length": str(len(raw)), **headers})

    def prometheus_sends(self, *alerts: Any) -> Answer:
        return self.ask("POST", "/api/v2/alerts", list(alerts))

    def alertmanager_sends(self, *alerts: Any, **said: Any) -> Answer:
        return self.ask("POST", "/v1/alertmanager", {"version": "4", "alerts": list(alerts), **said})

    def order(self, order: Any, **said: Any) -> Answer:
        body = json.dumps({"order": order, "who": "Ada", "reason": "odd", **said}).encode()
        return self.ask("POST", "/v1/orders", body, signing.headers(SECRET, "POST", "/v1/orders", body))
