"""What happened: the event that started the run, as the runner's environment and its payload tell it.

Source: docs.github.com, "Events that trigger workflows" and "Webhook events and payloads".
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from makeweight.forge.event import API, LOCAL, SERVER, Event
from makeweight_base.errors import UsageError, reason

_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
# it becomes part of addresses, so no part of it may be a step upwards
_REPOSITORY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*/(?!\.{1,2}$)[A-Za-z0-9_.-]+")
# the name of the base may hold slashes, and even what looks like the rest: the last such part is the queue's own
_QUEUE = re.compile(r"refs/heads/gh-readonly-queue/.+/pr-(\d{1,18})-[0-9a-f]{40}(?:[0-9a-f]{24})?")
_COUNT = re.compile(r"[0-9]{1,18}")
_BRANCHES = "refs/heads/"
_RUNNER = "The runner writes it: run the job again; where the event is made by hand, mend it."
_T = TypeVar("_T")


def load(environ: Mapping[str, str]) -> Event:
    """The event that the runner's environment names, its payload read from GITHUB_EVENT_PATH.

    Raises:
        UsageError: the payload is damaged or lacks what the event must have, or the event is refused.
    """
    path = environ.get("GITHUB_EVENT_PATH")
    if not _in_actions(environ) or not path:
        return read(environ, None)
    try:
        payload = json.loads(Path(path).read_bytes())
    except OSError as error:
        raise UsageError(f"the event cannot be read: {reason(error)}", where=path, do=_RUNNER) from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"the event is not JSON: {error}", where=path, do=_RUNNER) from error
    if not isinstance(payload, dict):
        raise UsageError("the event is not a JSON object", where=path, do=_RUNNER)
    return read(environ, payload)


def read(environ: Mapping[str, str], payload: Mapping[str, Any] | None) -> Event:
    """The event, from the runner's variables and the payload; outside of GitHub Actions the event `local`.

    Raises:
        UsageError: the payload lacks what the event must have, or the event is pull_request_target.
    """
    if not _in_actions(environ):
        return Event(LOCAL)
    name = environ["GITHUB_EVENT_NAME"]
    if name == "pull_request_target":
        raise UsageError(
            "pull_request_target is refused: it would run a stranger's code beside a token that can write here",
            where=environ.get("GITHUB_WORKFLOW_REF") or "GITHUB_EVENT_NAME",
            do="Use `on: pull_request`; the comment on a fork's pull request is posted by a second workflow, "
            "on `workflow_run`, which runs none of its code.",
        )
    known = payload or {}
    repository = environ.get("GITHUB_REPOSITORY") or _text(known, "repository", "full_name")
    server = (environ.get("GITHUB_SERVER_URL") or SERVER).rstrip("/")
    run = environ.get("GITHUB_RUN_ID")
    if repository is not None and not _REPOSITORY.fullmatch(repository):
        raise UsageError("is not of the form owner/name", where="GITHUB_REPOSITORY", do=_RUNNER)
    shared: dict[str, Any] = {
        "repository": repository,
        "default_branch": _text(known, "repository", "default_branch"),
        "api": (environ.get("GITHUB_API_URL") or API).rstrip("/"),
        "server": server,
        "run": f"{server}/{repository}/actions/runs/{run}" if run and repository else None,
        "run_id": _count(run) or 0,
        "attempt": _count(environ.get("GITHUB_RUN_ATTEMPT")) or 1,
    }
    if name == "pull_request":
        return _pull_request(known, shared)
    if name == "merge_group":
        return _merge_group(known, shared)
    if name == "workflow_run":
        return _workflow_run(known, shared)
    ref = environ.get("GITHUB_REF", "")
    return Event(
        # an event that is not known starts a run of a branch as it stands, as a dispatch does
        name if name in ("push", "schedule") else "workflow_dispatch",
        head=_sha(known.get("after") if name == "push" else None) or _sha(environ.get("GITHUB_SHA")),
        base=_sha(known.get("before")) if name == "push" else None,
        base_ref=ref.removeprefix(_BRANCHES) if ref.startswith(_BRANCHES) else None,
        **shared,
    )


def _pull_request(payload: Mapping[str, Any], shared: dict[str, Any]) -> Event:
    pull = ("pull_request",)
    own = _text(payload, *pull, "base", "repo", "full_name") or shared["repository"]
    origin = _text(payload, *pull, "head", "repo", "full_name")
    return Event(
        "pull_request",
        head=_required(_sha, payload, *pull, "head", "sha"),
        base=_required(_sha, payload, *pull, "base", "sha"),
        base_ref=_text(payload, *pull, "base", "ref"),
        number=_required(_number, payload, *pull, "number"),
        fork=origin is None or origin != own,
        head_repository=origin,
        retargeted=_at(payload, "changes", "base") is not None,
        updated=_text(payload, *pull, "updated_at") or "",
        **shared,
    )


def _merge_group(payload: Mapping[str, Any], shared: dict[str, Any]) -> Event:
    queue = _QUEUE.fullmatch(_text(payload, "merge_group", "head_ref") or "")
    return Event(
        "merge_group",
        head=_required(_sha, payload, "merge_group", "head_sha"),
        base=_required(_sha, payload, "merge_group", "base_sha"),
        base_ref=(_text(payload, "merge_group", "base_ref") or "").removeprefix(_BRANCHES) or None,
        number=int(queue[1]) if queue else None,
        **shared,
    )


def _workflow_run(payload: Mapping[str, Any], shared: dict[str, Any]) -> Event:
    origin = _text(payload, "workflow_run", "head_repository", "full_name")
    return Event(
        "workflow_run",
        head=_required(_sha, payload, "workflow_run", "head_sha"),
        fork=origin is None or origin != shared["repository"],
        head_repository=origin,
        cause=_text(payload, "workflow_run", "event"),
        **shared,
    )


def _in_actions(environ: Mapping[str, str]) -> bool:
    return environ.get("GITHUB_ACTIONS") == "true" and bool(environ.get("GITHUB_EVENT_NAME"))


def _at(payload: Mapping[str, Any], *keys: str) -> Any:
    found: Any = payload
    for key in keys:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def _text(payload: Mapping[str, Any], *keys: str) -> str | None:
    found = _at(payload, *keys)
    return found if isinstance(found, str) and found else None


def _sha(value: object) -> str | None:
    """A commit's full hash; all zeros stand for none (a branch that was just made)."""
    return value if isinstance(value, str) and _SHA.fullmatch(value) and value.strip("0") else None


def _number(value: object) -> int | None:
    return value if type(value) is int and value > 0 else None


def _count(text: str | None) -> int | None:
    return int(text) if text and _COUNT.fullmatch(text) else None


def _required(read: Callable[[object], _T | None], payload: Mapping[str, Any], *keys: str) -> _T:
    if (value := read(_at(payload, *keys))) is None:
        raise UsageError(f"the event has no usable `{'.'.join(keys)}`", where="GITHUB_EVENT_PATH", do=_RUNNER)
    return value
