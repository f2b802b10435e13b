"""Checks, on a GitHub with a memory: opened, always completed, one of a name."""

from __future__ import annotations

from dataclasses import replace

import pytest

from integration.github.server import DROP, Server
from makeweight.forge.annotation import Annotation
from makeweight.forge.event import Event
from makeweight.github import check, standing
from makeweight.github.client import Client
from makeweight_base.forge.client import Refused

HEAD = "a" * 40
PROJECT = "digits in models/a"
EVENT = Event(
    "pull_request",
    repository="acme/model",
    head=HEAD,
    base_ref="main",
    number=7,
    run="https://github.test/acme/model/50",
    run_id=50,
    attempt=2,
)
EARLIER, SAME, LATER = replace(EVENT, run_id=49, attempt=9), replace(EVENT, attempt=1), replace(EVENT, run_id=51)


def remarks(count: int) -> list[Annotation]:
    return [
        Annotation("makeweight.yaml", line, "failure", f"rule {line}", f"line {line}") for line in range(1, count + 1)
    ]


def test_it_is_open_while_the_work_goes_on_and_then_complete(github: Server, client: Client) -> None:
    opened = check.begin(client, EVENT, "makeweight", PROJECT)
    assert [(each["id"], each["status"]) for each in github.checks] == [(opened, "in_progress")]
    assert github.checks[0]["details_url"] == EVENT.run
    assert check.find(client, EVENT, "makeweight", PROJECT) == opened
    done = check.complete(client, EVENT, "makeweight", PROJECT, opened, "failure", "size over", "### over", remarks(1))
    assert done == opened
    (left,) = github.checks
    assert (left["status"], left["conclusion"], left["head_sha"]) == ("completed", "failure", HEAD)
    assert left["output"]["title"] == "size over"
    assert left["output"]["annotations"] == [
        {
            "path": "makeweight.yaml",
            "start_line": 1,
            "end_line": 1,
            "annotation_level": "failure",
            "title": "rule 1",
            "message": "line 1",
        }
    ]
    assert check.find(client, EVENT, "makeweight", PROJECT) is None


def test_where_none_was_opened_one_is_made(github: Server, client: Client) -> None:
    made = check.complete(client, EVENT, "makeweight", PROJECT, None, "success", "passes", "fine")
    (left,) = github.checks
    assert (left["id"], left["status"], left["conclusion"]) == (made, "completed", "success")
    assert left["details_url"] == EVENT.run


@pytest.mark.parametrize(
    "external_id",
    ["0c1d", "makeweight", "makeweight/50/2/", "makeweight/50/2/other", "makeweight/x/2/digits%20in%20models%2Fa", ""],
)
def test_a_check_of_the_same_name_that_is_not_ours_is_left_alone(
    github: Server, client: Client, external_id: str
) -> None:
    """A job called like the check has one too, made by the very app whose token we hold."""
    job = github.check("makeweight", HEAD, external_id=external_id)
    elsewhere = github.check("makeweight", "b" * 40, external_id="makeweight/50/2/digits%20in%20models%2Fa")
    assert check.find(client, EVENT, "makeweight", PROJECT) is None
    check.complete(client, EVENT, "makeweight", PROJECT, None, "success", "passes", "fine")
    assert job["status"] == elsewhere["status"] == "in_progress"


def test_two_projects_under_one_name_on_one_commit_never_answer_each_other(github: Server, client: Client) -> None:
    one, other = (check.begin(client, EVENT, "makeweight", name) for name in (PROJECT, "digits in models/b"))
    assert check.find(client, EVENT, "makeweight", "digits in models/b") == other
    check.complete(client, EVENT, "makeweight", PROJECT, one, "success", "passes", "fine")
    assert {each["id"]: each["conclusion"] for each in github.checks} == {one: "success", other: None}
    later = replace(EVENT, run_id=51)
    check.begin(client, later, "makeweight", "digits in models/b")
    assert check.newer_run(client, EVENT, "makeweight", PROJECT) is None


def test_a_run_finds_the_check_that_it_opened_itself_and_no_other(github: Server, client: Client) -> None:
    opened = {event: check.begin(client, event, "makeweight", PROJECT) for event in (LATER, EVENT, SAME, EARLIER)}
    assert {event: check.find(client, event, "makeweight", PROJECT) for event in opened} == opened


def test_those_of_earlier_runs_are_cancelled_and_that_of_a_newer_run_left(github: Server, client: Client) -> None:
    newer, *stale = (check.begin(client, event, "makeweight", PROJECT) for event in (LATER, SAME, EARLIER))
    other = check.begin(client, EARLIER, "makeweight (other)", PROJECT)
    lost = check.begin(client, EVENT, "makeweight", PROJECT)
    own = check.begin(client, EVENT, "makeweight", PROJECT)
    check.complete(client, EVENT, "makeweight", PROJECT, own, "success", "passes", "fine")
    reached = {each["id"]: each["conclusion"] for each in github.checks}
    cancelled = dict.fromkeys([*stale, lost], "cancelled")
    assert reached == {**cancelled, other: None, own: "success", newer: None}


