"""A merge queue's setting, as a ruleset tells it, on a GitHub with a memory."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from integration.github.server import Server
from makeweight.forge.event import Event
from makeweight.github import queue
from makeweight.github.client import Client
from makeweight.verbs.ci.forge import Forge
from makeweight.verbs.ci.run import Run, Settings
from makeweight_base.progress import Plain

BRANCH, BEFORE, OWN = "a" * 40, "b" * 40, "c" * 40


def rule(strategy: str) -> dict[str, Any]:
    return {"type": "merge_queue", "parameters": {"grouping_strategy": strategy, "merge_method": "MERGE"}}


@pytest.mark.parametrize(
    ("rules", "by_its_last"),
    [
        ([rule("ALLGREEN")], False),
        ([rule("HEADGREEN")], True),
        ([rule("ALLGREEN"), rule("HEADGREEN")], True),
        ([{"type": "deletion"}, {"type": "required_linear_history"}], None),
        ([], None),
    ],
    ids=["all have to pass", "the last has to pass", "of two rulesets", "other rules", "no ruleset"],
)
def test_whether_what_failed_lands_with_what_passes_behind_it(
    github: Server, client: Client, rules: list[dict[str, Any]], by_its_last: bool | None
) -> None:
    github.rules["release/1"] = rules
    github.rules["main"] = [rule("HEADGREEN")]
    assert queue.lands_by_its_last(client, "acme/model", "release/1") is by_its_last


def behind(client: Client, before: str = BEFORE) -> Run:
    """A run of an entry of the queue of main, before which stands what is at a commit."""
    event = Event("merge_group", "acme/model", OWN, before, "main", "main", number=8)
    run = Run(Path(), Forge(event, client), {}, Settings(), Plain(io.StringIO()))
    git: Any = SimpleNamespace(folder=Path(), resolve=lambda _: OWN, parents=lambda _: [], obtain=lambda _: True)
    git.tip = {"main": BRANCH}.get
    git.merge_base = lambda _, other: other
    run._git = git
    return run


def test_what_lands_with_others_that_failed_is_held_against_the_branch(github: Server, client: Client) -> None:
    github.rules["main"] = [rule("HEADGREEN")]
    assert behind(client).base() == BRANCH
    github.rules["main"] = [rule("ALLGREEN")]
    run = behind(client)
    assert (run.base(), run.untold) == (BEFORE, [])


def test_where_it_cannot_be_known_that_is_told(github: Server, client: Client) -> None:
    run = behind(client)
    assert run.base() == run.base() == BEFORE, "each phase finds it by itself"
    (said,) = run.untold
    assert said.startswith("no ruleset tells whether this merge queue lands what failed")
    github.fail_with(403, path="/rules/")
    refused = behind(client)
    assert refused.base() == BEFORE
    assert refused.untold[0].startswith("whether this merge queue lands what failed was not asked: ")


def test_the_first_in_the_queue_is_held_against_the_branch_in_any_case(github: Server, client: Client) -> None:
    assert behind(client, BRANCH).base() == BRANCH
    assert github.requests == []
