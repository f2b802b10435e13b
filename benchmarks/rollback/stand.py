"""A stand on which a bad canary is rolled back while all around it dies: controllers, exporter, Prometheus and model
server, all real, on loopback. What was killed is begun anew.
"""

from __future__ import annotations

import contextlib
import functools
import json
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import project
import requests

from makeweight_monitors import program
from makeweight_monitors.prometheus import throwaway
from makeweight_monitors.rollback import audit
from makeweight_monitors.rollback.audit import Head
from makeweight_monitors.rollback.journal import Journal
from makeweight_monitors.serving import pointer
from makeweight_monitors.serving.pointer import Pointer, Served

PATIENCE = 300.0
"""Seconds for which anything is waited for: much else may run on this machine."""


@dataclass
class Part:
    """A process that is begun as often as it is killed."""

    command: list[str]
    log: Path
    ready: str
    """Its address; empty: it is ready at once."""
    process: subprocess.Popen[bytes] | None = None

    def begin(self) -> None:
        with self.log.open("ab") as said:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=said, stderr=said)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def is_ready(self) -> bool:
        if self.process is None or self.process.poll() is not None:
            raise SystemExit(f"{self.command[:4]} ended by itself:\n{self.log.read_text(errors='replace')[-2000:]}")
        with contextlib.suppress(requests.RequestException):
            return not self.ready or requests.get(self.ready, timeout=1).status_code == 200
        return False


class Model:
    """One that is served by a pointer, and its controller."""

    def __init__(self, name: str, folder: Path) -> None:
        folder.mkdir()
        self.folder, self.file, self.state = folder, folder / "current.json", folder / "monitoring" / "controller"
        self.stable = Served(name, "baseline", "r0", "f" * 64, "a", 1.0, 0)
        self.rules = project.write(folder, Pointer(self.stable), interval=1, judged=False)
        self.port = program.free_port()

    @property
    def part(self) -> str:
        """What its controller is called among the parts of the stand."""
        return f"controller of {self.stable.model}"

    def canary(self, number: int) -> Served:
        return Served(self.stable.model, "int8", f"r{number}", f"{number:064x}", "b", 0.2, 0)

    def let_in(self, canary: Served) -> int:
        """The epoch of the pointer after that."""
        pointer.write(self.file, pointer.load(self.file).on_trial(canary))
        return pointer.load(self.file).epoch

    def alert(self, canary: Served) -> int:
        """How one that asks for its rollback is answered; 0: not at all."""
        labels = {"kind": "rollback", "model": canary.model, "sha256": canary.sha256, "alertname": "again"}
        try:
            address = f"http://127.0.0.1:{self.port}/api/v2/alerts"
            return requests.post(address, json=[{"labels": labels}], timeout=30).status_code
        except requests.RequestException:
            return 0

    @functools.cached_property
    def journal(self) -> Journal:
        """That of its controller."""
        return Journal(self.state)

    def stages(self) -> dict[str, str]:
        """By sha256 of canaries, as the journal has them."""
        return {case.canary.sha256: case.stage for case in self.journal.cases()}

    def wrong(self) -> str:
        """What is wrong with the audit log, or with the journal; empty: nothing."""
        self.journal.flush()  # as the next controller would, of one that was killed
        found = audit.verify(self.journal.log, self.journal.head())
        if not isinstance(found, Head):
            return f"line {found.line}: {found.what}"
        with contextlib.closing(sqlite3.connect(self.journal.path)) as base:
            ((whole,),) = base.execute("PRAGMA integrity_check").fetchall()
        return "" if whole == "ok" else str(whole)


class Stand:
    """One Prometheus, one exporter and one server, of some models, which have a controller each."""

    def __init__(
        self,
        folder: Path,
        programs: throwaway.Programs,
        names: Sequence[str] = ("digits",),
        python: str = sys.executable,
    ) -> None:
        """Args:
        python: what begins controllers and exporter.
        """
        folder.mkdir()
        self.folder, self.models = folder, [Model(name, folder / name) for name in names]
        ports = {name: program.free_port() for name in ("exporter", "prometheus")}
        url = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
        config, described = folder / "prometheus.json", folder / "models.yaml"
        rules, targets = [model.rules for model in self.models], {"models": [f"127.0.0.1:{ports['exporter']}"]}
        alerts_to = [f"127.0.0.1:{model.port}" for model in self.models]
        config.write_text(json.dumps(throwaway.configuration(rules, targets, alerts_to, "1s", "1s")))
        prometheus = [
            str(programs.prometheus), f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{ports['prometheus']}", "--log.level=error",
        ]  # fmt: skip
        exporter = [python, "-m", "makeweight_monitors", "exporter", "--models", str(described)]
        server = [sys.executable, str(Path(__file__).with_name("server.py")), url["exporter"]]
        commands = {
            "prometheus": (prometheus, f"{url['prometheus']}/-/ready"),
            "exporter": ([*exporter, "--port", str(ports["exporter"])], f"{url['exporter']}/-/ready"),
        }
        for model in self.models:
            controller = project.controller(model.folder, url["prometheus"], model.port, python)
            commands[model.part] = [*controller, "--every", "1s"], f"http://127.0.0.1:{model.port}/healthz"
        commands["server"] = [*server, *(str(model.file) for model in self.models)], ""
        self.parts = {name: Part(command, folder / f"{name}.log", ready) for name, (command, ready) in commands.items()}

    def describe(self, canaries: Sequence[Served]) -> None:
        """The canaries, one of each model, to the exporter: it is begun anew, as it reads that when it begins."""
        self.parts["exporter"].kill()
        models = {}
        for model, canary in zip(self.models, canaries, strict=True):
            for arm, one in (("stable", model.stable), ("canary", canary)):
                told = {"status": "ready", "variant": one.variant, "recipe": [], "weights": "int8", "size": 1}
                manifest = {**told, "runtime": "onnxruntime", "sha256": one.sha256}
                (model.folder / f"{arm}.json").write_text(json.dumps(manifest))
            models[canary.model] = {
                "revision": canary.revision,
                "classes": [str(number) for number in range(10)],
                "weight": canary.weight,
                "manifest": {arm: str(model.folder / f"{arm}.json") for arm in ("stable", "canary")},
            }
        (self.folder / "models.yaml").write_text(json.dumps({"models": models}))  # JSON is YAML
        self.begin("exporter")

    def begin(self, name: str) -> None:
        self.parts[name].begin()
        until(self.parts[name].is_ready)

    def forget(self) -> None:
        """All that Prometheus knows; it is begun with what is not there by then."""
        self.parts["prometheus"].kill()
        self.parts["prometheus"].process = None
        shutil.rmtree(self.folder / "data")

    def complete(self) -> None:
        """Begin what is not there, or was never."""
        begun = [part for part in self.parts.values() if part.process is None]
        for part in begun:
            part.begin()
        for part in begun:
            until(part.is_ready)

    def end(self) -> None:
        for part in self.parts.values():
            part.kill()
        for model in self.models:
            model.journal.close()


def until(found: Callable[[], object]) -> None:
    """Or until patience ends: then what is asked after that tells what is wrong."""
    end = time.monotonic() + PATIENCE
    while not found() and time.monotonic() < end:
        time.sleep(0.1)