def test_a_newer_run_of_the_same_commit_is_known_by_its_check(github: Server, client: Client) -> None:
    github.pull(7, HEAD)
    for event in (EARLIER, SAME, EVENT):
        check.begin(client, event, "makeweight", PROJECT)
    assert check.newer_run(client, EVENT, "makeweight", PROJECT) is None
    assert check.newer_run(client, SAME, "makeweight", PROJECT) == 50
    made = check.begin(client, LATER, "makeweight", PROJECT)
    check.complete(client, LATER, "makeweight", PROJECT, made, "failure", "over", "over")
    assert check.newer_run(client, EVENT, "makeweight", PROJECT) == 51
    assert standing.successor(client, EVENT, "makeweight", PROJECT) == "run 51 is about the same commit, and newer"
    assert standing.successor(client, EVENT, None, PROJECT) is None
    assert standing.successor(client, LATER, "makeweight", PROJECT) is None


def test_the_newest_of_several_is_found_on_any_page(github: Server, client: Client) -> None:
    for _ in range(120):
        newest = check.begin(client, EVENT, "makeweight", PROJECT)
    assert check.find(client, EVENT, "makeweight", PROJECT) == newest


@pytest.mark.parametrize(("count", "sent"), [(0, [0]), (50, [50]), (51, [50, 1]), (120, [50, 50, 20])])
def test_annotations_go_by_fifty(github: Server, client: Client, count: int, sent: list[int]) -> None:
    check.complete(client, EVENT, "makeweight", PROJECT, None, "failure", "over", "over", remarks(count))
    assert [len(call.body["output"]["annotations"]) for call in github.calls("PATCH")] == sent
    assert [call.body.get("conclusion") for call in github.calls("PATCH")] == [None] * (len(sent) - 1) + ["failure"]
    (left,) = github.checks
    assert [each["start_line"] for each in left["output"]["annotations"]] == list(range(1, count + 1))


@pytest.mark.parametrize("status", [502, DROP])
@pytest.mark.parametrize("carried_out", [True, False])
@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_a_lost_answer_adds_nothing_twice(
    github: Server, client: Client, status: int, carried_out: bool, method: str
) -> None:
    github.fail_with(status, method=method, times=2, carried_out=carried_out)
    check.complete(client, EVENT, "makeweight", PROJECT, None, "failure", "over", "over", remarks(60))
    (left,) = github.checks
    assert left["conclusion"] == "failure"
    assert [each["start_line"] for each in left["output"]["annotations"]] == list(range(1, 61))


def test_what_is_too_long_is_cut(github: Server, client: Client) -> None:
    long = Annotation("makeweight.yaml", 0, "warning", "t" * 300, "m\n" * 50_000)
    check.complete(client, EVENT, "makeweight", PROJECT, None, "failure", "t" * 300, "line of it\n" * 10_000, [long])
    output = github.checks[0]["output"]
    assert len(output["title"]) == 255
    assert 65_000 < len(output["summary"]) <= 65_535
    assert output["summary"].endswith("*More than a check shows: the rest is in the report of the run.*")
    (told,) = output["annotations"]
    assert told["start_line"] == 1
    assert len(told["title"]) == 255
    assert 60_000 < len(told["message"].encode()) <= 65_536


def test_an_older_one_that_cannot_be_cancelled_is_told_and_nothing_more(
    github: Server, client: Client, told: list[str]
) -> None:
    stale = check.begin(client, EVENT, "makeweight", PROJECT)
    own = check.begin(client, EVENT, "makeweight", PROJECT)
    github.fail_with(403, times=9, method="PATCH", path=str(stale))
    assert check.complete(client, EVENT, "makeweight", PROJECT, own, "success", "passes", "fine") == own
    assert any("an older check was left in progress" in said for said in told)


def test_a_token_that_only_reads(github: Server, client: Client) -> None:
    github.deny("checks: write")
    with pytest.raises(Refused, match="Add `checks: write` under `permissions:`"):
        check.begin(client, EVENT, "makeweight", PROJECT)


@pytest.mark.parametrize("event", [Event("local"), Event("push", repository="acme/model"), Event("push", head=HEAD)])
def test_without_a_commit_there_is_nothing_to_put_it_on(client: Client, event: Event) -> None:
    for attempt in (
        lambda: check.begin(client, event, "makeweight", PROJECT),
        lambda: check.find(client, event, "makeweight", PROJECT),
        lambda: check.complete(client, event, "makeweight", PROJECT, 3, "success", "passes", "fine"),
    ):
        with pytest.raises(ValueError, match="no commit"):
            attempt()
