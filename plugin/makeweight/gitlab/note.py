"""The one note on a merge request: found by mark and author, changed in place, left alone when it says the same."""

from __future__ import annotations

import re
from typing import Any, Literal
from urllib.parse import quote

from makeweight.github.event import Event
from makeweight.github.marker import marker, same
from makeweight.gitlab.client import Client

_NEEDS = "scope api, role Reporter"
# GitLab would carry out `/merge` at the start of a line of what is posted, and its own look for code can be led astray.
_COMMAND = re.compile(r"^(\s*)/(?=\w)", re.MULTILINE)
_APART = "\N{ZERO WIDTH SPACE}"


def put(
    client: Client, event: Event, project_id: str, body: str, *, opens: bool = True
) -> Literal["written", "unchanged", "absent"]:
    """Let `body` be what the project's note on the merge request says.

    Two jobs may both have found no note, and have written one each: the oldest is kept, the others are removed.

    Args:
        opens: whether one is begun where there is none.

    Returns:
        `absent` where there is none, and none was begun.

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

    def find() -> list[dict[str, Any]]:
        listed = client.pages(everything, needs=_NEEDS, sort="asc", order_by="created_at")
        own = (each for each in listed if (each.get("author") or {}).get("id") == author)
        return sorted(
            (each for each in own if str(each.get("body")).startswith(mark)), key=lambda each: int(each["id"])
        )

    found = find()
    if not found and not opens:
        return "absent"
    if not found:
        client.post(everything, {"body": said}, needs=_NEEDS, done=lambda: next(iter(find()), None))
        found = find()
        if len(found) < 2:
            return "written"
    oldest, *others = found
    unchanged = same(oldest["body"], said)
    if not unchanged:
        client.put(f"{everything}/{oldest['id']}", {"body": said}, needs=_NEEDS)
    for other in others:
        client.delete(f"{everything}/{other['id']}", needs=_NEEDS)
    return "unchanged" if unchanged and not others else "written"
