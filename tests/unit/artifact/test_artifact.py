"""Manifests: what is known of a model file survives its own file, and a damaged one is told."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from makeweight.artifact import artifact
from makeweight.artifact.artifact import MANIFEST, Manifest
from makeweight.artifact.files import File
from makeweight.artifact.model import Model
from makeweight.artifact.ports import Port
from makeweight_base.errors import UsageError
from model_values import model_in

MODEL = Model(
    folder=Path("artifacts/int8"),
    runtime="onnxruntime",
    files=(File("model.onnx", 60, "def"), File("weights/model.bin", 40, "abc")),
    inputs=(Port("image", ("N", 3, None, 8), "float32"), Port("words", (), "")),
    outputs=(Port("scores", ("N", 10), "float32"),),
    packages={"onnxruntime": "1.32.0"},
)
READY = Manifest(
    variant="int8",
    status="ready",
    runtime="onnxruntime",
    recipe=[{"quantize": {"method": "static", "bits": 8}}],
    seed=7,
    parent="abc",
    versions={"onnxruntime": "1.32.0"},
    model=MODEL,
    control=replace(MODEL, files=(File("control.onnx", 90, "123"),)),
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
    found = artifact.read(tmp_path / "int8")
    assert found == manifest
    if manifest.model is not None:
        assert found.model is not None
        assert asdict(found.model) == {**asdict(manifest.model), "folder": tmp_path / "int8"}, "it lies beside it"


def test_hash_and_size_stand_in_front_for_readers_of_no_more(tmp_path: Path) -> None:
    artifact.write(tmp_path, READY)
    told = json.loads((tmp_path / MANIFEST).read_text())
    assert (told["sha256"], told["size"]) == (MODEL.sha256, 100)
    artifact.write(tmp_path, FAILED)
    told = json.loads((tmp_path / MANIFEST).read_text())
    assert (told["sha256"], told["size"], told["model"]) == (None, None, None)


def test_only_the_model_that_it_tells_of_is_put_to_work(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="variant `slim` has no model file: nothing could"):
        FAILED.made()
    (tmp_path / "model.onnx").write_bytes(b"whole")
    manifest = replace(READY, model=model_in(tmp_path))
    assert manifest.made().path == tmp_path / "model.onnx"
    for change in (lambda path: path.write_bytes(b"other"), lambda path: path.unlink()):
        change(tmp_path / "model.onnx")
        with pytest.raises(UsageError, match=r"model\.onnx: the model of `int8` is missing, or not the one that"):
            manifest.made()


def test_no_manifest_yet(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"manifest\.json: no such artifact yet\n.*dvc repro"):
        artifact.read(tmp_path)


def test_a_damaged_manifest_is_told(tmp_path: Path) -> None:
    artifact.write(tmp_path, READY)
    whole = (tmp_path / MANIFEST).read_text(encoding="utf-8")
    broken = [whole[: len(whole) * i // 20] for i in range(20)]
    broken += [
        "[]",
        whole.replace('"size": 100', '"size": 99'),
        whole.replace('"weights/model.bin"', '"../model.bin"'),
        whole.replace('"weights/model.bin"', '"/etc/passwd"'),
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
