"""The reference: how a variant answered the test split, as `reports/<variant>/reference.json` tells it."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from makeweight_base.errors import UsageError, reason

FORMAT = 1
ScoreKind = Literal["softmax", "probability", "sigmoid"]
KINDS: tuple[ScoreKind, ...] = ("softmax", "probability", "sigmoid")
"""Logits of exclusive classes; probabilities; one logit for the second of two classes."""
_DO = "Take the file that `makeweight evaluate` writes, of the same version of makeweight."


@dataclass(frozen=True)
class Confidence:
    """The confidence in the top class, in bins that the variant shares with its baseline."""

    scores: ScoreKind
    edges: tuple[float, ...]
    """From 0 to 1, one more than there are bins; a bin includes its lower edge, the last both."""
    count: tuple[int, ...]
    accuracy: tuple[float | None, ...]
    """Share of right answers in each bin; None where the test split has no example."""

    def share(self) -> tuple[float, ...]:
        """Of the test split, by bin."""
        total = sum(self.count) or 1
        return tuple(count / total for count in self.count)


@dataclass(frozen=True)
class Reference:
    """What production is compared with."""

    model: str
    variant: str
    """As makeweight.yaml calls it; not `stable` or `canary`."""
    task: str
    """As makeweight.yaml names its kind."""
    classes: tuple[str, ...] | None
    confidence: Confidence | None
    error_edges: tuple[float, ...] | None
    """Regression: inner edges of the bins of the absolute error."""
    sha256: str = ""
    runtime: str = ""
    unavailable: str | None = None
    """Why answers of the task cannot be counted as right or wrong, nor their confidence; None: they can."""


def read(path: Path) -> Reference:
    """Read a reference.json.

    Raises:
        UsageError: there is no such file, or it is none of these.
    """
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise UsageError("no such file", where=str(path), do="Run `dvc repro`, which writes it.") from error
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot be read: {reason(error)}", where=str(path), do=_DO) from error
    try:
        return understand(content)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        why = f"`{error.args[0]}` is missing" if isinstance(error, KeyError) else str(error)
        raise UsageError(f"this is no reference: {why}", where=str(path), do=_DO) from error


def understand(content: Any) -> Reference:
    """A reference from plain data; ValueError, KeyError or TypeError says what is wrong with it."""
    if content["format"] != FORMAT:
        raise ValueError(f"it is of format {content['format']!r}, and this version reads {FORMAT}")
    classes, confidence, errors = content.get("classes"), content.get("confidence"), content.get("absolute_error")
    return Reference(
        model=str(content["model"]),
        variant=str(content["variant"]),
        task=str(content["task"]),
        classes=None if classes is None else tuple(str(entry["name"]) for entry in classes),
        confidence=None if confidence is None else _confidence(confidence),
        error_edges=None if errors is None else _rising(errors["edges"][1:-1], "absolute_error.edges"),
        sha256=str(content.get("sha256", "")),
        runtime=str(content.get("runtime", "")),
        unavailable=None if (why := content.get("unavailable")) is None else str(why),
    )


def _confidence(entry: dict[str, Any]) -> Confidence:
    if entry["scores"] not in KINDS:
        raise ValueError(f"`confidence.scores` is {entry['scores']!r}, not one of {', '.join(KINDS)}")
    edges = _rising(entry["edges"], "confidence.edges")
    if len(edges) < 2 or edges[0] != 0 or edges[-1] != 1:
        raise ValueError("`confidence.edges` do not go from 0 to 1")
    count = tuple(int(number) for number in entry["count"])
    accuracy = tuple(None if number is None else float(number) for number in entry["accuracy"])
    if not len(count) == len(accuracy) == len(edges) - 1:
        raise ValueError(f"`confidence` has {len(edges) - 1} bins, {len(count)} counts and {len(accuracy)} accuracies")
    if any(number is not None and not 0 <= number <= 1 for number in accuracy):
        raise ValueError("`confidence.accuracy` holds a number beyond 0..1")
    return Confidence(entry["scores"], edges, count, accuracy)


def _rising(edges: list[Any], what: str) -> tuple[float, ...]:
    numbers = tuple(float(edge) for edge in edges)
    if not all(map(math.isfinite, numbers)) or any(a >= b for a, b in itertools.pairwise(numbers)):
        raise ValueError(f"`{what}` do not rise")
    return numbers
