"""The check on a commit: opened while the work goes on, always completed, under one name that can be made required."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

from makeweight.github.client import Client, GitHubFailed, Looks
from makeweight.github.commands import Annotation
from makeweight.github.event import Event
from makeweight.github.excerpt import cut, octets, short

Conclusion = Literal["success", "failure", "action_required", "cancelled"]

SUMMARY_LIMIT = 65_535
"""Characters (GitHub's OpenAPI description, `output.summary`)."""
PER_REQUEST = 50
"""Annotations in one request (the same, `output.annotations`)."""
_TITLE = 255
_MESSAGE = 64 * 1024
_NEEDS = "checks: write"
# A job's own check may bear the same name, and is not ours to change: only ours has this as its external id.
_OURS = "makeweight"
_CUT = "*More than a check shows: the rest is in the report of the run.*"


def begin(client: Client, event: Event, name: str) -> int:
    """Open a check that is in progress; its id.

    Raises:
        GitHubFailed: it could not be opened.
        ValueError: the event has no commit.
    """
    repository, head = _commit(event)
    body = {"name": name, "head_sha": head, "status": "in_progress", "external_id": _OURS, **_link(event.run)}
    # one that an earlier run left open would serve as well
    made = client.post(
        f"/repos/{repository}/check-runs", body, needs=_NEEDS, done=lambda: _newest(_listed(client, event, name))
    )
    return int(made["id"])


def find(client: Client, event: Event, name: str) -> int | None:
    """The newest check of ours that is in progress under this name on the event's commit.

    Raises:
        GitHubFailed: the checks could not be listed.
        ValueError: the event has no commit.
    """
    newest = _newest(_listed(client, event, name))
    return None if newest is None else int(newest["id"])


def complete(
    client: Client,
    event: Event,
    name: str,
    check: int | None,
    conclusion: Conclusion,
    title: str,
    summary: str,
    annotations: Sequence[Annotation] = (),
) -> int:
    """Complete a check, or a new one where there is none; its id.

    Older ones of the name that never were completed (their runs died) are cancelled: they would wait for ever.

    Args:
        summary: Markdown; cut where GitHub would refuse it.

    Raises:
        GitHubFailed: the check could not be completed.
        ValueError: the event has no commit.
    """
    if check is None:
        check = begin(client, event, name)
    repository, _ = _commit(event)
    at = f"/repos/{repository}/check-runs/{check}"
    output = {"title": short(title, _TITLE), "summary": cut(summary, SUMMARY_LIMIT, _CUT) or _CUT}
    *first, last = _batches(annotations)
    told = 0
    for batch in first:
        told += len(batch)
        client.patch(at, {"output": {**output, "annotations": batch}}, needs=_NEEDS, done=_holds(client, at, told))
    client.patch(
        at,
        {
            "status": "completed",
            "conclusion": conclusion,
            "output": {**output, "annotations": last},
            **_link(event.run),
        },
        needs=_NEEDS,
        done=_where(client, at, lambda check: check["status"] == "completed"),
    )
    _cancel_older(client, event, name, check)
    return check


def _commit(event: Event) -> tuple[str, str]:
    if event.head is None or event.repository is None:
        raise ValueError("there is no commit to put a check on")
    return event.repository, event.head


def _newest(checks: Iterator[dict[str, Any]]) -> dict[str, Any] | None:
    return max(checks, key=lambda each: int(each["id"]), default=None)


def _listed(client: Client, event: Event, name: str) -> Iterator[dict[str, Any]]:
    repository, head = _commit(event)
    found = client.pages(
        f"/repos/{repository}/commits/{head}/check-runs",
        needs="checks: read",
        check_name=name,
        status="in_progress",
        filter="all",
    )
    return (each for each in found if each.get("external_id") == _OURS and each.get("name") == name)


def _batches(annotations: Sequence[Annotation]) -> list[list[dict[str, Any]]]:
    """What each request holds; the last one, which may hold nothing, completes the check."""
    told = [_annotation(each) for each in annotations]
    return [told[start : start + PER_REQUEST] for start in range(0, max(1, len(told)), PER_REQUEST)]


def _annotation(annotation: Annotation) -> dict[str, Any]:
    line = max(1, annotation.line)
    message = cut(annotation.message, _MESSAGE, "(cut)", octets) or annotation.title
    return {
        "path": annotation.path,
        "start_line": line,
        "end_line": line,
        "annotation_level": annotation.level,
        "title": short(annotation.title, _TITLE),
        "message": message,
    }


def _holds(client: Client, at: str, count: int) -> Looks:
    """Annotations are added at every request: whether those of a lost one arrived is seen by their number."""
    return _where(client, at, lambda check: check["output"]["annotations_count"] >= count)


def _where(client: Client, at: str, holds: Callable[[dict[str, Any]], bool]) -> Looks:
    """Whether a request whose answer was lost was carried out is seen by the check itself."""

    def look() -> dict[str, Any] | None:
        answer: dict[str, Any] = client.get(at, needs="checks: read")
        return answer if holds(answer) else None

    return look


def _cancel_older(client: Client, event: Event, name: str, check: int) -> None:
    output = {"title": "Superseded", "summary": "The run that opened this check never completed it; a newer one did."}
    body = {"status": "completed", "conclusion": "cancelled", "output": output}
    try:
        for each in _listed(client, event, name):
            # a newer one belongs to a run that is still at work
            if int(each["id"]) < check:
                client.patch(f"/repos/{event.repository}/check-runs/{each['id']}", body, needs=_NEEDS)
    except GitHubFailed as error:
        # the check itself is complete, and that is what was asked for
        client.tell(f"an older check was left in progress: {error}")


def _link(url: str | None) -> dict[str, str]:
    return {"details_url": url} if url else {}
