"""Flipped examples: what the baseline has right and the variant wrong, kept so that people can look at them."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeweight.config.settings import TaskSettings
from makeweight.measure.outcomes import Outcomes
from makeweight.measure.tasks.task import class_name
from makeweight.user.split import Split
from makeweight_base.errors import UsageError

KEPT = 64
INDEX = "flips.json"
_KEYS = {"example", "truth", "variant", "baseline_confidence", "variant_confidence", "picture"}


def choose(task: TaskSettings, own: Outcomes, baseline: Outcomes) -> list[dict[str, Any]]:
    """Up to KEPT negative flips, those of which the baseline was surest first."""
    flipped = np.nonzero(baseline.right & ~own.right)[0]
    ordered = flipped[np.argsort(-baseline.confidence[flipped], kind="stable")][:KEPT]

    def name(prediction: int) -> str:
        return class_name(task, prediction) if prediction >= 0 else "not a number"

    return [
        {
            "example": int(i),
            "truth": name(int(own.target[i])),
            "variant": name(int(own.prediction[i])),
            "baseline_confidence": round(float(baseline.confidence[i]), 4),
            "variant_confidence": round(float(own.confidence[i]), 4) if np.isfinite(own.confidence[i]) else None,
        }
        for i in ordered
    ]


def write(folder: Path, flips: list[dict[str, Any]], split: Split) -> None:
    """Write flips.json and, where the (only) input is an image, one PNG for each flip."""
    shown = split.take([flip["example"] for flip in flips]).feeds(1)
    entries = []
    for flip, inputs in zip(flips, shown, strict=True):
        (values, *others) = inputs.values()
        picture = None if others else draw(values[0])
        name = f"{flip['example']:06d}.png" if picture else None
        if picture and name:
            (folder / name).write_bytes(picture)
        entries.append({**flip, "picture": name})
    (folder / INDEX).write_text(json.dumps(entries, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read(folder: Path) -> list[dict[str, Any]]:
    """What `write` wrote; nothing where there is nothing.

    Raises:
        UsageError: the index is damaged.
    """
    path = folder / INDEX
    try:
        entries: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
        if not all(entry.keys() >= _KEYS for entry in entries):
            raise ValueError("an entry lacks something")
        return entries
    except (ValueError, TypeError, AttributeError) as error:
        raise UsageError("this is no index of flips", where=str(path), do="Delete it and run `dvc repro`.") from error


def draw(values: NDArray[Any]) -> bytes | None:
    """An input as a PNG, its darkest value black and its brightest white; None when it is no image.

    Args:
        values: [height, width], or with 1 or 3 channels first or last.
    """
    pixels = _pixels(values)
    if pixels is None:
        return None
    try:
        from PIL import Image
    except ImportError:
        return None
    low, high = float(pixels.min()), float(pixels.max())
    scaled = ((pixels - low) / (high - low or 1.0) * 255).round().astype(np.uint8)
    content = io.BytesIO()
    Image.fromarray(scaled).save(content, "PNG")
    return content.getvalue()


def _pixels(values: NDArray[Any]) -> NDArray[np.float64] | None:
    image = values.astype(np.float64)
    if image.ndim == 3 and image.shape[0] in (1, 3) and min(image.shape[1:]) >= 4:
        image = np.moveaxis(image, 0, -1)
    if image.ndim == 3 and image.shape[-1] == 1:
        image = image[..., 0]
    colour = image.ndim == 3 and image.shape[-1] == 3
    if not (image.ndim == 2 or colour) or min(image.shape[:2]) < 4 or max(image.shape[:2]) > 1024:
        return None
    return image
