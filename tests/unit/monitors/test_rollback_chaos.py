"""Whatever fails and dies around a rollback, in an order that nobody chose: it is done once, and its log is whole.

Here a process is killed between any two steps, and beside it goes what a stand of real processes cannot do at will: a
pointer that is gone for a while, a full disk, counters that stand still. With real processes: `test_killed.py` and
`benchmarks/rollback/killed.py`.
"""

from __future__ import annotations

import contextlib
import random
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from full_disk import full_disk

from controlled import Controlled
from makeweight_monitors.rollback import audit
from makeweight_monitors.rollback.looking import Looking
from makeweight_monitors.rollback.targets.pointer import PointerTarget

FAULTS = ("killed", "Prometheus is down", "exporter gone", "disk full", "no pointer", "none")


class Killed(BaseException):
    """What ends a process."""


@pytest.mark.parametrize("seed", range(20))
def test_there_is_one_rollback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    chance = random.Random(seed)
    one, fatal = Controlled(tmp_path), [0]

    def point() -> None:
        fatal[0] -= 1
        if fatal[0] == 0:
            raise Killed

    def deadly(does: Callable[..., Any]) -> Callable[..., Any]:
        def done(*given: Any) -> Any:
            point()
            came = does(*given)
            point()
            return came

        return done

    for owner, name in ((audit, "append"), (PointerTarget, "set"), (PointerTarget, "verify"), (Looking, "look")):
        monkeypatch.setattr(owner, name, deadly(getattr(owner, name)))
    one.prometheus.asks()
    one.prometheus.answers["sum({__name__"] = 70.0
    for _ in range(15):
        fault = chance.choice(FAULTS)
        fatal[0] = chance.randint(1, 8) if fault == "killed" else 0
        one.prometheus.down = "no connection" if fault == "Prometheus is down" else ""
        one.prometheus.answers["min(timestamp"] = one.prometheus.time - 1000 * (fault == "exporter gone")
        away = one.file.rename(tmp_path / "away") if fault == "no pointer" else None
        with full_disk() if fault == "disk full" else contextlib.nullcontext():
            try:
                one.tick(later=chance.choice((0.1, 2.0, 15.0)))
            except Killed:
                one.end()
                one.begin()
        if away is not None:
            away.rename(one.file)
    fatal[0], one.prometheus.down = 0, ""
    del one.prometheus.answers["min(timestamp"]
    for _ in range(5):
        one.tick(later=90.0)
    assert (one.share, one.epoch, one.stages) == (0.0, 2, ["rolled_back"])
    assert audit.verify(one.journal.log, one.journal.head()) == one.journal.head()
    with contextlib.closing(sqlite3.connect(one.journal.path)) as base:
        assert base.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    one.end()
