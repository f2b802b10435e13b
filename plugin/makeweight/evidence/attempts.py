"""Benchmarks that were begun anew and did not come to their end: the figures that are left are older than they are.

Those figures are of the same bytes on the same device, so they count as before; a reader has to know.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from makeweight import measurement
from makeweight.decide import verdict
from makeweight.decide.verdict import Verdict
from makeweight.ignored import ignored
from makeweight.layout import Layout
from makeweight.measurement import Measurement
from makeweight_base import atomic
from makeweight_base.errors import EnvironmentFailed, MakeweightError, UsageError

Figures = dict[str, float]
"""The values of a variant's figures on a device, by what they are of."""
_UNFINISHED = "it did not come to its end"


@contextlib.contextmanager
def noted(layout: Layout, variant: str, device: str) -> Iterator[None]:
    """Measure anew within this, and write what was measured. Where that fails, or is ended however hard, it stays noted
    beside which figures it was begun; there is nothing to note where there are none."""
    place, before = layout.attempt(variant, device), _known(layout, variant, device)
    if not before:
        _drop(place)
        yield
        return
    _note(layout, place, before, _UNFINISHED)
    try:
        yield
    except MakeweightError as failure:
        _note(layout, place, before, failure.head)
        raise
    except KeyboardInterrupt:
        _note(layout, place, before, "it was interrupted")
        raise
    _drop(place)


def older(layout: Layout, decided: Verdict) -> list[str]:
    """Of which variants on which devices a verdict's figures are older than the last attempt to measure them, as
    sentences."""
    found = []
    for place in sorted(layout.attempts.glob("*/*.json")):
        variant, device, noted = place.parent.name, place.stem, _read(place)
        before, shown = noted.get("figures"), _values(_records(decided.measurements), variant, device)
        if isinstance(before, dict) and shown and all(before.get(of) == value for of, value in shown.items()):
            found.append(
                f"`{variant}` was to be measured anew on `{device}`, and was not: {noted.get('reason')}; its figures "
                f"there are older than that. `makeweight benchmark {variant} --device {device}` measures it."
            )
    return found


def _known(layout: Layout, variant: str, device: str) -> Figures:
    """What was measured of it: by its file, else, as where DVC has removed that before it measures, by the verdict."""
    with contextlib.suppress(OSError, UnicodeDecodeError, UsageError):
        path = layout.benchmark(variant, device)
        return _values(measurement.loads(path.read_text(encoding="utf-8"), str(path)), variant, device)
    with contextlib.suppress(OSError, UnicodeDecodeError, UsageError):
        decided = verdict.loads(layout.verdict.read_text(encoding="utf-8"), str(layout.verdict))
        return _values(_records(decided.measurements), variant, device)
    return {}


def _records(plain: Iterable[Mapping[str, Any]]) -> Iterator[Measurement]:
    """Those of a verdict, which may be of another version."""
    for each in plain:
        with contextlib.suppress(ValueError, TypeError, KeyError):
            yield measurement.of(each)


def _values(figures: Iterable[Measurement], variant: str, device: str) -> Figures:
    """Growth since a merge base is measured by itself."""
    own = (each for each in figures if (each.variant, each.device) == (variant, device))
    return {
        each.measurand.name: each.value for each in own if each.value is not None and each.comparison != "regression"
    }


def _note(layout: Layout, place: Path, figures: Figures, reason: str) -> None:
    """Where that cannot be written, as in a checkout that is read-only, the gate will not say it: no reason not to
    measure, and none to hide why that failed."""
    with contextlib.suppress(EnvironmentFailed):
        ignored(layout.root)
        atomic.write_json(place, {"reason": " ".join(reason.split()), "figures": figures})


def _drop(place: Path) -> None:
    with contextlib.suppress(OSError):
        place.unlink()


def _read(place: Path) -> dict[str, Any]:
    """Nothing, where there is no note or it is none."""
    with contextlib.suppress(OSError, ValueError):
        noted = json.loads(place.read_text(encoding="utf-8"))
        if isinstance(noted, dict):
            return noted
    return {}
