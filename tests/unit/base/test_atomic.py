"""Writes that happen whole or not at all, also when the disk is full and when the process is interrupted."""

import errno
import fcntl
import os
import resource
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from makeweight_base.atomic import replacing, replacing_folder, write_bytes, write_text
from makeweight_base.errors import EnvironmentFailed, Exit


@contextmanager
def full_disk(after: int) -> Iterator[None]:
    """No file of this process may grow beyond `after` bytes: the kernel itself refuses the write (EFBIG)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (after, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def everything(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*"))


def write_half_of_it(target: Path, error: BaseException) -> None:
    with replacing(target) as temporary:
        temporary.write_bytes(b"half")
        raise error


def fill_half_of_it(target: Path, error: BaseException) -> None:
    with replacing_folder(target) as temporary:
        (temporary / "model.onnx").write_bytes(b"half")
        raise error


def test_a_file_takes_its_name_when_the_block_ends(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "er" / "model.onnx"
    with replacing(target) as temporary:
        temporary.write_bytes(b"new")
        assert not target.exists()
    assert target.read_bytes() == b"new"
    assert everything(target.parent) == ["model.onnx"]


def test_an_existing_file_is_replaced_whole(tmp_path: Path) -> None:
    target = tmp_path / "report.md"
    write_text(target, "old and long")
    write_text(target, "naïve µ")
    assert target.read_text(encoding="utf-8") == "naïve µ"


def test_a_link_is_replaced_and_never_written_through(tmp_path: Path) -> None:
    """DVC links outputs from its cache: writing through the link would forge the cache."""
    cached, target = tmp_path / "cached", tmp_path / "model.onnx"
    cached.write_bytes(b"cached")
    target.symlink_to(cached)
    write_bytes(target, b"new")
    assert (cached.read_bytes(), target.read_bytes(), target.is_symlink()) == (b"cached", b"new", False)


def test_what_is_written_is_as_readable_as_the_users_other_files(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        write_text(tmp_path / "file", "x")
        with replacing_folder(tmp_path / "folder"):
            pass
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o644
    assert stat.S_IMODE((tmp_path / "folder").stat().st_mode) == 0o755


@pytest.mark.parametrize("old", [None, b"old"])
@pytest.mark.parametrize("error", [RuntimeError("mine"), KeyboardInterrupt(), OSError(errno.ENOENT, "no such")])
def test_a_block_that_fails_leaves_the_file_as_it_was(tmp_path: Path, old: bytes | None, error: BaseException) -> None:
    target = tmp_path / "model.onnx"
    if old is not None:
        target.write_bytes(old)
    with pytest.raises(type(error)) as raised:
        write_half_of_it(target, error)
    assert raised.value is error, "an error of the block keeps its own meaning"
    assert everything(tmp_path) == ([] if old is None else ["model.onnx"])
    assert old is None or target.read_bytes() == old


@pytest.mark.parametrize("error", [RuntimeError("mine"), KeyboardInterrupt(), PermissionError(errno.EACCES, "theirs")])
def test_a_block_that_fails_leaves_the_folder_as_it_was(tmp_path: Path, error: BaseException) -> None:
    target = tmp_path / "int8"
    target.mkdir()
    (target / "model.onnx").write_bytes(b"old")
    with pytest.raises(type(error)) as raised:
        fill_half_of_it(target, error)
    assert raised.value is error
    assert everything(tmp_path) == ["int8", "model.onnx"]
    assert (target / "model.onnx").read_bytes() == b"old"


def test_a_full_disk_is_an_environment_failure_and_the_old_file_survives(tmp_path: Path) -> None:
    target = tmp_path / "model.onnx"
    target.write_bytes(b"old")
    with full_disk(after=1000), pytest.raises(EnvironmentFailed) as failed:
        write_bytes(target, b"x" * 5000)
    assert str(failed.value).startswith(f"{target}: could not write: ")
    assert "Free some space or mend the permissions, then run again; nothing was overwritten" in str(failed.value)
    assert failed.value.exit_code == Exit.ENVIRONMENT
    assert target.read_bytes() == b"old"
    assert everything(tmp_path) == ["model.onnx"]


def test_a_full_disk_leaves_the_old_folder(tmp_path: Path) -> None:
    target = tmp_path / "int8"
    target.mkdir()
    (target / "model.onnx").write_bytes(b"old")
    with full_disk(after=1000), pytest.raises(EnvironmentFailed), replacing_folder(target) as temporary:
        (temporary / "model.onnx").write_bytes(b"x" * 5000)
    assert everything(tmp_path) == ["int8", "model.onnx"]
    assert (target / "model.onnx").read_bytes() == b"old"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO])
def test_every_way_a_disk_fails_is_told_as_one(tmp_path: Path, number: int) -> None:
    for replace in (replacing, replacing_folder):
        with pytest.raises(EnvironmentFailed, match=os.strerror(number)), replace(tmp_path / "x"):
            raise OSError(number, os.strerror(number))
    assert everything(tmp_path) == []


def test_a_disk_that_fails_as_the_file_is_made_safe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    (tmp_path / "x").write_text("old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(EnvironmentFailed, match="No space left on device"):
        write_text(tmp_path / "x", "new")
    assert (tmp_path / "x").read_text() == "old"
    assert everything(tmp_path) == ["x"]


def test_a_name_that_cannot_be_taken_is_told(tmp_path: Path) -> None:
    (tmp_path / "reports").write_text("the user's own file")
    for replace in (replacing, replacing_folder):
        below = tmp_path / "reports" / "verdict.json"
        with pytest.raises(EnvironmentFailed, match=r"could not write: .*\n.*A file stands where"), replace(below):
            pytest.fail("the block must not begin")
    (tmp_path / "folder").mkdir()
    with pytest.raises(EnvironmentFailed, match=r"could not write: Is a directory\n.* a folder where a file does"):
        write_text(tmp_path / "folder", "x")
    assert everything(tmp_path) == ["folder", "reports"]


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    target = tmp_path / "artifacts" / "int8"
    for names in (["a", "b"], ["c"]):
        with replacing_folder(target) as temporary:
            for name in names:
                (temporary / name).write_text(name)
        assert everything(target) == names
    assert everything(target.parent) == ["c", "int8"]


def test_a_folder_takes_the_place_of_a_file_or_a_link(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").write_text("x")
    (tmp_path / "link").symlink_to(elsewhere)
    (tmp_path / "file").write_text("x")
    for name in ("link", "file"):
        with replacing_folder(tmp_path / name) as temporary:
            (temporary / "new").write_text("y")
        assert everything(tmp_path / name) == ["new"]
        assert not (tmp_path / name).is_symlink()
    assert everything(elsewhere) == ["precious"]


def test_a_folder_that_cannot_take_its_place_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "int8"
    target.mkdir()
    (target / "model.onnx").write_text("old")
    real = Path.replace

    def failing(self: Path, to: Path) -> Path:
        if Path(to) == target and self.suffix == ".part" and ".old" not in self.name:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(self, to)

    monkeypatch.setattr(Path, "replace", failing)
    with pytest.raises(EnvironmentFailed), replacing_folder(target) as temporary:
        (temporary / "model.onnx").write_text("new")
    assert (target / "model.onnx").read_text() == "old"
    assert everything(tmp_path) == ["int8", "model.onnx"]


def test_what_another_is_still_at_work_on_stays(tmp_path: Path) -> None:
    """Two that write the same: the later to end has the name, and neither takes what is half done for a leftover."""
    with replacing(tmp_path / "here.json") as first:
        first.write_text("first")
        write_text(tmp_path / "here.json", "second")
        assert (tmp_path / "here.json").read_text() == "second"
    assert (tmp_path / "here.json").read_text() == "first"
    with replacing_folder(tmp_path / "int8") as training:
        (training / "model").write_text("after hours")
        with replacing_folder(tmp_path / "int8") as beside:
            (beside / "model").write_text("at once")
    assert (tmp_path / "int8/model").read_text() == "after hours"
    assert everything(tmp_path) == ["here.json", "int8", "model"]


def test_a_file_that_is_written_is_not_held_itself(tmp_path: Path) -> None:
    """Over SMB, nobody may write to what is held by another handle."""
    with replacing(tmp_path / "x") as temporary, temporary.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        file.write(b"whole")
    assert (tmp_path / "x").read_bytes() == b"whole"


def test_what_is_swept_away_before_it_is_held_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, made = tempfile.mkdtemp, list[str]()

    def swept(**settings: Any) -> str:
        made.append(real(**settings))
        if len(made) == 1:
            Path(made[0]).rmdir()
        elif len(made) == 2:  # another holds it, who is about to remove it
            others.append(os.open(made[1], os.O_RDONLY))
            fcntl.flock(others[0], fcntl.LOCK_EX)
        return made[-1]

    others = list[int]()
    monkeypatch.setattr(tempfile, "mkdtemp", swept)
    write_text(tmp_path / "x", "whole")
    os.close(others[0])
    Path(made[1]).rmdir()
    assert (len(made), everything(tmp_path)) == (3, ["x"])


def test_what_another_account_keeps_to_itself_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, theirs = os.open, tmp_path / ".x.theirs.part"
    theirs.mkdir()

    def refused(path: Any, *settings: Any, **named: Any) -> int:
        if path == theirs:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return real(path, *settings, **named)

    monkeypatch.setattr(os, "open", refused)
    write_text(tmp_path / "x", "whole")
    assert everything(tmp_path) == [theirs.name, "x"]


@pytest.mark.parametrize("moved", [False, True], ids=["before the old one is moved aside", "after"])
def test_of_two_folders_that_take_the_place_at_once_the_later_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moved: bool
) -> None:
    target = tmp_path / "int8"
    target.mkdir()
    (target / "old").touch()
    real = Path.replace

    def beside(self: Path, to: Path) -> Path:
        if (self == target) is not moved:
            monkeypatch.setattr(Path, "replace", real)
            with replacing_folder(target) as theirs:
                (theirs / "theirs").touch()
            if not moved:
                real(target, tmp_path / "elsewhere")
        return real(self, to)

    monkeypatch.setattr(Path, "replace", beside)
    with replacing_folder(target) as temporary:
        (temporary / "mine").touch()
    assert everything(target) == ["mine"]
    assert sorted(path.name for path in tmp_path.iterdir()) == (["int8"] if moved else ["elsewhere", "int8"])


def test_what_a_killed_process_left_is_swept_away(tmp_path: Path) -> None:
    (tmp_path / ".model.onnx.abc.part").write_text("half")
    (tmp_path / ".int8.abc.part").mkdir()
    (tmp_path / ".int8.abc.part" / "half").write_text("half")
    (tmp_path / ".other.abc.part").write_text("not ours")
    write_text(tmp_path / "model.onnx", "whole")
    with replacing_folder(tmp_path / "int8"):
        pass
    assert everything(tmp_path) == [".other.abc.part", "int8", "model.onnx"]
