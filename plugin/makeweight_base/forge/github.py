"""GitHub's REST API: how it is spoken to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from makeweight_base.forge import client

_VERSION = "2022-11-28"
_ACCEPT = "application/vnd.github+json, application/json"


class Client(client.Client):
    """Requests to one GitHub. `needs` is the permission that a token must have, such as `issues: write`."""

    forge = "GitHub"
    example = "https://api.github.com"

    def graphql(self, query: str) -> Any:
        """The `data` of a query that only reads, from the GraphQL API beside this REST API."""
        answer = self._request("POST", f"{self.api.removesuffix('/v3')}/graphql", "", body={"query": query})[0]
        return answer.get("data") if isinstance(answer, dict) else None

    def _headers(self) -> Mapping[str, str]:
        return {"Accept": _ACCEPT, "X-GitHub-Api-Version": _VERSION}

    def _remedy(self, status: int, needs: str) -> str:
        if status == 401:
            return "The token is missing, expired or revoked."
        return f"Either it does not exist, or the token may not{f': it takes `{needs}`' if needs else ' see it'}."
