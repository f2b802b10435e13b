"""The command line: every verb explains itself, every failure is a sentence and an exit code, never a traceback."""

import importlib
import io
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import SimpleNamespace

import pytest

import makeweight
from makeweight import cli
from makeweight.cli import main
from makeweight.config import schema
from makeweight.decide.verdict import RuleVerdict, VariantVerdict, Verdict, dumps
from makeweight_base.errors import Exit

VERBS = (
    "init",
    "baseline",
    "compress",
    "evaluate",
    "device",
    "devices",
    "benchmark",
    "report",
    "gate",
    "search",
    "ship",
    "history",
    "sign",
    "verify",
    "advise",
    "compare",
    "ci",
    "doctor",
    "schema",
)
PROJECT_VERBS = {
    "baseline": [],
    "compress": ["int8"],
    "evaluate": ["int8"],
    "device": ["local"],
    "benchmark": ["int8", "--device", "local"],
    "report": [],
}


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)


def ends(*arguments: str) -> int:
    """The exit code, also where argparse itself ends the process."""
    try:
        return main(arguments)
    except SystemExit as ended:
        return int(ended.code or 0)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert ends(verb, "--help") == 0
    out = capsys.readouterr().out
    assert out.startswith(f"usage: makeweight {verb}")
    assert len(out.splitlines()) > 4


def test_the_help_lists_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert ends("--help") == 0
    listed = set(re.findall(r"^    (\w+)\b", capsys.readouterr().out, re.MULTILINE))
    assert listed == set(VERBS)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert ends("--version") == 0
    assert capsys.readouterr().out == f"makeweight {makeweight.__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["dance"],
        ["compress"],
        ["benchmark", "int8"],
        ["compare", "a.onnx"],
        ["compare", "a", "b", "--seconds", "0"],
        ["compare", "a", "b", "--seconds", "soon"],
        ["compare", "a", "b", "--max-ratio", "inf"],
        ["compare", "a", "b", "--threads", "0"],
        ["compare", "a", "b", "--threads", "1.5"],
        ["gate", "--jsno"],
        ["sign", "verdict.json"],
        ["ship", "--to", "cloud:x"],
        ["ship", "--to", "folder:x", "--weight", "1.5"],
        ["verify"],
        ["compare", "a", "b", "--project", "elsewhere"],
    ],
)
def test_wrong_usage_is_exit_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert ends(*arguments) == Exit.USAGE
    err = capsys.readouterr().err
    assert "error: " in err
    assert "invalid _" not in err, "names of our own functions mean nothing to the user"


