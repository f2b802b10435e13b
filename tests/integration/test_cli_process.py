"""The command line as a process of its own: what it loads, and what becomes of its exit code in a pipe."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tiny_models

from makeweight.cli import main
from makeweight.verbs import devices
from makeweight_base.errors import Exit

HEAVY = ("torch", "torch_pruning", "onnx", "onnxruntime", "onnxscript", "dvc", "ruamel", "PIL", "sklearn")
# Runs the command line, then tells which modules it took.
SPY = """
import json, sys
from makeweight.cli import main
try:
    code = main(sys.argv[1:])
except SystemExit as ended:
    code = ended.code or 0
print("\\n" + json.dumps({"code": code, "modules": sorted(sys.modules)}))
"""
VERDICT = {
    "verdict": "fail",
    "sentence": "no variant passes every rule; nearest is `int8`: breaks size.max.",
    "ship": None,
    "policy": "best",
    "prefer": "size",
    "project": "digits",
    "variants": [{"variant": "int8", "verdict": "fail", "ships": False, "sentence": "breaks size.max"}],
    "rules": [
        {
            "rule": "size.max",
            "metric": "size",
            "operator": "max",
            "variant": "int8",
            "device": None,
            "slice": None,
            "limit": 400000.0,
            "limit_text": "at most 400 kB",
            "value": 500000.0,
            "interval": None,
            "verdict": "fail",
            "level": "error",
            "sentence": "size is 500 kB, and at most 400 kB is allowed.",
            "settle": None,
        }
    ],
    "measurements": [],
    "provenance": {},
}
CONFIG = """\
model: {onnx: model.onnx}
data: {npz: {test: test.npz}}
variants: {half: {steps: [float16]}}
budget: {size: {max: 1 MB}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "verdict.json").write_text(json.dumps(VERDICT))
    (tmp_path / "makeweight.yaml").write_text(CONFIG)
    return tmp_path


def spied(folder: Path, *arguments: str) -> tuple[int, set[str]]:
    done = subprocess.run(
        [sys.executable, "-c", SPY, *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    told = json.loads(done.stdout.splitlines()[-1])
    return told["code"], set(told["modules"])


def test_the_help_loads_next_to_nothing(folder: Path) -> None:
    for arguments in (["--help"], ["compare", "--help"], ["init", "--help"], ["--version"]):
        code, modules = spied(folder, *arguments)
        assert code == 0
        assert not modules & {*HEAVY, "numpy", "pydantic", "rich", "yaml", "jinja2", "requests"}, arguments


def test_the_gate_loads_no_runtime(folder: Path) -> None:
    code, modules = spied(folder, "gate")
    assert code == 1
    assert not modules & {*HEAVY, "numpy"}
    unread = {"makeweight.config.settings", "makeweight.budget.rule", "makeweight.project.project"}
    assert not modules & unread, "what makeweight.yaml may say is of no account to it"


def test_a_run_of_continuous_integration_that_changes_nothing_loads_no_arrays() -> None:
    """Until it judges: what compares, measures and draws is loaded where something has changed."""
    phases = "import sys; from makeweight.verbs.ci import compressing, entry, measuring, opening; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", phases], capture_output=True, text=True, check=True)
    assert not {name.partition(".")[0] for name in done.stdout.split()} & {*HEAVY, "numpy", "jinja2"}


def test_a_device_is_asked_what_it_is_without_arrays(folder: Path) -> None:
    """Which each run of the pipeline does."""
    (folder / "makeweight.yaml").write_text(f"{CONFIG}devices: {{local: {{kind: local}}}}\n")
    code, modules = spied(folder, "device", "local")
    assert code == 0
    assert not modules & {*HEAVY, "numpy"}
    assert json.loads((folder / "reports" / "devices" / "local.json").read_text())["status"] == "ok"


def test_devices_are_listed_with_what_cannot_be_measured_on_them(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On all others, too, than the one of which `doctor` tells."""
    away = "away: {kind: command, run: 'no-such-tool {model}'}"
    (folder / "makeweight.yaml").write_text(f"{CONFIG}devices:\n  local: {{kind: local, meter: rappel}}\n  {away}\n")
    monkeypatch.chdir(folder)
    assert main(["devices", "--json"]) == Exit.PASS
    told = json.loads(capsys.readouterr().out)
    assert told["local"]["unavailable"]["energy"].startswith("no meter `rappel` is known here; ")
    assert told["away"]["unavailable"]["throughput"] == "programs that time a model run one batch"
    for each in told.values():
        assert each["unavailable"].keys() == each["remedies"].keys()
    shown = told["local"]["unavailable"], told["local"]["remedies"]
    devices._show_lacking("local", *shown)
    assert "Mend `meter:` of the device." in " ".join(capsys.readouterr().out.split())


def test_the_report_loads_no_runtime(folder: Path) -> None:
    """It decides on what is there, which is nothing yet."""
    code, modules = spied(folder, "report")
    assert code == 0
    assert not modules & set(HEAVY)
    assert json.loads((folder / "reports" / "verdict.json").read_text())["verdict"] == "inconclusive"


@pytest.mark.parametrize("command", [[sys.executable, "-m", "makeweight"], ["makeweight"]], ids=["module", "script"])
def test_both_ways_to_call_it(folder: Path, command: list[str]) -> None:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run([*command, "gate"], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "at most 400 kB is allowed" in done.stdout
    assert done.stderr == ""


def test_a_reader_that_goes_away_does_not_make_a_pass(folder: Path) -> None:
    """As in `makeweight gate | head -0`, where the pipe is closed before anything is written."""
    reading, writing = os.pipe()
    os.close(reading)
    process = subprocess.Popen(
        [sys.executable, "-m", "makeweight", "gate"], cwd=folder, stdout=writing, stderr=subprocess.PIPE, text=True
    )
    os.close(writing)
    _, err = process.communicate()
    assert process.returncode in (1, 4)
    assert err == ""


def test_a_terminal_without_unicode_is_no_obstacle(folder: Path) -> None:
    odd = json.dumps({**VERDICT, "project": "ziffern-µ-数字"})
    (folder / "reports" / "verdict.json").write_text(odd)
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    done = subprocess.run(
        [sys.executable, "-m", "makeweight", "gate"], cwd=folder, env=environment, capture_output=True, check=False
    )
    assert done.returncode == 1
    assert b"at most 400 kB" in done.stdout


def test_ctrl_c_ends_the_probe_too_and_leaves_nothing(tmp_path: Path) -> None:
    model = tiny_models.dense(tmp_path / "model.onnx")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    process = subprocess.Popen(
        # a limit exactly at the ratio of identical models: only the time would end it
        [sys.executable, "-m", "makeweight", "compare", model, model, "--seconds", "600", "--max-ratio", "1"],
        env={**os.environ, "TMPDIR": str(scratch)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stderr is not None
    assert process.stderr.readline().startswith("measuring for at most 600 s")
    while not any(scratch.glob("makeweight-probe-*/job-*.json")):
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate()
    assert process.returncode == 130
    assert (out, err) == ("", "interrupted: nothing half-done was kept; run the same command again to go on\n")
    assert list(scratch.glob("makeweight-*")) == []
