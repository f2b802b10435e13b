"""The one note, on a GitLab with a memory: found on any page, changed in place, and no command to anybody."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from integration.gitlab.server import Gitlab, running
from makeweight.forge.event import Event
from makeweight.gitlab import note
from makeweight.gitlab.client import Client
from makeweight_base.forge.client import Refused
from makeweight_base.forge.marker import marker

EVENT = Event("pull_request", repository="acme/models/digits", number=7, head="a" * 40)
MARK = marker("digits")


@pytest.fixture
def gitlab() -> Iterator[Gitlab]:
    with running(Gitlab()) as server:
        yield server


@pytest.fixture
def client(gitlab: Gitlab) -> Client:
    return Client(gitlab.url, gitlab.token, sleep=lambda _: None)


def bodies(gitlab: Gitlab) -> list[str]:
    return [each["body"] for each in gitlab.notes if each["author"]["id"] == gitlab.user]


def test_one_note_lives_through_every_push(gitlab: Gitlab, client: Client) -> None:
    for number in range(230):
        gitlab.note(7, 1, f"number {number}")
    gitlab.note(8, gitlab.user, f"{MARK}\nof another merge request")
    assert note.put(client, EVENT, "digits", f"{MARK}\nover") == "written"
    assert note.put(client, EVENT, "digits", f"{MARK}\nover") == "unchanged"
    assert note.put(client, EVENT, "digits", f"{MARK}\npasses") == "written"
    assert bodies(gitlab) == [f"{MARK}\nof another merge request", f"{MARK}\npasses"]


def test_what_need_not_be_begun_is_only_kept_up_to_date(gitlab: Gitlab, client: Client) -> None:
    assert note.put(client, EVENT, "digits", f"{MARK}\npasses", opens=False) == "absent"
    note.put(client, EVENT, "digits", f"{MARK}\nover")
    assert note.put(client, EVENT, "digits", f"{MARK}\npasses", opens=False) == "written"
    assert bodies(gitlab) == [f"{MARK}\npasses"]


def test_a_mark_that_somebody_else_wrote_is_not_touched_and_of_several_the_oldest_is_kept(
    gitlab: Gitlab, client: Client
) -> None:
    gitlab.note(7, 1, f"{MARK}\ntheirs")
    first = gitlab.note(7, gitlab.user, f"{MARK}\nover")
    gitlab.note(7, gitlab.user, f"{MARK}\nover")
    assert note.put(client, EVENT, "digits", f"{MARK}\npasses") == "written"
    assert [each["body"] for each in gitlab.notes] == [f"{MARK}\ntheirs", f"{MARK}\npasses"]
    assert gitlab.notes[1]["id"] == first["id"]


@pytest.mark.parametrize("said", ["/merge", "  /approve", "```text\n/close\n```", "````\n```\n/merge\n```\n````"])
def test_what_it_says_is_no_command(gitlab: Gitlab, client: Client, said: str) -> None:
    note.put(client, EVENT, "digits", f"{MARK}\n{said}\nor a/b")
    assert gitlab.commands == []
    assert bodies(gitlab)[0].replace("\u200b", "") == f"{MARK}\n{said}\nor a/b"


def test_a_token_that_may_not_is_told_what_it_lacks(gitlab: Gitlab, client: Client) -> None:
    gitlab.scope = "read_api"
    with pytest.raises(Refused, match=r"GitLab answered 403(?s:.*)a project's token \(scope api, role Reporter\)"):
        note.put(client, EVENT, "digits", f"{MARK}\nover")
    with pytest.raises(Refused, match="MAKEWEIGHT_GITLAB_TOKEN"):
        note.put(Client(gitlab.url, "wrong"), EVENT, "digits", f"{MARK}\nover")


def test_what_cannot_be_meant(client: Client) -> None:
    with pytest.raises(ValueError, match="does not begin with"):
        note.put(client, EVENT, "digits", "over")
    with pytest.raises(ValueError, match="no merge request"):
        note.put(client, Event("push", repository="acme/model"), "digits", MARK)
