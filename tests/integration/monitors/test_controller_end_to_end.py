"""A bad canary on a real Prometheus, with the generated rules, and the controller as a process: from the first failed
answers to the last one, the controller killed on the way.
"""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import requests
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily
from prometheus_client.parser import text_string_to_metric_families

import prometheus
import rules_project
from certificates import certificate
from makeweight_monitors import program
from makeweight_monitors.build import Build
from makeweight_monitors.cli import main
from makeweight_monitors.observe.observer import Observer
from makeweight_monitors.prometheus import throwaway
from makeweight_monitors.rollback.case import Canary
from makeweight_monitors.rollback.looking import Looking
from makeweight_monitors.rollback.seen import Placement
from makeweight_monitors.rules import generate, names, text
from makeweight_monitors.serving import pointer
from makeweight_monitors.serving.pointer import Pointer, Served

STABLE = Served("digits", "baseline", "r1", "0" * 64, "a", 0.8, 0)
CANARY = Served("digits", "int8", "r2", "1" * 64, "b", 0.2, 0)
GONE = "2" * 64
"""Of a canary of which no process is left."""
TARGET = "\ncanary: {traffic: 20 %, target: {kind: pointer, path: current.json}}\n"


@contextlib.contextmanager
def served(file: Path) -> Iterator[str]:
    """Answers that are all right on stable and all NaN on the canary, while the pointer gives it traffic."""
    registry, ended = CollectorRegistry(), threading.Event()
    arms = {
        one.sha256: Observer(
            "digits",
            one.revision,
            variant,
            classes=[str(number) for number in range(10)],
            weight=0.2,
            manifest=Build(one.variant, sha256=one.sha256),
            registry=registry,
        )
        for one, variant in ((STABLE, "stable"), (CANARY, "canary"))
    }
    right, wrong = [0.0] * 9 + [1.0], [float("nan")] * 10

    def answer() -> None:
        while not ended.wait(0.05):
            now = pointer.load(file)
            for _ in range(8):
                arms[STABLE.sha256].record(right, 0.001)
            if now.canary is not None:
                arms[CANARY.sha256].record(wrong, 0.001)
                arms[CANARY.sha256].record(wrong, 0.001)

    server, serving = start_http_server(0, "127.0.0.1", registry)
    answering = threading.Thread(target=answer)
    answering.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        ended.set()
        answering.join()
        server.shutdown()
        server.server_close()
        serving.join()


class Process:
    """The controller, begun as often as it is killed."""

    def __init__(self, folder: Path, prometheus_url: str, port: int, *more: str) -> None:
        self.log = folder / "controller.log"
        self._command = [
            sys.executable, "-m", "makeweight_monitors", "rollback",
            "--project", str(folder), "--prometheus", prometheus_url, "--port", str(port), "--every", "1s",
            "--environment", "environment=", "--secret-file", str(folder / "secret"),
            *more,
        ]  # fmt: skip
        self.process: subprocess.Popen[str] | None = None

    def begin(self) -> None:
        with self.log.open("a") as said:
            self.process = subprocess.Popen(self._command, stdout=said, stderr=subprocess.STDOUT, text=True)
        before = self.log.read_text().count("listening on")
        prometheus.until(lambda: self.log.read_text().count("listening on") > before or self._alive() is False)
        assert self._alive(), self.log.read_text()

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def _alive(self) -> bool:
        return self.process is not None and self.process.poll() is None


def test_from_the_first_failed_answer_to_the_last(tmp_path: Path, capsys) -> None:
    programs = prometheus.install()
    folder = rules_project.measured(tmp_path)
    with (folder / "makeweight.yaml").open("a") as declared:
        declared.write(TARGET)
    (folder / "secret").write_text("a secret for this test alone")
    file, state = folder / "current.json", folder / "monitoring" / "controller"
    pointer.write(file, Pointer(STABLE, CANARY))
    terms, _ = rules_project.read((folder / "makeweight.yaml").read_text(), interval=1)
    rules = folder / "rules.yaml"
    rules.write_text(text.render(generate.groups(terms), [], terms.runbooks))
    port = program.free_port()
    asked = ["--controller", f"http://127.0.0.1:{port}", "--secret-file", str(folder / "secret")]

    def sentences() -> list[str]:
        log = state / "audit.jsonl"
        lines = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        return [line["sentence"] for line in lines if line["event"] == "decision"]

    with (
        served(file) as address,
        throwaway.running(
            programs, tmp_path / "prometheus", rules=[rules], targets={"models": [address]},
            alerts_to=[f"127.0.0.1:{port}"],
        ) as client,
    ):  # fmt: skip
        controller = Process(folder, client.url, port)
        controller.begin()
        prometheus.until(lambda: pointer.load(file).canary is None)
        controller.kill()
        controller.begin()
        prometheus.until(lambda: sentences() and "is rolled back" in sentences()[-1])
        assert main(["status", "--json", *asked]) == 0
        told = json.loads(capsys.readouterr().out)
        assert main(["hold", "--reason", "a look at it", "--who", "Ada", *asked]) == 0
        assert main(["rollback", "--reason", "once more", "--who", "Ada", *asked]) == 0
        said = capsys.readouterr().out.splitlines()
        controller.kill()
    assert said[1] == "no canary gets any traffic: there is nothing to roll back"
    (case,) = told["canaries"]
    assert (case["stage"], case["canary"]["sha256"], case["canary"]["revision"]) == ("rolled_back", "1" * 64, "r2")
    assert pointer.load(file) == Pointer(Served(**{**STABLE.__dict__, "weight": 1.0}), None, 2)
    (began,) = [line for line in sentences() if line.startswith("rolls")]
    assert re.fullmatch(
        r"rolls digits r2 back from 20%: MakeweightFailuresAboveStable fires since \S+, its test `failures` has an "
        r"e-value \S+ over 5000(; it had \S+% of the requests of half an hour)?",  # where that was recorded by then
        began,
    ), began
    assert main(["audit", "verify", "--state", str(state)]) == 0
    log = state / "audit.jsonl"
    log.write_bytes(log.read_bytes().replace(b"from 20%", b"from 25%", 1))
    assert main(["audit", "verify", "--state", str(state)]) == 1
    assert "its hash is not that of its content" in capsys.readouterr().out


