"""Folders that are kept on a device by a hash of what they hold: scripts of the shell there, for several computers that
send, use and clear away the same at once.

When one was last used is told by its time, and where the device has been up since by how long that is ago: a board
without a clock of its own begins in another year, and jumps to this one once it reaches a network.
"""

from __future__ import annotations

import secrets
import shlex
from pathlib import PurePosixPath

_DAYS = 7
"""So long a folder lies there after it was last used."""
_DAY = 86_400
_USED = ".makeweight-used"
"""Within each: in which run of the device it was last used, and how many seconds after that run began."""
_BOOT, _UPTIME = "/proc/sys/kernel/random/boot_id", "/proc/uptime"
"""random(4), proc_uptime(5). Where a system has neither, times alone count."""
_NOW = f'echo "$(cat {_BOOT}) $(cut -d. -f1 {_UPTIME})"'


def used(folder: str) -> str:
    """Prints `there`, and the folder counts as used now; or `missing`."""
    # in this order: what somebody clears away in between is missing, and not made anew as an empty file
    return f"touch -c {folder} && [ -d {folder} ] && {{ {_noted(folder)}; echo there; }} || echo missing"


def arriving(folder: str) -> str:
    """Where to gather what the folder is to hold. Nobody else has that name, on this computer or another: the number of
    a process is the same in many a container."""
    return f"{folder}.{secrets.token_hex(8)}"


def arrived(coming: str, folder: str) -> str:
    """Puts what has been gathered in its place, whole; where another was sooner, the other's stays."""
    return f"{{ {_noted(coming)}; [ -d {folder} ] || mv {coming} {folder}; }}"


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
    # what was used in this run of the device, and less than a week ago, stays whatever its clock says
    remove = shlex.quote(
        f'read -r boot at <"$1/{_USED}"; set -- "$1" $({_NOW}); '
        f'[ -n "$at" ] && [ "$boot" = "$2" ] && [ $(($3 - at)) -lt {_DAYS * _DAY} ] && exit; '
        'mv "$1" "$1.gone" && rm -rf "$1.gone"'
    )
    return (
        f"find {root} -mindepth 1 -maxdepth 1 -type d -mtime +{_DAYS} {others}"
        f"-exec sh -c {remove} sh {{}} ';' 2>/dev/null"
    )


def _noted(folder: str) -> str:
    # it does no harm where a full disk takes it not
    return f"{{ {_NOW} >{folder}/{_USED}; }} 2>/dev/null"
