"""The status of the deployment that brought a canary. None is ever made: a deployment would set others to work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from makeweight_base.forge.excerpt import short
from makeweight_base.forge.github import Client
from makeweight_monitors.rollback.case import Canary

_DESCRIPTION = 140
_LEAST = 7
"""Digits by which a commit is known."""
_NEEDS = "deployments: write"


def put(client: Client, repository: str, environment: str, canary: Canary, promoted: bool, why: str) -> str:
    """Let it be a success or a failure, where it is not yet; what is to be told of it, as a clause.

    Raises:
        ForgeFailed: it could not be looked for, or told.
    """
    at = f"/repos/{repository}/deployments"
    listed = client.pages(at, needs="deployments: read", environment=environment)
    deployment = next((each for each in listed if _is_of(each, canary.revision)), None)
    if deployment is None:
        return f"no deployment to {environment} is of revision {canary.revision or 'none'}"
    statuses = f"{at}/{int(deployment['id'])}/statuses"
    status = {"state": "success" if promoted else "failure", "description": short(why, _DESCRIPTION)}

    def told() -> dict[str, Any] | None:
        latest = next(client.pages(statuses, needs="deployments: read"), {})
        return latest if all(latest.get(key) == value for key, value in status.items()) else None

    if told() is None:
        client.post(statuses, {**status, "auto_inactive": promoted}, needs=_NEEDS, done=told)
    return f"deployment {int(deployment['id'])} is a {status['state']}"


def _is_of(deployment: Mapping[str, Any], revision: str) -> bool:
    commit = str(deployment.get("sha") or "")
    by_commit = len(revision) >= _LEAST and commit.startswith(revision)
    return by_commit or (revision != "" and deployment.get("ref") == revision)
