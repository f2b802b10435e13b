"""The one issue, on a GitHub with a memory."""

from __future__ import annotations

import pytest

from integration.github.server import DROP, Server
from makeweight.forge.event import Event
from makeweight.github import issue
from makeweight.github.client import Client
from makeweight_base.forge.client import Refused
from makeweight_base.forge.marker import marker

EVENT = Event("schedule", repository="acme/model", head="a" * 40)
MARK = marker("digits")


def test_it_is_opened_once_and_kept_up_to_date(github: Server, client: Client) -> None:
    number = issue.put(client, EVENT, "digits", "size over", "by 3 %")
    assert issue.put(client, EVENT, "digits", "size over", "by 3 %") == number
    assert github.calls("PATCH") == []
    assert issue.put(client, EVENT, "digits", "latency over", "by 4 %") == number
    (left,) = github.issues
    assert (left["title"], left["body"], left["state"]) == ("latency over", f"{MARK}\nby 4 %", "open")


def test_a_body_that_bears_the_mark_gets_no_second(github: Server, client: Client) -> None:
    issue.put(client, EVENT, "digits", "size over", f"{MARK}\nby 3 %")
    assert github.issues[0]["body"] == f"{MARK}\nby 3 %"


def test_it_is_closed_with_a_reason_and_what_breaks_anew_is_told_anew(github: Server, client: Client) -> None:
    first = issue.put(client, EVENT, "digits", "size over", "by 3 %")
    assert issue.close(client, EVENT, "digits", "It holds again.") == first
    assert [(each["number"], each["body"]) for each in github.comments] == [(first, "It holds again.")]
    assert github.issues[0]["state"] == "closed"
    assert issue.close(client, EVENT, "digits", "It holds again.") is None
    assert issue.put(client, EVENT, "digits", "size over", "by 3 %") != first
    assert [each["state"] for each in github.issues] == ["closed", "open"]


def test_somebody_elses_issue_and_pull_requests_are_left_alone(github: Server, client: Client) -> None:
    theirs = {"number": 3, "state": "open", "user": {"login": "mallory"}, "title": "x", "body": f"{MARK}\nx"}
    github.issues.append(dict(theirs))
    for number in range(10, 130):
        github.pull(number, "a" * 40)
    first = issue.put(client, EVENT, "digits", "size over", "by 3 %")
    assert issue.put(client, EVENT, "digits", "size over", "by 4 %") == first
    assert github.issues[0] == theirs


def test_projects_have_their_own(github: Server, client: Client) -> None:
    assert len({issue.put(client, EVENT, project, "over", "by 3 %") for project in ("digits", "digits-2")}) == 2


def test_of_several_the_oldest_is_kept_up_to_date(github: Server, client: Client) -> None:
    for number in (41, 40):
        github.issues.append(
            {"number": number, "state": "open", "user": {"login": github.login}, "title": "x", "body": f"{MARK}\nx"}
        )
    assert issue.put(client, EVENT, "digits", "over", "by 3 %") == 40


@pytest.mark.parametrize("status", [502, DROP])
@pytest.mark.parametrize("carried_out", [True, False])
def test_a_lost_answer_leaves_one_issue_and_one_comment(
    github: Server, client: Client, status: int, carried_out: bool
) -> None:
    github.fail_with(status, method="POST", path="issues$", carried_out=carried_out)
    github.fail_with(status, method="POST", path="comments$", carried_out=carried_out)
    number = issue.put(client, EVENT, "digits", "size over", "by 3 %")
    assert issue.close(client, EVENT, "digits", "It holds again.") == number
    assert [each["state"] for each in github.issues] == ["closed"]
    assert [each["body"] for each in github.comments] == ["It holds again."]


def test_what_is_too_long(github: Server, client: Client) -> None:
    issue.put(client, EVENT, "digits", "t" * 300, "by 3 %")
    assert len(github.issues[0]["title"]) == 256
    with pytest.raises(ValueError, match="GitHub takes 65,536"):
        issue.put(client, EVENT, "digits", "over", "x" * 65_536)
    with pytest.raises(ValueError, match="GitHub takes 65,536"):
        issue.close(client, EVENT, "digits", "x" * 65_537)


def test_a_lacking_permission(github: Server, client: Client) -> None:
    github.deny("issues: write")
    with pytest.raises(Refused, match="Add `issues: write`"):
        issue.put(client, EVENT, "digits", "over", "by 3 %")


def test_without_a_repository_there_is_nowhere_to_open_it(client: Client) -> None:
    with pytest.raises(ValueError, match="no repository"):
        issue.put(client, Event("local"), "digits", "over", "by 3 %")
