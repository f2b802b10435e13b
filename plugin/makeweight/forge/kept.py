"""The one comment that a project keeps on a change: changed in place, left alone when it says the same."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal

from makeweight_base.forge.client import Client
from makeweight_base.forge.marker import same

Done = Literal["written", "unchanged", "absent"]
"""`absent`: there is none, and none was begun."""


def put(
    client: Client,
    everything: str,
    body: str,
    ours: Callable[[], Iterable[dict[str, Any]]],
    change: Callable[[int], object],
    remove: Callable[[int], object],
    *,
    needs: str,
    opens: bool,
) -> Done:
    """Let `body` be what it says.

    Two runs may both have found none, and have written one each: the oldest is kept, the others are removed.

    Args:
        everything: where comments are posted.
        ours: finds those of this project.
        change: lets the one of a number say `body`.
        opens: whether one is begun where there is none.

    Raises:
        ForgeFailed: it could not be found or written.
    """

    def find() -> list[dict[str, Any]]:
        return sorted(ours(), key=lambda each: int(each["id"]))

    found = find()
    if not found and not opens:
        return "absent"
    if not found:
        client.post(everything, {"body": body}, needs=needs, done=lambda: next(iter(find()), None))
        found = find()
        if len(found) < 2:
            return "written"
    oldest, *others = found
    unchanged = same(oldest["body"], body)
    if not unchanged:
        change(int(oldest["id"]))
    for other in others:
        remove(int(other["id"]))
    return "unchanged" if unchanged and not others else "written"
