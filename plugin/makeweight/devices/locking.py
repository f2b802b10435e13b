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
    # The file stays open, and so locked, as long as `cat` waits for the end of this side. It is opened for a command,
    # not by `exec`: what that opens, Android's shell (mksh) keeps from the programs that it runs, `flock` among them.
    return f"""
        {named(own)}
        place=${{{LOCK}-{MACHINE}}}
        hold() {{
            if [ -z "$place" ] || flock -n 3; then :; else
                [ $? = 1 ] || exit
                echo {WAITS}
                flock 3 || exit
            fi
            echo {HELD}
            exec cat >/dev/null
        }}
        if [ -d "$place" ]; then hold 3<"$place"; else hold 3>>"${{place:-/dev/null}}"; fi"""
