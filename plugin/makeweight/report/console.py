"""Text for a terminal or a log: as wide as that is, and in letters that it has."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from makeweight.report.text import unbroken

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

WIDTH = 120
"""Where nobody says how wide it is: logs and files."""
_JOINT = "\ue000"
"""Stands for a no-break space until lines are broken, for rich breaks them at those too."""


def console_on(stream: TextIO, width: int | None, *, colours: bool) -> Console:
    """Args:
    width: in characters; None: that of the window.
    """
    from rich.console import Console

    return Console(
        file=stream,
        width=width,
        force_terminal=colours,
        color_system="auto" if colours else None,
        highlight=False,
        emoji=False,
        markup=False,
        legacy_windows=False,
    )


def show(shown: RenderableType, stream: TextIO) -> None:
    """Print a table: with colours and as wide as the window when the stream is a terminal."""
    console = console_on(stream, None if stream.isatty() else WIDTH, colours=stream.isatty())
    with console.capture() as capture:
        console.print(shown)
    write(trimmed(capture.get()), stream)


def joined(text: str) -> str:
    """Text for rich in which figures stay beside their units; printed as it was by `trimmed`."""
    return unbroken(text).replace("\N{NO-BREAK SPACE}", _JOINT)


def trimmed(text: str) -> str:
    """Without the spaces at the ends of lines that tables are filled up with, and without what `joined` put in."""
    return "\n".join(line.rstrip() for line in text.replace(_JOINT, " ").split("\n"))


def write(text: str, stream: TextIO) -> None:
    """Put a text into a stream, with a question mark for each letter that it does not have."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    stream.write(text.encode(encoding, "replace").decode(encoding))
