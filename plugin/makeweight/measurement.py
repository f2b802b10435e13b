"""Measurement: the one currency. Whatever is measured becomes one; the decision reads nothing else."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from makeweight.atomic import write_text
from makeweight.errors import UsageError

Status = Literal["measured", "estimated", "unavailable"]


@dataclass(frozen=True)
class Measurement:
    """One figure with what it is worth.

    `value` and `interval` are in the metric's base unit (bytes, seconds, fractions, joules) or, for names that
    end in `_ratio`, `_drop`, a ratio or a difference against `against`. A drop is positive when the variant is worse.
    """

    metric: str
    variant: str
    unit: str
    value: float | None = None
    interval: tuple[float, float] | None = None
    samples: int | None = None
    method: str = ""
    against: str | None = None
    device: str | None = None
    status: Status = "measured"
    reason: str | None = None
    noise_floor: float | None = None
    """How far two copies of one model differed in the same run, as a fraction (0.012 = 1.2 %)."""
    detail: str | None = None
    """What names the figure more closely, such as the class that is worst."""
    key: str | None = None
    """Hash of all that the figure depends on; see `key_of`."""

    def __post_init__(self) -> None:
        if self.status == "unavailable":
            if self.value is not None or not self.reason:
                raise ValueError(f"{self.metric}: an unavailable measurement has a reason and no value")
        elif self.value is None or not math.isfinite(self.value):
            raise ValueError(f"{self.metric}: a measurement needs a finite value, not {self.value}")

    def stale(self, reason: str) -> Measurement:
        """The same figure, no longer usable: its key does not match what is at hand."""
        return unavailable(self.metric, self.variant, self.unit, f"stale: {reason}", device=self.device)


def unavailable(metric: str, variant: str, unit: str, reason: str, *, device: str | None = None) -> Measurement:
    """A figure that could not be had, and why."""
    return Measurement(metric, variant, unit, status="unavailable", reason=reason, device=device)


def key_of(**parts: Any) -> str:
    """A pure hash of what a figure depends on: artifacts' hashes, device identity, runtime, protocol, inputs."""
    canonical = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def keyed(measurements: Iterable[Measurement], key: str) -> list[Measurement]:
    """The same measurements, each bearing `key`."""
    return [replace(measurement, key=key) for measurement in measurements]


# On disk. DVC shows every number and text of a metrics file as a column of its own and passes over lists, so
# a figure's numbers stand bare and the rest of it goes into a list of one.
_FIGURES = ("value", "samples", "noise_floor")
_ABOUT = ("metric", "variant", "unit", "method", "against", "device", "status", "reason", "detail", "key")


def to_dict(measurement: Measurement) -> dict[str, Any]:
    figures: dict[str, Any] = {name: getattr(measurement, name) for name in _FIGURES}
    if measurement.interval is not None:
        figures["low"], figures["high"] = measurement.interval
    about = {name: getattr(measurement, name) for name in _ABOUT}
    return {
        **{name: value for name, value in figures.items() if value is not None},
        "about": [{name: value for name, value in about.items() if value is not None}],
    }


def from_dict(data: Mapping[str, Any]) -> Measurement:
    (about,) = data["about"]
    interval = (float(data["low"]), float(data["high"])) if "low" in data else None
    figures = {name: data[name] for name in _FIGURES if name in data}
    return Measurement(**about, **figures, interval=interval)


def write(path: Path, measurements: Iterable[Measurement]) -> None:
    """Write one file of measurements, keyed by metric; atomically."""
    data = {measurement.metric: to_dict(measurement) for measurement in measurements}
    write_text(path, json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read(path: Path) -> list[Measurement]:
    """Read a file that `write` wrote.

    Raises:
        UsageError: the file is no such file (edited by hand, cut short, left by a merge conflict).
    """
    try:
        return [from_dict(entry) for entry in json.loads(path.read_text()).values()]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UsageError(
            f"this is no file of measurements ({error})", where=str(path), do="Delete it and run `dvc repro` again."
        ) from error