@pytest.mark.parametrize(("verb", "arguments"), PROJECT_VERBS.items())
def test_without_a_project_every_verb_says_so(
    verb: str, arguments: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main([verb, *arguments]) == Exit.USAGE
    err = capsys.readouterr().err
    assert err.startswith(f"error: no makeweight.yaml in {tmp_path}")
    assert "makeweight init" in err
    assert main([verb, *arguments, "--project", "nowhere/at/all"]) == Exit.USAGE


def test_every_problem_of_the_configuration_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    Path("makeweight.yaml").write_text("modle: {}\nbudget: {size: {max: 5}}\n")
    assert main(["report"]) == Exit.USAGE
    err = capsys.readouterr().err
    told = set(re.findall(r"makeweight\.yaml:(\d+): (\w+)", err))
    assert told == {("1", "modle"), ("1", "model"), ("1", "data"), ("1", "variants"), ("2", "budget")}
    assert "did you mean `model`?" in err


def test_a_pipeline_that_cannot_be_read_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    Path("makeweight.yaml").write_text(
        "model: {onnx: m.onnx}\ndata: {npz: {test: t.npz}}\n"
        "variants: {half: {steps: [float16]}}\nbudget: {size: {max: 1 kB}}\n"
    )
    Path("dvc.yaml").write_bytes(b"stages:\n  # \xff\n")
    assert main(["baseline"]) == Exit.USAGE
    assert "dvc.yaml: cannot be read: line 2 is no UTF-8 (byte 0xff)" in capsys.readouterr().err


# The gate


def verdict(outcome: str) -> Verdict:
    rule = RuleVerdict(
        "size.max",
        "size",
        "max",
        "int8",
        None,
        None,
        4e5,
        "at most 400 kB",
        5e5,
        None,
        outcome,
        "error",
        "size is 500 kB.",  # type: ignore[arg-type]
    )
    return Verdict(
        outcome,
        "a sentence.",
        None,
        "best",
        "size",
        "digits",
        [VariantVerdict("int8", outcome, False, "x")],
        [rule],
        [],
    )  # type: ignore[arg-type]


@pytest.mark.parametrize(("outcome", "code"), [("pass", 0), ("fail", 1), ("inconclusive", 3), ("not_applicable", 0)])
def test_the_gate_ends_with_the_verdict(outcome: str, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    Path("reports").mkdir()
    Path("reports/verdict.json").write_text(dumps(verdict(outcome)))
    assert main(["gate"]) == code
    assert "digits" in capsys.readouterr().out
    assert main(["gate", "--json"]) == code
    assert json.loads(capsys.readouterr().out)["verdict"] == outcome


def test_json_is_whole_where_the_output_has_few_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("reports").mkdir()
    odd = "ziffern \u6570"
    Path("reports/verdict.json").write_text(dumps(replace(verdict("pass"), sentence=odd)), encoding="utf-8")
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    assert main(["gate", "--json"]) == Exit.PASS
    assert json.loads(written.getvalue())["sentence"] == odd


def test_the_schema_is_whole_where_the_output_has_few_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    assert main(["schema"]) == Exit.PASS
    assert json.loads(written.getvalue()) == schema.of_config()


@pytest.mark.parametrize("verb", ["gate", "history", "ship"])
def test_where_no_project_is_no_verdict_is_asked_for(
    verb: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main([verb]) == Exit.USAGE
    assert f"error: no makeweight.yaml in {tmp_path}\n" in capsys.readouterr().err
    (tmp_path / "makeweight.yaml").touch()
    Path("below").mkdir()
    assert main([verb, "--project", "below"]) == Exit.USAGE
    assert f"There is one in {tmp_path}: run the command there" in capsys.readouterr().err
    below = Path("my project", "below")
    below.mkdir(parents=True)
    (below.parent / "makeweight.yaml").touch()
    assert main([verb, "--project", str(below)]) == Exit.USAGE
    assert f"`--project '{tmp_path}/my project'`" in capsys.readouterr().err


def test_what_nobody_knows_is_refused_by_the_verb_that_it_was_given_to(capsys: pytest.CaptureFixture[str]) -> None:
    assert ends("gate", "--frob") == Exit.USAGE
    err = capsys.readouterr().err
    assert err.startswith("usage: makeweight gate ")
    assert err.endswith("error: unrecognized arguments: --frob\n  `makeweight gate --help` says what there is.\n")


def test_a_repository_without_a_commit_has_nothing_to_judge(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet"], check=True)
    assert main(["ci"]) == Exit.USAGE
    assert capsys.readouterr().err == f"error: {tmp_path}: there is no commit yet\n  Commit what is to be judged.\n"


def test_no_verdict_is_no_pass(capsys: pytest.CaptureFixture[str]) -> None:
    Path("makeweight.yaml").touch()
    assert main(["gate"]) == Exit.USAGE
    assert "reports/verdict.json: no verdict yet" in capsys.readouterr().err
    Path("reports").mkdir()
    Path("reports/verdict.json").write_bytes(b"{}\n\xff")
    assert main(["gate"]) == Exit.USAGE
    assert "reports/verdict.json: cannot be read: line 2 is no UTF-8 (byte 0xff)" in capsys.readouterr().err
    for content in ("", "{}", dumps(verdict("pass"))[:-20], "<<<<<<< HEAD\n"):
        Path("reports/verdict.json").write_text(content)
        assert main(["gate"]) == Exit.USAGE
        assert "reports/verdict.json: this is no verdict" in capsys.readouterr().err


def test_doctor_tells_what_cannot_be_measured_here(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["makeweight"] == makeweight.__version__
    assert "energy" in told["unavailable"]
    assert told["remedies"].keys() == told["unavailable"].keys()
    assert all(do.strip() for do in told["remedies"].values())
    assert told["identity"]["cores"] >= 1
    assert "onnxruntime-gpu" in told["unavailable"]["execution_provider: cuda"]
    assert main(["doctor"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "energy unavailable: " in shown
    assert "have a meter beside the machine read" in shown


def test_doctor_tells_the_load_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    begins = [line.split("  ")[0].strip() for line in capsys.readouterr().out.splitlines()]
    assert begins.count("load") == 1


def test_doctor_tells_of_a_runtime_that_cannot_be_imported(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def load() -> None:
        raise ImportError("libcuda.so: cannot open")

    theirs = [SimpleNamespace(name="theirs", load=load)]
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: theirs if group.endswith("runtimes") else [])
    assert main(["doctor", "--json"]) == 0
    unavailable = json.loads(capsys.readouterr().out)["unavailable"]
    assert "cannot be imported: libcuda.so: cannot open" in unavailable["runtime theirs"]
    assert "latency" not in unavailable


def test_the_verbs_of_the_help_are_those_of_this_test() -> None:
    """A verb that is added is tried here too."""
    parser = cli._parser()
    (actions,) = (action for action in parser._actions if isinstance(action.choices, dict))
    assert set(actions.choices or {}) == set(VERBS)


@pytest.mark.parametrize("program", ["makeweight", "makeweight_monitors"])
def test_ctrl_c_while_its_modules_are_imported_is_a_word_and_no_traceback(
    program: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class CtrlC(MetaPathFinder):
        def find_spec(self, name: str, *_: object) -> None:
            if name == f"{program}.cli":
                raise KeyboardInterrupt

    begin = importlib.import_module(f"{program}.__main__").main
    importlib.import_module(f"{program}.cli")
    monkeypatch.delitem(sys.modules, f"{program}.cli")
    monkeypatch.delattr(sys.modules[program], "cli")
    monkeypatch.setattr(sys, "meta_path", [CtrlC(), *sys.meta_path])
    assert begin() == Exit.INTERRUPTED
    assert capsys.readouterr() == ("", "interrupted\n")
