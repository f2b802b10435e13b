"""Targets beside doubles of what they speak to: HAProxy's runtime socket (its answers as version 2.6.12 gives them), a
service that is asked by signed requests, and the pointer's file.
"""

from __future__ import annotations

import contextlib
import json
import socketserver
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rules_project
from controlled import CANARY, STABLE
from makeweight import registry
from makeweight.project import reading
from makeweight_base.errors import ConfigError, EnvironmentFailed, UsageError
from makeweight_monitors.rollback import declared, signing
from makeweight_monitors.rollback.case import Canary
from makeweight_monitors.rollback.seen import Placement
from makeweight_monitors.rollback.targets.haproxy import HaproxyOptions, HaproxyTarget
from makeweight_monitors.rollback.targets.pointer import PointerOptions, PointerTarget
from makeweight_monitors.rollback.targets.target import Moved, TargetOptions
from makeweight_monitors.rollback.targets.webhook import WebhookOptions, WebhookTarget, _placement
from makeweight_monitors.serving import pointer
from makeweight_monitors.serving.pointer import Pointer

SECRET = "a secret of some length"  # noqa: S105
ON_TRIAL = Canary("", "digits", CANARY.sha256, "1", "r2")


@contextlib.contextmanager
def running(server: Any) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Socket(socketserver.UnixStreamServer):
    """HAProxy's, with one backend."""

    def __init__(self, path: Path) -> None:
        self.weights = {"models/canary": 13, "models/stable": 243}
        self.uptime = 1000
        self.changes: list[str] = []
        super().__init__(str(path), Command)


