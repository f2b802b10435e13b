"""What a server said, as a message may quote it."""

from __future__ import annotations

from collections.abc import Iterable

from makeweight_base.forge.excerpt import short

_MOST = 300


def quoted(text: str, secrets: Iterable[str]) -> str:
    """One short line of what can be printed, without what is secret.

    Args:
        secrets: taken out in this order; one that is "" is none.
    """
    for secret in secrets:
        text = text.replace(secret, "***") if secret else text
    return short(" ".join("".join(c if c.isprintable() else " " for c in text).split()), _MOST)
