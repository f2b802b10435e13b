"""Who we are on GitHub: the login under which what we write appears."""

from __future__ import annotations

from makeweight.github.client import Client, GitHubFailed, Refused

ACTIONS = "github-actions[bot]"


def login(client: Client) -> str:
    """The login of the token's owner.

    `GET /user` knows a person's. An installation's token (a workflow's own, or an app's) is refused there, but GraphQL
    tells whose it is, with the `[bot]` that the REST API shows too. Where that fails, it is taken for a workflow's own.
    """
    try:
        answer = client.get("/user")
    except Refused:
        try:
            answer = (client.graphql("query { viewer { login } }") or {}).get("viewer")
        except GitHubFailed:
            answer = None
    found = answer.get("login") if isinstance(answer, dict) else None
    return found if isinstance(found, str) and found else ACTIONS
