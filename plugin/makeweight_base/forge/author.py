"""Who writes with our token, and what of all that is written here is ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from makeweight_base.forge.client import ForgeFailed, Refused
from makeweight_base.forge.github import Client

ACTIONS = "github-actions[bot]"


def login(client: Client) -> str:
    """The login of the token's owner, under which what we write appears.

    `GET /user` knows a person's. An installation's token (a workflow's own, or an app's) is refused there, but GraphQL
    tells whose it is, with the `[bot]` that the REST API shows too. Where that fails, it is taken for a workflow's own.
    """
    try:
        answer = client.get("/user")
    except Refused:
        try:
            answer = (client.graphql("query { viewer { login } }") or {}).get("viewer")
        except ForgeFailed:
            answer = None
    found = answer.get("login") if isinstance(answer, dict) else None
    return found if isinstance(found, str) and found else ACTIONS


def ours(item: Mapping[str, Any], mark: str, author: str) -> bool:
    """Whether a comment or an issue is the one that we keep: by its author, and by the mark that it begins with.

    Anybody can quote the mark, and all who may write here may edit anybody's comment: so neither alone will do.
    """
    user = item.get("user")
    written_by = user.get("login") if isinstance(user, Mapping) else None
    return written_by == author and (item.get("body") or "").startswith(mark)
