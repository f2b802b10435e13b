"""A loaded model, as the probe and everyone at home see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    from numpy.typing import NDArray

Feeds: TypeAlias = "dict[str, NDArray[Any]]"
"""What one inference is fed with: arrays by input name, batch first."""


class Session(Protocol):
    """A loaded model."""

    def run(self, feeds: Feeds) -> list[NDArray[Any]]:
        """One inference: outputs in the model's order, which the next one leaves as they are."""


class Sessions(Protocol):
    """A module that opens the models of one runtime. Importing it does not import the runtime."""

    def open_session(self, path: str, threads: int) -> Session:
        """Raises: whatever the runtime raises."""

    def warm_import(self) -> None:
        """Load the runtime's code without a model, so that its memory is not charged to one."""

    def version(self) -> str:
        """Of the runtime that is installed here, without importing it.

        Raises:
            ImportError: there is none.
        """
