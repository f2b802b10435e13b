"""What is locked on a device while something is measured there, in words of its shell: `makeweight_probe/alone.py`
finds the same."""

from __future__ import annotations

from makeweight_probe.alone import LOCK, MACHINE

HELD, WAITS = "held", "waits"
"""What `holding` prints once it has the lock, and before where another has it."""


def named(own: str) -> str:
    """Exports a file of this account's as what is locked, where neither something else is named there nor there is what
    all accounts of the machine see."""
    return f'[ -n "${{{LOCK}+named}}" ] || [ -r {MACHINE} ] || export {LOCK}={own}'


def holding(own: str) -> str:
    """Holds the lock for as long as the standard input lasts. It ends without a word where there is no `flock`."""
    # the file stays open, and so locked, as long as `cat` waits for the end of this side
    return f"""
        {named(own)}
        place=${{{LOCK}-{MACHINE}}}
        if [ -d "$place" ]; then exec 3<"$place"; elif [ -n "$place" ]; then exec 3>>"$place"; fi
        if [ -z "$place" ] || flock -n 3; then :; else
            [ $? = 1 ] || exit
            echo {WAITS}
            flock 3 || exit
        fi
        echo {HELD}
        exec cat >/dev/null"""
