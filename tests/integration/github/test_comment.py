"""The one comment, on a GitHub with a memory: found on any page, changed in place, never somebody else's."""

from __future__ import annotations

import pytest

from integration.github.server import DROP, Server
from makeweight.forge.event import Event
from makeweight.github import comment
from makeweight.github.client import Client
from makeweight_base.forge.client import Refused, Unreachable
from makeweight_base.forge.marker import marker

EVENT = Event("pull_request", repository="acme/model", number=7, head="a" * 40)
MARK = marker("digits")


def body(said: str, project: str = "digits") -> str:
    return f"{marker(project)}\n{said}"


def test_one_comment_lives_through_every_push(github: Server, client: Client) -> None:
    assert comment.put(client, EVENT, "digits", body("over")) == "written"
    assert comment.put(client, EVENT, "digits", body("over")) == "unchanged"
    assert comment.put(client, EVENT, "digits", body("passes")) == "written"
    assert [each["body"] for each in github.comments] == [body("passes")]
    assert len(github.calls("PATCH")) == 1
    assert github.comments[0]["number"] == 7


def test_what_need_not_be_begun_is_only_kept_up_to_date(github: Server, client: Client) -> None:
    assert comment.put(client, EVENT, "digits", body("passes"), opens=False) == "absent"
    assert github.comments == []
    comment.put(client, EVENT, "digits", body("over"))
    assert comment.put(client, EVENT, "digits", body("passes"), opens=False) == "written"
    assert [each["body"] for each in github.comments] == [body("passes")]


def test_what_github_changes_in_storing_is_no_change(github: Server, client: Client) -> None:
    comment.put(client, EVENT, "digits", body("over\nby 3 %\n"))
    github.comments[0]["body"] = github.comments[0]["body"].strip().replace("\n", "\r\n")
    assert comment.put(client, EVENT, "digits", body("over\nby 3 %\n")) == "unchanged"


def test_it_is_found_on_the_last_page(github: Server, client: Client) -> None:
    for number in range(230):
        github.comment(7, "somebody", f"number {number}")
    comment.put(client, EVENT, "digits", body("over"))
    comment.put(client, EVENT, "digits", body("passes"))
    assert [each["body"] for each in github.comments if each["user"]["login"] == github.login] == [body("passes")]


def test_every_project_of_a_repository_has_its_own(github: Server, client: Client) -> None:
    for project in ("digits", "digits-2", "digits>2", "--> <b>", "日本"):
        comment.put(client, EVENT, project, body("over", project))
    comment.put(client, EVENT, "digits", body("passes"))
    assert [each["body"].splitlines()[1] for each in github.comments] == ["passes", "over", "over", "over", "over"]


def test_other_pull_requests_are_left_alone(github: Server, client: Client) -> None:
    github.comment(8, github.login, body("over"))
    comment.put(client, EVENT, "digits", body("passes"))
    assert [(each["number"], each["body"]) for each in github.comments] == [(8, body("over")), (7, body("passes"))]


@pytest.mark.parametrize("theirs", [body("look here"), f"> {MARK}\n> quoted", f"see {MARK}"])
@pytest.mark.parametrize("login", ["mallory", "github-actions", "other-app[bot]"])
def test_a_mark_that_somebody_else_wrote_is_never_touched(
    github: Server, client: Client, theirs: str, login: str
) -> None:
    github.comment(7, login, theirs)
    for said in ("over", "passes"):
        assert comment.put(client, EVENT, "digits", body(said)) == "written"
    assert [each["body"] for each in github.comments] == [theirs, body("passes")]


def test_our_own_quotation_of_a_mark_is_no_comment_of_the_project(github: Server, client: Client) -> None:
    github.comment(7, github.login, f"a run said:\n{MARK}")
    comment.put(client, EVENT, "digits", body("passes"))
    assert len(github.comments) == 2


