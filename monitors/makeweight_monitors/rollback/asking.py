"""What people ask of a controller that runs: signed requests, and its answers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from makeweight_base.errors import EnvironmentFailed, UsageError
from makeweight_base.loopback import proxies
from makeweight_monitors.rollback import signing

_SECONDS = 60


@dataclass(frozen=True)
class Asked:
    """A controller that runs, and what is shown to it."""

    url: str
    secret: bytes
    ca: Path | None = None
    """Who signed its certificate; None: one of those that this machine believes."""
    certificate: tuple[Path, Path] | None = None
    """Of who asks, with its private key."""


def order(asked: Asked, order: str, who: str, why: str) -> str:
    """What came of it, in a sentence.

    Raises:
        UsageError: it was refused; EnvironmentFailed: nobody answers, or it could not be done.
    """
    body = json.dumps({"order": order, "who": who, "reason": why}).encode()
    return str(_ask(asked, "POST", "/v1/orders", body)["sentence"])


def status(asked: Asked) -> dict[str, Any]:
    """Likewise: what `Controller.status` returns."""
    return _ask(asked, "GET", "/v1/status", b"")


def _ask(asked: Asked, method: str, path: str, body: bytes) -> dict[str, Any]:
    import requests

    where = asked.url.rstrip("/") + path
    headers = {"content-type": "application/json", **signing.headers(asked.secret, method, signing.path(where), body)}
    for file in (asked.ca, *(asked.certificate or ())):
        if file is not None and not file.is_file():
            raise UsageError("there is no such file", where=str(file))
    try:
        with requests.Session() as session:
            session.verify = True if asked.ca is None else str(asked.ca)
            if asked.certificate is not None:
                certificate, key = asked.certificate
                session.cert = str(certificate), str(key)
            # a bundle that the environment names would take the place of the one that is given
            session.trust_env = asked.ca is None
            answer = session.request(
                method,
                where,
                data=body,
                headers=headers,
                timeout=_SECONDS,
                allow_redirects=False,
                proxies=proxies(where),
            )
        told = answer.json()
    except OSError as error:
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
