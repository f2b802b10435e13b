"""Files told by their content, whatever they are called."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from makeweight.artifact.kind import absent, kind_of


def archive(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name in names:
            file.writestr(name, b"x")
    return buffer.getvalue()


def arrays() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, x=np.zeros(2))
    return buffer.getvalue()


HEADER = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
SAFE = len(HEADER).to_bytes(8, "little") + HEADER + bytes(4)
SHARDS = json.dumps({"weight_map": {"a": "1.safetensors", "b": "2.safetensors", "c": "2.safetensors"}}).encode()


@pytest.mark.parametrize(
    ("content", "what", "way_out"),
    [
        (b"", "an empty file", "save it again"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "a Git LFS pointer", "git lfs pull"),
        (b"outs:\n- md5: 0\n  size: 9\n  path: model.pt\n", "a pointer of DVC's", "dvc pull"),
        (b"/annex/objects/SHA256E-s9--0.pt\n", "a git-annex pointer", "git annex get"),
        (b"<!DOCTYPE html><html>", "a web page", "Download the file"),
        (archive("m/data.pkl", "m/version", "m/data/0"), "a file of PyTorch's", "model.weights"),
        (archive("m/data.pkl", "m/code/__torch__.py", "m/constants.pkl"), "a TorchScript file", "torch.jit.load"),
        (archive("m/archive_format", "m/models/model.json"), "a torch.export program", "model.pt2"),
        (
            archive("config.json", "metadata.json", "model.weights.h5"),
            "a Keras model",
            "tflite_convert --keras_model_file=FILE",
        ),
        (arrays(), "a numpy file of arrays", "torch.save"),
        (archive("MAR-INF/MANIFEST.json"), "a zip archive", "Unpack it"),
        (archive("m/data.pkl")[:-9], "cut short or damaged", "Fetch it"),
        (b"\x89HDF\r\n\x1a\n", "an HDF5 file", "pip install tensorflow"),
        (b"\x1c\x00\x00\x00TFL3", "a LiteRT", "model.tflite"),
        (b"\x1c\x00\x00\x00ET12", "an ExecuTorch file", "model.pte"),
        (b"\x08\x01\x12\xd8\x02\n\x52\n\x08", "a TensorFlow SavedModel", "--saved_model_dir=FOLDER"),
        (b"\n\x10\n\x01x\x12\x0bPlaceholder", "a frozen graph of TensorFlow's", "--graphdef"),
        (b"\x80\x04\x95\x10\x00\x8c\x0csklearn.svm", "a pickled model of scikit-learn", "skl2onnx"),
        (b"\x80\x04\x95\x10\x00", "a pickle", "torch.save"),
        (SAFE, "a safetensors file", "model.weights"),
        (SAFE[:30], "cut short or damaged", "Fetch it"),
        (SHARDS, "an index of weights that lie in 2 files", "one"),
        (b"\x08\x0a\x12\x07pytorch", "an ONNX file", "model.onnx"),
        (b"\x1f\x8b\x08", "compressed by gzip", "Unpack it"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_kind_is_named_with_the_way_out(tmp_path: Path, content: bytes, what: str, way_out: str) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(content)
    kind = kind_of(path)
    assert kind is not None
    assert what in kind.what
    assert way_out in kind.do


@pytest.mark.parametrize(
    "content", [b"hello\n", b"{}", b"{not json", bytes(1000)], ids=["text", "json", "odd", "zeros"]
)
def test_nothing_is_made_up(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.bin").write_bytes(content)
    assert kind_of(tmp_path / "model.bin") is None


def test_folders(tmp_path: Path) -> None:
    assert kind_of(tmp_path) is None
    (tmp_path / "saved_model.pb").touch()
    kind = kind_of(tmp_path)
    assert kind is not None
    assert kind.what == "the folder of a TensorFlow SavedModel"


def test_what_is_not_there_and_where_it_is_kept(tmp_path: Path) -> None:
    assert absent(tmp_path / "model.pt") == ("no such file", None)
    (tmp_path / "model.pt.dvc").touch()
    assert absent(tmp_path / "model.pt") == (
        "the file is kept by DVC and is not here yet",
        "Run `dvc pull model.pt.dvc` in its folder.",
    )
    (tmp_path / "my model.pt.dvc").touch()
    assert "`dvc pull 'my model.pt.dvc'`" in str(absent(tmp_path / "my model.pt")[1])
    (tmp_path / "linked.pt").symlink_to("cache/gone")
    assert absent(tmp_path / "linked.pt")[0] == "the file is a link to nothing"
