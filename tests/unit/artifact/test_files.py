"""Files on the scales, and names that do not lead out of their folder."""

import hashlib
import zlib
from pathlib import Path

import pytest

from makeweight.artifact.files import File, compressed_size, files_of, is_within, sha256_of


@pytest.mark.parametrize("content", [b"", b"abc", b"x" * 3_000_000], ids=["empty", "short", "long"])
def test_hash_and_compressed_size_of_a_files_bytes(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    assert compressed_size(path) == len(zlib.compress(content, 9))
    assert sha256_of(path) == hashlib.sha256(content).hexdigest()
    assert files_of(tmp_path, ["model.onnx"]) == (File("model.onnx", len(content), sha256_of(path)),)


@pytest.mark.parametrize(
    ("name", "within"),
    [
        ("model.onnx", True),
        ("weights/part 1.bin", True),
        ("..data", True),
        ("", False),
        (".", False),
        ("../model.onnx", False),
        ("weights/../../model.onnx", False),
        ("/etc/passwd", False),
        ("model\0.onnx", False),
    ],
)
def test_a_name_that_leads_out_of_the_folder(name: str, within: bool) -> None:
    assert is_within(name) == within
