"""The one issue about a budget that broke without a commit: opened, kept up to date, closed when it holds again."""

from __future__ import annotations

from typing import Any

from makeweight.forge.event import Event
from makeweight.github.client import Client
from makeweight_base.forge.author import login, ours
from makeweight_base.forge.excerpt import short, units
from makeweight_base.forge.marker import marker, same

LIMIT = 65_536
"""Characters in an issue, the mark included."""
_TITLE = 256
_NEEDS = "issues: write"


def put(client: Client, event: Event, project_id: str, title: str, body: str) -> int:
    """The number of the project's open issue, which now says `body`; opened where there was none.

    A closed issue stays closed: what breaks anew is told anew.

    Raises:
        ForgeFailed: it could not be found or written.
        ValueError: the event has no repository, or `body` with its mark is longer than LIMIT.
    """
    mark = marker(project_id)
    marked = body if body.startswith(mark) else f"{mark}\n{body}"
    if units(marked) > LIMIT:
        raise ValueError(f"the issue has {units(marked):,} characters; GitHub takes {LIMIT:,}")
    title = short(title, _TITLE)
    author = login(client)
    found = _find(client, event, mark, author)
    if found is None:
        made = client.post(
            f"/repos/{event.repository}/issues",
            {"title": title, "body": marked},
            needs=_NEEDS,
            done=lambda: _find(client, event, mark, author),
        )
        return int(made["number"])
    number = int(found["number"])
    if found.get("title") != title or not same(found.get("body") or "", marked):
        client.patch(f"/repos/{event.repository}/issues/{number}", {"title": title, "body": marked}, needs=_NEEDS)
    return number


def close(client: Client, event: Event, project_id: str, comment: str) -> int | None:
    """Close the project's open issue and say why; its number, or None where there is none.

    Raises:
        ForgeFailed: it could not be found or closed, or the comment could not be written.
        ValueError: the event has no repository, or `comment` is longer than LIMIT.
    """
    if units(comment) > LIMIT:
        raise ValueError(f"the comment has {units(comment):,} characters; GitHub takes {LIMIT:,}")
    author = login(client)
    found = _find(client, event, marker(project_id), author)
    if found is None:
        return None
    number = int(found["number"])
    # closed first: were the comment written and the closing lost, the next run would write it again
    client.patch(f"/repos/{event.repository}/issues/{number}", {"state": "closed"}, needs=_NEEDS)
    said = f"/repos/{event.repository}/issues/{number}/comments"

    def written() -> dict[str, Any] | None:
        listed = client.pages(said, needs="issues: read")
        return next((each for each in listed if ours(each, "", author) and same(each.get("body") or "", comment)), None)

    client.post(said, {"body": comment}, needs=_NEEDS, done=written)
    return number


def _find(client: Client, event: Event, mark: str, author: str) -> dict[str, Any] | None:
    if event.repository is None:
        raise ValueError("there is no repository to open an issue in")
    listed = client.pages(f"/repos/{event.repository}/issues", needs="issues: read", state="open")
    # GitHub lists pull requests among the issues
    own = [each for each in listed if "pull_request" not in each and ours(each, mark, author)]
    return min(own, key=lambda each: int(each["number"]), default=None)
