"""What happened: the pipeline that the runner's variables tell of, as the event that GitHub would have called it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from makeweight.forge.event import Event
from makeweight_base.errors import UsageError

SERVER = "https://gitlab.com"
_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_RUNNER = "The runner sets it: run the job again; where the variables are set by hand, mend them."


def here(environ: Mapping[str, str]) -> bool:
    """Whether this is a job of GitLab's."""
    return environ.get("GITLAB_CI") == "true"


def read(environ: Mapping[str, str]) -> Event:
    """The event of a job; a merge request's is called pull_request, and a merge train's merge_group.

    A child pipeline is of the same event as its parent, whose variables it has; by its source that is not told.

    Source: docs.gitlab.com, "Predefined CI/CD variables reference" and "Downstream pipelines".

    Raises:
        UsageError: a variable is missing that the pipeline must have.
    """
    server = (environ.get("CI_SERVER_URL") or SERVER).rstrip("/")
    shared: dict[str, Any] = {
        "repository": environ.get("CI_PROJECT_PATH"),
        "default_branch": environ.get("CI_DEFAULT_BRANCH"),
        "api": (environ.get("CI_API_V4_URL") or f"{server}/api/v4").rstrip("/"),
        "server": server,
        "run": environ.get("CI_JOB_URL"),
    }
    source, head = environ.get("CI_PIPELINE_SOURCE", ""), _required(environ, "CI_COMMIT_SHA")
    is_child = source == "parent_pipeline"
    if source == "merge_request_event" or (is_child and environ.get("CI_MERGE_REQUEST_IID")):
        return _merge_request(environ, head, shared)
    branch, before = environ.get("CI_COMMIT_BRANCH") or None, _sha(environ, "CI_COMMIT_BEFORE_SHA")
    # only a push has something before it
    if source == "push" or (is_child and before is not None):
        return Event("push", head=head, base=before, base_ref=branch, **shared)
    name = "schedule" if source == "schedule" else "workflow_dispatch"
    return Event(name, head=head, base_ref=branch, **shared)


def _merge_request(environ: Mapping[str, str], head: str, shared: Mapping[str, Any]) -> Event:
    """The tips of both branches are told only where GitLab tries the merge; else where they parted."""
    train = environ.get("CI_MERGE_REQUEST_EVENT_TYPE") == "merge_train"
    number = environ.get("CI_MERGE_REQUEST_IID", "")
    if not re.fullmatch(r"[1-9]\d{0,17}", number):
        raise _lacks("CI_MERGE_REQUEST_IID")
    target, origin = environ.get("CI_MERGE_REQUEST_PROJECT_PATH"), environ.get("CI_MERGE_REQUEST_SOURCE_PROJECT_PATH")
    base = _sha(environ, "CI_MERGE_REQUEST_TARGET_BRANCH_SHA") or _required(environ, "CI_MERGE_REQUEST_DIFF_BASE_SHA")
    return Event(
        "merge_group" if train else "pull_request",
        head=head if train else _sha(environ, "CI_MERGE_REQUEST_SOURCE_BRANCH_SHA") or head,
        base=base,
        base_ref=environ.get("CI_MERGE_REQUEST_TARGET_BRANCH_NAME"),
        number=int(number),
        fork=origin != target,
        head_repository=origin,
        **{**shared, "repository": target},
    )


def _sha(environ: Mapping[str, str], name: str) -> str | None:
    """A commit's full hash; all zeros stand for none."""
    value = environ.get(name, "")
    return value if _SHA.fullmatch(value) and value.strip("0") else None


def _required(environ: Mapping[str, str], name: str) -> str:
    if (value := _sha(environ, name)) is None:
        raise _lacks(name)
    return value


def _lacks(name: str) -> UsageError:
    return UsageError("the pipeline has no usable value for it", where=name, do=_RUNNER)
