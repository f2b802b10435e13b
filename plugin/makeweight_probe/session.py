"""A loaded model, as the probe and everyone at home see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    from numpy.typing import NDArray

Feeds: TypeAlias = "dict[str, NDArray[Any]]"
"""What one inference is fed with: arrays by input name, batch first."""


class Session(Protocol):
    """A loaded model. One that has an attribute `allocation` says by it, in a few words, how it has memory; one that
    computes elsewhere than on the processor tells by `device_memory()` what this process holds there: `bytes`, or
    `unavailable` with the reason. One that keeps a state from one inference to the next, or whose outputs may be
    integers that stand for real numbers, has `answer` besides: `run`, with a state as it begins and with those numbers.
    It is asked where answers are looked at, and not where they are timed."""

    def run(self, feeds: Feeds) -> list[NDArray[Any]]:
        """One inference: outputs in the model's order, which the next one leaves as they are."""


class Sessions(Protocol):
    """A module that opens the models of one runtime. Importing it does not import the runtime.

    One that has `PACKAGES`, the names of what pip installs for it, can be put on devices by `--bootstrap`. One that has
    `EXECUTION_PROVIDERS` computes elsewhere than on the processor, too: by name the module that is `Sessions` there.
    Where there is the module that it names by `MODULE`, its runtime is taken to be installed; else `version` is asked.
    """

    def open_session(self, path: str, threads: int) -> Session:
        """Raises: whatever the runtime raises."""

    def warm_import(self) -> None:
        """Load the runtime's code without a model, so that its memory is not charged to one."""

    def version(self) -> str:
        """Of the runtime that is installed here, without importing it.

        Raises:
            ImportError: there is none.
        """


Ran = Literal["integer", "float", "conversion", "fallback"]
"""What an operator computed with; `conversion`: it only turns numbers of one kind into another; `fallback`: a delegate
left it to the runtime's own kernels."""


@dataclass(frozen=True)
class Span:
    """One operator at work in one inference, in ns. A span within another one is not counted there once more."""

    name: str
    """Which of the model's operators, such as its node's name."""
    kind: str
    """Its type: `Conv`."""
    ran: Ran | None
    """None: the runtime does not tell."""
    start: float
    ns: float


class ProfiledSession(Session, Protocol):
    """A loaded model whose runtime writes down how long each operator takes, which slows it down."""

    resolution: float
    """The finest time that it tells apart, in ns."""

    def spans(self) -> Sequence[Sequence[Span]]:
        """Of each inference since the model was opened, in their order. It runs no more after that."""


class Profiling(Protocol):
    """What `Sessions` may offer besides. Those that do not may say why in a text `NO_PROFILE`."""

    def open_profiled(self, path: str, threads: int) -> ProfiledSession:
        """Raises: whatever the runtime raises."""
