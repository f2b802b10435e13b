"""The one comment on a pull request: found by mark and author, changed in place, left alone when it says the same."""

from __future__ import annotations

from typing import Any, Literal

from makeweight.forge.excerpt import units
from makeweight.github.client import Client
from makeweight.github.event import Event
from makeweight.github.marker import login, marker, ours, same

LIMIT = 65_536
"""Characters in a comment."""
_NEEDS = "pull-requests: write"


def put(
    client: Client, event: Event, project_id: str, body: str, *, opens: bool = True
) -> Literal["written", "unchanged", "absent"]:
    """Let `body` be what the project's comment on the pull request says.

    Two runs may both have found no comment, and have written one each: the oldest is kept, the others are removed.

    Args:
        opens: whether one is begun where there is none.

    Returns:
        `absent` where there is none, and none was begun.

    Raises:
        ForgeFailed: it could not be found or written.
        ValueError: the event has no pull request, or `body` does not begin with the mark, or is longer than LIMIT.
    """
    mark = marker(project_id)
    if event.number is None or event.repository is None:
        raise ValueError("there is no pull request to comment on")
    if not body.startswith(mark):
        raise ValueError(f"the body does not begin with {mark}")
    if units(body) > LIMIT:
        raise ValueError(f"the body has {units(body):,} characters; GitHub takes {LIMIT:,}")
    author = login(client)
    everything = f"/repos/{event.repository}/issues/{event.number}/comments"

    def find() -> list[dict[str, Any]]:
        listed = client.pages(everything, needs="pull-requests: read")
        return sorted((each for each in listed if ours(each, mark, author)), key=lambda each: int(each["id"]))

    found = find()
    if not found and not opens:
        return "absent"
    if not found:
        client.post(everything, {"body": body}, needs=_NEEDS, done=lambda: next(iter(find()), None))
        found = find()
        if len(found) < 2:
            return "written"
    oldest, *others = found
    unchanged = same(oldest["body"], body)
    if not unchanged:
        client.patch(f"/repos/{event.repository}/issues/comments/{oldest['id']}", {"body": body}, needs=_NEEDS)
    for other in others:
        client.delete(f"/repos/{event.repository}/issues/comments/{other['id']}", needs=_NEEDS)
    return "unchanged" if unchanged and not others else "written"
