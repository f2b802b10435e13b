"""The lock of a machine: one holder at a time, whatever others have put in its place, and no file left where the holder
removes it."""

import fcntl
import os
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from file_locks import waited_for
from makeweight_probe import ProbeFailed
from makeweight_probe import alone as machine
from makeweight_probe.alone import LOCK, MACHINE, StillHeld, alone, locked, place


@pytest.mark.parametrize("removed", [False, True], ids=["kept", "removed"])
def test_one_holder_at_a_time(tmp_path: Path, removed: bool) -> None:
    """Also where one waited at a file that its holder removes, and a third made it anew."""
    path, inside, most = tmp_path / "lock", [0], [0]

    def hold(_: int) -> None:
        for _ in range(20):
            with locked(path, lambda: None):
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                time.sleep(0)
                inside[0] -= 1
                if removed:
                    path.unlink()

    with ThreadPoolExecutor(8) as beside:
        list(beside.map(hold, range(8)))
    assert most == [1]
    assert path.exists() != removed


def test_what_all_accounts_see_can_be_locked_by_who_may_only_read_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the kernel's folder of processors, which no account may write to: it is that one where nothing is named."""
    folder = tmp_path / "cpu"
    folder.mkdir(mode=0o555)
    monkeypatch.delenv(LOCK)
    assert place() == MACHINE
    monkeypatch.setattr(machine, "MACHINE", folder)

    def waits() -> None:
        with alone():
            pass

    with ThreadPoolExecutor(1) as beside:
        with locked(folder, lambda: None):
            asked = beside.submit(waits)
            while not waited_for(folder):
                assert not asked.done(), asked.result()
                time.sleep(0.02)
        asked.result()
    assert capsys.readouterr().err == "another measurement ran on this machine: waited for its end\n"


def test_where_there_is_no_such_folder_a_file_is_locked_that_all_find(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As on a Mac. What is named counts before either."""
    monkeypatch.delenv(LOCK)
    monkeypatch.setattr(machine, "MACHINE", tmp_path / "none")
    assert place() == Path("/tmp/makeweight.lock")
    monkeypatch.setattr(machine, "OTHERWISE", tmp_path / "all")
    with alone():
        assert (tmp_path / "all").is_file()
    monkeypatch.setattr(machine, "OTHERWISE", tmp_path / "no folder/all")
    with alone():
        assert "cannot be locked (No such file or directory)" in capsys.readouterr().err
    monkeypatch.setenv(LOCK, str(place()))  # as a search has it for its workers
    with alone():
        assert "cannot be locked (No such file or directory)" in capsys.readouterr().err
    monkeypatch.setenv(LOCK, str(tmp_path / "named"))
    with alone():
        assert (tmp_path / "named").is_file()
    monkeypatch.setenv(LOCK, "")
    with locked(tmp_path / "named", lambda: None), alone():
        pass
    monkeypatch.setenv(LOCK, str(tmp_path / "missing/lock"))
    said = r"MAKEWEIGHT_LOCK names .*missing/lock, in a folder that is not there"
    with pytest.raises(ProbeFailed, match=said), alone():
        pass


def test_nothing_of_a_strangers_is_followed_written_or_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a folder that all may write to, somebody was there before."""
    mine = tmp_path / "mine"
    mine.write_text("what is mine")
    planted = {"link": "Too many levels", "dangling": "Too many levels", "pipe": "it is no file"}
    (tmp_path / "link").symlink_to(mine)
    (tmp_path / "dangling").symlink_to(tmp_path / "not-yet")
    os.mkfifo(tmp_path / "pipe")
    for name, said in planted.items():
        with pytest.raises(OSError, match=said), locked(tmp_path / name, lambda: None):
            pass
        monkeypatch.setenv(LOCK, str(tmp_path / name))
        with alone():
            pass
        told = capsys.readouterr().err
        assert told.startswith(f"nothing keeps other measurements from running meanwhile: {tmp_path / name} cannot be")
    assert mine.read_text() == "what is mine"
    assert not (tmp_path / "not-yet").exists()


def test_others_can_lock_a_file_whatever_the_mask_of_who_made_it(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        with locked(tmp_path / "lock", lambda: None):
            assert stat.S_IMODE((tmp_path / "lock").stat().st_mode) == 0o644
    finally:
        os.umask(before)


def test_one_that_never_ends_is_not_waited_for_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_LOOK", 0.01)
    with locked(tmp_path / "lock", lambda: None):
        with pytest.raises(StillHeld), locked(tmp_path / "lock", lambda: None, patience=0.05):
            pass
        with ThreadPoolExecutor(1) as beside:
            holder = os.open(tmp_path / "other", os.O_RDWR | os.O_CREAT)
            fcntl.flock(holder, fcntl.LOCK_EX)
            said: list[str] = []

            def waits() -> None:
                with locked(tmp_path / "other", lambda: said.append("waited"), patience=60):
                    pass

            asked = beside.submit(waits)
            time.sleep(0.03)
            os.close(holder)
            asked.result()
            assert len(said) <= 1, "it may have begun to wait only after that"
