"""What has landed is taken over, and ships where its verdict passes and the pipeline has a stage for that."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from makeweight.ci import landed
from makeweight.layout import Layout
from unit.shipping.judged_project import judge, make

WITH, WITHOUT = "stages:\n  ship:\n    cmd: makeweight ship\n", "stages:\n  gate:\n    cmd: makeweight gate\n"


class Dvc:
    committed: Sequence[str] = ()

    def commit(self, stages: Sequence[str]) -> None:
        self.committed = stages


def taken_over(root: Path, pipeline: str, *, passes: bool = True) -> tuple[str | None, Sequence[str], bool]:
    """What was said, the stages that were committed, and whether something lies in shipped/."""
    Layout(root).pipeline.write_text(pipeline)
    project: Any = SimpleNamespace(root=root, layout=Layout(root), devices={}, variants={})
    dvc = Dvc()
    said = landed.take_over(project, passes, dvc)  # type: ignore[arg-type]
    return said, dvc.committed, Layout(root).shipped.exists()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make(tmp_path, b"weights")
    judge(tmp_path)
    return tmp_path


def test_what_passes_ships(root: Path) -> None:
    assert taken_over(root, WITH) == (None, ["report", "gate", "ship"], True)


def test_a_pipeline_without_the_stage_goes_on_without(root: Path) -> None:
    assert taken_over(root, WITHOUT) == (None, ["report", "gate"], False)


def test_what_does_not_pass_does_not_ship(root: Path) -> None:
    assert taken_over(root, WITH, passes=False) == (None, ["report"], False)


def test_what_passes_by_a_label_alone_does_not_ship_and_is_told(root: Path) -> None:
    judge(root, verdict="fail", ship=None)
    said, committed, ships = taken_over(root, WITH)
    assert (committed, ships) == (["report", "gate"], False)
    assert said is not None
    assert said.startswith("nothing ships, the verdict is fail: ")


def test_a_push_that_only_puts_right_what_was_refused_is_not_sent_back() -> None:
    """Nothing is made in it, so it is refused as well; to take back what was there would bring the untrue one again."""
    assert landed.remedy(None).startswith("Run `dvc repro && dvc push ")
    said = landed.remedy("b" * 40)
    assert "puts right what one before it was refused for, leave it" in said
    assert f"`git checkout {'b' * 12} -- dvc.lock reports`" in said
