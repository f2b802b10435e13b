"""The check on a commit: opened while the work goes on, always completed, and told apart by project and by run."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from makeweight.forge.annotation import Annotation
from makeweight.forge.conclusion import Conclusion
from makeweight.forge.event import Event
from makeweight.github.client import Client
from makeweight_base.forge.client import ForgeFailed, Looks
from makeweight_base.forge.excerpt import cut, octets, short
from makeweight_base.forge.marker import label

SUMMARY_LIMIT = 65_535
"""Characters (GitHub's OpenAPI description, `output.summary`)."""
PER_REQUEST = 50
"""Annotations in one request (the same, `output.annotations`)."""
_TITLE = 255
_MESSAGE = 64 * 1024
_NEEDS = "checks: write"
# A job's own check may bear the same name, and is not ours to change: only ours have such an external id. It says too
# which run opened a check, and for which project: of one commit there may be several of each.
_OURS = re.compile(r"makeweight/(?P<run>[0-9]+)/(?P<attempt>[0-9]+)/(?P<project>.+)")
_CUT = "*More than a check shows: the rest is in the report of the run.*"


def begin(client: Client, event: Event, name: str, project_id: str) -> int:
    """Open a check that is in progress; its id.

    Raises:
        ForgeFailed: it could not be opened.
        ValueError: the event has no commit.
    """
    repository, head = _commit(event)
    external = f"makeweight/{event.run_id}/{event.attempt}/{label(project_id)}"
    body = {"name": name, "head_sha": head, "status": "in_progress", "external_id": external, **_link(event.run)}
    made = client.post(
        f"/repos/{repository}/check-runs",
        body,
        needs=_NEEDS,
        done=lambda: next(_of_run(client, event, name, project_id), None),
    )
    return int(made["id"])


def find(client: Client, event: Event, name: str, project_id: str) -> int | None:
    """The check that this very run opened under this name, while it is in progress.

    Raises:
        ForgeFailed: the checks could not be listed.
        ValueError: the event has no commit.
    """
    own = max(_of_run(client, event, name, project_id), key=lambda each: int(each["id"]), default=None)
    return None if own is None else int(own["id"])


def newer_run(client: Client, event: Event, name: str, project_id: str) -> int | None:
    """The newest run after this one that has a check of the project under this name on the same commit.

    Raises:
        ForgeFailed: the checks could not be listed.
        ValueError: the event has no commit.
    """
    later = [turn for turn, _ in _listed(client, event, name, project_id) if turn > (event.run_id, event.attempt)]
    return max(later)[0] if later else None


def complete(
    client: Client,
    event: Event,
    name: str,
    project_id: str,
    check: int | None,
    conclusion: Conclusion,
    title: str,
    summary: str,
    annotations: Sequence[Annotation] = (),
) -> int:
    """Complete a check, or a new one where there is none; its id.

    Those of earlier runs that never were completed, as their runs died, are cancelled, or they would wait for ever.

    Args:
        summary: Markdown; cut where GitHub would refuse it.

    Raises:
        ForgeFailed: the check could not be completed.
        ValueError: the event has no commit.
    """
    if check is None:
        check = begin(client, event, name, project_id)
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
    _cancel_older(client, event, name, project_id, check)
    return check


def _commit(event: Event) -> tuple[str, str]:
    if event.head is None or event.repository is None:
        raise ValueError("there is no commit to put a check on")
    return event.repository, event.head


def _of_run(client: Client, event: Event, name: str, project_id: str) -> Iterator[dict[str, Any]]:
    """What this run has in progress; more than one only where the answer to its opening was lost."""
    own = (event.run_id, event.attempt)
    listed = _listed(client, event, name, project_id, status="in_progress")
    return (each for turn, each in listed if turn == own)


def _listed(
    client: Client, event: Event, name: str, project_id: str, **more: str
) -> Iterator[tuple[tuple[int, int], dict[str, Any]]]:
    """The project's checks of this name on the event's commit, with the run and its attempt that opened each."""
    repository, head = _commit(event)
    at = f"/repos/{repository}/commits/{head}/check-runs"
    for each in client.pages(at, needs="checks: read", check_name=name, filter="all", **more):
        found = _OURS.fullmatch(str(each.get("external_id") or ""))
        if found and found["project"] == label(project_id) and each.get("name") == name:
            yield (int(found["run"]), int(found["attempt"])), each


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


def _cancel_older(client: Client, event: Event, name: str, project_id: str, check: int) -> None:
    output = {"title": "Superseded", "summary": "The run that opened this check never completed it; a newer one did."}
    body = {"status": "completed", "conclusion": "cancelled", "output": output}
    try:
        for turn, each in _listed(client, event, name, project_id, status="in_progress"):
            # one of a newer run is that run's, which is still at work
            if turn <= (event.run_id, event.attempt) and int(each["id"]) != check:
                client.patch(f"/repos/{event.repository}/check-runs/{each['id']}", body, needs=_NEEDS)
    except ForgeFailed as error:
        # the check itself is complete, and that is what was asked for
        client.tell(f"an older check was left in progress: {error}")


def _link(url: str | None) -> dict[str, str]:
    return {"details_url": url} if url else {}
