"""Requests that are signed: HMAC-SHA256 (RFC 2104) over when, which nonce, what is asked of whom, and the body.

A signature is good for five minutes around its time, and its nonce for once: what was overheard cannot be sent again.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from makeweight_base.errors import UsageError, reason

TIMESTAMP, NONCE, SIGNATURE = "makeweight-timestamp", "makeweight-nonce", "makeweight-signature"
GOOD_FOR = 300.0
"""Seconds, before and after."""
LEAST = 16
"""Bytes of a secret."""
SECRET = "MAKEWEIGHT_SIGNING_SECRET"  # noqa: S105 - the name of a variable


class Forged(Exception):
    """A signature that is not good; the message says why, and nothing of what would be."""


def secret(path: Path | None) -> bytes:
    """From a file, else from the environment variable MAKEWEIGHT_SIGNING_SECRET.

    Raises:
        UsageError: it cannot be read, or is too short to be one.
    """
    where = SECRET if path is None else str(path)
    try:
        found = os.environ.get(SECRET, "") if path is None else path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the secret cannot be read: {reason(error)}", where=where) from error
    if len(found.strip().encode()) < LEAST:
        raise UsageError(
            f"a secret has at least {LEAST} characters", where=where, do="Put one there: `openssl rand -hex 32`."
        )
    return found.strip().encode()


def path(url: str) -> str:
    """What of an address is signed: its path and query."""
    parts = urlsplit(url)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def headers(secret: bytes, method: str, path: str, body: bytes, now: float | None = None) -> dict[str, str]:
    """Of a request that is signed now."""
    when, nonce = f"{time.time() if now is None else now:.0f}", secrets.token_hex(16)
    return {TIMESTAMP: when, NONCE: nonce, SIGNATURE: _signature(secret, when, nonce, method, path, body)}


def checked(
    secret: bytes, given: Mapping[str, str], method: str, path: str, body: bytes, now: float
) -> tuple[str, float]:
    """The nonce, and until when it has to be remembered.

    Raises:
        Forged: the request is not signed, not with this secret, or not now.
    """
    when, nonce, told = (given.get(name, "") for name in (TIMESTAMP, NONCE, SIGNATURE))
    wanted = _signature(secret, when, nonce, method, path, body)
    # compared in any case, so that it takes as long whatever is wrong
    same = hmac.compare_digest(wanted.encode(), told.encode(errors="replace"))
    if not (when and nonce and told):
        raise Forged("it is not signed")
    if not same:
        raise Forged("its signature is another")
    if not (when.isdecimal() and len(when) < 16) or abs(now - int(when)) > GOOD_FOR:
        raise Forged("its time is not now; do the clocks differ?")
    if not 16 <= len(nonce) <= 128:
        raise Forged("its nonce is too short or too long")
    return nonce, int(when) + GOOD_FOR


def _signature(secret: bytes, when: str, nonce: str, method: str, path: str, body: bytes) -> str:
    signed = f"{when}\n{nonce}\n{method}\n{path}\n".encode(errors="replace") + body
    return "v1=" + hmac.new(secret, signed, hashlib.sha256).hexdigest()