class Command(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        said = self.rfile.readline().decode().split()
        if said == ["show", "info"]:
            uptime = self.server.uptime  # type: ignore[attr-defined]
            self.wfile.write(f"Name: HAProxy\nUptime_sec: {uptime}\n\n".encode())
            return
        weights, (server, *more) = self.server.weights, said[2:]  # type: ignore[attr-defined]
        if not server.startswith("models/"):
            self.wfile.write(b"No such backend.\n\n")
        elif server not in weights:
            self.wfile.write(b"No such server.\n\n")
        elif said[:2] == ["get", "weight"]:
            self.wfile.write(f"{weights[server]} (initial 1)\n\n".encode())
        elif said[:2] == ["set", "server"] and more[0] == "weight" and 0 <= int(more[1]) <= 256:
            weights[server] = int(more[1])
            self.server.changes.append(server)  # type: ignore[attr-defined]
            self.wfile.write(b"\n")


@pytest.fixture
def haproxy(tmp_path: Path) -> Iterator[tuple[HaproxyTarget, Socket]]:
    socket = Socket(tmp_path / "admin.sock")
    with running(socket):
        yield HaproxyTarget(HaproxyOptions(socket="admin.sock", backend="models"), tmp_path), socket


@pytest.mark.parametrize(
    ("share", "weights", "first"),
    [
        (0.0, (0, 256), "stable"),
        (0.001, (1, 255), "stable"),
        (0.25, (64, 192), "canary"),
        (0.999, (255, 1), "canary"),
        (1.0, (256, 0), "canary"),
    ],
    ids=["none", "next to none", "a quarter", "nearly all", "all"],
)
def test_haproxy_gives_a_share_in_whole_weights(
    haproxy: tuple[HaproxyTarget, Socket], share: float, weights: tuple[int, int], first: str
) -> None:
    target, socket = haproxy
    assert target.get() == Placement(13 / 256, mark="13:243")
    target.set(target.get(), share)
    target.verify(share)
    assert (socket.weights["models/canary"], socket.weights["models/stable"]) == weights
    assert socket.changes[0] == f"models/{first}"  # at no time has nobody any weight
    with pytest.raises(EnvironmentFailed, match=r"was to have 60.0% of the traffic, and has"):
        target.verify(0.6)


def test_haproxy_tells_since_when_it_runs_and_what_with(haproxy: tuple[HaproxyTarget, Socket]) -> None:
    target, _ = haproxy
    before = time.time()
    found = target.get()
    assert found.began is not None
    assert before - 1001 <= found.began <= time.time() - 1001
    assert found.configured == 0.5  # a weight of 1 each


def test_the_least_that_is_left_of_a_canary_is_no_rollback(haproxy: tuple[HaproxyTarget, Socket]) -> None:
    target, socket = haproxy
    socket.weights["models/canary"] = 1
    with pytest.raises(EnvironmentFailed, match=r"was to have 0.0% of the traffic, and has 0.4%"):
        target.verify(0.0)
    socket.weights["models/canary"] = 0
    target.verify(0.0)


@pytest.mark.parametrize(
    ("address", "host"), [("[::1]:9999", "::1"), ("::1:9999", "::1"), ("lb.test:9999", "lb.test")], ids=str
)
def test_haproxy_is_reached_by_either_protocol(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str, host: str
) -> None:
    asked: list[tuple[str, int]] = []

    def connect(there: tuple[str, int], _: float) -> None:
        asked.append(there)
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr("socket.create_connection", connect)
    with pytest.raises(EnvironmentFailed, match="socket does not answer: Connection refused"):
        HaproxyTarget(HaproxyOptions(socket=address, backend="models"), tmp_path).get()
    assert asked == [(host, 9999)]


def test_haproxy_changes_nothing_that_is_not_as_it_was_seen(haproxy: tuple[HaproxyTarget, Socket]) -> None:
    target, socket = haproxy
    seen = target.get()
    socket.weights["models/canary"] = 14
    with pytest.raises(Moved, match=r"the weights are 14:243 by now, and were 13:243"):
        target.set(seen, 0.0)
    assert socket.changes == []


def test_haproxy_that_refuses_says_what(haproxy: tuple[HaproxyTarget, Socket], tmp_path: Path) -> None:
    for options, said in (
        ({"socket": "admin.sock", "backend": "none"}, r"weight of none/canary: No such backend\."),
        ({"socket": "admin.sock", "backend": "models", "canary": "x"}, r"weight of models/x: No such server\."),
        ({"socket": "none.sock", "backend": "models"}, "socket does not answer: No such file"),
        ({"socket": "127.0.0.1:1", "backend": "models"}, "socket does not answer: Connection refused"),
    ):
        with pytest.raises(EnvironmentFailed, match=said):
            HaproxyTarget(HaproxyOptions(**options), tmp_path).get()


class Service(HTTPServer):
    """A service of a user's, which moves the traffic for whoever has the secret."""

    def __init__(self) -> None:
        self.share, self.mark, self.finalized = 0.05, "7", [{}]
        self.status, self.answer = 200, b""
        super().__init__(("127.0.0.1", 0), Asked)


class Asked(BaseHTTPRequestHandler):
    server: Service

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        try:
            signing.checked(SECRET.encode(), self.headers, "POST", self.path, body, time.time())  # type: ignore[arg-type]
        except signing.Forged:
            return self._say(401, b"")
        asked = json.loads(body)
        if asked["action"] == "set":
            if asked["mark"] != self.server.mark:
                return self._say(409, b"")
            self.server.share, self.server.mark = asked["share"], "8"
        if asked["action"] == "finalize":
            self.server.finalized.append(asked)
        told = {"share": self.server.share, "sha256": CANARY.sha256, "attempt": "1", "mark": self.server.mark}
        return self._say(self.server.status, self.server.answer or json.dumps(told).encode())

    def _say(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("location", "http://127.0.0.1:1/")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def service(tmp_path: Path) -> Iterator[tuple[WebhookTarget, Service]]:
    server = Service()
    (tmp_path / "secret").write_text(SECRET)
    with running(server):
        url = f"http://127.0.0.1:{server.server_port}/traffic?of=digits"
        yield WebhookTarget(WebhookOptions(url=url, secret_file=str(tmp_path / "secret")), tmp_path), server


@pytest.mark.usefixtures("proxy_that_is_down")
def test_a_service_is_asked_by_signed_requests(service: tuple[WebhookTarget, Service], tmp_path: Path) -> None:
    target, server = service
    seen = target.get()
    assert seen == Placement(0.05, CANARY.sha256, "1", "7")
    target.set(seen, 0.0)
    target.verify(0.0)
    with pytest.raises(Moved, match="changed since it was seen"):
        target.set(seen, 0.0)
    target.finalize(ON_TRIAL, True, "it does well")
    told = {"sha256": CANARY.sha256, "attempt": "1", "promoted": True, "why": "it does well"}
    assert server.finalized[-1] == {"action": "finalize", **told}
    (tmp_path / "secret").write_text("another one, of some length")
    other = WebhookTarget(WebhookOptions(url=target.url, secret_file=str(tmp_path / "secret")), tmp_path)
    with pytest.raises(EnvironmentFailed, match="answers 401 to `get`"):
        other.get()


BAD = {
    "a fault": (500, b"{}", "answers 500 to `get`"),
    "somewhere else": (302, b"{}", "answers 302 to `get`"),
    "no JSON": (200, b"<html>", "does not tell who gets the traffic"),
    "no object": (200, b"[]", "does not tell who gets the traffic"),
    "no share": (200, b"{}", "does not tell who gets the traffic"),
    "more than all": (200, b'{"share": 1.5}', "`share` is 1.5"),
    "a mark that is no text": (200, b'{"share": 1, "mark": 7}', "are texts"),
}


@pytest.mark.parametrize(("status", "answer", "said"), BAD.values(), ids=BAD)
def test_a_service_that_answers_otherwise(
    service: tuple[WebhookTarget, Service], status: int, answer: bytes, said: str
) -> None:
    target, server = service
    server.status, server.answer = status, answer
    with pytest.raises(EnvironmentFailed, match=said):
        target.get()


@settings(max_examples=60, derandomize=True, deadline=None)
@given(
    st.binary(max_size=30)
    | st.fixed_dictionaries({"share": st.none() | st.booleans() | st.floats() | st.text() | st.integers()})
    .map(json.dumps)
    .map(str.encode)
)
def test_whatever_a_service_answers_is_a_share_or_refused(body: bytes) -> None:
    try:
        share = _placement(body, "there").share
    except EnvironmentFailed:
        return
    assert 0 <= share <= 1


def test_a_service_that_is_not_there_and_a_secret_that_is_not(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the secret cannot be read"):
        WebhookTarget(WebhookOptions(url="http://127.0.0.1:1/", secret_file=str(tmp_path / "secret")), tmp_path)
    (tmp_path / "secret").write_text(SECRET)
    with pytest.raises(EnvironmentFailed, match="no answer to `get`: ConnectionError"):
        WebhookTarget(WebhookOptions(url="http://127.0.0.1:1/", secret_file=str(tmp_path / "secret")), tmp_path).get()


def test_no_error_of_a_service_tells_what_its_address_holds(tmp_path: Path) -> None:
    """Errors stand in the audit log, and in the status."""
    (tmp_path / "secret").write_text(SECRET)
    url = "http://ada:hunter2@127.0.0.1:1/traffic?token=hunter3"
    target = WebhookTarget(WebhookOptions(url=url, secret_file=str(tmp_path / "secret")), tmp_path)
    with pytest.raises(EnvironmentFailed) as refused:
        target.get()
    assert str(refused.value).startswith("http://127.0.0.1:1/traffic: no answer to `get`")
    assert "hunter" not in str(refused.value)


def test_a_pointer_tells_who_is_stable_where_there_is_no_canary(tmp_path: Path) -> None:
    pointer.write(tmp_path / "current.json", Pointer(STABLE, CANARY))
    target = PointerTarget(PointerOptions(path="current.json"), tmp_path)
    assert not target.get().made_stable(ON_TRIAL)
    pointer.write(target.path, pointer.load(target.path).promoted())
    assert target.get().made_stable(ON_TRIAL)
    other = replace(STABLE, sha256=CANARY.sha256, weight=1.0)  # the same file in another release
    pointer.write(target.path, replace(pointer.load(target.path), stable=other))
    assert not target.get().made_stable(ON_TRIAL)


def test_a_pointer_is_finalized_once_and_only_for_its_own(tmp_path: Path) -> None:
    file = tmp_path / "current.json"
    pointer.write(file, Pointer(STABLE, CANARY))
    target = PointerTarget(PointerOptions(path="current.json"), tmp_path)
    assert target.get() == Placement(0.05, CANARY.sha256, "1", "1", "r2", "digits")
    target.set(target.get(), 1.0)
    with pytest.raises(EnvironmentFailed, match="is not on trial there any more"):
        target.finalize(Canary("", "digits", "b" * 64), True, "")
    for _ in range(2):
        target.finalize(ON_TRIAL, True, "")
    assert pointer.load(file).stable.sha256 == CANARY.sha256
    assert pointer.load(file).epoch == 3
    target.set(target.get(), 0.0)
    target.finalize(ON_TRIAL, False, "")
    assert pointer.load(file).epoch == 3


class Switch:
    """A stranger's target."""

    Options: ClassVar[type[TargetOptions]] = PointerOptions

    def __init__(self, options: Any, folder: Path) -> None:
        self.path = folder / options.path


def test_a_stranger_offers_a_target_by_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (rules_project.REPOSITORY / "makeweight.yaml").read_text()
    declares = "canary: {steps: [10 %, 100 %], step_for: 2 h, silence: rollback, target: {kind: switch, path: a}}\n"
    with pytest.raises(ConfigError, match="unknown target `switch`; there is pointer, webhook, haproxy"):
        reading.understand(text + declares, "makeweight.yaml", tmp_path)
    entry = SimpleNamespace(load=lambda: Switch)
    monkeypatch.setattr(registry, "_entry_points", lambda kind: {"switch": entry} if kind == "target" else {})
    project = reading.understand(text + declares, "makeweight.yaml", tmp_path)
    target, policy = declared.target(project), declared.policy(project)
    assert (type(target), target.path) == (Switch, tmp_path / "a")  # type: ignore[attr-defined]
    assert (policy.steps, policy.step_for, policy.cooldown) == ((0.1, 1.0), 7200.0, 3600.0)
    assert (policy.silence, policy.silence_for) == ("rollback", 300.0)
    with pytest.raises(ConfigError, match=r"canary.target.pth: unknown key"):
        reading.understand(text + declares.replace("path", "pth"), "makeweight.yaml", tmp_path)
