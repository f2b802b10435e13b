"""The device matrix: variants made once, measured by a job for each device, judged by those that answered."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from end_to_end.ci.attacks import attack
from end_to_end.ci.conftest import BOARD, FORK, GROWTH, Hub, grown
from integration.action.runner import assignments
from makeweight import measurement

STATIC = ("{method: dynamic}", "{method: static}")
TWO = (BOARD, f"{BOARD}  pi5: {{kind: local, threads: 1, processes: 1, seconds: 8, runner: [self-hosted, pi5]}}\n")
HANDED = (".makeweight", "artifacts", "samples", "reports", "dvc.lock")


class Jobs:
    """The jobs of one run, each in a clone of its own."""

    def __init__(self, hub: Hub, branch: str, *, fork: bool = False) -> None:
        self.hub = hub
        head, base = hub.git("rev-parse", branch), hub.git("rev-parse", "main")
        hub.git("checkout", "-q", "--detach", "main")
        hub.git("merge", "-q", "--no-ff", "-m", "try", branch)
        hub.git("push", "-q", "-f", "origin", "HEAD:refs/pull/7/merge")
        origin = FORK if fork else hub.github.repository
        hub.github.pull(7, head, base, head_repository=origin)
        self.head = head
        self.payload = {
            "pull_request": {
                "number": 7,
                "head": {"sha": head, "repo": {"full_name": origin}},
                "base": {"sha": base, "ref": "main", "repo": {"full_name": hub.github.repository}},
            }
        }
        self.handed = hub.folder / "handed"
        self.handed.mkdir()
        self.digest = ""
        """What the job `compress` gives out of what it hands over."""

    def job(
        self, *phases: list[str], before: Path | None = None, token: bool = False, machine: str = "github-hosted"
    ) -> tuple[Path, str, str]:
        """Run phases in a fresh clone; the clone, what was said, and the outputs."""
        place, environment = self.hub.checkout("pull_request", "refs/pull/7/merge", self.payload)
        self.hub.git("fetch", "-q", "--unshallow", "origin", cwd=place)
        if before is not None:
            for name in ("reports", "artifacts", "samples"):
                shutil.rmtree(place / name, ignore_errors=True)
            shutil.copytree(before, place, dirs_exist_ok=True)
        outputs = place.parent / f"{place.name}-outputs"
        environment |= {"GITHUB_OUTPUT": str(outputs), "RUNNER_ENVIRONMENT": machine, "GITHUB_RUN_ID": "77"}
        if token:
            environment["MAKEWEIGHT_TOKEN"] = self.hub.github.token
        own = Hub(self.hub.folder, environment, self.hub.github)
        said = "\n".join(own.run("makeweight", "ci", *phase, cwd=place, ok=False) for phase in phases)
        return place, said, outputs.read_text() if outputs.exists() else ""

    def compress(self) -> tuple[str, str]:
        place, said, outputs = self.job(["open"], ["compress"], token=True)
        target = self.handed / "compressed"
        target.mkdir()
        for name in HANDED:
            if (place / name).is_dir():
                shutil.copytree(place / name, target / name)
            elif (place / name).exists():
                shutil.copyfile(place / name, target / name)
        self.digest = assignments(place.parent / f"{place.name}-outputs")["handed"]
        return said, outputs

    def measure(self, device: str) -> str:
        phase = ["measure", "--device", device, "--handed", self.digest]
        place, said, _ = self.job(phase, before=self.handed / "compressed")
        target = self.handed / device
        wanted = (f".makeweight/regressions/{device}*", f"reports/*/{device}.json", f"samples/*/{device}.npz")
        for path in (found for pattern in wanted for found in place.glob(pattern)):
            (target / path.relative_to(place)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target / path.relative_to(place))
        return said

    def apart(self, folder: Path) -> Jobs:
        """The same run with a copy of what was handed over, which may be tampered with."""
        own = copy.copy(self)
        own.handed = folder / "handed"
        shutil.copytree(self.handed, own.handed)
        return own

    def gate(self) -> tuple[dict[str, object], str]:
        place, said, _ = self.job(["gate", "--collected", str(self.handed), "--handed", self.digest], token=True)
        return json.loads((place / ".makeweight/reports/verdict.json").read_text()), said


def two_devices(hub: Hub) -> None:
    hub.change("main", hub.config(TWO, GROWTH))


@pytest.fixture(scope="module")
def at_home(
    seed: Path, tmp_path_factory: pytest.TempPathFactory, plain: dict[str, str]
) -> Iterator[tuple[Jobs, str, str, str]]:
    """A change that two devices have to measure, made, and measured by one of them; what was said, and the outputs."""
    for hub in grown(seed, tmp_path_factory.mktemp("devices") / "hub", plain):
        two_devices(hub)
        hub.change("recipe", hub.config(STATIC))
        jobs = Jobs(hub, "recipe")
        said, outputs = jobs.compress()
        yield jobs, said, outputs, jobs.measure("board")


def test_devices_measure_apart_and_one_that_is_offline_is_not_measured(
    at_home: tuple[Jobs, str, str, str], tmp_path: Path
) -> None:
    made, said, outputs, measured = at_home
    jobs, hub = made.apart(tmp_path), made.hub
    assert '{"device": "pi5", "runner": ["self-hosted", "pi5"]}' in outputs, said
    assert '{"device": "board", "runner": "ubuntu-latest"}' in outputs
    assert "makeweight compress int8" in said
    assert "int8 beside baseline on board" in measured
    verdict, said = jobs.gate()
    assert verdict["verdict"] == "inconclusive", said
    rules = [r for r in verdict["rules"] if r["variant"] == "int8"]  # type: ignore[attr-defined]
    at_home = {r["rule"]: r["verdict"] for r in rules if r["device"] != "pi5"}
    assert set(at_home.values()) == {"pass"}, at_home
    away = [r for r in rules if r["device"] == "pi5"]
    assert {r["verdict"] for r in away} == {"inconclusive"}
    assert all("did not answer" in r["sentence"] for r in away), away
    assert hub.github.checks[-1]["conclusion"] == "action_required"

    said = jobs.measure("pi5")
    assert "int8 beside baseline on pi5" in said, said
    verdict, said = jobs.gate()
    assert verdict["verdict"] == "pass", said
    assert len(hub.github.comments) == 1


@attack(
    "a device's job hands over figures of another device",
    "they are left aside, and the comment says so",
)
@attack(
    "what a device measured in an earlier attempt at a run, of a model that was made then, lies there in the next one",
    "neither times nor growth count but those of the very models that were made in this one",
)
def test_a_job_hands_over_its_own_device_and_no_other(at_home: tuple[Jobs, str, str, str], tmp_path: Path) -> None:
    jobs = at_home[0].apart(tmp_path)
    for path in list((jobs.handed / "board").rglob("board*")):
        shutil.copyfile(path, path.with_name(path.name.replace("board", "pi5")))
    place = jobs.handed / "board/.makeweight/regressions/board.json"
    then = measurement.keyed(measurement.loads(place.read_text(), "growth"), "of what was made then")
    place.write_text(measurement.dumps(then))
    verdict, said = jobs.gate()
    assert verdict["verdict"] == "inconclusive", said
    (growth,) = [
        r
        for r in verdict["rules"]  # type: ignore[attr-defined]
        if (r["rule"], r["device"], r["variant"]) == ("latency_p50.max_regression", "board", "int8")
    ]
    assert "it was not compared with the merge base in this run" in growth["sentence"]
    assert all(
        r["verdict"] == "inconclusive"
        for r in verdict["rules"]  # type: ignore[attr-defined]
        if r["device"] == "pi5" and r["variant"] == "int8"
    )


@attack(
    "a fork's code is to run on a machine of one's own",
    "not before a maintainer sets a label for that very commit",
)
def test_a_forks_code_reaches_a_machine_of_ones_own_only_by_a_label_for_that_commit(hub: Hub) -> None:
    two_devices(hub)
    hub.change("stranger", hub.config(STATIC))
    jobs = Jobs(hub, "stranger", fork=True)
    _, outputs = jobs.compress()
    assert '"device": "board"' in outputs
    assert '"device": "pi5"' not in outputs
    jobs.measure("board")
    verdict, said = jobs.gate()
    assert verdict["verdict"] == "inconclusive", said
    assert f"devices:{jobs.head}" in said

    _, said, _ = jobs.job(["open"], token=True, machine="self-hosted")
    assert "a fork's code is not run on a machine of your own" in said
    hub.github.permissions |= {"reader": "read", "writer": "write"}
    hub.github.label(7, f"devices:{jobs.head}", "reader")
    assert '"device": "pi5"' not in jobs.job(["open"], token=True)[2]
    hub.github.label(7, f"devices:{jobs.head[:12]}", "writer")
    assert '"device": "pi5"' not in jobs.job(["open"], token=True)[2]
    hub.github.label(7, f"devices:{jobs.head}", "writer")
    assert '"device": "pi5"' in jobs.job(["open"], token=True, machine="self-hosted")[2]
