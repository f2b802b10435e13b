"""Labels, on a GitHub with a memory: whose they are decides what they are worth."""

from __future__ import annotations

from dataclasses import replace

import pytest

from integration.github.server import Server
from makeweight.forge.event import Event
from makeweight.github import labels
from makeweight.github.client import Client
from makeweight.github.labels import Label, approves_devices
from makeweight_base.forge.client import Refused

HEAD = "a1" * 20
EVENT = Event("pull_request", repository="acme/model", head=HEAD, number=7)
PREFIXES = ("devices:", "makeweight-waive:")


@pytest.fixture(autouse=True)
def _people(github: Server) -> None:
    github.permissions.update(
        {"owner": "admin", "keeper": "maintain", "writer": "write", "reader": "read", "no": "none"}
    )


@pytest.mark.parametrize(
    ("by", "trusted"),
    [
        ("owner", True),
        ("keeper", True),
        ("writer", True),
        ("reader", False),
        ("no", False),
        ("stranger", False),
        ("triage-app[bot]", False),
        ("../../../user", False),
    ],
)
def test_only_who_may_write_is_trusted(github: Server, client: Client, by: str, trusted: bool) -> None:
    github.label(7, "makeweight-waive: size", by, "until the fix")
    assert labels.on(client, EVENT, PREFIXES) == [Label("makeweight-waive: size", "until the fix", by, trusted)]


def test_the_last_to_set_it_counts(github: Server, client: Client) -> None:
    github.label(7, "devices:x", "owner")
    github.unlabel(7, "devices:x", "owner")
    github.label(7, "devices:x", "reader")
    github.label(7, "makeweight-waive: size", "reader")
    github.label(7, "makeweight-waive: size", "writer")
    found = {each.name: (each.by, each.trusted) for each in labels.on(client, EVENT, PREFIXES)}
    assert found == {"devices:x": ("reader", False), "makeweight-waive: size": ("writer", True)}


def test_one_that_was_taken_off_is_gone(github: Server, client: Client) -> None:
    github.label(7, "devices:x", "owner")
    github.unlabel(7, "devices:x", "owner")
    assert labels.on(client, EVENT, PREFIXES) == []


def test_one_whose_setting_github_does_not_tell_is_not_trusted(github: Server, client: Client) -> None:
    github.label(7, "devices:x", "owner")
    github.events[7].clear()
    assert labels.on(client, EVENT, PREFIXES) == [Label("devices:x", "", None, False)]


def test_one_that_was_taken_off_and_still_is_listed_is_not_trusted(github: Server, client: Client) -> None:
    github.label(7, "devices:x", "owner")
    listed = list(github.labels[7])
    github.unlabel(7, "devices:x", "reader")
    github.labels[7] = listed
    assert labels.on(client, EVENT, PREFIXES) == [Label("devices:x", "", None, False)]


def test_all_pages_of_what_happened_are_read(github: Server, client: Client) -> None:
    for number in range(220):
        github.label(7, f"note {number}", "reader")
    github.label(7, "devices:x", "writer")
    assert labels.on(client, EVENT, PREFIXES) == [Label("devices:x", "", "writer", True)]


def test_nobody_is_asked_about_labels_that_decide_nothing(github: Server, client: Client) -> None:
    github.label(7, "bug", "stranger")
    github.label(8, "devices:x", "owner")
    assert labels.on(client, EVENT, PREFIXES) == []
    assert [call.path for call in github.requests] == ["/repos/acme/model/issues/7/labels"]


def test_each_person_is_asked_about_once(github: Server, client: Client) -> None:
    for name in ("devices:x", "devices:y", "makeweight-waive: size"):
        github.label(7, name, "writer")
    assert all(each.trusted for each in labels.on(client, EVENT, PREFIXES))
    assert len(github.calls("GET", "collaborators")) == 1


def test_without_a_pull_request_or_prefixes_nothing_is_asked(github: Server, client: Client) -> None:
    assert labels.on(client, Event("push", repository="acme/model"), PREFIXES) == []
    assert labels.on(client, EVENT, ()) == []
    assert github.requests == []


def test_a_permission_that_cannot_be_asked_for_is_an_error(github: Server, client: Client) -> None:
    github.label(7, "devices:x", "owner")
    github.fail_with(403, path="collaborators")
    with pytest.raises(Refused):
        labels.on(client, EVENT, PREFIXES)


@pytest.mark.parametrize(
    ("name", "by", "approved"),
    [
        (f"devices:{HEAD}", "writer", True),
        (f"devices:{HEAD}", "reader", False),
        (f"devices:{HEAD[:12]}", "writer", False),
        (f"devices:{'b' * 40}", "writer", False),
        (f"devices: {HEAD}", "writer", False),
        (f"Devices:{HEAD}", "writer", False),
        (f"devices:{HEAD.upper()}", "writer", False),
    ],
)
def test_devices_are_approved_for_one_commit(
    github: Server, client: Client, name: str, by: str, approved: bool
) -> None:
    github.label(7, name, by)
    assert approves_devices(labels.on(client, EVENT, PREFIXES), HEAD) is approved


@pytest.mark.parametrize("sha", ["", "a1", HEAD[:-1], f"{HEAD}\n", "*"])
def test_what_is_no_commit_is_never_approved(sha: str) -> None:
    assert not approves_devices([Label(f"devices:{sha}", "", "owner", True)], sha)


QUEUED = Event("merge_group", repository="acme/model", head="c" * 40, number=7)


def test_in_a_queue_the_commit_that_is_proposed_is_the_pull_requests(github: Server, client: Client) -> None:
    github.pull(7, HEAD)
    assert labels.proposed(client, QUEUED) == HEAD


def test_elsewhere_it_is_the_events_own_and_nobody_is_asked(github: Server, client: Client) -> None:
    assert labels.proposed(client, EVENT) == HEAD
    assert labels.proposed(client, replace(QUEUED, number=None)) is None
    assert github.requests == []


def test_a_pull_request_that_cannot_be_read_is_an_error(github: Server, client: Client) -> None:
    with pytest.raises(Refused):
        labels.proposed(client, QUEUED)
