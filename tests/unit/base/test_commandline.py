"""What every command line does alike: whatever a verb runs into becomes a sentence and an exit code."""

from __future__ import annotations

import argparse
import io
import os
import subprocess
import sys

import pytest

from makeweight_base import commandline
from makeweight_base.errors import ConfigError, EnvironmentFailed, Exit, MissingExtra, UsageError

OPTIONS = argparse.Namespace()


@pytest.fixture(autouse=True)
def _no_traceback_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MAKEWEIGHT_TRACEBACK", raising=False)


def ends(*, with_: BaseException) -> int:
    def verb(_: argparse.Namespace) -> Exit:
        raise with_

    return commandline.run("weigh", verb, OPTIONS)


@pytest.mark.parametrize("code", list(Exit))
def test_a_verb_that_has_its_answer_ends_with_it(code: Exit, capsys: pytest.CaptureFixture[str]) -> None:
    assert commandline.run("weigh", lambda _: code, OPTIONS) == int(code)
    assert capsys.readouterr() == ("", "")


def test_letters_that_the_output_does_not_have_end_no_verb(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))

    def verb(_: argparse.Namespace) -> Exit:
        sys.stdout.write("gr\xf6n, a file \udcff\n")
        return Exit.PASS

    assert commandline.run("weigh", verb, OPTIONS) == 0
    assert written.getvalue() == b"gr?n, a file ?\n"


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (UsageError("it is wrong", where="here", do="Mend it."), 2, "error: here: it is wrong\n  Mend it.\n"),
        (ConfigError(["a:1: one", "a:2: two"]), 2, "error: a:1: one\na:2: two\n"),
        (MissingExtra("the runtime `x`", "onnx"), 2, "pip install 'makeweight[onnx]'"),
        (EnvironmentFailed("the disk is full"), 4, "error: the disk is full\n"),
        (EnvironmentFailed("it is gone", where="device `pi5`"), 4, "error: device `pi5`: it is gone\n"),
        (KeyboardInterrupt(), 130, "interrupted: "),
        (MemoryError(), 4, "out of memory"),
        (PermissionError(13, "Permission denied", "w.pt"), 4, "error: w.pt: Permission denied\n  Mend the permissions"),
        (OSError(28, "No space left on device"), 4, "machine: No space left on device\n  Free some space, "),
        (RuntimeError("a slip of ours"), 4, "error: weigh itself failed: RuntimeError: a slip of ours\n"),
        (OSError("no name, no number"), 4, "weigh itself failed: OSError"),
    ],
    ids=[
        "usage", "configuration", "extra", "environment", "device", "interrupt", "memory", "file", "machine", "slip",
        "odd system error",
    ],
)  # fmt: skip
def test_every_failure_is_a_sentence_and_a_code(
    error: BaseException, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ends(with_=error) == code
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.out == ""
    assert "Traceback" not in captured.err


def test_the_traceback_is_there_for_those_who_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAKEWEIGHT_TRACEBACK", "1")
    with pytest.raises(RuntimeError, match="a slip of ours"):
        ends(with_=RuntimeError("a slip of ours"))
    assert ends(with_=UsageError("what is known needs none")) == Exit.USAGE


@pytest.mark.parametrize(("flushes", "code"), [(False, Exit.FAIL), (True, Exit.ENVIRONMENT)], ids=["at end", "midway"])
def test_a_reader_that_has_gone_hides_no_answer_and_makes_no_pass(flushes: bool, code: Exit) -> None:
    """What is still to be flushed when the verb has its answer takes nothing from it; before that there is none."""
    script = (
        "import argparse, sys\n"
        "from makeweight_base import commandline\n"
        "from makeweight_base.errors import Exit\n"
        "def verb(_):\n"
        f"    print('a line', flush={flushes})\n"
        "    return Exit.FAIL\n"
        "sys.exit(commandline.run('weigh', verb, argparse.Namespace()))\n"
    )
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-c", script], env=buffered, stdout=writing, stderr=subprocess.PIPE, text=True
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (code, "")


def test_a_verb_takes_a_project_or_none_and_speaks_json_where_it_says_so() -> None:
    parser = commandline.parser("weigh", "Weighs.")
    add = commandline.Adder(parser)
    add("here", lambda _: Exit.PASS, "in a folder")
    add("there", lambda _: Exit.FAIL, "anywhere", project=False, json=True)
    here, there = parser.parse_args(["here", "--project", "x"]), parser.parse_args(["there", "--json"])
    assert (here.verb(here), str(here.project), hasattr(here, "json")) == (Exit.PASS, "x", False)
    assert (there.verb(there), there.json, hasattr(there, "project")) == (Exit.FAIL, True, False)
