"""Folders that several computers keep on one device: what each finds, sends and clears away, by the shell of this
machine."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from makeweight.devices import kept
from makeweight.devices.side_by_side import hash_of, named

NINE_DAYS = 9 * 86_400


def told(script: str, folder: Path) -> str:
    return subprocess.run(["sh", "-c", script], cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


def folder_of(path: Path, age: float = 0.0) -> Path:
    path.mkdir()
    (path / "model.onnx").write_text(path.name)
    os.utime(path, (time.time() - age,) * 2)
    return path


def test_files_are_named_from_the_folder_of_the_first(tmp_path: Path) -> None:
    names = ("model.onnx", "weights/a.bin", "other/a.bin")
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    files = [tmp_path / name for name in names]
    assert list(named(files)) == list(names)
    assert hash_of(named(files)) == hash_of({name: tmp_path / name for name in names})
    swapped = {"model.onnx": files[0], "weights/a.bin": files[2], "other/a.bin": files[1]}
    assert hash_of(swapped) != hash_of(named(files)), "the same names at the end, and other contents behind them"


def test_one_that_is_missing_is_not_made_by_asking(tmp_path: Path) -> None:
    """Another computer clears it away between two of our questions."""
    old = folder_of(tmp_path / "a1", NINE_DAYS)
    assert told(kept.used("a1"), tmp_path) == "there"
    assert time.time() - old.stat().st_mtime < NINE_DAYS, "it counts as used now"
    assert told(kept.used("b2"), tmp_path) == "missing"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a1"]


def test_what_another_sent_sooner_stays_as_it_is(tmp_path: Path) -> None:
    """Also where it came between the look and the move, by which ours would lie within it."""
    ours, second = kept.arriving("a1"), kept.arriving("a1")
    assert ours != second
    folder_of(tmp_path / ours)
    told(kept.arrived(ours, "a1"), tmp_path)
    told(kept.cleared(ours, "a1"), tmp_path)
    folder_of(tmp_path / second)
    told(kept.arrived(second, "a1"), tmp_path)
    told(f"mv {second} a1; {kept.cleared(second, 'a1')}", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["a1"]
    assert [path.read_text() for path in (tmp_path / "a1").iterdir() if path.name != kept._USED] == [ours]


def test_a_week_after_its_last_use_a_folder_goes_and_nothing_else(tmp_path: Path) -> None:
    for name, age in (("old", NINE_DAYS), ("old.f00", NINE_DAYS), ("gone.gone", NINE_DAYS), ("new", 0)):
        folder_of(tmp_path / name, age)
    folder_of(tmp_path / "python-1", NINE_DAYS)
    (tmp_path / "lock").touch()
    os.utime(tmp_path / "lock", (time.time() - NINE_DAYS,) * 2)
    subprocess.run(["sh", "-c", kept.aged(".", spared="python-*")], cwd=tmp_path, check=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lock", "new", "python-1"]
