"""Flipped examples: the right ones, the surest first, and drawn where they are images."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from makeweight.config.settings import TaskSettings
from makeweight.measure import flips
from makeweight.measure.flips import INDEX, KEPT
from makeweight.measure.outcomes import WRONG, Outcomes
from makeweight_base.errors import UsageError
from split_values import split_of


def answered(prediction: list[int], confidence: list[float], target: list[int]) -> Outcomes:
    answers = np.array(prediction)
    kept = {"prediction": answers, "confidence": np.array(confidence), "target": np.array(target)}
    return Outcomes(kept, answers != WRONG, None, 3, "softmax", "d")


def test_what_the_baseline_has_right_and_the_variant_wrong_surest_first() -> None:
    target = [0, 1, 2, 0, 1]
    base = answered([0, 1, 2, 1, 1], [0.6, 0.9, 0.7, 0.9, 0.8], target)
    own = answered([1, 0, 2, 0, WRONG], [0.5, 0.6, 0.9, 0.9, np.nan], target)
    found = flips.choose(TaskSettings(classes=["cat", "dog", "owl"]), own, base)
    assert [flip["example"] for flip in found] == [1, 4, 0]
    assert found[0] == {
        "example": 1,
        "truth": "dog",
        "variant": "cat",
        "baseline_confidence": 0.9,
        "variant_confidence": 0.6,
    }
    assert (found[1]["variant"], found[1]["variant_confidence"]) == ("not a number", None)


def test_only_so_many_are_kept() -> None:
    n = KEPT + 20
    base, own = answered([0] * n, [0.9] * n, [0] * n), answered([1] * n, [0.9] * n, [0] * n)
    assert [flip["example"] for flip in flips.choose(TaskSettings(), own, base)] == list(range(KEPT))


def flip(example: int) -> dict[str, Any]:
    return {"example": example, "truth": "é", "variant": "1", "baseline_confidence": 1.0, "variant_confidence": None}


def test_each_flip_of_images_is_a_picture(tmp_path: Path) -> None:
    images = np.random.default_rng(0).random((20, 1, 8, 8)).astype(np.float32)
    flips.write(tmp_path, [flip(7), flip(3)], split_of("test", {"image": images}, np.zeros(20)))
    read = flips.read(tmp_path)
    assert [entry["picture"] for entry in read] == ["000007.png", "000003.png"]
    assert read[0]["truth"] == "é"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["000003.png", "000007.png", INDEX]


@pytest.mark.parametrize(
    "inputs", [{"x": np.zeros((5, 12))}, {"a": np.zeros((5, 8, 8)), "b": np.zeros((5, 8, 8))}], ids=["tabular", "two"]
)
def test_what_is_no_single_image_has_no_picture(tmp_path: Path, inputs: dict[str, np.ndarray]) -> None:
    flips.write(tmp_path, [flip(0)], split_of("test", inputs, np.zeros(5)))
    assert [entry["picture"] for entry in flips.read(tmp_path)] == [None]


@pytest.mark.parametrize(
    ("shape", "drawn"),
    [
        ((8, 8), (8, 8)),
        ((1, 8, 6), (6, 8)),
        ((3, 8, 6), (6, 8)),
        ((8, 6, 1), (6, 8)),
        ((8, 6, 3), (6, 8)),
        ((3, 3, 8), None),
        ((8,), None),
        ((), None),
        ((2, 8, 8), None),
        ((2, 100), None),
        ((2000, 8), None),
        ((1, 3, 8, 8), None),
    ],
)
def test_what_is_an_image(shape: tuple[int, ...], drawn: tuple[int, int] | None) -> None:
    png = flips.draw(np.arange(float(np.prod(shape))).reshape(shape))
    if drawn is None:
        assert png is None
    else:
        assert png is not None
        image = Image.open(io.BytesIO(png))
        assert image.size == drawn
        assert (np.min(image), np.max(image)) == (0, 255), "darkest black, brightest white"


def test_an_image_of_one_shade_is_drawn_black() -> None:
    png = flips.draw(np.full((8, 8), 7, np.uint8))
    assert png is not None
    assert np.max(Image.open(io.BytesIO(png))) == 0


def test_without_an_index_there_are_none(tmp_path: Path) -> None:
    assert flips.read(tmp_path) == []


@pytest.mark.parametrize("content", ["", "[", '{"a": 1}', "[5]", "5", json.dumps([{"example": 1}])])
def test_a_damaged_index_is_told(tmp_path: Path, content: str) -> None:
    (tmp_path / INDEX).write_text(content)
    with pytest.raises(UsageError, match=r"flips\.json: this is no index of flips"):
        flips.read(tmp_path)
