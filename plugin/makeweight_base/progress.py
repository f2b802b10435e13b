"""Progress of long work: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any, Protocol, TextIO, TypeVar

Item = TypeVar("Item")

# Elsewhere than on a terminal, one line in so many seconds is enough to show that it lives.
_PLAIN_EVERY = 10.0


class Progress(Protocol):
    """How work tells where it is."""

    def say(self, text: str) -> None:
        """One line that stays."""

    def over(self, items: Iterable[Item], label: str, total: int | None = None) -> Iterator[Item]:
        """Pass items through, showing how far along it is."""


class Plain:
    """Lines of text, for logs and CI."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def say(self, text: str) -> None:
        print(text, file=self._stream, flush=True)

    def over(self, items: Iterable[Item], label: str, total: int | None = None) -> Iterator[Item]:
        last = time.monotonic()
        for done, item in enumerate(items):
            if time.monotonic() - last >= _PLAIN_EVERY:
                self.say(f"{label}: {done}{f' of {total}' if total else ''}")
                last = time.monotonic()
            yield item


class Bar:
    """A bar that goes away when the work is done, with the lines said standing above it."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console

        self._console = Console(file=stream, highlight=False)

    def say(self, text: str) -> None:
        self._console.print(text, markup=False)

    def over(self, items: Iterable[Item], label: str, total: int | None = None) -> Iterator[Item]:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        columns: list[Any] = [
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        ]
        bar: AbstractContextManager[RichProgress] = RichProgress(*columns, console=self._console, transient=True)
        with bar as shown:
            yield from shown.track(items, total=total, description=label)


class Silent:
    """Nothing, for tests and `--json`."""

    def say(self, text: str) -> None:
        """Say nothing."""

    def over(self, items: Iterable[Item], label: str, total: int | None = None) -> Iterator[Item]:  # noqa: ARG002
        yield from items


def on(stream: TextIO | None = None) -> Progress:
    """The kind that suits a stream (default: standard error, so that standard output stays machine-readable)."""
    stream = stream or sys.stderr
    return Bar(stream) if stream.isatty() else Plain(stream)
