"""What `makeweight compare` says of two files."""

from pathlib import Path

import pytest

from makeweight.compare import telling


@pytest.mark.parametrize(
    ("a", "b", "told"),
    [
        ("net.onnx", "small/net.tflite", ("net.onnx", "net.tflite")),
        ("baseline/model.onnx", "int8/model.onnx", ("baseline/model.onnx", "int8/model.onnx")),
    ],
    ids=["apart", "alike"],
)
def test_two_files_of_one_name_are_told_with_their_folders(a: str, b: str, told: tuple[str, str]) -> None:
    assert telling._names(Path(a), Path(b)) == told
