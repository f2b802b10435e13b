"""What shipped, in a bucket: all objects, whole, before the one that names them; nothing twice; all failures told."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from makeweight.cli import main
from makeweight.shipping import bucket, shipped
from makeweight.shipping.shipped import Shipped
from makeweight_base.errors import EnvironmentFailed, Exit
from unit.shipping.judged_project import CHOSEN, judge, make

PATH = "/bucket/models/net"


@pytest.fixture
def store() -> Iterator[MemoryFileSystem]:
    MemoryFileSystem.store.clear()
    yield MemoryFileSystem()
    MemoryFileSystem.store.clear()


@pytest.fixture
def held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shipped:
    monkeypatch.chdir(tmp_path)
    return ship(tmp_path, b"first")


def ship(root: Path, weights: bytes) -> Shipped:
    make(root, weights)
    judge(root)
    main(["ship"])
    return shipped.read(root / "shipped")


def objects(store: MemoryFileSystem) -> dict[str, bytes]:
    return {path.removeprefix(f"{PATH}/"): store.cat_file(path) for path in store.find("/")}


def test_the_named_objects_are_the_files(store: MemoryFileSystem, held: Shipped) -> None:
    put = bucket.put(held, store, PATH)
    assert (put.sent, put.before) == (6, None)
    found = objects(store)
    told = json.loads(found.pop("shipped.json"))
    assert told["path"] == held.digest
    assert (told["variant"], told["sha256"]) == (CHOSEN, held.sha256)
    assert found == {f"{told['path']}/{name}": (held.folder / name).read_bytes() for name in told["files"]}


def test_what_is_there_whole_is_not_sent_again_and_what_is_damaged_is(store: MemoryFileSystem, held: Shipped) -> None:
    bucket.put(held, store, PATH)
    store.pipe_file(f"{PATH}/{held.digest}/model.onnx", b"rotten")
    assert bucket.put(held, store, PATH).sent == 1
    assert objects(store)[f"{held.digest}/model.onnx"] == b"graph"
    assert bucket.put(held, store, PATH).sent == 0


def test_another_model_lies_beside_the_one_before_and_says_which_that_was(
    store: MemoryFileSystem, held: Shipped, tmp_path: Path
) -> None:
    bucket.put(held, store, PATH)
    second = ship(tmp_path, b"second")
    assert bucket.put(second, store, PATH).before == f"{CHOSEN} ({held.sha256[:12]})"
    found = objects(store)
    assert json.loads(found["shipped.json"])["path"] == second.digest
    assert found[f"{held.digest}/weights/model.bin"] == b"first"
    store.pipe_file(f"{PATH}/shipped.json", b"[]")
    assert bucket.put(second, store, PATH).before == "something that is not ours"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(28, "No space left on device"), "the store failed: .*No space left on device"),
        (PermissionError("Access Denied"), r"the store refuses \(Access Denied\)"),
        (FileNotFoundError("The specified bucket does not exist"), "there is no such bucket"),
        (ValueError("Unable to locate credentials"), "Unable to locate credentials"),
        (RuntimeError(), "the store failed: RuntimeError"),
    ],
    ids=["full", "refused", "no bucket", "another class", "without words"],
)
def test_what_ends_in_the_middle_leaves_what_is_named_as_it_was(
    store: MemoryFileSystem, held: Shipped, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    bucket.put(held, store, PATH)
    before = objects(store)["shipped.json"]
    second = ship(tmp_path, b"second")
    whole = MemoryFileSystem.put_file

    def put_file(self: MemoryFileSystem, source: str, there: str, **more: Any) -> None:
        if there.endswith("model.bin"):
            raise error
        whole(self, source, there, **more)

    with monkeypatch.context() as patched:
        patched.setattr(MemoryFileSystem, "put_file", put_file)
        with pytest.raises(EnvironmentFailed, match=said):
            bucket.put(second, store, PATH)
    assert objects(store)["shipped.json"] == before
    assert bucket.put(second, store, PATH).sent == 1


def test_an_object_that_reads_otherwise_is_told_and_not_named(
    store: MemoryFileSystem, held: Shipped, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MemoryFileSystem, "put_file", lambda self, _, there: self.pipe_file(there, b"rotten"))
    with pytest.raises(EnvironmentFailed, match="reads otherwise than it was sent"):
        bucket.put(held, store, PATH)
    assert "shipped.json" not in objects(store)


def test_another_s_hand_at_the_same_time_is_told(
    store: MemoryFileSystem, held: Shipped, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = MemoryFileSystem.pipe_file
    monkeypatch.setattr(MemoryFileSystem, "pipe_file", lambda self, path, _: whole(self, path, b"another's"))
    with pytest.raises(EnvironmentFailed, match="names already something else again"):
        bucket.put(held, store, PATH)


def test_the_verb_puts_it_there(
    store: MemoryFileSystem, held: Shipped, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bucket, "opened", lambda _: (store, PATH))
    capsys.readouterr()
    assert main(["ship", "--to", "s3://bucket/models/net/", "--json"]) == Exit.PASS
    said = json.loads(capsys.readouterr().out)
    assert said["to"] == f"s3://bucket/models/net/{held.digest}"
    assert (said["sent"], said["before"]) == (6, None)


def test_a_package_that_is_lacking_is_named_and_an_address_without_a_bucket_told(
    held: Shipped, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    assert main(["ship", "--to", "s3://bucket/models"]) == Exit.USAGE
    assert "`pip install s3fs`" in capsys.readouterr().err
    assert main(["ship", "--to", "s3:///models"]) == Exit.USAGE
    assert "names no bucket" in capsys.readouterr().err
