"""Manifests: what is known of a model file survives its own file, and a damaged one is told."""

import zlib
from dataclasses import asdict
from pathlib import Path

import pytest

from makeweight.artifact import artifact
from makeweight.artifact.artifact import MANIFEST, Manifest, compressed_size, sha256_of
from makeweight_base.errors import UsageError

READY = Manifest(
    variant="int8",
    status="ready",
    runtime="onnxruntime",
    recipe=[{"quantize": {"method": "static", "bits": 8}}],
    seed=7,
    parent="abc",
    versions={"onnxruntime": "1.32.0"},
    file="model.onnx",
    sha256="def",
    size=100,
    size_compressed=90,
    parameters=50,
    macs=None,
    operators={"QLinearConv": 3},
    quantized=3,
    floating=0,
    notes={"quantize": {"µ": [1, 2.5, None]}},
)
FAILED = Manifest("slim", "failed", "onnxruntime", [], 7, "abc", {}, reason="nothing could give up channels")


@pytest.mark.parametrize("manifest", [READY, FAILED], ids=["ready", "failed"])
def test_a_manifest_survives_its_file(tmp_path: Path, manifest: Manifest) -> None:
    artifact.write(tmp_path / "int8", manifest)
    assert asdict(artifact.read(tmp_path / "int8")) == asdict(manifest)


def test_the_model_file_lies_beside_it() -> None:
    assert READY.path(Path("artifacts/int8")) == Path("artifacts/int8/model.onnx")
    with pytest.raises(
        UsageError, match=r"artifacts/slim/manifest\.json: variant `slim` has no model file: nothing could"
    ):
        FAILED.path(Path("artifacts/slim"))


def test_no_manifest_yet(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"manifest\.json: no such artifact yet\n.*dvc repro"):
        artifact.read(tmp_path)


def test_a_damaged_manifest_is_told(tmp_path: Path) -> None:
    artifact.write(tmp_path, READY)
    whole = (tmp_path / MANIFEST).read_text(encoding="utf-8")
    broken = [whole[: len(whole) * i // 20] for i in range(20)]
    broken += [
        "[]",
        "null",
        "{}",
        whole.replace('"seed": 7,', ""),
        whole.replace('"seed"', '"sede"'),
        "<<<<<<< HEAD\n" + whole,
    ]
    for text in broken:
        (tmp_path / MANIFEST).write_text(text, encoding="utf-8")
        with pytest.raises(UsageError, match=r"manifest\.json: this is no manifest"):
            artifact.read(tmp_path)
    (tmp_path / MANIFEST).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match=r"manifest\.json: this is no manifest"):
        artifact.read(tmp_path)


@pytest.mark.parametrize("content", [b"", b"abc", b"x" * 3_000_000])
def test_hash_and_compressed_size_of_a_files_bytes(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    assert compressed_size(path) == len(zlib.compress(content, 9))
    assert len(sha256_of(path)) == 64
    if not content:
        assert sha256_of(path) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
