"""What lies on disk beside what a lock names: hashes as md5sum has them, and the ways in which it cannot be told."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from makeweight.ci.content import is_as_named

A, B = "0cc175b9c0f1b6a831c399e269772661", "92eb5ffee6ae2fec3ad71c777531578f"
"""`printf a | md5sum`, and of b."""
FOLDER = "8c7722ca16e162851883a240eeae918d.dir"
"""Of `[{"md5": A, "relpath": "in/a"}, {"md5": B, "relpath": "z"}]`, as `dvc add` of DVC 3.67 noted that folder."""


def entries(path: str, md5: str, kind: str = "md5") -> dict[str, object]:
    return {"baseline": {"cmd": "x", "outs": [{"path": path, "md5": md5, "hash": kind}]}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "out/in").mkdir(parents=True)
    (tmp_path / "out/empty").mkdir()
    (tmp_path / "out/in/a").write_text("a")
    (tmp_path / "out/z").write_text("b")
    return tmp_path


def test_files_and_folders_are_as_they_are_named(folder: Path) -> None:
    used = {"compress@x": {"deps": [{"path": "out/z", "md5": B, "hash": "md5"}]}}
    assert is_as_named(folder, entries("out", FOLDER) | used)
    assert not is_as_named(folder, entries("out/z", A))


def test_a_link_to_a_file_is_its_content(folder: Path) -> None:
    (folder / "out/z").rename(folder / "cached")
    (folder / "out/z").symlink_to(folder / "cached")
    assert is_as_named(folder, entries("out", FOLDER))


def test_what_is_not_there_is_nothing_else(folder: Path) -> None:
    assert is_as_named(folder, entries("gone", A))


@pytest.mark.parametrize(
    "how",
    [
        lambda out: (out / "z").write_text("a"),
        lambda out: (out / "more").write_text(""),
        lambda out: (out / "in/a").rename(out / "a"),
        lambda out: (out / "z").unlink(),
        lambda out: (out / "elsewhere").symlink_to(out / "in"),
        lambda out: (out / "nowhere").symlink_to(out / "gone"),
        lambda out: os.mkfifo(out / "pipe"),
    ],
    ids=["altered", "added", "moved", "deleted", "a linked folder", "a broken link", "a pipe"],
)
def test_a_folder_that_is_otherwise_is_not_as_named(folder: Path, how: Callable[[Path], object]) -> None:
    how(folder / "out")
    assert not is_as_named(folder, entries("out", FOLDER))


def test_a_hash_of_another_kind_is_not_understood(folder: Path) -> None:
    """DVC 2 hashed text with its line endings rewritten, and said nothing of it."""
    assert not is_as_named(folder, entries("out/z", B, "md5-dos2unix"))
    assert not is_as_named(folder, {"baseline": {"outs": [{"path": "out/z", "md5": B}]}})
