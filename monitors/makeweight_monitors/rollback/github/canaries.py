"""How a canary is called on GitHub, so that what was begun for it is found again, and never begun twice."""

from __future__ import annotations

import hashlib

from makeweight_base.forge.marker import marker
from makeweight_monitors.rollback.case import Canary

_DIGITS = 16


def key(canary: Canary) -> str:
    """Its own among all: a word for branches."""
    told = "\0".join((canary.environment, canary.model, canary.sha256, canary.attempt))
    return hashlib.sha256(told.encode()).hexdigest()[:_DIGITS]


def mark(canary: Canary) -> str:
    """With which what we write of it begins."""
    return marker(f"rollback {key(canary)}")


def described(canary: Canary, why: str) -> str:
    """It, and why it was rolled back; nothing in that is taken for Markdown, or for somebody's name."""
    rows = {
        "environment": canary.environment,
        "model": canary.model,
        "revision": canary.revision,
        "attempt": canary.attempt,
        "sha256": canary.sha256,
    }
    lines = [f"{name}: {value}" for name, value in rows.items() if value]
    return "\n".join(["```text", *(_plain(line) for line in [why, "", *lines]), "```"])


def _plain(line: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in line).replace("`", "'")
