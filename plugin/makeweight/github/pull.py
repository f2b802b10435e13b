"""A pull request as it stands now: by then it may be at another commit, or go to another branch, than a run was of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from makeweight.github.client import Client

_NEEDS = "pull-requests: read"


@dataclass(frozen=True)
class Pull:
    number: int
    head: str
    """The commit that it proposes."""
    base_ref: str
    """The branch that it goes to."""
    into: str | None
    """owner/name of that branch's repository."""
    origin: str | None
    """owner/name of where its commits come from; None: it is gone."""
    is_open: bool
    updated: str
    """When it last changed: ISO 8601 in UTC, so that later is greater."""


def now(client: Client, repository: str, number: int) -> Pull:
    """Raises:
    ForgeFailed: it could not be read.
    """
    return _read(client.get(f"/repos/{repository}/pulls/{number}", needs=_NEEDS))


def every_open(client: Client, repository: str) -> list[Pull]:
    """Raises:
    ForgeFailed: they could not be listed.
    """
    return [_read(each) for each in client.pages(f"/repos/{repository}/pulls", needs=_NEEDS, state="open")]


def _read(answer: Mapping[str, Any]) -> Pull:
    head, base = answer.get("head") or {}, answer.get("base") or {}
    return Pull(
        int(answer["number"]),
        str(head.get("sha")),
        str(base.get("ref")),
        (base.get("repo") or {}).get("full_name"),
        (head.get("repo") or {}).get("full_name"),
        answer.get("state") == "open",
        str(answer.get("updated_at") or ""),
    )
