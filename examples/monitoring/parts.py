"""The parts that both demos put together: what was built, its rules, and servers of it."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import requests

from examples.digits import data
from examples.monitoring import interrupted
from examples.monitoring.serve import Release
from makeweight_base.errors import EnvironmentFailed, UsageError
from makeweight_base.loopback import proxies
from makeweight_monitors import program
from makeweight_monitors import reference as references
from makeweight_monitors.metrics import PREDICTIONS, Variant
from makeweight_monitors.prometheus.queries import Client

REPOSITORY = Path(__file__).resolve().parents[2]
_FIRST_SCRAPE = 30.0
_FIRST_EVALUATION = 300.0
_SECONDS = 30


@dataclass(frozen=True)
class Built:
    """A project whose variant was compressed and evaluated."""

    project: Path
    variant: str

    def __post_init__(self) -> None:
        for made in ("baseline", self.variant):
            if not (self.artifact(made) / "model.onnx").is_file():
                raise UsageError(
                    "no model here", where=str(self.artifact(made)), do="Build it with `make monitor-demo`."
                )

    @property
    def model(self) -> str:
        """As its reference calls it."""
        return references.read(self.reference(self.variant)).model

    def artifact(self, made: str) -> Path:
        return self.project / "artifacts" / made

    def reference(self, made: str) -> Path:
        return self.project / "reports" / made / "reference.json"

    def release(self, revision: str, variant: Variant, arms: Mapping[Variant, tuple[Path, str]]) -> Release:
        """What a server is to serve.

        Args:
            arms: by variant, the artifact's folder, and whose reference it has.
        """
        artifact = {arm: str(folder) for arm, (folder, _) in arms.items()}
        reference = {arm: str(self.reference(made)) for arm, (_, made) in arms.items()}
        return Release(self.model, revision, variant, artifact, reference, [data.LIGHT, data.HEAVY])


def verb(*arguments: str, of: str = "makeweight-monitors") -> list[str]:
    """A command of one of the programs that are installed here."""
    return [str(Path(sys.executable).with_name(of)), *arguments]


def carried_out(command: Sequence[str], folder: Path | None = None) -> str:
    """Run a command of `verb` to its end, in a folder or in this one; what it printed.

    Raises:
        EnvironmentFailed: it fails; what it said is part of the error.
    """
    done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        said = (done.stderr or done.stdout).strip()
        raise EnvironmentFailed(f"{command[1]} failed: {said}", where=" ".join(command))
    return done.stdout.strip()


def rules(project: Path, variant: str, folder: Path) -> Path:
    """The rules of a project's budget, looked at every second."""
    carried_out(verb("rules", "--project", str(project), "--variant", variant, "--interval", "1", "--out", str(folder)))
    return folder / "makeweight.rules.yaml"


def server(stack: contextlib.ExitStack, folder: Path, release: Release) -> str:
    """Start a server of its own process; its address."""
    address = f"http://127.0.0.1:{program.free_port()}"
    command = [sys.executable, "-m", "examples.monitoring.serve", "--port", address.rpartition(":")[2]]
    command += ["--release", json.dumps(asdict(release))]
    log, ready = folder / f"{release.variant}.log", f"{address}/-/ready"
    stack.enter_context(
        program.running(f"the server of {release.variant}", command, ready, log, at=REPOSITORY, apart=True)
    )
    return address


def serve(address: str, release: Release) -> None:
    """Have a server serve something else from now on."""
    where = f"{address}/-/release"
    answer = requests.post(where, json=asdict(release), timeout=_SECONDS, proxies=proxies(where))
    if answer.status_code != 200:
        raise EnvironmentFailed(f"the server does not take a release: {answer.text[:500]}", where=address)


def scraped(client: Client, revision: str, variant: Variant) -> None:
    """Wait until Prometheus has an arm's series at zero: it cannot know how much they had grown before."""
    end = time.monotonic() + _FIRST_SCRAPE
    while not client.query(f'{PREDICTIONS.series}{{revision="{revision}", variant="{variant}"}}'):
        if time.monotonic() > end:
            raise EnvironmentFailed(f"Prometheus has not reached the servers in {_FIRST_SCRAPE:g} s", where=client.url)
        time.sleep(0.2)


def evaluated(client: Client) -> None:
    """Wait until each group of rules was evaluated once: some are looked at every minute, and what reads them waits."""
    end = time.monotonic() + _FIRST_EVALUATION
    while not all(group.evaluated > 0 for group in client.alerting()):
        if time.monotonic() > end:
            raise EnvironmentFailed(f"not all rules were evaluated in {_FIRST_EVALUATION:g} s", where=client.url)
        interrupted.wait(0.2)


def say(line: str) -> None:
    print(line, flush=True)
