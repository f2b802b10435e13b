"""Folders that are kept where the clock of the device jumps: what was used in this run of it goes by its uptime."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from makeweight.devices import kept

NINE_DAYS = 9 * 86_400


def told(script: str, folder: Path) -> str:
    return subprocess.run(["sh", "-c", script], cwd=folder, capture_output=True, text=True, check=False).stdout.strip()


@pytest.fixture
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Up for ten days, in its second run."""
    (tmp_path / "boot").write_text("second\n")
    (tmp_path / "uptime").write_text(f"{10 * 86_400}.25 3.00\n")
    now = kept._NOW.replace(kept._BOOT, str(tmp_path / "boot")).replace(kept._UPTIME, str(tmp_path / "uptime"))
    monkeypatch.setattr(kept, "_NOW", now)
    (tmp_path / "kept").mkdir()
    return tmp_path


def folder(device: Path, name: str, note: str | None = None) -> None:
    """One that was last used nine days ago by the clock of now."""
    path = device / "kept" / name
    path.mkdir()
    if note is not None:
        (path / kept._USED).write_text(f"{note}\n")
    os.utime(path, (time.time() - NINE_DAYS,) * 2)


def test_what_was_just_used_stays_when_the_clock_jumps(device: Path) -> None:
    folder(device, "used")
    assert told(kept.used("used"), device / "kept") == "there"
    folder(device, "arriving")
    told(kept.arrived("arriving", "arrived"), device / "kept")
    for name in ("used", "arrived"):
        os.utime(device / "kept" / name, (time.time() - NINE_DAYS,) * 2)  # the network tells it what day it is
    told(kept.aged("."), device / "kept")
    assert sorted(path.name for path in (device / "kept").iterdir()) == ["arrived", "used"]


@pytest.mark.parametrize(
    ("note", "stays"),
    [
        (f"second {4 * 86_400}", True),
        (f"second {2 * 86_400}", False),
        (f"first {9 * 86_400}", False),
        ("second", False),
        ("", False),
        (None, False),
    ],
    ids=["days", "over-a-week", "another-run", "no-uptime", "empty", "none"],
)
def test_a_week_is_counted_by_its_uptime_within_one_run(device: Path, note: str | None, stays: bool) -> None:
    folder(device, "a1", note)
    told(kept.aged("."), device / "kept")
    assert (device / "kept/a1").exists() is stays


def test_where_a_system_tells_neither_times_alone_count(device: Path) -> None:
    for name in ("boot", "uptime"):
        (device / name).unlink()
    folder(device, "a1", "")
    assert told(kept.used("a1"), device / "kept") == "there"
    told(kept.aged("."), device / "kept")
    assert (device / "kept/a1").exists()
    os.utime(device / "kept/a1", (time.time() - NINE_DAYS,) * 2)
    told(kept.aged("."), device / "kept")
    assert not (device / "kept/a1").exists()


def test_a_folder_is_found_where_a_full_disk_takes_no_note(device: Path) -> None:
    folder(device, "a1")
    (device / "kept/a1" / kept._USED).mkdir()
    assert told(kept.used("a1"), device / "kept") == "there"
