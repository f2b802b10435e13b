"""Checks, on a GitHub with a memory: opened, always completed, one of a name."""

from __future__ import annotations

import pytest

from integration.github.server import DROP, Server
from makeweight.github import check
from makeweight.github.client import Client, Refused
from makeweight.github.commands import Annotation
from makeweight.github.event import Event

HEAD = "a" * 40
EVENT = Event("pull_request", repository="acme/model", head=HEAD, number=7, run="https://github.test/acme/model/1")


def remarks(count: int) -> list[Annotation]:
    return [
        Annotation("makeweight.yaml", line, "failure", f"rule {line}", f"line {line}") for line in range(1, count + 1)
    ]


def test_it_is_open_while_the_work_goes_on_and_then_complete(github: Server, client: Client) -> None:
    opened = check.begin(client, EVENT, "makeweight")
    assert [(each["id"], each["status"]) for each in github.checks] == [(opened, "in_progress")]
    assert github.checks[0]["details_url"] == EVENT.run
    assert check.find(client, EVENT, "makeweight") == opened
    done = check.complete(client, EVENT, "makeweight", opened, "failure", "size over", "### over", remarks(1))
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
    assert check.find(client, EVENT, "makeweight") is None


def test_where_none_was_opened_one_is_made(github: Server, client: Client) -> None:
    made = check.complete(client, EVENT, "makeweight", None, "success", "passes", "fine")
    (left,) = github.checks
    assert (left["id"], left["status"], left["conclusion"]) == (made, "completed", "success")
    assert left["details_url"] == EVENT.run


def test_a_check_of_the_same_name_that_is_not_ours_is_left_alone(github: Server, client: Client) -> None:
    """A job called like the check has one too, made by the very app whose token we hold."""
    job = github.check("makeweight", HEAD, external_id="0c1d")
    elsewhere = github.check("makeweight", "b" * 40, external_id="makeweight")
    assert check.find(client, EVENT, "makeweight") is None
    check.complete(client, EVENT, "makeweight", None, "success", "passes", "fine")
    assert job["status"] == elsewhere["status"] == "in_progress"


def test_older_ones_that_were_never_completed_are_cancelled_and_newer_ones_left(github: Server, client: Client) -> None:
    stale = [check.begin(client, EVENT, "makeweight") for _ in range(2)]
    other = check.begin(client, EVENT, "makeweight (other)")
    own = check.begin(client, EVENT, "makeweight")
    newer = check.begin(client, EVENT, "makeweight")
    check.complete(client, EVENT, "makeweight", own, "success", "passes", "fine")
    reached = {each["id"]: each["conclusion"] for each in github.checks}
    assert reached == {stale[0]: "cancelled", stale[1]: "cancelled", other: None, own: "success", newer: None}


def test_the_newest_of_several_is_found_on_any_page(github: Server, client: Client) -> None:
    for _ in range(120):
        newest = check.begin(client, EVENT, "makeweight")
    assert check.find(client, EVENT, "makeweight") == newest


@pytest.mark.parametrize(("count", "sent"), [(0, [0]), (50, [50]), (51, [50, 1]), (120, [50, 50, 20])])
def test_annotations_go_by_fifty(github: Server, client: Client, count: int, sent: list[int]) -> None:
    check.complete(client, EVENT, "makeweight", None, "failure", "over", "over", remarks(count))
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
    check.complete(client, EVENT, "makeweight", None, "failure", "over", "over", remarks(60))
    (left,) = github.checks
    assert left["conclusion"] == "failure"
    assert [each["start_line"] for each in left["output"]["annotations"]] == list(range(1, 61))


def test_what_is_too_long_is_cut(github: Server, client: Client) -> None:
    long = Annotation("makeweight.yaml", 0, "warning", "t" * 300, "m\n" * 50_000)
    check.complete(client, EVENT, "makeweight", None, "failure", "t" * 300, "line of it\n" * 10_000, [long])
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
    stale = check.begin(client, EVENT, "makeweight")
    own = check.begin(client, EVENT, "makeweight")
    github.fail_with(403, times=9, method="PATCH", path=str(stale))
    assert check.complete(client, EVENT, "makeweight", own, "success", "passes", "fine") == own
    assert any("an older check was left in progress" in said for said in told)


def test_a_token_that_only_reads(github: Server, client: Client) -> None:
    github.deny("checks: write")
    with pytest.raises(Refused, match="Add `checks: write` under `permissions:`"):
        check.begin(client, EVENT, "makeweight")


@pytest.mark.parametrize("event", [Event("local"), Event("push", repository="acme/model"), Event("push", head=HEAD)])
def test_without_a_commit_there_is_nothing_to_put_it_on(client: Client, event: Event) -> None:
    for attempt in (
        lambda: check.begin(client, event, "makeweight"),
        lambda: check.find(client, event, "makeweight"),
        lambda: check.complete(client, event, "makeweight", 3, "success", "passes", "fine"),
    ):
        with pytest.raises(ValueError, match="no commit"):
            attempt()
