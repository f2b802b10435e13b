"""What is read of Prometheus' answers."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from makeweight_base.errors import UsageError
from makeweight_monitors.prometheus.queries import Client

RULE: dict[str, Any] = {"name": "A", "query": "x > 5", "alerts": [], "health": "err", "lastError": "many-to-many"}


def test_of_rules_that_fail_those_that_may_ask_for_a_rollback_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = [
        RULE | {"labels": {"kind": "rollback"}},
        RULE | {"labels": {"kind": "rollback"}, "query": "y > 5", "health": "ok", "lastError": ""},
        RULE | {"labels": {"kind": "evidence"}, "query": "z > 5"},
        RULE,
    ]
    group = {"name": "g", "interval": 15, "lastEvaluation": "2030-01-01T00:00:00.123456789Z", "rules": rules}
    monkeypatch.setattr(Client, "get", lambda *_: {"groups": [group]})
    (told,) = Client("http://prometheus:9090").alerting()
    assert told.failing == (("x > 5", "many-to-many"),)
    assert told.queries == ("x > 5", "y > 5", "z > 5", "x > 5")
    assert told.evaluated == pytest.approx(1_893_456_000.123456, abs=1e-6)


def test_a_token_that_is_exchanged_is_shown_from_the_next_question_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str | None] = []

    class Answering(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            shown.append(self.headers.get("Authorization"))
            self.rfile.read(int(self.headers["Content-Length"]))
            body = json.dumps({"status": "success", "data": {"resultType": "vector", "result": []}}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password else")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # it is not asked for what is on this machine
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    token = tmp_path / "token"
    server = HTTPServer(("127.0.0.1", 0), Answering)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        token.write_text("first\n")
        client = Client(f"http://127.0.0.1:{server.server_port}", token)
        for text in ("first", "second"):
            token.write_text(f"{text}\n")
            assert client.query("up") == []
        token.unlink()
        with pytest.raises(UsageError, match="the token cannot be read"):
            client.query("up")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert shown == ["Bearer first", "Bearer second"]


def test_a_token_that_is_not_there_is_told_before_anything_is_asked(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the token cannot be read"):
        Client("http://prometheus:9090", tmp_path / "token")
