"""Labels that decide something: who set each, and whether that person may write here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from makeweight.forge.event import Event
from makeweight.github import pull
from makeweight.github.client import Client

DEVICES = "devices:"
"""With the full hash of a commit: its code may run on the devices. 48 characters of the 50 that a label may have."""
REVIEWED = "reviewed:"
"""With the full hash of a commit: what it alters of its own judgement was looked at. 49 characters."""
_WRITES = ("admin", "maintain", "write")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_NEEDS = "pull-requests: read"


@dataclass(frozen=True)
class Label:
    name: str
    description: str
    by: str | None
    """Who set it last; None: GitHub does not say."""
    trusted: bool
    """Whether that person may write to the repository."""


def on(client: Client, event: Event, prefixes: Sequence[str]) -> list[Label]:
    """The labels on the event's pull request whose names begin with one of `prefixes`; none without a pull request.

    Raises:
        ForgeFailed: they, or who set them, could not be read.
    """
    if event.number is None or event.repository is None or not prefixes:
        return []
    issue = f"/repos/{event.repository}/issues/{event.number}"
    listed = client.pages(f"{issue}/labels", needs=_NEEDS)
    found = {
        str(each["name"]): str(each.get("description") or "")
        for each in listed
        if str(each.get("name", "")).startswith(tuple(prefixes))
    }
    if not found:
        return []
    setters = _setters(client, issue, found)
    trusted = {by: _writes(client, event.repository, by) for by in {*setters.values()} if by is not None}
    return [
        Label(name, description, setters.get(name), trusted.get(setters.get(name) or "", False))
        for name, description in found.items()
    ]


def is_for(label: Label, prefix: str, sha: str | None) -> bool:
    """Whether it is the label of this very commit, set by somebody who may write here.

    Only the whole hash counts: another commit with the same beginning is cheap to make.
    """
    whole = sha is not None and _COMMIT.fullmatch(sha)
    return bool(whole) and label.trusted and label.name == f"{prefix}{sha}"


def approves_devices(labels: Iterable[Label], sha: str | None) -> bool:
    """Whether this very commit was approved for the devices."""
    return any(is_for(label, DEVICES, sha) for label in labels)


def proposed(client: Client, event: Event) -> str | None:
    """The commit that is proposed, which labels name: in a merge queue not the queue's own, but the pull request's.

    A push to the pull request takes it out of the queue, so what its head is now is what the queue holds.

    Raises:
        ForgeFailed: the pull request could not be read.
    """
    if event.name != "merge_group":
        return event.head
    if event.number is None or event.repository is None:
        return None
    return pull.now(client, event.repository, event.number).head


def _setters(client: Client, issue: str, names: Iterable[str]) -> dict[str, str | None]:
    """Who set each label last, told oldest first."""
    wanted = set(names)
    setters: dict[str, str | None] = {}
    for each in client.pages(f"{issue}/events", needs=_NEEDS):
        name = (each.get("label") or {}).get("name")
        if name not in wanted:
            continue
        if each.get("event") == "labeled":
            setters[name] = (each.get("actor") or {}).get("login")
        elif each.get("event") == "unlabeled":
            setters[name] = None
    return setters


def _writes(client: Client, repository: str, login: str) -> bool:
    """By `permission`, which says what a custom role comes to; `role_name` would only say how it is called."""
    answer = client.find(f"/repos/{repository}/collaborators/{quote(login, safe='')}/permission")
    return isinstance(answer, dict) and answer.get("permission") in _WRITES
