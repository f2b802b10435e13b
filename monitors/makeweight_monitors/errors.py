"""What can go wrong beside a served model, as types: each carries what happened, where, and what to do.

The plugin's `errors.py` is of the same shape; it is not imported, so that the exporter and the observer stand alone.
"""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """The exit codes that scripts rely on; the same as the plugin's."""

    PASS = 0
    FOUND = 1
    """A backtest in which a rollback would have fired."""
    USAGE = 2
    ENVIRONMENT = 4
    INTERRUPTED = 130


class MonitorError(Exception):
    """An error told to the user in full: `where: what`, then what to do about it."""

    exit_code = Exit.USAGE

    def __init__(self, what: str, *, where: str | None = None, do: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.do = do

    def __str__(self) -> str:
        head = f"{self.where}: {self.what}" if self.where else self.what
        return f"{head}\n  {self.do}" if self.do else head


class UsageError(MonitorError):
    """The call, the configuration or a file cannot be used as it is."""


class EnvironmentFailed(MonitorError):
    """The machine or the network failed: no Prometheus that answers, a full disk, a port that is taken."""

    exit_code = Exit.ENVIRONMENT


def lacking(who: str, package: str, extra: str) -> UsageError:
    """The error where a package is not installed; `who` says what needs it."""
    return UsageError(
        f"{who} `{package}`, which is not installed", do=f"Install the extra: pip install 'makeweight[{extra}]'"
    )


def reason(error: Exception) -> str:
    """What an exception says; of the system's own no number and no path, which the message names by itself."""
    return getattr(error, "strerror", None) or str(error)
