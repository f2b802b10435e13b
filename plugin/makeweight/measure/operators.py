"""What the operators of a model take, from what the probe's profiler told. It explains figures, and decides nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from makeweight_probe.session import Ran

if TYPE_CHECKING:
    from makeweight.measure.timings import Timings

_NS = 1e9


@dataclass(frozen=True)
class Operator:
    """One operator of a model; `seconds` of an inference, while it is profiled."""

    name: str
    kind: str
    ran: Ran | None
    seconds: float


@dataclass(frozen=True)
class Profile:
    """Where the time of a model's inference goes while its runtime's profiler looks on, which slows it down."""

    operators: tuple[Operator, ...] = ()
    """The longest first."""
    inference: float = 0.0
    """Seconds of a whole inference, the profiler's own work among them."""
    runs: int = 0
    resolution: float = 0.0
    """The finest time, in seconds, that the profiler tells apart."""
    reason: str | None = None
    """Why there is none."""

    @property
    def seconds(self) -> float:
        """What all operators take."""
        return sum(operator.seconds for operator in self.operators)

    def kinds(self) -> dict[str, float]:
        """The seconds of each type of operator, the longest first."""
        found: dict[str, float] = {}
        for operator in self.operators:
            found[operator.kind] = found.get(operator.kind, 0.0) + operator.seconds
        return dict(sorted(found.items(), key=lambda item: -item[1]))

    def ran(self, how: Ran) -> dict[str, float]:
        """The share that each type of those that ran so has of what all operators take, the largest first."""
        found: dict[str, float] = {}
        for operator in self.operators:
            if operator.ran == how:
                found[operator.kind] = found.get(operator.kind, 0.0) + operator.seconds / (self.seconds or 1.0)
        return dict(sorted(found.items(), key=lambda item: -item[1]))


class Damaged(ValueError):
    """What was told is no profile."""


def profiles(timings: Timings) -> tuple[Profile, Profile] | None:
    """Of the baseline and of the variant; None where none was asked for.

    Raises:
        Damaged: what was told is none.
    """
    if not timings.profiles:
        return None
    try:
        before, after = (_of(timings, timings.profiles[arm]) for arm in ("a", "b"))
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise Damaged(f"no profile of operators: {error!r}") from error
    return before, after


def _of(timings: Timings, told: Mapping[str, Any]) -> Profile:
    if timings.emulated is not None:
        return Profile(reason=timings.emulated)
    if "unavailable" in told:
        return Profile(reason=str(told["unavailable"]))
    operators = tuple(
        Operator(str(each["name"]), str(each["kind"]), _ran(each["ran"]), _seconds(each["ns"]))
        for each in told["operators"]
    )
    return Profile(operators, _seconds(told["inference_ns"]), int(told["runs"]), _seconds(told["resolution_ns"]))


def _ran(told: object) -> Ran | None:
    for known in get_args(Ran):
        if told == known:
            ran: Ran = known
            return ran
    if told is None:
        return None
    raise ValueError(f"nothing runs in {told!r}")


def _seconds(ns: object) -> float:
    seconds = float(ns) / _NS  # type: ignore[arg-type]
    if not 0 <= seconds < math.inf:
        raise ValueError(f"{ns} ns are no time")
    return seconds
