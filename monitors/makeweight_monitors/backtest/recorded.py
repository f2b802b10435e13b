"""What was recorded, on a regular grid of times: from a Prometheus, or from the saved answer of a range query."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from makeweight_base.errors import UsageError, reason
from makeweight_monitors.prometheus.queries import Client, Series


@dataclass(frozen=True)
class Recorded:
    """Raw series, each sample at `start + n * step`."""

    series: tuple[Series, ...]
    start: float
    """Unix time from which on rules are to be judged; samples may begin before."""
    end: float
    step: float

    @property
    def first(self) -> float:
        """The first time on the grid at which there is a sample."""
        times = [series.points[0][0] for series in self.series if series.points]
        return min([self.start, *times])


def ask(client: Client, names: Iterable[str], start: float, end: float, step: float, lead: float) -> Recorded:
    """What a Prometheus has of series with these names.

    Raises:
        UsageError: it has none of them.
        EnvironmentFailed: it cannot be asked.
    """
    existing = set(client.get("/api/v1/label/__name__/values", {}))
    start = math.ceil(start / step) * step
    before = math.ceil(lead / step) * step
    series = [
        one
        for name in sorted(set(names) & existing)
        for one in client.query_range(f'{{__name__="{name}"}}', start - before, end, step)
    ]
    if not series:
        raise UsageError(
            "it has recorded nothing that the rules read in that time",
            where=client.url,
            do="Does it scrape the observers, and are --start and --end within what it keeps?",
        )
    return Recorded(tuple(series), start, end, step)


def load(path: Path, start: float | None, end: float | None, step: float | None) -> Recorded:
    """The samples of a saved answer of /api/v1/query_range, or of a bare list of its series.

    Raises:
        UsageError: the file is neither, or holds no sample.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        series = [_series(entry) for entry in _result(content)]
    except OSError as error:
        raise UsageError(f"cannot be read: {reason(error)}", where=str(path)) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"this is no answer of a range query: {type(error).__name__}: {error}",
            where=str(path),
            do="Save what /api/v1/query_range answers, for instance with curl.",
        ) from error
    times = sorted({time for one in series for time, _ in one.points})
    if not times:
        raise UsageError("there is no sample in it", where=str(path))
    if step is None:
        gaps = [after - before for before, after in itertools.pairwise(times)]
        step = max(1.0, round(sorted(gaps)[len(gaps) // 2])) if gaps else 60.0
    origin = times[0]
    on_grid = tuple(Series(one.labels, _snapped(one.points, origin, step)) for one in series)
    begin = origin if start is None else origin + max(0, math.ceil((start - origin) / step)) * step
    return Recorded(on_grid, begin, times[-1] if end is None else end, step)


def _result(content: Any) -> Any:
    if isinstance(content, dict):
        content = content.get("data", content)["result"]
    if not isinstance(content, list):
        raise TypeError("a list of series is wanted")
    return content


def _series(entry: Mapping[str, Any]) -> Series:
    labels = {str(key): str(value) for key, value in entry["metric"].items()}
    if "__name__" not in labels:
        raise ValueError(f"a series without a name: {labels} (ask for the raw counters, not for an expression)")
    return Series(labels, tuple((float(time), float(value)) for time, value in entry["values"]))


def _snapped(points: Iterable[tuple[float, float]], origin: float, step: float) -> tuple[tuple[float, float], ...]:
    """Each sample at the next time of the grid, the latest where several meet: as an evaluation would see it."""
    snapped = {origin + math.ceil((time - origin) / step - 1e-9) * step: value for time, value in sorted(points)}
    return tuple(snapped.items())
