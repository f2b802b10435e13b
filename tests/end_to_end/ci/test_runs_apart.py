"""Several runs of one pull request or of one commit: which of them speaks, and what the others leave alone."""

from __future__ import annotations

import copy
import shutil
from typing import Any

import pytest

from end_to_end.ci.attacks import attack
from end_to_end.ci.conftest import Hub
from end_to_end.ci.test_events import write

TIGHT = ("max_ratio: 0.3", "max_ratio: 0.1")
"""A budget that what is there breaks, so that nothing has to be made to be refused."""


def lenient(hub: Hub) -> None:
    """A branch whose budget is looser than that of main, and a change that was begun there."""
    hub.git("push", "-q", "origin", "main:refs/heads/lenient")
    hub.git("branch", "lenient", "main")
    hub.change("main", hub.config(TIGHT))
    hub.change("docs", write("README.md", "words\n"), onto="lenient")


def told(hub: Hub) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What stands on GitHub."""
    return copy.deepcopy(hub.github.comments), copy.deepcopy(hub.github.checks)


@attack(
    "a pull request passes into a branch with a looser budget, and is then given `main` as its base",
    "it is judged again, against `main`; the old run, started again, fails and changes nothing",
)
def test_a_retargeted_pull_request_is_judged_against_its_new_base(hub: Hub) -> None:
    lenient(hub)
    green = hub.pull_request("docs", base="lenient")
    assert green.code == 0, green.log
    changes = {"base": {"ref": {"from": "lenient"}, "sha": {"from": "0" * 40}}}
    red = hub.pull_request("docs", event={"action": "edited", "changes": changes})
    assert red.code == 1, red.log
    assert "blocked" in hub.github.comments[0]["body"].splitlines()[1]
    assert hub.github.checks[-1]["conclusion"] == "failure"
    stands = told(hub)
    again = hub.again(green)
    assert again.code == 4, again.log
    assert "this run is superseded: the pull request goes to `main` by now" in again.log
    assert "Running stage" not in again.log
    assert told(hub) == stands


@attack(
    "a run of an older commit, which passed, is started again after the newer one was blocked",
    "it fails, and neither the comment nor any check is touched",
)
def test_a_run_of_an_older_commit_has_no_say(hub: Hub) -> None:
    hub.change("docs", write("README.md", "words\n"))
    older = hub.pull_request("docs")
    assert older.code == 0, older.log
    before = hub.github.pulls[7]
    hub.change("docs", hub.config(TIGHT), onto="docs")
    assert hub.pull_request("docs").code == 1
    stands = told(hub)
    again = hub.again(older)
    assert again.code == 4, again.log
    assert told(hub) == stands

    # one that was overtaken while it was at work closes its own check
    now, hub.github.pulls[7] = hub.github.pulls[7], before
    assert "against" in hub.phase(older, "open")
    hub.github.pulls[7] = now
    assert "superseded" in hub.phase(older, "gate")
    comments, (*others, own) = told(hub)
    assert (comments, others) == stands
    assert (own["head_sha"], own["conclusion"]) == (older.started.payload["pull_request"]["head"]["sha"], "cancelled")
    assert own["output"]["title"] == "superseded"


@attack(
    "a second pull request takes the very commit of a blocked one to a branch with a looser budget",
    "both are refused until the commit is proposed once, since its check would count for both",
)
def test_a_commit_that_is_proposed_twice_is_not_judged(hub: Hub) -> None:
    lenient(hub)
    assert hub.pull_request("docs").code == 1
    other = hub.pull_request("docs", number=8, base="lenient")
    assert other.code == 2, other.log
    assert "also proposed in #7 into `main`" in other.result.summary
    assert hub.github.checks[-1]["conclusion"] == "failure"
    hub.github.pulls[7]["state"] = "closed"
    alone = hub.pull_request("docs", number=8, base="lenient")
    assert alone.code == 0, alone.log


@attack(
    "a blocked pull request is closed, made a draft, or its title is edited, so that a run of nothing turns it green",
    "whatever starts a run of a pull request, it is judged in full",
)
@pytest.mark.parametrize(
    "event", [{"action": "closed"}, {"action": "edited", "changes": {"title": {"from": "x"}}}], ids=["closed", "title"]
)
def test_whatever_starts_a_run_it_is_judged(hub: Hub, event: dict[str, Any]) -> None:
    hub.change("tight", hub.config(TIGHT))
    run = hub.pull_request("tight", event=event)
    assert run.code == 1, run.log
    assert hub.github.checks[0]["conclusion"] == "failure"


def test_a_cancelled_run_says_that_it_was_cancelled(hub: Hub) -> None:
    hub.change("docs", write("README.md", "words\n"))
    run = hub.pull_request("docs", cancel_at="compress")
    (check,) = hub.github.checks
    assert (check["status"], check["conclusion"]) == ("completed", "cancelled"), run.log
    assert check["output"]["title"] == "cancelled before it was judged"
    assert "Run it again" in run.result.summary
    assert hub.github.comments == []
    assert run.outputs["verdict"] == "error"
    assert run.code == 130


@attack(
    "two projects of one repository are judged on one commit, even under one name for their checks",
    "each keeps a check and a comment of its own, and neither completes or cancels the other's",
)
def test_two_projects_of_one_repository_keep_apart(hub: Hub) -> None:
    hub.git("checkout", "-q", "main")
    tracked = [name for name in hub.git("ls-files").splitlines() if not name.startswith(".")]
    for folder in (hub.work / "models" / "one", hub.work / "models" / "two"):
        for name in tracked:  # the lock and the figures too, so that nothing has to be made
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(hub.work / name, folder / name)
        hub.run("makeweight", "init", cwd=folder)
    hub.git("add", "-A")
    hub.git("commit", "-q", "-m", "two more")
    hub.git("push", "-q", "origin", "main")
    hub.subfolder = "models/one"
    hub.change("docs", write("README.md", "words\n"))
    one = hub.pull_request("docs")
    assert one.outputs["verdict"] == "pass", one.log
    assert hub.github.checks[0]["name"] == "makeweight verdict (models/one)"
    assert set(one.uploads) == {"makeweight-report-models-one"}

    assert "against" in hub.phase(one, "open", "--check-name", "weight")
    hub.subfolder = "models/two"
    two = hub.pull_request("docs", check_name="weight")
    assert two.outputs["verdict"] == "pass", two.log
    assert "Running stage" not in one.log + two.log
    assert len(hub.github.comments) == 2
    states = [(check["name"], check["conclusion"]) for check in hub.github.checks]
    assert states == [("makeweight verdict (models/one)", "success"), ("weight", None), ("weight", "success")]
