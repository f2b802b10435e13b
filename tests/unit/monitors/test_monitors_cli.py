"""The command line of the monitors: every verb explains itself, every failure is a sentence and an exit code."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import rules_project
from makeweight_base.errors import EnvironmentFailed
from makeweight_monitors.cli import main
from makeweight_monitors.prometheus import throwaway
from rules_project import REPOSITORY


def ends(*arguments: str) -> int:
    """The exit code, also where argparse itself ends the process."""
    try:
        return main(arguments)
    except SystemExit as ended:
        return int(ended.code or 0)


def verbs() -> set[str]:
    shown = subprocess.run(
        [sys.executable, "-c", "from makeweight_monitors.cli import main; main(['--help'])"],
        capture_output=True,
        text=True,
    )
    return set(re.findall(r"^    ([a-z]+)\b", shown.stdout, re.MULTILINE))


def test_every_verb_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert verbs() >= {"rules", "dashboards", "exporter", "backtest"}
    for verb in verbs():
        assert ends(verb, "--help") == 0
        assert capsys.readouterr().out.startswith(f"usage: makeweight-monitors {verb}")


def test_the_command_starts_without_anything_heavy() -> None:
    script = "import sys; from makeweight_monitors.cli import _parser; _parser(); print(' '.join(sys.modules))"
    modules = set(subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout.split())
    assert "makeweight_monitors.cli" in modules
    assert not modules & {"numpy", "yaml", "pydantic", "requests", "makeweight", "onnx", "onnxruntime", "torch", "dvc"}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The reference project, measured."""
    return rules_project.measured(tmp_path)


def test_rules_are_written_for_what_ships(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = project / "monitoring"
    arguments = ("rules", "--project", str(project), "--out", str(out), "--runbooks", "runbooks.md")
    assert ends(*arguments) == 0
    said = capsys.readouterr()
    assert re.search(r"makeweight\.rules\.yaml: \d+ recording rules, \d+ alerts for digits", said.out)
    assert said.err == ""
    rules = (out / "makeweight.rules.yaml").read_text()
    assert "runbook_url: runbooks.md#makeweightwatchdog" in rules
    assert (out / "makeweight.tests.yaml").read_text().count("- name: ") > 10
    assert {path.name for path in out.iterdir()} == {"makeweight.rules.yaml", "makeweight.tests.yaml"}
    assert ends(*arguments) == 0
    assert (out / "makeweight.rules.yaml").read_text() == rules


def test_rules_need_no_runtime_and_no_torch(project: Path) -> None:
    """They are made where the model is served, or in a repository of their own."""
    script = f"""
import sys
for name in ("torch", "onnx", "onnxruntime", "dvc", "torch_pruning", "onnxscript"):
    sys.modules[name] = None
from makeweight_monitors.cli import main
sys.exit(main(["rules", "--project", {str(project)!r}, "--out", {str(project / "out")!r}]))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--variant", "nine"], "no variant `nine`"),
        (["--variant", "fp16"], "fp16/reference.json: no such file"),
        (["--device", "pi"], "no device `pi`"),
        (["--interval", "0"], "`0` is no whole number of seconds"),
        (["--history", "long"], "`long` is no time"),
        (["--models", "none"], "`none` is no whole number"),
    ],
)
def test_what_cannot_be_used_is_told(
    project: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ends("rules", "--project", str(project), "--out", str(project / "out"), *arguments) == 2
    err = capsys.readouterr().err
    assert said in err
    assert "Traceback" not in err
    assert not (project / "out").exists()


@pytest.mark.parametrize("verdict", ['{"ship": null}', "[]", "{", None])
def test_without_a_variant_that_ships_one_is_asked_for(
    project: Path, verdict: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    path = project / "reports" / "verdict.json"
    path.unlink() if verdict is None else path.write_text(verdict)
    assert ends("rules", "--project", str(project), "--out", str(project / "out")) == 2
    assert str(path) in capsys.readouterr().err


def test_a_project_that_is_none_is_told_as_everywhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ends("rules", "--project", str(tmp_path)) == 2
    assert "no makeweight.yaml in" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_the_machines_fault(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "file").write_text("")
    assert ends("rules", "--project", str(project), "--out", str(project / "file" / "out")) == 4
    assert "could not write" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--rules", "none.yaml", "--file", "x.json"], 2, "none.yaml: cannot be read: No such file or directory"),
        (["--rules", "none.yaml"], 2, "one of the arguments --prometheus --file is required"),
        (["--rules", "r.yaml", "--prometheus", "http://127.0.0.1:1"], 2, "needs `--start`"),
        (["--rules", "r.yaml", "--prometheus", "http://127.0.0.1:1", "--start", "1"], 4, "no connection"),
        (["--rules", "r.yaml", "--prometheus", "http://127.0.0.1:1", "--start", "9", "--end", "8"], 2, "not after"),
        (["--rules", "r.yaml", "--file", "none.json"], 2, "none.json: cannot be read: No such file or directory"),
        (["--rules", "r.yaml", "--file", "r.yaml"], 2, "no answer of a range query"),
    ],
)
def test_a_backtest_that_cannot_be_made_is_told(
    arguments: list[str],
    code: int,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(throwaway, "find", lambda _: throwaway.Programs(tmp_path, tmp_path))
    (tmp_path / "r.yaml").write_text("groups: [{name: g, rules: [{alert: A, expr: x_total > 1}]}]")
    assert ends("backtest", *arguments) == code
    err = capsys.readouterr().err
    assert said in err
    assert "Traceback" not in err


def test_what_nobody_thought_of_is_a_sentence_too(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from makeweight_monitors.rules import generate

    def breaks(*_: object) -> None:
        raise RuntimeError("a slip of ours")

    monkeypatch.setattr(generate, "groups", breaks)
    monkeypatch.delenv("MAKEWEIGHT_TRACEBACK", raising=False)
    assert ends("rules", "--project", str(project), "--out", str(project / "out")) == 4
    assert "makeweight-monitors itself failed: RuntimeError: a slip of ours" in capsys.readouterr().err


def test_errors_say_where_and_what_to_do() -> None:
    assert str(EnvironmentFailed("it broke", where="there", do="Mend it.")) == "there: it broke\n  Mend it."


def test_the_page_about_rules_names_options_that_exist(capsys: pytest.CaptureFixture[str]) -> None:
    page = (REPOSITORY / "docs" / "monitors" / "rules.md").read_text()
    known = ""
    for verb in ("rules", "backtest"):
        assert ends(verb, "--help") == 0
        known += capsys.readouterr().out
    named = set(re.findall(r"(--[a-z]+)", page))
    assert len(named) > 8
    assert named <= set(re.findall(r"(--[a-z-]+)", known))
