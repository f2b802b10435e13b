"""A real Prometheus tells a real Alertmanager, which tells the controller: until it can act, once, and no more."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from prometheus_client import CollectorRegistry, Gauge, start_http_server

import prometheus
from controlled import CANARY, LABELS, Controlled
from examples.monitoring import alertmanager, package
from lacking import lacking
from makeweight_base.errors import EnvironmentFailed
from makeweight_monitors.http import server
from makeweight_monitors.http.bearer import Bearer
from makeweight_monitors.prometheus import throwaway
from makeweight_monitors.prometheus.queries import Client
from makeweight_monitors.rollback import alerts
from makeweight_monitors.rollback.alerts import Sent
from makeweight_monitors.rollback.app import build
from makeweight_monitors.rollback.running import Running
from makeweight_monitors.rules import names

BUILD = Path(__file__).resolve().parents[3] / "build" / "alertmanager"
PATH = "/v1/alertmanager"


@pytest.fixture(scope="module")
def command() -> list[str]:
    try:
        return package.alertmanager(BUILD)
    except EnvironmentFailed as error:
        lacking(str(error))


@contextlib.contextmanager
def listening(running: Running) -> Iterator[str]:
    """The controller's interface, of which nothing but what is sent brings about a look."""
    taken = server.listen("127.0.0.1", 0)
    serving = uvicorn.Server(uvicorn.Config(build(running), log_config=None, lifespan="off"))
    thread = threading.Thread(target=serving.run, kwargs={"sockets": [taken]})
    thread.start()
    try:
        yield server.address(taken, None)
    finally:
        serving.should_exit = True
        thread.join()
        running.close()


def rules(folder: Path) -> Path:
    """That they are evaluated, and an alert that asks for a rollback while a gauge is 1."""
    labels = {name: value for name, value in LABELS.items() if name != "alertname"}
    asks = {"alert": LABELS["alertname"], "expr": "max(broken) > 0", "labels": labels}
    watchdog = {"alert": names.WATCHDOG, "expr": "vector(1)", "labels": {"model": "digits", "kind": "evidence"}}
    file = folder / "rules.json"  # JSON is YAML
    file.write_text(json.dumps({"groups": [{"name": "some", "rules": [asks, watchdog]}]}))
    return file


def test_what_fails_is_sent_again_and_what_is_repeated_or_resolved_does_nothing_more(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    came: list[list[Sent]] = []
    read = alerts.of_webhook
    monkeypatch.setattr(alerts, "of_webhook", lambda body: came.append(read(body)) or came[-1])
    registry = CollectorRegistry()
    broken = Gauge("broken", "Whether the canary is.", registry=registry)
    exporter, _ = start_http_server(0, "127.0.0.1", registry)
    programs, token = prometheus.install(), tmp_path / "token"
    token.write_text("open sesame")
    controlled = Controlled(tmp_path)
    running = Running(controlled.controller, Bearer(token), None, None, 5.0)
    away = tmp_path / "away.json"

    def counted(outcome: str) -> int:
        return running.requests["alertmanager", outcome]

    with contextlib.ExitStack() as stack:
        stack.callback(exporter.server_close)
        stack.callback(exporter.shutdown)
        address = stack.enter_context(listening(running))
        sends = alertmanager.running(command, tmp_path, address + PATH, token, repeat="1s")
        alerting = stack.enter_context(sends).removeprefix("http://")
        targets = {"models": [f"127.0.0.1:{exporter.server_port}"]}
        client = stack.enter_context(
            throwaway.running(
                programs, tmp_path / "prometheus", rules=[rules(tmp_path)], targets=targets, alerts_to=[alerting]
            )
        )
        controlled.controller.looking.client = Client(client.url)
        prometheus.until(lambda: client.query("broken"))
        controlled.file.rename(away)
        broken.set(1)
        prometheus.until(lambda: counted("failed") >= 2)
        assert counted("taken") == 0
        away.rename(controlled.file)
        prometheus.until(lambda: controlled.share == 0)
        prometheus.until(lambda: counted("taken") >= 3)
        broken.set(0)
        prometheus.until(lambda: came and came[-1] and all(one.resolved for one in came[-1]))
        prometheus.until(lambda: counted("taken") + counted("failed") == len(came))
        outcomes = {outcome for (_, outcome), count in running.requests.items() if count}
        lines, stages = controlled.lines(), controlled.stages
    assert outcomes == {"failed", "taken"}
    assert all(one.labels["sha256"] == CANARY.sha256 for sent in came for one in sent)
    (began,) = [line for line in lines if line.startswith("rolls")]
    assert f"{LABELS['alertname']} fires since" in began
    assert (controlled.epoch, stages) == (2, ["rolled_back"])
