"""Which model a version of a file ships, and so which version was before the canary. Pure.

The file is the pointer that servers follow, or any other in which the sha256 of what is served stands; or a `dvc.lock`,
which knows other hashes: there it is what the stage `ship` put out.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Any

import yaml

_LOCK, _STAGE = "dvc.lock", "ship"


def before(path: str, now: str, earlier: Iterable[str], sha256: str) -> str | None:
    """The latest version in which another model ships than the one that is to go; None: there is none.

    Args:
        now: what stands in the file.
        earlier: what stood there before, the latest first.
        sha256: of the model that is to go.
    """
    if PurePosixPath(path).name == _LOCK:
        ships = _outs(now)
        return None if ships is None else next((text for text in earlier if _outs(text) not in (None, ships)), None)
    if sha256 not in now:
        return None
    return next((text for text in earlier if sha256 not in text), None)


def _outs(lock: str) -> Any:
    """What the stage put out, with its hashes; None: there is no such stage."""
    try:
        told = yaml.safe_load(lock)
        return [{key: out.get(key) for key in ("path", "md5")} for out in told["stages"][_STAGE]["outs"]]
    except (yaml.YAMLError, RecursionError, KeyError, TypeError, AttributeError):
        return None
