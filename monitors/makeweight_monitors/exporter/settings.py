"""What an exporter is told of the models it counts for, from flags or from a file: checked, with the place of what is
wrong. The keys of the file and the flags are the same.
"""

from __future__ import annotations

import argparse
import difflib
import itertools
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from makeweight_base.errors import UsageError
from makeweight_monitors import build, durations
from makeweight_monitors import reference as references
from makeweight_monitors.build import Build
from makeweight_monitors.metrics import VARIANTS, Variant
from makeweight_monitors.observe.pending import DAY, MOST
from makeweight_monitors.reference import KINDS, Reference, ScoreKind

_LARGEST = sys.float_info.max
Where = Callable[..., str]
"""From the path of a key, such as `("features", "light")`, to how its place is told."""


@dataclass(frozen=True)
class ModelSettings:
    """One model; below its name and variants, the keys by which it is described."""

    name: str
    variants: tuple[Variant, ...]
    revision: str | None = None
    """Of events that name none."""
    environment: str | None = None
    """Of events that name none; None: as MAKEWEIGHT_ENVIRONMENT says, else nothing."""
    attempt: str = ""
    """Which try of the revision this is."""
    reference: Mapping[Variant, Reference] = field(default_factory=dict)
    manifest: Mapping[Variant, Build] = field(default_factory=dict)
    task: str | None = None
    classes: tuple[str, ...] | None = None
    scores: ScoreKind | None = None
    tolerance: float | None = None
    error_edges: tuple[float, ...] | None = None
    features: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    slices: tuple[str, ...] = ()
    weight: float | None = None
    labels: Path | None = None
    """The file of the predictions that wait; None: they wait in memory."""
    label_timeout: float = DAY
    """Seconds."""
    most_waiting: int = MOST
    service: str | None = None
    """What payload logging calls the model, as NAME or NAMESPACE/NAME; None: its name."""


@dataclass(frozen=True)
class _Place:
    """Of a value; as text, the path of its key."""

    where: Where
    folder: Path
    path: tuple[str, ...]

    def __str__(self) -> str:
        return ".".join(self.path)

    def under(self, key: str) -> _Place:
        return _Place(self.where, self.folder, (*self.path, key))

    def fail(self, what: str) -> NoReturn:
        raise UsageError(what, where=self.where(*self.path))


def understand(name: str | None, given: Mapping[str, Any], where: Where, folder: Path) -> ModelSettings:
    """One model from plain data.

    Args:
        name: None: the one that its references bear.
        folder: what relative paths start from.

    Raises:
        UsageError: something of it cannot be.
    """
    for key in given:
        if key not in KEYS:
            unknown_key(str(key), KEYS, where(key))
    checked = {key: _CHECKS[key](one, _Place(where, folder, (key,))) for key, one in given.items() if one is not None}
    reference = checked.get("reference", {})
    named = {one.model for one in reference.values()}
    if name is None:
        if len(named) != 1:
            raise UsageError(
                "which model is it?" if not named else f"the references are of different models: {sorted(named)}",
                where=where("model"),
                do="Name it with `--model NAME`, or give the references of one: `--reference canary=FILE`.",
            )
        (name,) = named
    return ModelSettings(name, tuple(one for one in VARIANTS if one in reference) or VARIANTS, **checked)


def _text(value: Any, at: _Place) -> str:
    if not isinstance(value, str) or not value:
        at.fail(f"`{at}` is {value!r}, and should be a text; quote it if it is meant as one")
    return value


def _attempt(value: Any, at: _Place) -> str:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else _text(value, at)


def _path(value: Any, at: _Place) -> Path:
    return at.folder / _text(value, at)


def _one_of(*known: str) -> Callable[[Any, _Place], str]:
    def check(value: Any, at: _Place) -> str:
        text = _text(value, at)
        if text not in known:
            at.fail(f"`{at}` is `{text}`, and should be one of {', '.join(known)}")
        return text

    return check


