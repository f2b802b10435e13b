"""examples/cifar on pictures made by code: ten colours, each a folder of JPEG files."""

from __future__ import annotations

import colorsys
import json
from pathlib import Path

import example_project
import numpy as np
import onnxruntime
import pytest
import yaml
from PIL import Image

pytestmark = pytest.mark.slow
COUNTS = {"train": 12, "test": 4}


def pictures(data: Path) -> None:
    """A folder for each class of the example: noise around a hue of its own."""
    rng = np.random.default_rng(0)
    classes = yaml.safe_load((example_project.EXAMPLES / "cifar/makeweight.yaml").read_text())["task"]["classes"]
    for split, count in COUNTS.items():
        for place, name in enumerate(classes):
            folder = data / split / name
            folder.mkdir(parents=True)
            colour = 255 * np.array(colorsys.hsv_to_rgb(place / len(classes), 0.8, 0.8))
            for number in range(count):
                pixels = (colour + rng.normal(0, 25, (32, 32, 3))).clip(0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.jpg")


def accuracy(model: Path, test: Path) -> float:
    """Of a model file, by onnxruntime and numpy alone."""
    session = onnxruntime.InferenceSession(model)
    right = []
    for target, folder in enumerate(sorted(test.iterdir())):
        for file in sorted(folder.iterdir()):
            pixels = np.asarray(Image.open(file), np.float32).transpose(2, 0, 1) / 255
            (scores,) = session.run(None, {"image": pixels[None]})
            right.append(int(scores[0].argmax()) == target)
    return float(np.mean(right))


def test_pictures_in_class_folders_reach_a_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures(tmp_path / "data")

    example_project.run("cifar", tmp_path, monkeypatch, variant="int8", epochs=12)

    for name in ("baseline", "int8"):
        figures = example_project.measured(tmp_path / f"reports/{name}/evaluate.json")
        model = tmp_path / f"artifacts/{name}/model.onnx"
        assert figures["accuracy"].value == pytest.approx(accuracy(model, tmp_path / "data/test"))
        assert figures["accuracy"].value > 0.5, "nothing was learned, so the comparison says little"
        assert figures["size"].value == model.stat().st_size
    rules = json.loads((tmp_path / "reports/verdict.json").read_text())["rules"]
    assert {rule["verdict"] for rule in rules if rule["metric"].startswith("size")} == {"pass"}
    # the pipeline around both ran on the picture files, and came to the names of classes
    on_device = example_project.measured(tmp_path / "reports/int8/local.json")
    assert on_device["same_answers"].samples in range(1, 41)
    assert any(
        f'"{folder.name}"' in str(on_device["same_answers"].detail) for folder in (tmp_path / "data/test").iterdir()
    )
