"""Requests over a real connection that goes wrong in every way: what is tried again, what is not, and what is said."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest
import requests

from integration.github.server import DROP, HANG, Server
from makeweight import __version__
from makeweight.github.client import Client
from makeweight_base.forge import client as module
from makeweight_base.forge.client import ForgeFailed, Invalid, Refused, Unreachable

PULL = "/repos/acme/model/pulls/7"
COMMENTS = "/repos/acme/model/issues/7/comments"


@pytest.fixture(autouse=True)
def _pull(github: Server) -> None:
    github.pull(7, "a" * 40)


def test_says_who_asks_and_in_which_version(github: Server, client: Client) -> None:
    assert client.get(PULL)["number"] == 7
    sent = github.requests[-1].headers
    assert sent["Authorization"] == f"Bearer {github.token}"
    assert sent["Accept"] == "application/vnd.github+json, application/json"
    assert sent["X-GitHub-Api-Version"] == "2022-11-28"
    assert sent["User-Agent"] == f"makeweight/{__version__}"


def test_netrc_does_not_take_the_place_of_the_token(
    github: Server, client: Client, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert client.get(PULL)["number"] == 7


def test_without_a_token_none_is_sent(github: Server) -> None:
    with pytest.raises(Refused, match="401") as caught:
        Client(github.url, None).get(PULL)
    assert caught.value.status == 401
    assert "Authorization" not in github.requests[-1].headers


def test_all_pages_are_read(github: Server, client: Client) -> None:
    for number in range(250):
        github.comment(7, "somebody", f"number {number}")
    assert [each["body"] for each in client.pages(COMMENTS)] == [f"number {number}" for number in range(250)]
    assert [call.query.get("page", "1") for call in github.calls("GET")] == ["1", "2", "3"]


def test_a_list_inside_of_an_object_is_read(github: Server, client: Client) -> None:
    for number in range(130):
        github.check(f"check {number}", "a" * 40, external_id="x")
    listed = client.pages(f"/repos/acme/model/commits/{'a' * 40}/check-runs")
    assert [each["name"] for each in listed] == [f"check {number}" for number in range(130)]


def test_a_next_page_elsewhere_is_not_followed_there(github: Server, client: Client) -> None:
    with Server() as other:
        github.comment(7, "somebody", "one")
        page = github._page
        away = f'<{other.url}/elsewhere?page=2>; rel="next"'
        github._page = lambda *given: (*page(*given)[:2], {"Link": away})  # type: ignore[method-assign]
        listed = list(client.pages(COMMENTS))
        assert [each["body"] for each in listed] == ["one"]
        assert len(github.requests) == 2
        assert other.requests == []


@pytest.mark.parametrize("status", [500, 502, 503, 504, DROP])
def test_a_read_is_tried_again(
    github: Server, client: Client, waits: list[float], told: list[str], status: int
) -> None:
    github.fail_with(status, times=3)
    assert client.get(PULL)["number"] == 7
    assert waits == [1, 2, 4]
    assert len(told) == 3
    assert all(PULL in said for said in told)


def test_gives_up_in_the_end_and_says_so(github: Server, client: Client, waits: list[float]) -> None:
    github.fail_with(502, times=99, message="Bad gateway")
    with pytest.raises(Unreachable, match=r"GET .*/pulls/7: GitHub answered 502 \(Bad gateway\)"):
        client.get(PULL)
    assert waits == [1, 2, 4, 8]


def test_what_is_told_after_giving_up_is_not_waited_for_again(
    github: Server, client: Client, waits: list[float]
) -> None:
    github.fail_with(500, times=6)
    for _ in range(2):
        with pytest.raises(Unreachable):
            client.get(PULL)
    assert waits == [1, 2, 4, 8]
    assert client.get(PULL)["number"] == 7
    github.fail_with(500, times=1)
    assert client.get(PULL)["number"] == 7


def test_nobody_listens(waits: list[float]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(Unreachable, match=r"no connection \(Connection refused\)"):
            # nothing was sent, so that even what must not be done twice is tried again
            Client(f"http://127.0.0.1:{port}", "x", sleep=waits.append).post(COMMENTS, {"body": "x"})
    assert waits == [1, 2, 4, 8]


def test_a_server_that_hangs_is_left(
    github: Server, client: Client, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_TIMEOUT", (0.2, 0.2))
    github.fail_with(HANG, times=1)
    assert client.get(PULL)["number"] == 7
    assert waits == [1]


@pytest.mark.parametrize(
    ("headers", "message", "waited"),
    [
        ({"Retry-After": "7"}, "You have exceeded a secondary rate limit.", 7),
        ({}, "You have exceeded a secondary rate limit.", 60),
        (
            {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1700000030", "Date": "Tue, 14 Nov 2023 22:13:20 GMT"},
            "API rate limit exceeded",
            31,
        ),
        ({"Retry-After": "soon"}, "Slow down", 60),
        (
            {"Retry-After": "Tue, 14 Nov 2023 22:13:25 GMT", "Date": "Tue, 14 Nov 2023 22:13:20 GMT"},
            "Slow down",
            5,
        ),
    ],
)
@pytest.mark.parametrize("status", [403, 429])
def test_a_rate_limit_is_waited_for(
    github: Server,
    client: Client,
    waits: list[float],
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    headers: dict[str, str],
    message: str,
    waited: float,
) -> None:
    # a server's own Date would stand beside the one of the case
    monkeypatch.setattr("integration.github.server._Handler.date_time_string", lambda _: headers.get("Date", ""))
    github.fail_with(status, message=message, headers={k: v for k, v in headers.items() if k != "Date"})
    # nothing was carried out, so that a comment may be sent again
    assert client.post(COMMENTS, {"body": "x"})["body"] == "x"
    assert waits == [waited]
    assert len(github.comments) == 1


def test_a_rate_limit_that_takes_long_is_reported(github: Server, client: Client, waits: list[float]) -> None:
    github.limit_rate(times=99, after=1800)
    with pytest.raises(Unreachable, match="secondary rate limit"):
        client.get(PULL)
    assert waits == []


@pytest.mark.parametrize("status", [500, 502, DROP])
@pytest.mark.parametrize("carried_out", [True, False])
def test_a_comment_whose_answer_is_lost_is_not_sent_twice(
    github: Server, client: Client, status: int, carried_out: bool
) -> None:
    github.fail_with(status, method="POST", carried_out=carried_out)
    with pytest.raises(Unreachable, match="whether the request was carried out is not known"):
        client.post(COMMENTS, {"body": "x"})
    assert len(github.calls("POST")) == 1


@pytest.mark.parametrize("status", [500, 502, DROP])
@pytest.mark.parametrize("carried_out", [True, False])
def test_one_look_tells_whether_it_was_made(github: Server, client: Client, status: int, carried_out: bool) -> None:
    github.fail_with(status, method="POST", carried_out=carried_out)
    made = client.post(COMMENTS, {"body": "x"}, done=lambda: next(iter(client.pages(COMMENTS)), None))
    assert made["body"] == "x"
    assert len(github.comments) == 1
    assert len(github.calls("POST")) == (1 if carried_out else 2)


def test_a_change_is_sent_again(github: Server, client: Client) -> None:
    comment = github.comment(7, github.login, "old")
    github.fail_with(502, method="PATCH", carried_out=True)
    client.patch(f"/repos/acme/model/issues/comments/{comment['id']}", {"body": "new"})
    assert [each["body"] for each in github.comments] == ["new"]
    assert len(github.calls("PATCH")) == 2


def test_what_is_gone_already_is_removed(github: Server, client: Client) -> None:
    comment = github.comment(7, github.login, "old")
    github.fail_with(502, method="DELETE", carried_out=True)
    client.delete(f"/repos/acme/model/issues/comments/{comment['id']}")
    assert github.comments == []


def test_a_lacking_permission_names_the_line_to_add(github: Server, client: Client, waits: list[float]) -> None:
    github.deny("pull-requests: write")
    with pytest.raises(Refused) as caught:
        client.post(COMMENTS, {"body": "x"}, needs="pull-requests: write")
    assert "Add `pull-requests: write` under `permissions:`" in str(caught.value)
    assert "Resource not accessible by integration" in str(caught.value)
    assert (caught.value.status, caught.value.needs) == (403, "pull-requests: write")
    assert waits == []


def test_what_is_not_there_or_not_to_be_seen(client: Client) -> None:
    with pytest.raises(Refused, match="may not see it: it takes `pull-requests: read`") as caught:
        client.get("/repos/acme/model/pulls/8", needs="pull-requests: read")
    assert caught.value.status == 404


def test_what_github_will_not_have(github: Server, client: Client, waits: list[float]) -> None:
    with pytest.raises(Invalid, match=r"422 \(.*can't be blank"):
        client.post(COMMENTS, {"body": " "})
    assert waits == []


@pytest.mark.parametrize("answered", [b"<html>sign in</html>", b"[" * 200_000])
def test_what_is_no_github(github: Server, client: Client, answered: bytes) -> None:
    session = requests.Session()
    session.mount("http://", _Fixed(answered))
    strange = Client(github.url, "x", session=session)
    with pytest.raises(ForgeFailed, match="not JSON"):
        strange.get(PULL)


def test_an_object_is_no_list(client: Client) -> None:
    with pytest.raises(ForgeFailed, match="with no list"):
        list(client.pages(PULL))


def test_an_address_that_is_none(waits: list[float]) -> None:
    with pytest.raises(Unreachable, match="is not an address"):
        Client("not an address", "x", sleep=waits.append).get(PULL)
    assert waits == []


@pytest.mark.parametrize(
    "go_wrong",
    [
        lambda github: github.fail_with(500, times=99, message=f"token {github.token}"),
        lambda github: github.fail_with(422, message=f"token {github.token}"),
        lambda github: github.fail_with(403, message=f"token {github.token}"),
    ],
)
def test_the_token_is_never_told(
    github: Server, client: Client, told: list[str], go_wrong: Callable[[Server], None]
) -> None:
    go_wrong(github)
    with pytest.raises(ForgeFailed) as caught:
        client.get(PULL)
    assert "token ***" in str(caught.value)
    assert not any(github.token in said for said in [str(caught.value), repr(caught.value), repr(client), *told])


def test_what_a_server_says_stays_one_line(github: Server, client: Client) -> None:
    github.fail_with(422, message="one\n::add-mask::x\x1b[31m" + "y" * 5000)
    with pytest.raises(Invalid) as caught:
        client.get(PULL)
    assert "\n" not in caught.value.what
    assert "\x1b" not in caught.value.what
    assert len(caught.value.what) < 400


class _Fixed(requests.adapters.HTTPAdapter):
    """Answers everything with the same 200."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.answered = content

    def send(self, request: requests.PreparedRequest, **given: Any) -> requests.Response:
        response = requests.Response()
        response.status_code = 200
        response._content = self.answered
        response.url = request.url or ""
        response.request = request
        return response
