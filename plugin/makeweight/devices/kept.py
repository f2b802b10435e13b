"""Folders that are kept on a device by a hash of what they hold: scripts of the shell there, for several computers that
send, use and clear away the same at once.
"""

from __future__ import annotations

import secrets
import shlex
from pathlib import PurePosixPath

_DAYS = 7
"""So long a folder lies there after it was last used."""


def used(folder: str) -> str:
    """Prints `there`, and the folder counts as used now; or `missing`."""
    # in this order: what somebody clears away in between is missing, and not made anew as an empty file
    return f"touch -c {folder} && [ -d {folder} ] && echo there || echo missing"


def arriving(folder: str) -> str:
    """Where to gather what the folder is to hold. Nobody else has that name, on this computer or another: the number of
    a process is the same in many a container."""
    return f"{folder}.{secrets.token_hex(8)}"


def arrived(coming: str, folder: str) -> str:
    """Puts what has been gathered in its place, whole; where another was sooner, the other's stays."""
    return f"{{ [ -d {folder} ] || mv {coming} {folder}; }}"


def cleared(coming: str, folder: str) -> str:
    """Removes what is left of the gathering, also where `mv` found the folder there already and put it inside."""
    return f"rm -rf {coming} {folder}/{PurePosixPath(coming).name}"


def aged(root: str, spared: str | None = None) -> str:
    """Removes the folders that nobody used for a week. Each is looked at just before, and renamed first, so that one
    that is there is whole.

    Args:
        spared: a pattern of names that stay.
    """
    others = "" if spared is None else f"! -name {shlex.quote(spared)} "
    remove = shlex.quote('mv "$1" "$1.gone" && rm -rf "$1.gone"')
    return (
        f"find {root} -mindepth 1 -maxdepth 1 -type d -mtime +{_DAYS} {others}"
        f"-exec sh -c {remove} sh {{}} ';' 2>/dev/null"
    )
