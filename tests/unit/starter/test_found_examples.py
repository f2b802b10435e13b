"""Examples that `init` finds without being told of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from makeweight.project.reading import understand
from makeweight.starter import draft, examples
from makeweight.starter.arguments import Given
from makeweight.starter.draft import Draft, Shape
from makeweight.starter.gather import gather
from makeweight_base.errors import UsageError
from makeweight_base.progress import Silent

PICTURE: dict[str, Shape] = {"image": ["N", 3, 4, 6]}


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")


@pytest.mark.parametrize(
    ("files", "found"),
    [
        (("data/test.npz", "data/cal.npz"), {"calibration": "data/cal.npz", "test": "data/test.npz"}),
        (("Test.npz", "val.npz", "other.npz"), {"validation": "val.npz", "test": "Test.npz"}),
        (("train.npz",), {}),
        (("a/test.npz", "b/test.npz"), {}),
        (("samples/test.npz",), {}),
    ],
    ids=["two", "aliases", "no_test", "two_tests", "made_by_makeweight"],
)
def test_arrays_by_their_names(tmp_path: Path, files: tuple[str, ...], found: dict[str, str]) -> None:
    touch(tmp_path, *files)
    assert examples.arrays(tmp_path) == found


def test_pictures_in_folders_and_tables(tmp_path: Path) -> None:
    touch(tmp_path, "data/test/cat/1.jpg", "data/test/dog/2.PNG", "data/val/cat/3.webp", "data/train/notes/1.txt")
    (tmp_path / "data" / "calib.csv").write_text("file,target\n")
    plain = {"size": [4, 6], "mean": [0.0] * 3, "std": [1.0] * 3}
    found = {"validation": "data/val", "calibration": "data/calib.csv", "test": "data/test"}
    assert examples.images(tmp_path, PICTURE, None) == {**found, **plain}
    assert examples.images(tmp_path, {"image": ["N", 1, 8, 8]}, "data")["mean"] == [0.0]
    assert examples.images(tmp_path, {"x": ["N", 8]}, None) == {}


@pytest.mark.parametrize(
    ("inputs", "said"),
    [({"x": ["N", 8]}, "the model does not take pictures"), (PICTURE, "--images data: holds no test pictures")],
)
def test_a_folder_that_is_given_must_hold_what_the_model_takes(
    tmp_path: Path, inputs: dict[str, Shape], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        examples.images(tmp_path, inputs, "data")


def test_a_first_configuration_with_pictures_holds_together(tmp_path: Path) -> None:
    for split in ("train", "test"):
        (tmp_path / split / "cat").mkdir(parents=True)
        Image.fromarray(np.zeros((4, 6, 3), np.uint8)).save(tmp_path / split / "cat" / "1.png")
    images = examples.images(tmp_path, PICTURE, None)
    made = draft.write(Draft("net", PICTURE, build="net:build", weights="w.pt", images=images))
    project = understand(made, "makeweight.yaml", tmp_path)
    assert project.data.places == {"train": "train", "test": "test"}
    assert set(project.variants) == {"fp16", "int8", "int8-dynamic", "slim", "slim-int8"}


def test_examples_given_twice_are_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="examples are given twice"):
        gather(tmp_path, Given(onnx="m.onnx", data="a:b", images="data"), None, Silent())
