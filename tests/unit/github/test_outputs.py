"""Outputs, read back as the runner reads them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from makeweight.github import step
from makeweight_base.errors import EnvironmentFailed


def runner(text: str) -> dict[str, str]:
    """The outputs in a file, by the rules of the runner (actions/runner, FileCommandManager.cs)."""
    found: dict[str, str] = {}
    lines = iter(text.split("\n"))
    for line in lines:
        name, heredoc, end = line.partition("<<")
        if heredoc:
            value = []
            while (each := next(lines)) != end:
                value.append(each)
            found[name] = "\n".join(value)
        elif "=" in line:
            key, _, single = line.partition("=")
            found[key] = single
    return found


@given(first=st.text(), second=st.text())
@example(first="x\nverdict=pass", second="y<<EOF\nforged\nEOF")
def test_values_come_back_whatever_they_hold(tmp_path_factory: pytest.TempPathFactory, first: str, second: str) -> None:
    file = tmp_path_factory.mktemp("outputs") / "output"
    assert step.write_outputs({"GITHUB_OUTPUT": str(file)}, {"verdict": first, "report-path": second})
    assert runner(file.read_bytes().decode()) == {"verdict": first, "report-path": second}


def test_what_stood_there_stays(tmp_path: Path) -> None:
    file = tmp_path / "output"
    for value in ("a", "b"):
        step.write_outputs({"GITHUB_OUTPUT": str(file)}, {f"of-{value}": value})
    assert runner(file.read_text()) == {"of-a": "a", "of-b": "b"}


def test_the_line_that_ends_a_value_is_another_every_time(tmp_path: Path) -> None:
    file = tmp_path / "output"
    step.write_outputs({"GITHUB_OUTPUT": str(file)}, {f"n{number}": "x" for number in range(20)})
    ends = [line.partition("<<")[2] for line in file.read_text().splitlines() if "<<" in line]
    assert len(set(ends)) == 20
    assert all(len(end) >= 32 for end in ends)


@pytest.mark.parametrize("name", ["", "a b", "a=b", "a\nb", "a<<b", "1a", "ä"])
def test_a_name_must_be_one(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="no name for an output"):
        step.write_outputs({"GITHUB_OUTPUT": str(tmp_path / "output")}, {"good": "x", name: "x"})
    assert not (tmp_path / "output").exists()


def test_without_a_runner_nothing_is_written() -> None:
    assert not step.write_outputs({}, {"verdict": "pass"})


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFailed, match="Is a directory") as caught:
        step.write_outputs({"GITHUB_OUTPUT": str(tmp_path)}, {"verdict": "pass"})
    assert caught.value.where == str(tmp_path)
