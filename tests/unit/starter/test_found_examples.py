"""Examples that `init` finds without being told of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

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
    found = {"validation": "data/val", "calibration": "data/calib.csv", "test": "data/test"}
    assert examples.pictures(tmp_path, None) == found
    assert examples.pictures(tmp_path, "data") == found
    assert examples.pictures(tmp_path / "data" / "train", None) == {}


@pytest.mark.parametrize(
    "content",
    [b"profile,age\n", b"Datei;Gr\xf6\xdfe\n1;2\n", "file,target\n".encode("utf-16"), b""],
    ids=["other_columns", "latin_1", "utf_16", "empty"],
)
def test_a_table_that_names_no_pictures_is_passed_over(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "test.csv").write_bytes(content)
    assert examples.pictures(tmp_path, None) == {}


@pytest.mark.parametrize(
    ("shape", "form"),
    [
        (["N", 3, 4, 6], {"size": [4, 6], "mean": [0.0] * 3, "std": [1.0] * 3}),
        (["N", 1, 8, 8], {"size": 8, "mean": [0.0], "std": [1.0]}),
        (["N", 8], None),
        (["N", 3, "H", "W"], None),
    ],
    ids=["colours", "grey", "no_picture", "free"],
)
def test_pictures_have_the_size_that_the_model_takes(shape: list[int | str], form: dict[str, Any] | None) -> None:
    assert examples.form_of_pictures({"x": shape}) == form
    assert examples.form_of_pictures({"x": shape, "y": shape}) is None


def test_a_folder_that_is_given_must_hold_test_pictures(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--images data: holds no test pictures"):
        examples.pictures(tmp_path, "data")


def test_a_first_configuration_with_pictures_holds_together(tmp_path: Path) -> None:
    for split in ("train", "test"):
        (tmp_path / split / "cat").mkdir(parents=True)
        Image.fromarray(np.zeros((4, 6, 3), np.uint8)).save(tmp_path / split / "cat" / "1.png")
    images = {**examples.pictures(tmp_path, None), **(examples.form_of_pictures(PICTURE) or {})}
    made = draft.write(Draft("net", PICTURE, build="net:build", weights="w.pt", images=images))
    project = understand(made, "makeweight.yaml", tmp_path)
    assert project.data.places == {"train": "train", "test": "test"}
    assert set(project.variants) == {"fp16", "int8", "int8-dynamic", "slim", "slim-int8"}


def test_examples_given_twice_are_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="examples are given twice"):
        gather(tmp_path, Given(onnx="m.onnx", data="a:b", images="data"), None, Silent())


@pytest.mark.parametrize("shape", ["x=N,3,H,W", "x=N,4,6,3"], ids=["free", "channels_last"])
def test_pictures_for_a_model_that_takes_none_of_a_known_size_are_refused(tmp_path: Path, shape: str) -> None:
    touch(tmp_path, "w.pt", "data/test/cat/1.png", "net.py")
    (tmp_path / "net.py").write_text("def build(): ...\n")
    given = Given(build="net:build", weights="w.pt", images="data", inputs=(shape,))
    with pytest.raises(UsageError, match=r"--images: pictures are one input .* the model takes `x`") as told:
        gather(tmp_path, given, None, Silent())
    assert "`--inputs x=N,3,224,224`" in str(told.value.do)
