"""The journal and its audit log: killed between any two steps they begin again where they were, and no byte is changed
unseen.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from canary_trials import CANARY, OBSERVED

from makeweight_base.errors import EnvironmentFailed, UsageError
from makeweight_monitors.rollback import audit
from makeweight_monitors.rollback.audit import Break
from makeweight_monitors.rollback.case import Answered, Deed
from makeweight_monitors.rollback.journal import Hold, Journal

ROLLING = replace(OBSERVED, stage="rolling_back", deed=Deed("rollback", 0.0, 1.5, answered=Answered(2.5, 7.0)))


def test_what_is_noted_is_there_again(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    other = replace(OBSERVED, canary=replace(CANARY, attempt="2"))
    journal.note({"event": "decision"}, case=ROLLING, hold={"who": "Ada", "reason": "demo", "time": 3.0})
    journal.note(case=other, last_rollback=12.5)
    journal.close()
    journal = Journal(tmp_path)
    assert journal.cases() == [ROLLING, other]
    assert journal.case(CANARY) == ROLLING
    assert journal.case(replace(CANARY, sha256="b" * 64)) is None
    assert (journal.hold(), journal.last_rollback()) == (Hold("Ada", "demo", 3.0), 12.5)
    journal.note(hold=None)
    assert journal.hold() is None
    journal.close()


def test_a_nonce_is_taken_once_and_what_came_with_it_too(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    assert journal.note({"event": "order"}, nonce=("n1", 100.0), now=10.0)
    assert not journal.note({"event": "order"}, nonce=("n1", 100.0), now=20.0)
    assert journal.head().number == 1
    assert journal.note(nonce=("n1", 200.0), now=101.0)  # too old by then to be taken by its time
    journal.close()


class Killed(BaseException):
    """What ends a process."""


@pytest.mark.parametrize("step", range(12))
def test_killed_at_any_point_nothing_is_lost_or_there_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """At each statement, and around the write of the log: before it, in the middle of it, after it."""
    journal = Journal(tmp_path)
    journal.note({"event": "first"}, case=OBSERVED)
    points = 0

    def point() -> None:
        nonlocal points
        points += 1
        if points > step:
            raise Killed

    append = audit.append

    def torn(path: Path, lines: list[tuple[int, str]]) -> None:
        point()
        if points == step:  # the next point is in the middle of the write
            with path.open("a") as log:
                log.write("".join(line for _, line in lines)[:20])
            raise Killed
        append(path, lines)
        point()

    with monkeypatch.context() as patched:
        patched.setattr(audit, "append", torn)
        journal._base.set_trace_callback(lambda _: point())
        with contextlib.suppress(Killed):
            journal.note({"event": "second"}, case=ROLLING)
        journal._base.set_trace_callback(None)
    journal.close()
    again = Journal(tmp_path)
    lines = [json.loads(line)["event"] for line in again.log.read_text().splitlines()]
    assert lines == (["first", "second"] if again.case(CANARY) == ROLLING else ["first"])
    assert audit.verify(again.log, again.head()) == again.head()
    again.note({"event": "third"})
    assert audit.verify(again.log, again.head()) == again.head()
    again.close()


def test_two_controllers_write_one_log(tmp_path: Path) -> None:
    one, other = Journal(tmp_path), Journal(tmp_path)
    for number in range(6):
        (one, other)[number % 2].note({"event": str(number)})
    assert audit.verify(one.log, other.head()) == other.head()
    one.close()
    other.close()


@pytest.fixture
def written(tmp_path: Path) -> Journal:
    journal = Journal(tmp_path)
    for number in range(4):
        journal.note({"event": "decision", "sentence": f"step {number}: 99.5 % — “good”", "value": 0.1 * number})
    return journal


def test_one_byte_changed_anywhere_is_refused(written: Journal) -> None:
    whole = written.log.read_bytes()
    for place in range(0, len(whole), 13):
        for byte in {whole[place] ^ 1, ord(" "), ord("\n")} - {whole[place]}:
            written.log.write_bytes(whole[:place] + bytes([byte]) + whole[place + 1 :])
            found = audit.verify(written.log, written.head())
            assert isinstance(found, Break), whole[place : place + 10]
            assert abs(found.line - (whole[:place].count(b"\n") + 1)) <= 1
    written.close()


def cut(lines: list[str]) -> list[str]:
    return lines[:-1]


CHANGES: dict[str, Any] = {
    "the last line is gone": cut,
    "a line is gone": lambda lines: lines[:1] + lines[2:],
    "two change places": lambda lines: [lines[0], lines[2], lines[1], lines[3]],
    "a line is there twice": lambda lines: [*lines[:2], lines[1], *lines[2:]],
    "all is gone": lambda _: [],
    "it was written anew": lambda _: chained(["decision"] * 4),
    "a stranger's line": lambda lines: [*lines, "[]\n"],
    "a line of a hundred thousand brackets": lambda lines: [*lines, "[" * 100_000 + "\n"],
}


def chained(events: list[str]) -> list[str]:
    lines, head = [], audit.Head()
    for event in events:
        head, text = audit.line(head, {"event": event})
        lines.append(text)
    return lines


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_log_that_is_not_what_was_written_is_refused(written: Journal, change: Any) -> None:
    lines = written.log.read_text().splitlines(keepends=True)
    written.log.write_text("".join(change(lines)))
    assert isinstance(audit.verify(written.log, written.head()), Break)
    written.close()


def test_the_first_hash_is_that_of_its_content_and_of_sixty_four_zeros(tmp_path: Path) -> None:
    """Computed by coreutils: printf '%064d\\n{"event":"x","number":1}' 0 | sha256sum."""
    text = f'{"0" * 64}\n{{"event":"x","number":1}}'
    told = subprocess.run(["sha256sum"], input=text.encode(), capture_output=True, check=True).stdout.split()[0]
    head, _ = audit.line(audit.Head(), {"event": "x"})
    assert head == audit.Head(1, told.decode())


def test_a_journal_of_another_version_is_refused(tmp_path: Path) -> None:
    Journal(tmp_path).close()
    base = sqlite3.connect(tmp_path / "journal.sqlite")
    base.execute("PRAGMA user_version=9")
    base.close()
    with pytest.raises(UsageError, match="has format 9"):
        Journal(tmp_path)


def test_two_that_begin_at_once_have_one_journal(tmp_path: Path) -> None:
    """The other made it between our look at its version and our turn to make it."""
    journal = Journal(tmp_path)
    journal.note(case=OBSERVED)
    journal.close()
    base = sqlite3.connect(tmp_path / "journal.sqlite")
    base.execute("PRAGMA user_version=0")
    base.close()
    journal = Journal(tmp_path)
    assert journal.cases() == [OBSERVED]
    journal.close()


@pytest.mark.parametrize("file", ["journal.sqlite", "audit.jsonl"])
def test_a_file_that_is_none_is_told(tmp_path: Path, file: str) -> None:
    Journal(tmp_path).close()
    (tmp_path / file).write_bytes(b"no such thing\n" * 400)
    with pytest.raises(EnvironmentFailed, match=r"journal cannot be used|end of the audit log cannot be read"):
        Journal(tmp_path).note({"event": "x"})


def test_it_is_written_through_to_the_disk(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    told = [journal._base.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]
    assert told == ["wal", 2]
    journal.close()
