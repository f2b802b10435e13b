"""What the code of a change may reach: not what one phase tells the next, not the imports of what is not its own."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

import preloaded
from end_to_end.ci.attacks import attack
from end_to_end.ci.conftest import BOARD, TIMES, Hub, grown
from end_to_end.ci.test_devices import STATIC, Jobs
from end_to_end.ci.test_events import FLOAT16
from integration.action.machine import Machine
from integration.action.runner import REPOSITORY, Runner, assignments
from integration.github.server import Server
from makeweight.forge.event import Event
from makeweight.github import check
from makeweight.github.client import Client
from makeweight_base.forge.client import Refused

CALLED = REPOSITORY / ".github" / "workflows" / "continuous-compression.yml"

LOADER = """\
import os, pathlib, subprocess, sys
import numpy as np
def load(split):
    pathlib.Path("seen.txt").write_text("\\n".join(f"{{name}}={{value}}" for name, value in os.environ.items()))
    subprocess.run([sys.executable, {script!r}, {alive!r}])
    data = np.load("test.npz")
    return data["x"], data["target"]
"""
BEHIND = """\
import os, pathlib, signal, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for each in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(each, signal.SIG_IGN)
        pathlib.Path(sys.argv[1]).write_text(str(os.getpid()))
        notes = pathlib.Path(".makeweight/state.json")
        while True:
            text = notes.read_text() if notes.exists() else ""
            if '"unchanged": false' in text:
                notes.write_text(text.replace('"unchanged": false', '"unchanged": true'))
            time.sleep(0.01)
    os._exit(0)
os.wait()
"""
"""Leaves a process of its own session, deaf to signals, that says in the notes of the run that nothing changed."""
LIAR = """\
import sys
for stage in ("baseline", "compress@int8", "evaluate@int8"):
    print(f"Stage '{stage}' didn't change, skipping")
"""
"""What stands for DVC, and for what it is asked says that nothing would be run."""
SPY = """\
import os, pathlib
pathlib.Path({seen!r}).write_text("\\n".join(f"{{name}}={{value}}" for name, value in os.environ.items()))
raise SystemExit(1)
"""


def with_real_commands(hub: Hub, **more: str) -> None:
    """Have runs begin the real commands, for what is about imports and about what outlives a stage."""
    hub.environment = {**preloaded.without(hub.environment), **more}


def lays(files: dict[str, str], *edits: Callable[[Path], None]) -> Callable[[Path], None]:
    def edit(root: Path) -> None:
        for name, text in files.items():
            (root / name).write_text(text)
        for each in edits:
            each(root)

    return edit


@attack(
    "the model's code reads the environment",
    "there is no token and no key in it",
)
@attack(
    "a `dvc.py` at the root of the change stands for DVC, and says that nothing would be run",
    "it is not imported, and the artifacts are made",
)
@attack(
    "the model's code leaves a process behind that writes into the notes of the run that nothing changed",
    "it is ended with its stage, whatever session it is in and whatever signals it ignores",
)
def test_what_a_change_brings_gets_no_token_outlives_no_stage_and_stands_for_nothing(hub: Hub) -> None:
    """In one run, since any of them that succeeded would show by itself."""
    script, alive, key = hub.folder / "behind.py", hub.folder / "alive", hub.folder / "key.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(key)], check=True)
    script.write_text(BEHIND)
    loads = hub.config(
        FLOAT16,
        ("npz: {test: test.npz, calibration: calibration.npz}", "load: mine:load"),
        ("sources: [notes.txt]", "sources: [mine.py]"),
    )
    code = LOADER.format(script=str(script), alive=str(alive))
    files = {"mine.py": code, "dvc.py": LIAR}
    hub.change("behind", lays(files, loads, lambda _: hub.run("makeweight", "init") and None))
    with_real_commands(hub, PYTHONPATH=".")  # as workflows set it for their own code
    run = hub.pull_request("behind", signing_key=key.read_text())
    assert run.code == 1, run.log
    assert run.outputs["verdict"] == "fail"
    seen = (run.workspace / "seen.txt").read_text()
    assert "PATH=" in seen
    assert hub.github.token not in seen
    assert key.read_text().splitlines()[1] not in seen
    assert "GITHUB_OUTPUT" not in seen
    with pytest.raises(ProcessLookupError):
        os.kill(int(alive.read_text()), 0)


AROUND = """\
import os, pathlib
import numpy as np
def samples(split):
    return list(np.load("test.npz")["x"][:4])