def test_clients_are_let_in_by_certificate_alone(tmp_path: Path, capsys) -> None:
    folder = rules_project.measured(tmp_path)
    with (folder / "makeweight.yaml").open("a") as declared:
        declared.write(TARGET)
    (folder / "secret").write_text("a secret for this test alone")
    pointer.write(folder / "current.json", Pointer(STABLE, CANARY))
    certificate(folder)
    certificates = ["--tls-cert", str(folder / "server.pem"), "--tls-key", str(folder / "server.key")]
    ca, port = str(folder / "server.pem"), program.free_port()
    tls = (*certificates, "--tls-client-ca", ca)
    address = f"https://127.0.0.1:{port}"
    asked = ["status", "--controller", address, "--secret-file", str(folder / "secret"), "--tls-ca", ca]
    controller = Process(folder, "http://127.0.0.1:1", port, "--host", "0.0.0.0", *tls)  # noqa: S104 - what is tested
    controller.begin()
    try:
        with requests.Session() as session:
            session.trust_env, session.verify = False, ca
            for method, path in (("GET", "/healthz"), ("GET", "/metrics"), ("POST", "/api/v2/alerts")):
                with pytest.raises(requests.exceptions.RequestException):
                    session.request(method, address + path, data="[]", timeout=10)
            session.cert = (ca, str(folder / "server.key"))
            assert session.post(f"{address}/api/v2/alerts", data="[]", timeout=10).json()["looked"] is False
            page = session.get(f"{address}/metrics", timeout=10).text
            orders = {"endpoint": "prometheus", "environment": "", "model": "digits"}
            counted = {
                sample.labels["outcome"]: sample.value
                for family in text_string_to_metric_families(page)
                for sample in family.samples
                if sample.name == "makeweight_rollback_requests_total" and orders.items() <= sample.labels.items()
            }
            # who showed no certificate never came to ask
            assert counted.pop("taken") == 1
            assert counted["unauthorized"] == counted["malformed"] == 0
        assert main(asked) == 4
        assert "no answer of a controller" in capsys.readouterr().err
        assert main([*asked, *certificates]) == 0
        assert capsys.readouterr().out.startswith("digits: ")
    finally:
        controller.kill()


class Dead:
    """What is left of a process that was killed while Prometheus was down: a series that no scrape renews."""

    def __init__(self, seen: float) -> None:
        self.seen = seen

    def collect(self) -> Iterator[CounterMetricFamily]:
        family = CounterMetricFamily("makeweight_predictions", "", labels=["model", "variant", "sha256", "boot"])
        for sha256 in (CANARY.sha256, GONE):
            family.add_metric(["digits", "canary", sha256, "dead"], 7.0, timestamp=self.seen)
        yield family


def test_a_process_that_died_unseen_hides_no_later_look(tmp_path: Path) -> None:
    programs, registry, began = prometheus.install(), CollectorRegistry(), time.time()
    registry.register(Dead(began - 30))  # type: ignore[arg-type]
    observer = Observer(
        "digits", "r2", "canary", classes=["0", "1"], manifest=Build("int8", sha256=CANARY.sha256), registry=registry
    )
    observer.record([0.0, 1.0], 0.001)
    rules = tmp_path / "rules.yaml"
    watchdog = {"alert": names.WATCHDOG, "expr": "vector(1)", "labels": {"model": "digits"}}
    rules.write_text(json.dumps({"groups": [{"name": "watchdog", "rules": [watchdog]}]}))
    server, serving = start_http_server(0, "127.0.0.1", registry)
    targets = {"models": [f"127.0.0.1:{server.server_port}"]}
    canary, placement = Canary("", "digits", CANARY.sha256), Placement(0.0)
    with throwaway.running(programs, tmp_path / "prometheus", rules=[rules], targets=targets) as client:
        looking = Looking(client, "digits", {})
        seen = prometheus.until(lambda: (now := looking.look(canary, placement, time.time())).answered and now)
        gone = looking.look(replace(canary, sha256=GONE), placement, time.time())
    server.shutdown()
    server.server_close()
    serving.join()
    observer.close()
    assert (seen.blind, seen.answered.count) == ("", 8.0)
    assert seen.answered.time >= began
    assert (gone.blind, gone.answered) == ("", None)
