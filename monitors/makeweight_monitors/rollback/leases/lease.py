"""What a lease is: one of several controllers has it, and acts."""

from __future__ import annotations

from typing import Protocol


class Lease(Protocol):
    """Asked before every look, and once more when something is written down that is to be done, or to be known."""

    def take(self) -> bool:
        """Whether it is ours, from before or from now on.

        Raises:
            EnvironmentFailed: that cannot be told; it is not ours then.
        """

    def give_back(self) -> None:
        """Another may have it at once. Raises nothing."""
