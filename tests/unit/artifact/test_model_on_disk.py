"""A model of several files: size, hash, copy and wholeness are those of all of them."""

import hashlib
import zlib
from dataclasses import replace
from pathlib import Path

import pytest

from makeweight.artifact.model import Model
from makeweight.artifact.ports import Port
from model_values import invented_model, model_in

CONTENT = {"split.onnx": b"graph", "weights/split.bin": b"w" * 1000}


@pytest.fixture
def split(tmp_path: Path) -> Model:
    for name, content in CONTENT.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    return model_in(tmp_path, *CONTENT)


def test_size_is_that_of_all_files(split: Model) -> None:
    assert split.size == 1005
    assert split.compressed_size() == sum(len(zlib.compress(content, 9)) for content in CONTENT.values())
    assert split.path == split.folder / "split.onnx"


def test_a_file_alone_keeps_its_own_hash(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"alone")
    assert model_in(tmp_path).sha256 == hashlib.sha256(b"alone").hexdigest()


def test_the_hash_of_several_is_over_names_and_hashes(split: Model) -> None:
    listed = "".join(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in CONTENT.items())
    assert split.sha256 == hashlib.sha256(listed.encode()).hexdigest()


def test_the_hash_changes_with_any_byte_and_any_name(split: Model) -> None:
    renamed = replace(split, files=(split.files[0], replace(split.files[1], name="weights/other.bin")))
    (split.folder / "weights/split.bin").write_bytes(b"w" * 999 + b"v")
    changed = split.at_hand()
    assert changed is not None
    assert len({split.sha256, renamed.sha256, changed.sha256}) == 3


def test_it_is_whole_while_every_file_is_what_it_was(split: Model) -> None:
    assert split.is_whole()
    (split.folder / "weights/split.bin").write_bytes(b"v" * 1000)
    assert not split.is_whole()
    (split.folder / "weights/split.bin").unlink()
    assert not split.is_whole()
    assert split.at_hand() is None


def test_a_copy_has_all_files_and_another_name_for_the_first(split: Model, tmp_path: Path) -> None:
    copied = split.copy(tmp_path / "there" / "model.onnx")
    assert [file.name for file in copied.files] == ["model.onnx", "weights/split.bin"]
    assert copied.is_whole()
    assert (tmp_path / "there" / "weights" / "split.bin").read_bytes() == CONTENT["weights/split.bin"]
    assert copied.size == split.size


@pytest.mark.parametrize(("shape", "batch"), [(("N", 3), None), ((None, 3), None), ((4, 3), 4)], ids=str)
def test_the_batch_is_known_without_opening_it(shape: tuple[int | str | None, ...], batch: int | None) -> None:
    assert invented_model(inputs=(Port("x", shape, "float32"),)).batch == batch
