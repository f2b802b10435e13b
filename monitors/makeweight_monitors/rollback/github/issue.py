"""The issue with the decision: one for each canary that was rolled back, whatever became of it since."""

from __future__ import annotations

from typing import Any

from makeweight_base.forge.author import login, ours
from makeweight_base.forge.excerpt import short
from makeweight_base.forge.github import Client
from makeweight_monitors.rollback.case import Canary
from makeweight_monitors.rollback.github import canaries

LABEL = "makeweight-rollback"
_TITLE = 200


def put(client: Client, repository: str, canary: Canary, why: str, more: str) -> str:
    """Open it, where there was none yet; what is to be told of it, as a clause with its address.

    Args:
        more: another sentence below the decision; empty: none.

    Raises:
        ForgeFailed: it could not be looked for, or made.
    """
    mark, author, at = canaries.mark(canary), login(client), f"/repos/{repository}/issues"

    def found() -> dict[str, Any] | None:
        listed = client.pages(at, needs="issues: read", state="all", labels=LABEL)
        # GitHub lists pull requests among the issues
        return next((each for each in listed if "pull_request" not in each and ours(each, mark, author)), None)

    there = found()
    if there is None:
        title = short(f"Rolled back: {canary}", _TITLE)
        body = f"{mark}\n{canaries.described(canary, why)}\n\n{more}".rstrip()
        asked = {"title": title, "body": body, "labels": [LABEL]}
        there = client.post(at, asked, needs="issues: write", done=found)
    return f"the issue is {there['html_url']}"
