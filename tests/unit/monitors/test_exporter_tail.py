"""Following a log: every line once, whatever is done to the log and to what follows it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from makeweight_base.errors import EnvironmentFailed, UsageError
from makeweight_monitors.exporter import tail
from makeweight_monitors.exporter.events import LONGEST_LINE
from makeweight_monitors.exporter.tail import Tail


class Following:
    """A tail that is moved by hand, and what it has counted."""

    def __init__(self, log: Path, quiet: float = 0.0) -> None:
        self.log = log
        self.quiet = quiet
        self.lines: list[str] = []
        self.tail = self._begin()

    def _begin(self) -> Tail:
        return Tail(self.log, lambda lines: self.lines.extend(lines.decode().split("\n")), quiet=self.quiet)

    def restart(self) -> None:
        self.tail.close()
        self.tail = self._begin()

    def write(self, text: str) -> None:
        with self.log.open("a") as file:
            file.write(text)

    def seen(self) -> list[str]:
        """All lines so far."""
        while self.tail.step():
            pass
        return [line for line in self.lines if line]


@pytest.fixture
def following(tmp_path: Path) -> Following:
    return Following(tmp_path / "events.log")


def test_lines_are_counted_as_they_come_and_half_a_line_when_it_is_whole(following: Following) -> None:
    assert following.seen() == [], "the log is not there yet"
    following.write("a\nb")
    assert following.seen() == ["a"]
    following.write("b\nc\n")
    assert following.seen() == ["a", "bb", "c"]
    assert following.tail.lag() == 0
    following.write("dd")
    assert following.tail.lag() == 2


@pytest.mark.parametrize("when", ["running", "stopped"])
@pytest.mark.parametrize("how", ["rename", "copytruncate", "rename with more"])
def test_rotation_loses_nothing_and_counts_nothing_twice(following: Following, when: str, how: str) -> None:
    following.write("a\nb\n")
    assert following.seen() == ["a", "b"]
    if when == "stopped":
        following.tail.close()
    following.write("c\nd")
    old = following.log.with_name("events.log.1")
    if how == "copytruncate":
        following.write("\n")
        shutil.copy(following.log, old)
        os.truncate(following.log, 0)
    else:
        following.log.rename(old)
        if how == "rename with more":  # the writer has not noticed yet
            with old.open("a") as file:
                file.write("d\n")
    following.write("e\n")
    if when == "stopped":
        following.restart()
    last = "dd" if how == "rename with more" else "d"
    assert following.seen() == ["a", "b", "c", last, "e"]
    following.restart()
    following.write("f\n")
    assert following.seen() == ["a", "b", "c", last, "e", "f"]


def test_a_moved_log_is_followed_until_it_is_quiet(tmp_path: Path) -> None:
    following = Following(tmp_path / "events.log", quiet=3600)
    following.write("a\n")
    following.seen()
    old = tmp_path / "events.log.1"
    following.log.rename(old)
    following.write("new\n")
    assert following.seen() == ["a"]
    with old.open("a") as file:
        file.write("late\n")
    assert following.seen() == ["a", "late"]
    following.tail._quiet = 0
    assert following.seen() == ["a", "late", "new"]


@pytest.mark.parametrize("cut", ["orderly", "killed"])
def test_a_restart_goes_on_where_it_was(following: Following, cut: str) -> None:
    following.write("a\nb\n")
    following.seen()
    if cut == "killed":  # nothing is written at its end
        following.tail = following._begin()
    else:
        following.restart()
    following.write("c\n")
    assert following.seen() == ["a", "b", "c"]


def test_a_crash_while_a_piece_is_counted_never_counts_it_twice(following: Following) -> None:
    following.write("a\n")

    def crash(_: bytes) -> None:
        raise KeyboardInterrupt

    following.tail._count = crash
    with pytest.raises(KeyboardInterrupt):
        following.tail.step()
    following.restart()
    following.write("b\n")
    assert following.seen() == ["b"]


def test_a_log_that_was_emptied_and_grew_beyond_is_another(following: Following) -> None:
    following.write("a\n")
    following.seen()
    following.tail.close()
    following.log.write_text("x\ny\nz\n")
    following.restart()
    assert following.seen() == ["a", "x", "y", "z"]


def test_a_log_that_is_emptied_and_grows_beyond_while_it_is_followed(following: Following) -> None:
    following.write("a\nb\n")
    following.seen()
    shutil.copy(following.log, following.log.with_name("events.log.1"))
    os.truncate(following.log, 0)
    following.write("another\nand more\n")
    assert following.seen() == ["a", "b", "another", "and more"]


def test_the_same_name_and_number_is_not_the_same_log(following: Following) -> None:
    following.write("a\n")
    following.seen()
    following.tail.close()
    inode = following.log.stat().st_ino
    following.log.write_text("another log, longer than the first\n")
    assert following.log.stat().st_ino == inode
    following.restart()
    assert following.seen() == ["a", "another log, longer than the first"]


def test_a_line_without_end_is_refused_once_and_passed_over(following: Following) -> None:
    following.write("a\n" + "x" * (3 * LONGEST_LINE) + "\nb\n")
    seen = following.seen()
    assert (seen[0], seen[-1], len(seen)) == ("a", "b", 3)
    assert len(seen[1]) > LONGEST_LINE


@pytest.mark.parametrize("how", ["rename", "copytruncate"])
def test_a_restart_in_the_midst_of_an_old_log_goes_on_there(following: Following, how: str) -> None:
    lines = [f"{number} {'x' * 100}" for number in range(30_000)]
    following.write("\n".join(lines) + "\n")
    assert following.tail.step()
    following.tail.close()
    old = following.log.with_name("events.log.1")
    if how == "rename":
        following.log.rename(old)
    else:
        shutil.copy(following.log, old)
        os.truncate(following.log, 0)
    following.write("new\n")
    following.restart()
    assert following.tail.step()
    following.restart()
    assert following.seen() == [*lines, "new"]


def test_a_log_that_is_gone_for_good_is_told(following: Following, caplog: pytest.LogCaptureFixture) -> None:
    following.write("a\n")
    following.seen()
    following.tail.close()
    following.log.unlink()
    following.restart()
    assert following.seen() == ["a"]
    following.write("another\n")
    assert following.seen() == ["a", "another"]
    assert "the rest of it" in caplog.text


def test_a_large_log_is_counted_in_pieces(following: Following) -> None:
    lines = [f"{number} {'x' * 100}" for number in range(30_000)]
    following.write("\n".join(lines) + "\n")
    assert following.seen() == lines


def test_a_thread_follows_until_it_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "EVERY", 0.001)
    following = Following(tmp_path / "events.log")
    following.tail.start()
    following.write("a\nb\n")
    for _ in range(10_000):
        if len(following.lines) >= 2:
            break
        following.tail._stop.wait(0.001)
    following.tail.close()
    assert following.lines[:2] == ["a", "b"]


def test_what_fails_is_told_and_does_not_end_it(following: Following, caplog: pytest.LogCaptureFixture) -> None:
    following.write("a\n")
    failing = iter([OSError("broken")])

    def count(lines: bytes) -> None:
        for error in failing:
            following.tail._stop.set()
            raise error

    following.tail._count = count
    following.tail._run()
    assert "cannot be followed for now: broken" in caplog.text


def test_a_place_that_cannot_be_kept_is_no_reason_to_count_nothing(
    following: Following, caplog: pytest.LogCaptureFixture
) -> None:
    following.write("a\n")
    following.tail._state = following.log / "no folder"
    assert following.seen() == ["a"]
    assert "cannot be kept, for a restart" in caplog.text


def test_what_cannot_be_followed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(UsageError, match="this is a folder or a pipe"):
            Following(path)
    log = tmp_path / "events.log"
    state = tmp_path / "events.log.makeweight-offset"
    for text in ("{", "[]x", '{"inode": 1}', "[1]", '{"inode": null, "offset": 1, "head": ""}'):
        state.write_text(text)
        with pytest.raises(UsageError, match="Remove it to count the whole log"):
            Following(log)
    state.unlink()
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentFailed, match="--tail-offset"):
        Tail(log, lambda _: None, tmp_path / "file" / "offset")
