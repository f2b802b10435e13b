"""What the operators of a model take, from what the probe's profiler told. It explains figures, and decides nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from makeweight.measure.latency import EMULATED
from makeweight.measure.timings import Timings
from makeweight_probe.session import Ran

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


def profiles(timings: Timings) -> tuple[Profile, Profile] | None:
    """Of the baseline and of the variant; None where none was asked for.

    Raises:
        KeyError, TypeError, ValueError: what was told is damaged.
    """
    if not timings.profiles:
        return None
    before, after = (_of(timings, timings.profiles[arm]) for arm in ("a", "b"))
    return before, after


def _of(timings: Timings, told: Mapping[str, Any]) -> Profile:
    if timings.emulated:
        return Profile(reason=EMULATED)
    if "unavailable" in told:
        return Profile(reason=str(told["unavailable"]))
    operators = tuple(
        Operator(str(each["name"]), str(each["kind"]), each["ran"], float(each["ns"]) / _NS)
        for each in told["operators"]
    )
    inference, resolution = float(told["inference_ns"]) / _NS, float(told["resolution_ns"]) / _NS
    return Profile(operators, inference, int(told["runs"]), resolution)
