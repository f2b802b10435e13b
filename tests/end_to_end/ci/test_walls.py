"""What the code of a change may reach: not what one phase tells the next, not the imports of what is not its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from end_to_end.ci.attacks import attack
from end_to_end.ci.conftest import Hub
from end_to_end.ci.test_devices import STATIC, Jobs
from end_to_end.ci.test_events import FLOAT16
from integration.action.runner import REPOSITORY, assignments

LOADER = """\
import subprocess, sys
import numpy as np
def load(split):
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


def lays(files: dict[str, str], *edits: Callable[[Path], None]) -> Callable[[Path], None]:
    def edit(root: Path) -> None:
        for name, text in files.items():
            (root / name).write_text(text)
        for each in edits:
            each(root)

    return edit


@attack(
    "the model's code leaves a process behind that writes into the notes of the run that nothing changed",
    "it is ended with its stage, whatever session it is in and whatever signals it ignores",
)
def test_a_process_that_is_left_behind_is_ended(hub: Hub) -> None:
    script, alive = hub.folder / "behind.py", hub.folder / "alive"
    script.write_text(BEHIND)
    loads = hub.config(
        FLOAT16,
        ("npz: {test: test.npz, calibration: calibration.npz}", "load: mine:load"),
        ("sources: [notes.txt]", "sources: [mine.py]"),
    )
    code = LOADER.format(script=str(script), alive=str(alive))
    hub.change("behind", lays({"mine.py": code}, loads, lambda _: hub.run("makeweight", "init") and None))
    run = hub.pull_request("behind")
    assert run.code == 1, run.log
    assert run.outputs["verdict"] == "fail"
    with pytest.raises(ProcessLookupError):
        os.kill(int(alive.read_text()), 0)


@attack(
    "what a phase made is changed before the next one reads it",
    "the gate names the file, and judges nothing",
)
def test_what_is_changed_between_two_steps_is_refused(hub: Hub) -> None:
    hub.change("recipe", hub.config(FLOAT16))
    jobs = Jobs(hub, "recipe")
    jobs.compress()
    path = jobs.handed / "compressed/reports/int8/evaluate.json"
    path.write_text(path.read_text().replace("size_ratio", "size_ratio "))
    refusal = "what was handed over is not what `ci compress` made: `reports/int8/evaluate.json` changed since"
    assert refusal in jobs.measure("local")
    place, said, _ = jobs.job(["gate", "--collected", str(jobs.handed), "--handed", jobs.digest], token=True)
    assert refusal in said
    assert assignments(place.parent / f"{place.name}-outputs")["verdict"] == "error"
    assert hub.github.checks[-1]["conclusion"] == "failure"


@attack(
    "a `dvc.py` at the root of the change stands for DVC, and says that nothing would be run",
    "it is not imported, and the artifacts are made",
)
def test_a_dvc_of_the_changes_own_is_not_asked(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(hub.environment, "PYTHONPATH", ".")  # as workflows set it for their own code
    hub.change("liar", lays({"dvc.py": LIAR}, hub.config(FLOAT16)))
    run = hub.pull_request("liar")
    assert run.code == 1, run.log
    assert run.outputs["verdict"] == "fail"


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
    run = hub.push(before, after, signing_key=key.read_text(), commit_lock="true")
    assert run.code == 0, run.log
    assert run.outputs["verdict"] == "pass"
    assert "makeweight compress int8" in run.log
    assert hub.git("ls-remote", "origin", "main").split()[0] != after  # the lock was committed, as it is without them
    assert not seen.exists()


@attack(
    "a `pip.py` or `venv.py` at the root is there when the Action sets itself up",
    "it is not imported",
)
def test_the_set_up_imports_nothing_of_the_checkout(tmp_path: Path) -> None:
    seen, checkout = tmp_path / "seen", tmp_path / "checkout"
    checkout.mkdir()
    lays(dict.fromkeys(("pip.py", "venv.py", "random.py", "sitecustomize.py"), SPY.format(seen=str(seen))))(checkout)
    environment = {
        **{name: os.environ[name] for name in ("PATH", "HOME")},
        **dict.fromkeys(("EXTRAS", "REQUIREMENTS", "TORCH_INDEX"), ""),
        "PYTHON": sys.executable,
        "PYTHONPATH": ".",
        "ROOT": str(REPOSITORY),
        "RUNNER_TEMP": str(tmp_path),
        "GITHUB_OUTPUT": str(tmp_path / "outputs"),
    }
    script = REPOSITORY / "setup" / "environment.sh"
    done = subprocess.run(["bash", script], cwd=checkout, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert assignments(tmp_path / "outputs")["python"] == f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert not seen.exists()
