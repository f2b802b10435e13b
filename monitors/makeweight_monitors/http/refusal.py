"""A request that is sent away, and how it is told so."""

from __future__ import annotations

from dataclasses import dataclass

import orjson
from starlette.requests import Request
from starlette.responses import Response

from makeweight_monitors.http.bearer import Bearer


@dataclass
class Refusal(Exception):
    """A request that is sent away."""

    status: int
    outcome: str
    """By what it is counted: one of the answers in metrics.py."""
    what: str
    retry: int | None = None
    """Seconds after which to try again."""

    def answer(self) -> Response:
        """What its sender gets."""
        headers = {}
        if self.retry is not None:
            headers["retry-after"] = str(self.retry)
        if self.status == 401:
            headers["www-authenticate"] = "Bearer"
        return Response(orjson.dumps({"error": self.what}), self.status, headers, "application/json")


def let_in(request: Request, bearer: Bearer | None, what: str) -> None:
    """Refusal: the token is needed to do `what`, and the request does not show it; None: no token is."""
    if bearer is not None and not bearer.admits(request.headers.get("authorization")):
        raise Refusal(401, "unauthorized", f"a bearer token is needed to {what}")
