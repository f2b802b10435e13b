"""Measurement: the one currency. Whatever is measured becomes one; the decision reads nothing else."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, get_args

from makeweight.budget.measurand import Comparison, Measurand
from makeweight.layout import BASELINE
from makeweight_base.errors import UsageError

Status = Literal["measured", "estimated", "unavailable"]
Cause = Literal["stale", "unreachable", "too_few_samples", "elsewhere"]
"""Why a figure is unavailable, where something can be done about it: measure anew, reach the device, measure longer,
compress so that it holds on every processor."""
_COMPARISONS, _CAUSES = (None, *get_args(Comparison)), (None, *get_args(Cause))


@dataclass(frozen=True)
class Measurement:
    """One figure with what it is worth.

    `value` and `interval` are in the metric's base unit (bytes, seconds, fractions, joules) or, of a comparison, a
    ratio, a difference or a relative growth against `against`.
    """

    metric: str
    comparison: Comparison | None = field(default=None, kw_only=True)
    """How `value` compares two models; None: it is the metric's own figure of one."""
    slice: str | None = field(default=None, kw_only=True)
    """The group of test examples that it is of; None: all of them."""
    control: bool = field(default=False, kw_only=True)
    """See `Measurand.control`."""
    batch: int | None = field(default=None, kw_only=True)
    threads: int | None = field(default=None, kw_only=True)
    """See `Measurand.batch`."""
    variant: str
    unit: str
    value: float | None = None
    interval: tuple[float, float] | None = None
    samples: int | None = None
    method: str = ""
    against: str | None = None
    """What a ratio or a difference is taken to; of a baseline's own figure, the variant that it was measured beside."""
    device: str | None = None
    status: Status = "measured"
    reason: str | None = None
    """Why it is unavailable, in words."""
    cause: Cause | None = field(default=None, kw_only=True)
    noise_floor: float | None = None
    """How far two copies of one model differed in the same run, as a fraction (0.012 = 1.2 %)."""
    detail: str | None = None
    """What names the figure more closely, such as the class that is worst."""
    key: str | None = None
    """Hash of all that the figure depends on; see `key_of`."""

    def __post_init__(self) -> None:
        if self.comparison not in _COMPARISONS:
            raise ValueError(f"{self.metric}: there is no comparison {self.comparison}")
        cell = self.batch, self.threads
        if cell != (None, None) and not all(isinstance(number, int) and number > 0 for number in cell):
            raise ValueError(f"{self.metric}: a cell has a batch and threads, not {self.batch} and {self.threads}")
        if self.cause not in _CAUSES:
            raise ValueError(f"{self.metric}: there is no cause {self.cause}")
        if self.status == "unavailable":
            if self.value is not None or not self.reason:
                raise ValueError(f"{self.metric}: an unavailable measurement has a reason and no value")
        elif self.status not in ("measured", "estimated"):
            raise ValueError(f"{self.metric}: there is no status {self.status}")
        elif self.value is None or not _is_finite(self.value):
            raise ValueError(f"{self.metric}: a measurement needs a finite value, not {self.value}")
        counted = (self.noise_floor or 0.0, self.samples or 0)
        if not all(_is_finite(number) and number >= 0 for number in counted):
            raise ValueError(f"{self.metric}: a noise floor and a number of samples are finite and not negative")
        if not all(map(_is_finite, self.interval or ())):
            raise ValueError(f"{self.metric}: an interval has finite ends, not {self.interval}")

    @property
    def measurand(self) -> Measurand:
        """What it is a figure of."""
        return Measurand(self.metric, self.comparison, self.slice, self.control, self.batch, self.threads)

    def absent(self, reason: str, cause: Cause | None = None) -> Measurement:
        """The same figure, which cannot be had (any more), and why."""
        return unavailable(self.measurand, self.variant, self.unit, reason, device=self.device, cause=cause)

    def stale(self, reason: str) -> Measurement:
        """The same figure, no longer usable: its key does not match what is at hand."""
        return self.absent(f"stale: {reason}", "stale")


