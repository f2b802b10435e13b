"""The pointer's file: what it may say, and that of two writers none undoes the other."""

from __future__ import annotations

import json
import os
import stat
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from makeweight_base.errors import EnvironmentFailed, UsageError
from makeweight_monitors.serving import pointer as pointers
from makeweight_monitors.serving.pointer import Overtaken, Pointer, Served

STABLE = Served("digits", "baseline", "2026-07-01", "a" * 64, "aaaa", 1.0, 1)
CANARY = Served("digits", "int8", "2026-07-08", "b" * 64, "bbbb", 0.05, 1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """At epoch 2: a stable model, then a canary on 5 %."""
    path = tmp_path / "serving/current.json"
    pointers.write(path, pointers.write(path, Pointer(STABLE)).on_trial(CANARY))
    return path


def test_what_is_written_is_read_and_is_what_other_programs_read(path: Path) -> None:
    assert pointers.load(path) == Pointer(replace(STABLE, weight=0.95), CANARY, epoch=2)
    plain = json.loads(path.read_text())
    assert plain["epoch"] == 2
    assert plain["canary"] == {
        "model": "digits",
        "variant": "int8",
        "revision": "2026-07-08",
        "sha256": "b" * 64,
        "path": "bbbb",
        "weight": 0.05,
        "attempt": 1,
    }


def test_steps_of_a_rollout() -> None:
    trial = Pointer(STABLE, epoch=7).on_trial(CANARY)
    assert trial.at_weight(0.25).stable.weight == 0.75
    assert trial.rolled_back() == Pointer(STABLE, None, 7)
    assert trial.at_weight(1.0).promoted() == Pointer(replace(CANARY, weight=1.0), None, 7)
    for alone in (Pointer(STABLE).promoted, lambda: Pointer(STABLE).at_weight(0.5)):
        with pytest.raises(ValueError, match="canary: there is none"):
            alone()


def test_a_writer_that_read_an_older_state_undoes_nothing(path: Path) -> None:
    read = pointers.load(path)
    pointers.write(path, read.rolled_back())
    with pytest.raises(Overtaken, match="at epoch 3 by now, not at 2"):
        pointers.write(path, read.promoted())
    assert pointers.load(path) == Pointer(STABLE, None, 3)


@pytest.mark.parametrize("epoch", [0, 3], ids=["as-the-first", "ahead"])
def test_another_epoch_than_the_files_is_refused(path: Path, epoch: int) -> None:
    with pytest.raises(Overtaken):
        pointers.write(path, Pointer(STABLE, epoch=epoch))
    assert pointers.load(path).canary == CANARY


def test_of_writers_at_once_each_epoch_has_one(path: Path) -> None:
    """40 increments by 4 threads, each read-modify-write retried when overtaken: none is lost."""

    def writer() -> None:
        done = 0
        while done < 10:
            read = pointers.load(path)
            try:
                pointers.write(path, replace(read, stable=replace(read.stable, attempt=read.stable.attempt + 1)))
                done += 1
            except Overtaken:
                continue

    threads = [threading.Thread(target=writer) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    end = pointers.load(path)
    assert (end.epoch, end.stable.attempt) == (42, 41)


def _with(key: str, value: Any) -> dict[str, Any]:
    """A right file, but for one value."""
    stable = {**vars(STABLE), "weight": 0.95}
    data: dict[str, Any] = {"stable": stable, "canary": dict(vars(CANARY)), "epoch": 1}
    *above, last = key.split(".")
    place = data[above[0]] if above else data
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return data


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("stable", None, "stable: a mapping"),
        ("canary", ..., "canary: it is missing"),
        ("canary.sha256", "B" * 64, "canary.sha256"),
        ("canary.sha256", 5, "canary.sha256"),
        ("canary.weight", float("nan"), "canary.weight"),
        ("canary.weight", 1.5, "canary.weight"),
        ("canary.weight", True, "canary.weight"),
        ("canary.weight", 0.5, "stable.weight: 0.95 is not what the canary leaves of 1, 0.5"),
        ("stable.path", "../other", "stable.path"),
        ("stable.path", "/etc", "stable.path"),
        ("stable.model", "", "stable.model"),
        ("stable.revision", 7, "stable.revision"),
        ("stable.attempt", 1.0, "stable.attempt"),
        ("stable.wieght", 1, "stable.wieght: there is no such key"),
        ("epoch", 0, "epoch"),
        ("epoch", "1", "epoch"),
    ],
    ids=lambda value: None if not isinstance(value, str) else value.split(":")[0],
)
def test_what_is_wrong_is_told_by_file_and_key(path: Path, key: str, value: Any, says: str) -> None:
    path.write_text(json.dumps(_with(key, value)))
    with pytest.raises(UsageError) as caught:
        pointers.load(path)
    assert says in str(caught.value)
    assert str(path) in str(caught.value)
    assert "makeweight ship" in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b'{"stable"', b"\xff\xfe\x00", b"[" * 100_000],
    ids=["empty", "list", "half", "bytes", "deep"],
)
def test_what_is_no_pointer_is_refused_and_not_written_over(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(UsageError, match="this is no pointer"):
        pointers.load(path)
    with pytest.raises(UsageError, match="this is no pointer"):
        pointers.write(path, Pointer(STABLE))
    assert path.read_bytes() == content


def test_who_could_read_it_can_read_what_is_written_by_a_process_that_keeps_its_files_to_itself(path: Path) -> None:
    path.chmod(0o664)
    before = os.umask(0o077)
    try:
        pointers.write(path, pointers.load(path).rolled_back())
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o664


@pytest.mark.parametrize("root", [True, False], ids=["root", "somebody else"])
def test_whose_file_it_was_can_read_what_root_writes(path: Path, monkeypatch: pytest.MonkeyPatch, root: bool) -> None:
    """Of one that its owner alone may read, say; who is not root can keep the group at the most."""
    asked = []

    def chown(_: Path, user: int, group: int) -> None:
        asked.append((user, group))
        if user != -1 and not root:
            raise PermissionError

    monkeypatch.setattr(os, "chown", chown)
    before = path.stat()
    pointers.write(path, pointers.load(path).rolled_back())
    assert asked == [(before.st_uid, before.st_gid), (-1, before.st_gid)][: 1 if root else 2]


def test_a_pointer_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such pointer"):
        pointers.load(tmp_path / "current.json")


def test_a_writer_that_hangs_holds_nobody_for_ever(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pointers, "_PATIENCE", 0.02)
    with pointers.locked(path), pytest.raises(EnvironmentFailed, match="another writer"):
        pointers.write(path, pointers.load(path).rolled_back())
