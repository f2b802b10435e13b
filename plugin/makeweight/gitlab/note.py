"""The one note on a merge request, found by mark and author."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from makeweight.forge import kept
from makeweight.forge.event import Event
from makeweight.forge.kept import Done
from makeweight.gitlab.client import Client
from makeweight_base.forge.marker import marker

_NEEDS = "scope api, role Reporter"
# GitLab would carry out `/merge` at the start of a line of what is posted, and its own look for code can be led astray.
_COMMAND = re.compile(r"^(\s*)/(?=\w)", re.MULTILINE)
_APART = "\N{ZERO WIDTH SPACE}"


def put(client: Client, event: Event, project_id: str, body: str, *, opens: bool = True) -> Done:
    """Let `body` be what the project's note on the merge request says; see `kept.put`.

    Raises:
        ForgeFailed: it could not be found or written.
        ValueError: the event has no merge request, or `body` does not begin with the mark.
    """
    mark = marker(project_id)
    if event.number is None or event.repository is None:
        raise ValueError("there is no merge request to write a note on")
    if not body.startswith(mark):
        raise ValueError(f"the body does not begin with {mark}")
    said = _COMMAND.sub(rf"\1{_APART}/", body)
    author = client.get("/user", needs=_NEEDS).get("id")
    everything = f"/projects/{quote(event.repository, safe='')}/merge_requests/{event.number}/notes"

    def ours() -> Iterator[dict[str, Any]]:
        for each in client.pages(everything, needs=_NEEDS, sort="asc", order_by="created_at"):
            if (each.get("author") or {}).get("id") == author and str(each.get("body")).startswith(mark):
                yield each

    return kept.put(
        client,
        everything,
        said,
        ours,
        lambda number: client.put(f"{everything}/{number}", {"body": said}, needs=_NEEDS),
        lambda number: client.delete(f"{everything}/{number}", needs=_NEEDS),
        needs=_NEEDS,
        opens=opens,
    )