def before(sample):
    for name in ("GITHUB_WORKSPACE", "GITHUB_OUTPUT"):
        if name in os.environ:
            place = pathlib.Path(os.environ[name])
            place = place / "reports/int8/evaluate.json" if place.is_dir() else place
            if place.exists():
                place.write_text(place.read_text().replace("0.2", "0.1") + "FORGED=1\\n")
    return sample
"""


@attack(
    "the code around the model (`pipeline`), which runs while a device measures, writes what was evaluated, and the "
    "runner's files",
    "the run fails, and names the file; the runner's are as they were",
)
def test_the_code_around_a_model_writes_nothing_that_the_gate_goes_by(hub: Hub) -> None:
    around = hub.config(
        (
            "sources: [notes.txt]",
            "sources: [around.py]\npipeline: {samples: 'around:samples', preprocess: 'around:before'}",
        ),
        FLOAT16,
        (BOARD, "  local: {kind: local, threads: 1, processes: 1, seconds: 8}\n"),
    )
    hub.change("around", lays({"around.py": AROUND}, around, lambda _: hub.run("makeweight", "init") and None))
    run = hub.pull_request("around")
    assert run.code == 4, run.log
    assert run.outputs["verdict"] == "error"
    assert "`reports/int8/evaluate.json` changed, and makeweight did not" in run.log, run.log
    assert "FORGED" not in run.outputs


@attack(
    "the program that times a model (a device of kind `command`), which runs while its device measures, is edited so "
    "that it writes what was evaluated",
    "the run fails, and names the file",
)
def test_the_program_of_a_device_writes_nothing_that_the_gate_goes_by(hub: Hub) -> None:
    forging = "echo >> reports/int8/evaluate.json\n"
    hub.change("board", lays({"time.sh": TIMES + forging}, hub.config(FLOAT16)))
    run = hub.pull_request("board")
    assert run.code == 4, run.log
    assert "`reports/int8/evaluate.json` changed, and makeweight did not" in run.log, run.log


@pytest.fixture(scope="module")
def handed(seed: Path, tmp_path_factory: pytest.TempPathFactory, plain: dict[str, str]) -> Iterator[Jobs]:
    """A change that breaks its budget, made and measured."""
    for hub in grown(seed, tmp_path_factory.mktemp("handed") / "hub", plain):
        hub.change("size", hub.config(FLOAT16))
        jobs = Jobs(hub, "size")
        jobs.compress()
        jobs.measure("board")
        yield jobs


@attack(
    "a process that the model's code left behind notes for the gate that nothing changed",
    "the gate finds the base, what changed and who may measure by itself, and reads none of it",
)
def test_what_is_noted_for_the_gate_decides_nothing(handed: Jobs, tmp_path: Path) -> None:
    jobs, hub = handed.apart(tmp_path), handed.hub
    place = jobs.handed / "compressed/.makeweight/state.json"
    noted = json.loads(place.read_text())
    flipped = {
        "head": noted["base"],
        "branch": "elsewhere",
        "unchanged": True,
        "anew": True,
        "refused": {"board": "it may not"},
        "base": jobs.head,
    }
    place.write_text(json.dumps({**noted, **flipped}))
    # and as if that had been written before the hand-over was closed
    record = jobs.handed / "compressed/.makeweight/handed.json"
    closed = json.loads(record.read_text())
    closed["files"][".makeweight/state.json"] = hashlib.sha256(place.read_bytes()).hexdigest()
    record.write_text(json.dumps(closed))
    jobs.digest = hashlib.sha256(record.read_bytes()).hexdigest()
    verdict, said = jobs.gate()
    assert verdict["verdict"] == "fail", said
    assert verdict["provenance"]["commit"] == jobs.head  # type: ignore[index]
    assert verdict["provenance"]["base"] == hub.git("rev-parse", "main")  # type: ignore[index]
    assert "measured_at" not in verdict["provenance"]  # type: ignore[operator]
    (at_home,) = [r for r in verdict["rules"] if r["rule"] == "latency_p50.max_ratio" and r["variant"] == "int8"]  # type: ignore[attr-defined]
    assert at_home["value"] is not None


@attack(
    "what a phase made is changed before the next one reads it",
    "the gate names the file, and judges nothing",
)
def test_what_is_changed_between_two_steps_is_refused(handed: Jobs, tmp_path: Path) -> None:
    jobs = handed.apart(tmp_path)
    shutil.rmtree(jobs.handed / "board")
    path = jobs.handed / "compressed/reports/int8/evaluate.json"
    path.write_text(path.read_text().replace("size_ratio", "size_ratio "))
    refusal = "what was handed over is not what `ci compress` made: `reports/int8/evaluate.json` changed since"
    assert refusal in jobs.measure("board")
    place, said, _ = jobs.job(["gate", "--collected", str(jobs.handed), "--handed", jobs.digest], token=True)
    assert refusal in said
    assert assignments(place.parent / f"{place.name}-outputs")["verdict"] == "error"
    assert jobs.hub.github.checks[-1]["conclusion"] == "failure"


@attack(
    "a `dvc.py` that has been merged reads the token and the signing key on the push",
    "it is not imported, and DVC's environment has neither",
)
@attack(
    "files are named like modules of Python's own (`types.py`, `queue.py`, `random.py`)",
    "they take nobody's place, and the run goes as it did",
)
def test_nothing_of_the_checkout_is_imported_by_accident(hub: Hub) -> None:
    key, seen = hub.folder / "key.pem", hub.folder / "seen"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(key)], check=True)
    names = ("dvc.py", "types.py", "queue.py", "random.py", "makeweight.py", "git.py")
    hub.change("named", lays(dict.fromkeys(names, SPY.format(seen=str(seen))), hub.config(STATIC)))
    before, after = hub.land("named")
    with_real_commands(hub)
    run = hub.push(before, after, signing_key=key.read_text(), commit_lock="true")
    assert run.code == 0, run.log
    assert run.outputs["verdict"] == "pass"
    assert "makeweight compress int8" in run.log
    assert hub.git("ls-remote", "origin", "main").split()[0] != after  # the lock was committed, as it is without them
    assert not seen.exists()


@attack(
    "the model's code leaves packages in pip's cache, which its job keeps, for the job that judges to install",
    "that job fetches no cache",
)
def test_the_job_that_judges_installs_nothing_that_was_left_for_it(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.has_python()
    made = machine.runner.job(CALLED, "compress", inputs={"project": "."})
    assert made.conclusion == "success", made.log
    (kept,) = machine.named("cache")  # saved when that job ends
    machine.used.clear()
    before = {"compress": {"outputs": {**made.outputs, "devices": "[]"}}}
    assert machine.runner.job(CALLED, "gate", inputs={"project": "."}, needs=before).conclusion == "success"
    beginnings = [line for used in machine.named("cache") for line in (used["key"], *used["restore-keys"].split())]
    assert [each for each in beginnings if kept["key"].startswith(each)] == []
    assert list(machine.verbs) == ["open", "compress", "gate"]


@attack(
    "the model's code takes the token of the job it runs in, and puts a green check under the name that is required",
    "in the form with devices that token may only read",
)
def test_the_token_beside_the_models_code_makes_no_check() -> None:
    event = Event("pull_request", repository="acme/model", head="a" * 40, number=7, run_id=50)
    jobs = yaml.safe_load(CALLED.read_text())["jobs"]
    for name in ("compress", "measure"):
        granted = jobs[name]["permissions"].get("checks", "none")
        with Server() as github:
            for how in {"none": ("read", "write"), "read": ("write",), "write": ()}[granted]:
                github.deny(f"checks: {how}")
            client = Client(github.url, github.token)
            with pytest.raises(Refused):
                check.complete(client, event, "makeweight / gate", "model", None, "success", "passed", "passed")
            assert github.checks == []


@attack(
    "a `pip.py` or `venv.py` at the root is there when the Action sets itself up",
    "it is not imported",
)
def test_the_set_up_imports_nothing_of_the_checkout(tmp_path: Path) -> None:
    """It is a real one, and what it installs can be used."""
    seen, checkout = tmp_path / "seen", tmp_path / "checkout"
    checkout.mkdir()
    lays(dict.fromkeys(("pip.py", "venv.py", "random.py", "sitecustomize.py"), SPY.format(seen=str(seen))))(checkout)
    kept = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_", "http", "HTTP"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # the Python of these tests
    environment = {**kept, "PATH": path, "HOME": os.environ["HOME"], "PYTHONPATH": "."}
    runner = Runner(checkout, tmp_path / "temp", environment)
    result = runner.action(REPOSITORY / "setup" / "action.yml", extras="", python_version="", cache="false")
    assert result.conclusion == "success", result.log
    assert result.steps["environment"].outputs["python"] == f"{sys.version_info[0]}.{sys.version_info[1]}"
    command = tmp_path / "temp" / "makeweight" / "bin" / "makeweight"
    done = subprocess.run(
        [command, "--version"], cwd=checkout, env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout.startswith("makeweight "), done.stderr
    assert len(list(checkout.iterdir())) == 4
    assert not seen.exists()
