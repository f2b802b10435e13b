"""What is read of Prometheus' answers."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from makeweight_base.errors import EnvironmentFailed, UsageError
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


@pytest.mark.usefixtures("proxy_that_is_down")
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


@pytest.mark.parametrize(
    ("answer", "ask"),
    [
        ({"isPartial": True, "data": {"resultType": "vector", "result": []}}, lambda client: client.query("up")),
        ({"warnings": ["no answer of a store"], "data": {"groups": []}}, lambda client: client.alerting()),
    ],
    ids=["of series", "of rules"],
)
def test_what_only_some_stores_told_is_no_answer(
    answer: dict[str, Any], ask: Callable[[Client], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A canary that is not in it would be taken for gone, and its rollback for done."""
    told = requests.Response()
    told.status_code, told._content = 200, json.dumps({"status": "success", **answer}).encode()
    asked: list[Any] = []

    def request(*_: str, **given: Any) -> requests.Response:
        asked.append(given["data"])
        return told

    monkeypatch.setattr(requests, "request", request)
    with pytest.raises(EnvironmentFailed, match="others did not answer"):
        ask(Client("http://store:8481"))
    # of an expression Thanos is told so, whose warnings may be mere hints
    assert asked == [None] or asked[0]["partial_response"] == "false"


def test_a_hint_about_an_expression_is_no_lack(monkeypatch: pytest.MonkeyPatch) -> None:
    told = requests.Response()
    data = {"resultType": "scalar", "result": [5, "1"]}
    told.status_code = 200
    told._content = json.dumps({"status": "success", "warnings": ["this may be no counter"], "data": data}).encode()
    monkeypatch.setattr(requests, "request", lambda *_, **__: told)
    assert Client("http://prometheus:9090").query("1")[0].value == 1


def test_a_native_histogram_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    row = {"metric": {"__name__": "seconds"}, "histograms": [[5, {"count": "1"}]]}
    monkeypatch.setattr(Client, "get", lambda *_: {"resultType": "matrix", "result": [row]})
    with pytest.raises(UsageError, match="`seconds` is a native histogram"):
        Client("http://prometheus:9090").query_range("seconds", 0, 60, 60)
