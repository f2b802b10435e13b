"""A merge queue: whether each of its entries has to pass, or of those that land together the last one alone.

Source: docs.github.com, "Managing a merge queue", and "REST API endpoints for rules", "Get rules for a branch". A queue
of a classic branch protection is told by GraphQL alone, and not to a workflow's token.
"""

from __future__ import annotations

from urllib.parse import quote

from makeweight.github.client import Client


def lands_by_its_last(client: Client, repository: str, branch: str) -> bool | None:
    """Whether what failed in the queue of a branch lands with what passes behind it; None where no ruleset tells.

    Raises:
        ForgeFailed: it could not be asked.
    """
    rules = client.pages(f"/repos/{repository}/rules/branches/{quote(branch, safe='')}")
    told = [each.get("parameters") or {} for each in rules if each.get("type") == "merge_queue"]
    return any(each.get("grouping_strategy") != "ALLGREEN" for each in told) if told else None
