"""What an exporter is told of the models it counts for, from flags or from a file: checked, with the place of what is
wrong. The keys of the file and the flags are the same.
"""

from __future__ import annotations

import difflib
import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, cast

from makeweight_base.errors import UsageError
from makeweight_monitors import build, durations
from makeweight_monitors import reference as references
from makeweight_monitors.build import Build
from makeweight_monitors.metrics import VARIANTS, Variant
from makeweight_monitors.observe.pending import DAY, MOST
from makeweight_monitors.reference import KINDS, Reference, ScoreKind

Where = Callable[..., str]
"""From the path of a key, such as `("labels", "timeout")`, to how its place is told."""


@dataclass(frozen=True)
class ModelSettings:
    """One model."""

    name: str
    revision: str | None
    """Of events that name none."""
    variants: tuple[Variant, ...]
    references: Mapping[Variant, Reference]
    manifests: Mapping[Variant, Build]
    task: str | None
    classes: tuple[str, ...] | None
    scores: ScoreKind | None
    tolerance: float | None
    error_edges: tuple[float, ...] | None
    features: Mapping[str, tuple[float, ...]]
    slices: tuple[str, ...]
    weight: float | None
    labels: Path | None
    """The file of the predictions that wait; None: they wait in memory."""
    label_timeout: float
    """Seconds."""
    most_waiting: int
    service: str | None
    """What payload logging calls the model; None: its name."""


KEYS = (
    "revision", "reference", "manifest", "task", "classes", "scores", "tolerance", "error_edges", "features", "slices",
    "weight", "labels", "label_timeout", "most_waiting", "service",
)  # fmt: skip


def understand(name: str | None, given: Mapping[str, Any], where: Where, folder: Path) -> ModelSettings:
    """One model from plain data.

    Args:
        name: None: the one that its references bear.
        folder: what relative paths start from.

    Raises:
        UsageError: something of it cannot be.
    """
    reader = _Reader(given, where, folder)
    reader.check_keys()
    reference_of = {variant: references.read(path) for variant, path in reader.by_variant("reference").items()}
    made = {variant: build.read(path) for variant, path in reader.by_variant("manifest").items()}
    named = {reference.model for reference in reference_of.values()}
    if name is None:
        if len(named) != 1:
            raise UsageError(
                "which model is it?" if not named else f"the references are of different models: {sorted(named)}",
                where=where("model"),
                do="Name it with `--model NAME`, or give the references of one: `--reference canary=FILE`.",
            )
        (name,) = named
    kind = reader.one_of("scores", KINDS)
    return ModelSettings(
        name=name,
        revision=reader.text("revision"),
        variants=tuple(one for one in VARIANTS if one in reference_of) or VARIANTS,
        references=reference_of,
        manifests=made,
        task=reader.one_of("task", ("classification", "regression")),
        classes=reader.texts("classes"),
        scores=cast(ScoreKind | None, kind),
        tolerance=reader.number("tolerance"),
        error_edges=reader.edges("error_edges"),
        features=reader.features(),
        slices=reader.texts("slices") or (),
        weight=reader.number("weight"),
        labels=reader.path("labels"),
        label_timeout=reader.seconds("label_timeout", DAY),
        most_waiting=reader.whole("most_waiting", MOST),
        service=reader.text("service"),
    )


@dataclass(frozen=True)
class _Reader:
    given: Mapping[str, Any]
    where: Where
    folder: Path

    def check_keys(self) -> None:
        for key in self.given:
            if key not in KEYS:
                unknown_key(str(key), KEYS, self.where(key))

    def fail(self, what: str, *path: str) -> NoReturn:
        raise UsageError(what, where=self.where(*path))

    def text(self, key: str) -> str | None:
        value = self.given.get(key)
        if value is None:
            return None
        if not isinstance(value, str) or not value:
            self.fail(f"`{key}` is {value!r}, and should be a text; quote it if it is meant as one", key)
        return value

    def path(self, key: str) -> Path | None:
        text = self.text(key)
        return None if text is None else self.folder / text

    def one_of(self, key: str, known: tuple[str, ...]) -> str | None:
        text = self.text(key)
        if text is not None and text not in known:
            self.fail(f"`{key}` is `{text}`, and should be one of {', '.join(known)}", key)
        return text

    def texts(self, key: str) -> tuple[str, ...] | None:
        value = self.given.get(key)
        if value is None:
            return None
        if not isinstance(value, list) or not value or not all(isinstance(one, str) and one for one in value):
            self.fail(f"`{key}` should be a list of texts, such as [day, night]; quote what looks like a number", key)
        if len(set(value)) < len(value):
            self.fail(f"`{key}` names something twice", key)
        return tuple(value)

    def number(self, key: str) -> float | None:
        value = self.given.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            self.fail(f"`{key}` is {value!r}, and should be a number", key)
        if key == "weight" and not 0 < value < 1:
            self.fail(f"`weight` is {value}: the canary's share of the traffic lies between 0 and 1", key)
        if value < 0:
            self.fail(f"`{key}` is {value}, and should not be negative", key)
        return float(value)

    def whole(self, key: str, default: int) -> int:
        value = self.given.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
            self.fail(f"`{key}` is {value!r}, and should be a whole number above 0", key)
        return value

    def seconds(self, key: str, default: float) -> float:
        import argparse

        value = self.given.get(key)
        if value is None:
            return default
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 366 * DAY:
            return float(value)
        try:
            return durations.seconds(str(value))
        except argparse.ArgumentTypeError as error:
            self.fail(f"`{key}`: {error}", key)

    def edges(self, *path: str) -> tuple[float, ...] | None:
        value: Any = self.given
        for key in path:
            value = value.get(key)
        if value is None:
            return None
        numbers = value if isinstance(value, list) else [value]
        good = all(isinstance(one, int | float) and not isinstance(one, bool) and math.isfinite(one) for one in numbers)
        if not good or not numbers or any(a >= b for a, b in itertools.pairwise(numbers)):
            self.fail(f"`{'.'.join(path)}` should be numbers that rise, such as [0.2, 0.4]", *path)
        return tuple(map(float, numbers))

    def features(self) -> dict[str, tuple[float, ...]]:
        value = self.given.get("features")
        if value is None:
            return {}
        if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
            self.fail("`features` should be `name: [edges of the bins]`", "features")
        return {name: self.edges("features", name) or () for name in value}

    def by_variant(self, key: str) -> dict[Variant, Path]:
        """Files for stable and canary; one alone is the canary's."""
        value = self.given.get(key)
        if value is None:
            return {}
        given = {"canary": value} if isinstance(value, str) else value
        if not isinstance(given, Mapping) or not given:
            self.fail(f"`{key}` should be `canary: FILE`, and `stable: FILE` beside it", key)
        for variant, path in given.items():
            if variant not in VARIANTS:
                unknown_key(str(variant), VARIANTS, self.where(key, variant))
            if not isinstance(path, str) or not path:
                self.fail(f"`{key}.{variant}` should name a file", key, variant)
        return {cast(Variant, variant): self.folder / path for variant, path in given.items()}


def unknown_key(key: str, known: tuple[str, ...], where: str) -> NoReturn:
    """Refuse a key, and name the one that was meant if one is near."""
    near = difflib.get_close_matches(key, known, n=1)
    raise UsageError(
        f"unknown key `{key}`",
        where=where,
        do=f"Did you mean `{near[0]}`?" if near else f"Known here: {', '.join(known)}.",
    )
