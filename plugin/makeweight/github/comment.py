"""The one comment on a pull request, found by mark and author."""

from __future__ import annotations

from makeweight.forge import kept
from makeweight.forge.event import Event
from makeweight.forge.kept import Done
from makeweight.github.client import Client
from makeweight_base.forge.author import login, ours
from makeweight_base.forge.excerpt import units
from makeweight_base.forge.marker import marker

LIMIT = 65_536
"""Characters in a comment."""
_NEEDS = "pull-requests: write"


def put(client: Client, event: Event, project_id: str, body: str, *, opens: bool = True) -> Done:
    """Let `body` be what the project's comment on the pull request says; see `kept.put`.

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
    everything, each = (f"/repos/{event.repository}/issues/{part}" for part in (f"{event.number}/comments", "comments"))
    return kept.put(
        client,
        everything,
        body,
        lambda: (own for own in client.pages(everything, needs="pull-requests: read") if ours(own, mark, author)),
        lambda number: client.patch(f"{each}/{number}", {"body": body}, needs=_NEEDS),
        lambda number: client.delete(f"{each}/{number}", needs=_NEEDS),
        needs=_NEEDS,
        opens=opens,
    )
