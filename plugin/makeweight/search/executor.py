"""Who carries trials out: processes here, or a cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

Job = Mapping[str, Any]
"""What `work.carry_out` is asked for, as plain data; see there."""

GOES_ON = "Run the same command again: the search goes on from here."
"""What to do where something fails that is no trial's fault, once that is mended."""


@dataclass(frozen=True)
class Done:
    """A job that has come to its end."""

    job: Job
    result: Mapping[str, Any] | None
    lost: str = ""
    """Where there is no result: how its worker was lost. Whether it is begun again is not the executor's to say."""


class Executor(Protocol):
    """Carries jobs out beside each other."""

    slots: int
    """How many at once."""
    shares_machine: bool
    """Whether they are all on this machine, so that one that takes all of its memory may end the search as well."""

    def submit(self, job: Job) -> None: ...

    def wait(self, seconds: float) -> list[Done]:
        """What has ended since, after so many seconds at most; earlier where something has.

        Raises:
            EnvironmentFailed: nothing can be carried out any more.
        """

    def close(self) -> None:
        """End all that is under way, and leave nothing running."""
