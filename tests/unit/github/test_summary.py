"""The job's summary within its limit."""

from __future__ import annotations

from pathlib import Path

import pytest

from makeweight.github import step

NOTE = "*More than a summary holds: the rest is in the report of the run.*"


def test_it_is_added_to_what_the_step_wrote(tmp_path: Path) -> None:
    file = tmp_path / "summary"
    for text in ("### one", "### two\n\n"):
        assert step.write_summary({"GITHUB_STEP_SUMMARY": str(file)}, text)
    assert file.read_text() == "### one\n### two\n"


@pytest.mark.parametrize(
    "line", ["x" * 99, "ü" * 45, "\N{GRINNING FACE}" * 20], ids=["ascii", "two bytes", "four bytes"]
)
def test_what_is_too_long_is_cut_at_a_line(tmp_path: Path, line: str) -> None:
    file = tmp_path / "summary"
    file.write_text("before\n")
    step.write_summary({"GITHUB_STEP_SUMMARY": str(file)}, f"{line}\n" * 30_000)
    assert step.SUMMARY_LIMIT - 300 < file.stat().st_size <= step.SUMMARY_LIMIT
    first, *lines, empty, note = file.read_text().split("\n")
    assert (first, empty, note) == ("before", "", NOTE)
    assert set(lines) == {line}


def test_a_summary_that_just_fits_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "summary"
    step.write_summary({"GITHUB_STEP_SUMMARY": str(file)}, "x" * (step.SUMMARY_LIMIT - 1))
    assert file.stat().st_size == step.SUMMARY_LIMIT
    step.write_summary({"GITHUB_STEP_SUMMARY": str(file)}, "y")
    assert file.stat().st_size == step.SUMMARY_LIMIT


def test_without_a_runner_nothing_is_written() -> None:
    assert not step.write_summary({}, "### over")
