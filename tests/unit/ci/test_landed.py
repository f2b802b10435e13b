"""What has landed is taken over, and ships where its verdict passes and the pipeline has a stage for that."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from makeweight.ci import claimed, landed, lock
from makeweight.ci.changed import Change
from makeweight.ci.state import State
from makeweight.forge.event import Event
from makeweight.layout import Layout
from makeweight.verbs.ci import judging
from makeweight.verbs.ci.run import Settings
from makeweight_base.errors import UsageError
from makeweight_base.progress import Plain
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


@pytest.mark.parametrize(
    ("differing", "only_now"),
    [
        ({claimed.PLACE: "tells otherwise of the models"}, True),
        ({"compress@int8": lock.OTHER_OUTPUTS}, True),
        ({claimed.PLACE: "tells otherwise of the models", "compress@int8": lock.OUTDATED}, False),
        ({"evaluate@int8": lock.MISSING}, False),
        ({}, False),
    ],
    ids=["an untrue report", "other outputs", "a report of an outdated lock", "a lock that lacks a stage", "nothing"],
)
def test_where_the_branch_moved_on_what_the_next_run_does_not_see_is_refused_all_the_same(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, differing: dict[str, str], only_now: bool
) -> None:
    """The next push is held against what this one left: an untrue report would be its base."""
    said = StringIO()
    git = SimpleNamespace(tip=lambda _: "c" * 40, resolve=lambda _: "b" * 40)
    run: Any = SimpleNamespace(
        root=tmp_path,
        git=lambda: git,
        dvc=lambda _: None,
        event=Event("push", base_ref="main", default_branch="main"),
        settings=Settings(commit_lock=True),
        progress=Plain(said),
    )
    found: Any = SimpleNamespace(change=Change({}), base=SimpleNamespace(sha="a" * 40))
    monkeypatch.setattr(judging.reading, "load", lambda _: None)
    monkeypatch.setattr(judging.states, "read", lambda _: State(None))
    monkeypatch.setattr(judging.landed, "differing", lambda *_: differing)
    verdict: Any = None  # what is compared stands above
    with pytest.raises(UsageError, match="does not belong to this commit") if only_now else nullcontext():
        judging._keep(run, found, verdict)
    assert "main has moved on to ccccccc" in said.getvalue()


def test_a_push_that_only_puts_right_what_was_refused_is_not_sent_back() -> None:
    """Nothing is made in it, so it is refused as well; to take back what was there would bring the untrue one again."""
    assert landed.remedy(None).startswith("Run `dvc repro && dvc push ")
    said = landed.remedy("b" * 40)
    assert "puts right what one before it was refused for, leave it" in said
    assert f"`git checkout {'b' * 12} -- dvc.lock reports`" in said
