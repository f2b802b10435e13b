"""What people ask of a controller that runs: signed requests, and its answers."""

from __future__ import annotations

import json
from typing import Any

from makeweight_base.errors import EnvironmentFailed, UsageError
from makeweight_monitors.rollback import signing

_SECONDS = 60


def order(url: str, secret: bytes, order: str, who: str, why: str) -> str:
    """What came of it, in a sentence.

    Raises:
        UsageError: it was refused; EnvironmentFailed: nobody answers, or it could not be done.
    """
    body = json.dumps({"order": order, "who": who, "reason": why}).encode()
    return str(_ask(url, secret, "POST", "/v1/orders", body)["sentence"])


def status(url: str, secret: bytes) -> dict[str, Any]:
    """Likewise: what `Controller.status` returns."""
    return _ask(url, secret, "GET", "/v1/status", b"")


def _ask(url: str, secret: bytes, method: str, path: str, body: bytes) -> dict[str, Any]:
    import requests

    where = url.rstrip("/") + path
    headers = {"content-type": "application/json", **signing.headers(secret, method, signing.path(where), body)}
    try:
        answer = requests.request(method, where, data=body, headers=headers, timeout=_SECONDS, allow_redirects=False)
        told = answer.json()
    except requests.RequestException as error:
        raise EnvironmentFailed(
            f"no answer of a controller: {type(error).__name__}",
            where=where,
            do="Does it run? Name its address with `--controller URL`.",
        ) from error
    if answer.status_code != 200 or not isinstance(told, dict):
        what = told.get("error", "") if isinstance(told, dict) else ""
        kind = EnvironmentFailed if answer.status_code >= 500 else UsageError
        raise kind(what or f"it answers {answer.status_code}", where=where)
    return told
