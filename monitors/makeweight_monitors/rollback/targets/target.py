"""What a target is: whatever decides who gets the traffic. Others come by entry point `makeweight.targets`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict

from makeweight_base.errors import EnvironmentFailed
from makeweight_monitors.metrics import ROUNDED
from makeweight_monitors.rollback.case import Canary
from makeweight_monitors.rollback.seen import Placement


class TargetOptions(BaseModel):
    """What a target is told in makeweight.yaml, under `canary.target`."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Moved(EnvironmentFailed):
    """Somebody changed it since it was looked at: nothing was set."""


class Target(Protocol):
    """Each method may be called again after a process was killed in it, and comes to the same.

    What does not succeed is an `EnvironmentFailed` or a `UsageError`; its sentence goes into the audit log.
    """

    Options: ClassVar[type[TargetOptions]]

    def __init__(self, options: Any, folder: Path) -> None:
        """Relative paths start from `folder`, that of makeweight.yaml."""

    def get(self) -> Placement:
        """Who gets the traffic now."""

    def set(self, seen: Placement, share: float) -> None:
        """Give the canary another share of the traffic, none or all of it included, if all is still as it was seen.

        Raises:
            Moved: it is not.
        """

    def verify(self, share: float) -> None:
        """Read back.

        Raises:
            EnvironmentFailed: the canary's share is another.
        """

    def finalize(self, canary: Canary, promoted: bool, why: str) -> str | None:
        """It is over: the canary is stable from now on, or has been rolled back.

        Args:
            why: the sentence in which that was decided, with its numbers.

        Returns:
            What else was done now, as a clause for the audit log; None: nothing.
        """


def made(declared: Mapping[str, Any], folder: Path) -> Target:
    """The target of an entry of makeweight.yaml, which was found right when that was read.

    Raises:
        UsageError: it cannot be used.
    """
    from makeweight import registry

    kind = registry.ready("target", str(declared["kind"]))
    target: Target = kind(kind.Options(**{key: value for key, value in declared.items() if key != "kind"}), folder)
    return target


@runtime_checkable
class Rehearsing(Protocol):
    """A target that can be asked whether it would take a change: what a dry run does there."""

    def rehearse(self, seen: Placement, share: float) -> None:
        """As `set`, with its errors, and nothing is changed."""


def parts(share: float, whole: int) -> int:
    """A share in whole parts, such as hundredths: none of them, or all, only where that is meant."""
    return round(share * whole) if share in (0, 1) else min(max(round(share * whole), 1), whole - 1)


def agree(has: float, wanted: float, where: str, whole: int | None = None) -> None:
    """`verify` of a target that tells shares; EnvironmentFailed: they are not the same. None is none: a canary that is
    rolled back has no rest that is too small to count.

    Args:
        whole: in how many parts it tells them; None: in any.
    """
    nearest = wanted if whole is None else parts(wanted, whole) / whole
    if abs(has - nearest) > ROUNDED or (has > 0 and wanted <= 0):
        raise EnvironmentFailed(f"the canary was to have {wanted:.1%} of the traffic, and has {has:.1%}", where=where)
