"""Why a request over HTTP got no answer, in words."""

from __future__ import annotations

from makeweight_base.errors import reason


def why(error: BaseException) -> str:
    """What began the chain of exceptions that `requests` raised."""
    import requests

    if isinstance(error, requests.Timeout):
        return "no answer in time"
    first = error
    while (before := first.__cause__ or first.__context__) is not None:
        first = before
    return f"no connection ({reason(first)})"
