"""The badge and the chart of a repository's own commits, by the verb, and what a shallow clone has of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from integration.ci.test_git import ENVIRONMENT, git
from makeweight import cli
from makeweight.ci import landed
from makeweight.ci.git import Git
from makeweight.decide import verdict
from makeweight.verbs import history
from unit.report.invented_content import DIGITS, Model, content

SHIPPED = ("fp16", "int8", "slim-int8")


def written(root: Path, ship: str, models: tuple[Model, ...] = DIGITS) -> None:
    path = root / "reports/verdict.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(verdict.dumps(content(models, ship=ship).verdict))


def commit(root: Path, message: str) -> str:
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", message)
    return git(root, "rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Three verdicts, the second damaged, and a commit about something else after each."""
    root = tmp_path / "work"
    root.mkdir()
    git(root, "init", "-q", "-b", "main")
    for ship in SHIPPED:
        written(root, ship)
        if ship == "int8":
            (root / "reports/verdict.json").write_text("{}")
        commit(root, ship)
        (root / "README.md").write_text(ship)
        commit(root, "words")
    return root


def drawn(root: Path) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads((root / "reports/history/history.json").read_text())
    return found


def test_the_verdicts_of_all_commits_are_drawn(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["history", "--project", str(repository)]) == 0
    assert "2 verdicts drawn in" in capsys.readouterr().out
    touched = git(repository, "log", "--reverse", "--format=%H", "--", "reports/verdict.json").split()
    assert [(row["commit"], row["variant"]) for row in drawn(repository)] == [
        (touched[0], "fp16"),
        (touched[2], "slim-int8"),
    ]
    folder = repository / "reports/history"
    assert {path.name for path in folder.iterdir()} == {"badge.svg", "badge.json", "history.svg", "history.json"}
    assert "slim-int8" in json.loads((folder / "badge.json").read_text())["message"]


def test_a_verdict_that_is_not_committed_yet_is_the_newest(repository: Path) -> None:
    written(repository, "int8")
    assert cli.main(["history", "--project", str(repository), "--last", "1"]) == 0
    told = [(row["commit"] == "", row["variant"]) for row in drawn(repository)]
    assert told == [(False, "slim-int8"), (True, "int8")]


def test_no_verdict_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "makeweight.yaml").touch()
    assert cli.main(["history", "--project", str(tmp_path)]) == 2
    assert "no verdict yet" in capsys.readouterr().err


def test_a_shallow_clone_gets_the_commits_that_it_lacks(repository: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--bare", str(repository), "origin.git")
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{tmp_path}/origin.git", "clone")
    clone = Git(tmp_path / "clone", ENVIRONMENT)
    assert [each.brief.variant for each in history.of_commits(clone, 9)] == ["slim-int8"]
    clone.deepen(9)
    assert [each.brief.variant for each in history.of_commits(clone, 9)] == ["fp16", "slim-int8"]


def test_what_is_drawn_is_no_change_of_what_was_measured(repository: Path) -> None:
    cli.main(["history", "--project", str(repository)])
    before = git(repository, "rev-parse", "HEAD")
    chart = commit(repository, "chart")
    assert landed.same_reports(Git(repository, ENVIRONMENT), before, chart)
    written(repository, "int8", (DIGITS[1],))
    assert not landed.same_reports(Git(repository, ENVIRONMENT), before, commit(repository, "figures"))
