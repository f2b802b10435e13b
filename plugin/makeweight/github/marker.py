"""How what we wrote is found again: by its author, and by a hidden mark, one for each project of a repository."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from makeweight.forge.client import ForgeFailed, Refused
from makeweight.github.client import Client

ACTIONS = "github-actions[bot]"
_LONGEST = 200


def identity(name: str, folder: str) -> str:
    """What a project is known by; projects of one repository may share a name, but never a folder.

    Args:
        folder: from the top of the repository, with forward slashes; empty at the top.
    """
    if folder:
        return f"{name} in {quote(folder.encode('utf-8', 'surrogatepass'))}"
    # a name that reads like the id of a project in a folder is not to be taken for it
    return f"{name} in ." if " in " in name else name


def label(project_id: str) -> str:
    """The id as one word of ASCII, whatever it holds."""
    # a hyphen too: two of them end a comment for some readers of HTML
    name = quote(project_id.encode("utf-8", "surrogatepass"), safe="").replace("-", "%2D")
    return name if len(name) <= _LONGEST else "sha256:" + hashlib.sha256(name.encode()).hexdigest()


def marker(project_id: str) -> str:
    """An HTML comment that names the project."""
    return f"<!-- makeweight:{label(project_id)} -->"


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


def same(one: str, other: str) -> bool:
    """Whether two bodies say the same: GitHub may turn line ends, and trims."""
    return _trimmed(one) == _trimmed(other)


def _trimmed(body: str) -> str:
    return body.replace("\r\n", "\n").strip()
