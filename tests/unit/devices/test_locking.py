"""What is locked on a device, as its shell finds it: what is named, what all accounts see, or a file of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from makeweight.devices import locking
from makeweight_probe.alone import LOCK, locked


@pytest.fixture
def all_see(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cpu"
    folder.mkdir(mode=0o555)
    monkeypatch.setattr(locking, "MACHINE", folder)
    monkeypatch.delenv(LOCK)
    return folder


def exported(own: str) -> str:
    script = f'{locking.named(own)}; printf %s "${{{LOCK}-unset}}"'
    return subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout


def test_an_accounts_own_file_is_locked_where_there_is_nothing_else_alone(
    all_see: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert exported("own/lock") == "unset", "the probe finds what all see by itself"
    monkeypatch.setenv(LOCK, "/shared/lock")
    assert exported("own/lock") == "/shared/lock"
    monkeypatch.setenv(LOCK, "")
    assert exported("own/lock") == ""
    monkeypatch.delenv(LOCK)
    monkeypatch.setattr(locking, "MACHINE", all_see / "none")
    assert exported("own/lock") == "own/lock"


@contextmanager
def holding(own: Path) -> Iterator[list[str]]:
    """What it prints, line by line."""
    said: list[str] = []
    holder = subprocess.Popen(
        ["sh", "-c", locking.holding(str(own))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert holder.stdout is not None
    try:
        said.append(holder.stdout.readline().strip())
        yield said
    finally:
        os.killpg(holder.pid, signal.SIGKILL)  # one that waits does not look at its input
        holder.communicate()


def test_a_program_waits_for_the_probe_of_another_account_and_the_probe_for_it(all_see: Path, tmp_path: Path) -> None:
    with holding(tmp_path / "own") as said:
        assert said == [locking.HELD]
        with holding(tmp_path / "others") as waits:
            assert waits == [locking.WAITS], "of another account, with another file of its own"
    with locked(all_see, lambda: None), holding(tmp_path / "own") as said:
        assert said == [locking.WAITS]
    assert not (tmp_path / "own").exists()


def test_what_is_named_is_held_in_its_place(all_see: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LOCK, str(tmp_path / "named"))
    with locked(all_see, lambda: None), holding(tmp_path / "own") as said:
        assert said == [locking.HELD]
        assert (tmp_path / "named").exists()
    monkeypatch.setenv(LOCK, "")
    with holding(tmp_path / "own") as said, holding(tmp_path / "own") as also:
        assert (said, also) == ([locking.HELD], [locking.HELD]), "nobody waits for anybody"


def test_what_is_locked_is_opened_for_the_command_that_locks_it() -> None:
    """Android's shell keeps what `exec` alone opens to itself (mksh(1)), and `flock` would find nothing open there."""
    assert re.search(r"exec \d", locking.holding("own/lock")) is None
