"""What can go wrong, as types: each carries what happened, where, and what to do, and its exit code."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum


class Exit(IntEnum):
    """The exit codes that scripts rely on. DVC hides them: what ran through DVC is read from verdict.json."""

    PASS = 0
    FAIL = 1
    """What was asked about does not hold: a broken budget, a forged verdict, a past in which a rollback fires."""
    USAGE = 2
    INCONCLUSIVE = 3
    ENVIRONMENT = 4
    INTERRUPTED = 130


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong in a file."""

    source: str
    """The file, as the user would name it."""
    line: int | None
    """1-based; None: it is the whole file."""
    what: str
    quoted: str = ""
    """The line itself."""

    def __str__(self) -> str:
        head = f"{self.source}:{self.line}" if self.line is not None else self.source
        return f"{head}: {self.what}" + (f"\n    {self.line} | {self.quoted}" if self.quoted else "")


class MakeweightError(Exception):
    """An error told to the user in full: `where: what`, then what to do about it."""

    exit_code = Exit.USAGE
    problems: Sequence[Problem] = ()
    """Where it stands in files, for marks on their lines."""

    def __init__(self, what: str, *, where: str | None = None, do: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.do = do

    @property
    def head(self) -> str:
        """Where, and what happened; without what to do."""
        return f"{self.where}: {self.what}" if self.where else self.what

    def __str__(self) -> str:
        return f"{self.head}\n  {self.do}" if self.do else self.head


class UsageError(MakeweightError):
    """The call, the configuration, the model or the data cannot be used as they are."""


class ConfigError(UsageError):
    """One or several problems of a configuration file, reported together."""

    def __init__(self, problems: Sequence[Problem], *, do: str | None = None) -> None:
        super().__init__("\n".join(map(str, problems)), do=do)
        self.problems = problems


class MissingExtra(UsageError):
    """A part is known, but what it stands on is not installed."""

    def __init__(self, part: str, extra: str, *, where: str | None = None) -> None:
        super().__init__(
            f"{part} needs `pip install 'makeweight[{extra}]'`", where=where, do="Install it and run again."
        )


class EnvironmentFailed(MakeweightError):
    """The machine failed, not the model: disk full, a device that does not answer, a killed process."""

    exit_code = Exit.ENVIRONMENT


class ProcessLost(EnvironmentFailed):
    """A process of ours came to its end without an answer: killed, as systems do that run out of memory, or by an error
    that nobody foresaw. That may be for what it was at, or for what else the machine was at."""


class OutOfMemory(EnvironmentFailed, MemoryError):
    """There is not the memory for what was asked; says what to lower."""


@contextlib.contextmanager
def at(where: str) -> Iterator[None]:
    """The place of those errors of the user's that name none themselves."""
    try:
        yield
    except UsageError as error:
        error.where = error.where or where
        raise


def first_line(error: BaseException) -> str:
    """The first line of what an exception says that is not blank; "" where it says nothing."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "")


def reason(error: BaseException) -> str:
    """What an exception says; of the system's own no number and no path, which the message names by itself."""
    if isinstance(error, UnicodeDecodeError):
        line = error.object[: error.start].count(b"\n") + 1
        return f"line {line} is no UTF-8 (byte 0x{error.object[error.start]:02x}); save the file as UTF-8"
    return getattr(error, "strerror", None) or str(error)