@pytest.mark.parametrize("login", ["github-actions[bot]", "acme-ci[bot]", "a-person"])
def test_it_is_found_for_each_kind_of_token(login: str) -> None:
    with Server(login=login) as github:
        client = Client(github.url, github.token)
        for said in ("over", "passes"):
            comment.put(client, EVENT, "digits", body(said))
        assert [(each["user"]["login"], each["body"]) for each in github.comments] == [(login, body("passes"))]


def test_where_nothing_tells_who_we_are_it_is_a_workflow(github: Server, client: Client) -> None:
    github.fail_with(403, times=99, path="^/graphql")
    for said in ("over", "passes"):
        comment.put(client, EVENT, "digits", body(said))
    assert len(github.comments) == 1


def test_of_several_the_oldest_is_kept(github: Server, client: Client) -> None:
    first = github.comment(7, github.login, body("over"))
    github.comment(7, "somebody", "thanks")
    github.comment(7, github.login, body("passes"))
    github.comment(7, github.login, body("over"))
    assert comment.put(client, EVENT, "digits", body("passes")) == "written"
    assert [each["body"] for each in github.comments] == [body("passes"), "thanks"]
    assert github.comments[0]["id"] == first["id"]


def test_two_runs_that_race_leave_one(github: Server, client: Client) -> None:
    listed = github._list_comments
    raced = iter([True])

    def late(*given: object) -> object:
        answer = listed(*given)  # type: ignore[arg-type]
        if next(raced, False):
            # the other run, which found none either, is a little faster
            github.comment(7, github.login, body("of the other run"))
        return answer

    with pytest.MonkeyPatch.context() as patch:
        _reroute(patch, "_list_comments", late)
        assert comment.put(client, EVENT, "digits", body("of this run")) == "written"
    assert [each["body"] for each in github.comments] == [body("of this run")]


@pytest.mark.parametrize("status", [502, DROP])
@pytest.mark.parametrize("carried_out", [True, False])
def test_a_lost_answer_leaves_one(github: Server, client: Client, status: int, carried_out: bool) -> None:
    github.fail_with(status, method="POST", path="comments", carried_out=carried_out)
    assert comment.put(client, EVENT, "digits", body("over")) == "written"
    assert [each["body"] for each in github.comments] == [body("over")]


def test_a_token_that_only_reads(github: Server, client: Client) -> None:
    github.deny("write")
    with pytest.raises(Refused, match="`pull-requests: write`"):
        comment.put(client, EVENT, "digits", body("over"))


def test_a_github_that_is_down(github: Server, client: Client) -> None:
    github.fail_with(503, times=99)
    with pytest.raises(Unreachable, match="503"):
        comment.put(client, EVENT, "digits", body("over"))


def test_the_longest_comment_is_taken_and_a_longer_one_refused(github: Server, client: Client) -> None:
    most = comment.LIMIT - len(MARK) - 1
    assert comment.put(client, EVENT, "digits", body("x" * most)) == "written"
    with pytest.raises(ValueError, match=r"65,537 characters; GitHub takes 65,536"):
        comment.put(client, EVENT, "digits", body("x" * (most - 1) + "\N{GRINNING FACE}"))
    assert len(github.comments) == 1


def test_what_cannot_be_meant(client: Client) -> None:
    with pytest.raises(ValueError, match="does not begin with"):
        comment.put(client, EVENT, "digits", "over")
    with pytest.raises(ValueError, match="no pull request"):
        comment.put(client, Event("push", repository="acme/model"), "digits", body("over"))


def _reroute(patch: pytest.MonkeyPatch, name: str, handle: object) -> None:
    """Let one method of the server answer in another way."""
    from integration.github import server

    routes = tuple(
        (*route[:3], lambda _, *given: handle(*given)) if route[3].__name__ == name else route  # type: ignore[operator]
        for route in server._ROUTES
    )
    patch.setattr(server, "_ROUTES", routes)
