"""The log of a job: what is said there, errors too, is read by people, and no line of it is a command to the runner."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from makeweight.github.commands import inert
from makeweight_base.errors import MakeweightError
from makeweight_base.progress import Item, Progress


class Inert:
    """Progress that says the same, whatever words of a change's own are in it."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def say(self, text: str) -> None:
        self._progress.say(inert(text))

    def over(self, items: Iterable[Item], label: str, total: int | None = None) -> Iterator[Item]:
        return self._progress.over(items, inert(label), total)


class Failed(MakeweightError):
    """An error in the same words, which may quote a file of the change or the last lines of a program."""

    def __init__(self, error: MakeweightError) -> None:
        super().__init__(inert(str(error)))
        self.exit_code, self.problems = error.exit_code, error.problems