def unavailable(
    of: Measurand,
    variant: str,
    unit: str,
    reason: str,
    *,
    device: str | None = None,
    cause: Cause | None = None,
    samples: int | None = None,
) -> Measurement:
    """A figure that could not be had, and why.

    Args:
        samples: how many were taken, where they are too few.
    """
    about: dict[str, Any] = {**asdict(of), "device": device, "samples": samples, "reason": reason, "cause": cause}
    return Measurement(variant=variant, unit=unit, status="unavailable", **about)


def key_of(**parts: Any) -> str:
    """A pure hash of what a figure depends on: artifacts' hashes, device identity, runtime, protocol, inputs."""
    canonical = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def keyed(measurements: Iterable[Measurement], key: str) -> list[Measurement]:
    """The same measurements, each bearing `key`."""
    return [replace(measurement, key=key) for measurement in measurements]


# On disk. DVC shows every number of a metrics file as a column, rounded to five decimals, and passes over lists. So
# the figures stand bare, in units that survive the rounding, and the measurements themselves in a list below.
_RECORDS = "measurements"
_SHOWN_IN = {"s": ("_ms", 1e3), "B": ("_kb", 1e-3)}


def dumps(measurements: Iterable[Measurement]) -> str:
    """The text of one file of measurements: the variant's figures by metric for DVC, and every measurement in full."""
    listed = list(measurements)
    records = [
        {name: value for name, value in asdict(m).items() if value is not None and value is not False} for m in listed
    ]
    return json.dumps({**_figures(listed), _RECORDS: records}, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def loads(text: str, source: str) -> list[Measurement]:
    """What `dumps` wrote; `source` is named in errors.

    Raises:
        UsageError: the text is no such file (edited by hand, cut short, left by a merge conflict).
    """
    try:
        figures = json.loads(text)
        listed = [of(record) for record in figures.pop(_RECORDS)]
        if figures != _figures(listed):
            raise ValueError("its figures do not agree with its measurements")
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UsageError(
            f"this is no file of measurements ({error})", where=source, do="Delete it and run `dvc repro` again."
        ) from error
    return listed


def _figures(measurements: list[Measurement]) -> dict[str, float]:
    """What DVC is to show: not the baseline's figures where they only stand beside a variant's."""
    alone = all(m.variant == BASELINE for m in measurements)
    shown = {}
    for m in measurements:
        if m.value is not None and (alone or m.variant != BASELINE):
            suffix, factor = _SHOWN_IN.get(m.unit, ("", 1))
            shown[m.measurand.name + suffix] = m.value * factor
    return shown


def of(record: Mapping[str, Any]) -> Measurement:
    """The measurement that a JSON object holds.

    Raises:
        ValueError, TypeError: it holds none.
    """
    for name, value in record.items():
        absent = value is None and name not in _ALWAYS
        if not (absent or _is_of_kind(name, value)):
            raise ValueError(f"its `{name}` is {type(value).__name__}")
    interval = record.get("interval")
    if interval is not None:
        low, high = interval
        interval = low, high
    return Measurement(**{**record, "interval": interval})


_ALWAYS = frozenset({"metric", "variant", "unit", "method", "status", "control"})
_KINDS: Mapping[str, tuple[type, ...]] = {
    **dict.fromkeys(("value", "noise_floor"), (int, float)),
    **dict.fromkeys(("samples", "batch", "threads"), (int,)),
    "control": (bool,),
}
"""What a field of a record may be where it is no text; the interval is two numbers."""


def _is_of_kind(name: str, value: object) -> bool:
    """Whether a field is what it should be: a record may come from anybody."""
    if name == "interval":
        return isinstance(value, list | tuple) and all(_is_of_kind("value", end) for end in value)
    kinds = _KINDS.get(name, (str,))
    # True is a number to Python, and to nobody else
    return isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))


def _is_finite(number: float) -> bool:
    """Whether it is a number that a float can hold, which is not so of every integer."""
    try:
        return math.isfinite(number)
    except OverflowError:
        return False