def _texts(value: Any, at: _Place) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(one, str) and one for one in value):
        at.fail(f"`{at}` should be a list of texts, such as [day, night]; quote what looks like a number")
    if len(set(value)) < len(value):
        at.fail(f"`{at}` names something twice")
    return tuple(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _LARGEST


def _number(value: Any, at: _Place) -> float:
    if not _is_number(value):
        at.fail(f"`{at}` is {value!r}, and should be a number")
    if value < 0:
        at.fail(f"`{at}` is {value}, and should not be negative")
    return float(value)


def _share(value: Any, at: _Place) -> float:
    if _is_number(value) and not 0 < value < 1:
        at.fail(f"`{at}` is {value}: the canary's share of the traffic lies between 0 and 1")
    return _number(value, at)


def _whole(value: Any, at: _Place) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        at.fail(f"`{at}` is {value!r}, and should be a whole number above 0")
    return value


def _seconds(value: Any, at: _Place) -> float:
    if _is_number(value) and 0 < value <= 366 * DAY:
        return float(value)
    try:
        return durations.seconds(str(value))
    except argparse.ArgumentTypeError as error:
        at.fail(f"`{at}`: {error}")


def _edges(value: Any, at: _Place) -> tuple[float, ...]:
    numbers = value if isinstance(value, list) else [value]
    if not numbers or not all(map(_is_number, numbers)) or any(a >= b for a, b in itertools.pairwise(numbers)):
        at.fail(f"`{at}` should be numbers that rise, such as [0.2, 0.4]")
    return tuple(map(float, numbers))


def _features(value: Any, at: _Place) -> dict[str, tuple[float, ...]]:
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        at.fail(f"`{at}` should be `name: [edges of the bins]`")
    return {name: () if edges is None else _edges(edges, at.under(name)) for name, edges in value.items()}


def _by_variant(read: Callable[[Path], Any]) -> Callable[[Any, _Place], dict[str, Any]]:
    """Files for stable and canary, read; one alone is the canary's."""

    def check(value: Any, at: _Place) -> dict[str, Any]:
        given = {"canary": value} if isinstance(value, str) else value
        if not isinstance(given, Mapping) or not given:
            at.fail(f"`{at}` should be `canary: FILE`, and `stable: FILE` beside it")
        for variant, path in given.items():
            if variant not in VARIANTS:
                unknown_key(str(variant), VARIANTS, at.where(*at.path, variant))
            if not isinstance(path, str) or not path:
                at.under(variant).fail(f"`{at}.{variant}` should name a file")
        return {variant: read(at.folder / path) for variant, path in given.items()}

    return check


_OBSERVED: Mapping[str, Callable[[Any, _Place], Any]] = {
    "reference": _by_variant(references.read),
    "manifest": _by_variant(build.read),
    "task": _one_of("classification", "regression"),
    "classes": _texts,
    "scores": _one_of(*KINDS),
    "tolerance": _number,
    "error_edges": _edges,
    "features": _features,
    "slices": _texts,
    "weight": _share,
    "attempt": _attempt,
}
_CHECKS: Mapping[str, Callable[[Any, _Place], Any]] = {
    "revision": _text,
    "environment": _text,
    **_OBSERVED,
    "labels": _path,
    "label_timeout": _seconds,
    "most_waiting": _whole,
    "service": _text,
}
OBSERVED, KEYS = tuple(_OBSERVED), tuple(_CHECKS)
"""The keys that an `Observer` is told as they are, and all keys."""


def unknown_key(key: str, known: tuple[str, ...], where: str) -> NoReturn:
    """Refuse a key, and name the one that was meant if one is near."""
    near = difflib.get_close_matches(key, known, n=1)
    raise UsageError(
        f"unknown key `{key}`",
        where=where,
        do=f"Did you mean `{near[0]}`?" if near else f"Known here: {', '.join(known)}.",
    )
