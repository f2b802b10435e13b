"""What a breaker and a controller beside the model see at once: local counts, outcomes, and the step of the rollout."""

from __future__ import annotations

import numpy as np
import pytest
from observing import Watched

from makeweight_base.errors import UsageError
from makeweight_monitors.observe import Failure
from makeweight_monitors.observe.local import Local

SURE = np.array([0.0, 9.0, 0.0], np.float32)
NAN = np.full(3, np.nan, np.float32)


def test_local_counts_are_of_this_process_and_arm() -> None:
    seen = Watched(labels="memory", shadow=True)
    assert seen.observer.local() == Local(0, 0, 0, 0, 0, 0, 0)
    seen.observer.record(np.stack([SURE, SURE, NAN]), id=["a", "b", "c"])
    seen.observer.record(Failure("timeout", 2))
    seen.observer.record_pair(SURE, SURE[::-1] + 1, id="p")
    assert seen.observer.label_many(["a", "b", "c", "p"], ["dog", "cat", "dog", "dog"]) == ["matched"] * 4
    assert seen.observer.local() == Local(answered=3, failed=3, right=2, wrong=2, harm=0, help=0, pairs=1)


def test_harm_and_help_are_told_apart() -> None:
    seen = Watched("stable", labels="memory", shadow=True)
    cat = np.array([9.0, 0.0, 0.0], np.float32)
    for stable, canary, id in ((SURE, cat, "harm"), (SURE, cat, "harm too"), (cat, SURE, "help"), (cat, cat, "tie")):
        seen.observer.record_pair(stable, canary, id=id)
    assert seen.observer.label_many(["harm", "harm too", "help", "tie"], ["dog"] * 4) == ["matched"] * 4
    assert seen.observer.local() == Local(answered=4, failed=0, right=2, wrong=2, harm=2, help=1, pairs=4)


def test_each_call_that_counts_is_told_to_the_hook() -> None:
    told: list[tuple[str, int, int]] = []
    seen = Watched(on_outcome=lambda *one: told.append(one))
    seen.observer.record(SURE)
    seen.observer.record(np.stack([SURE, NAN]))
    seen.observer.record(predictions="no class at all")
    seen.observer.record_pair(SURE, NAN)
    assert told == [("canary", 1, 0), ("canary", 1, 1), ("canary", 0, 0), ("stable", 1, 0), ("canary", 0, 1)]


def test_a_hook_that_raises_changes_nothing() -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("the breaker's own fault")

    seen = Watched(on_outcome=broken)
    seen.observer.record(SURE)
    seen.observer.record(np.stack([SURE, NAN]))
    assert seen["predictions_total"] == {"": 2}
    assert seen["rejected_total reason"] == {"not_finite": 1}


def test_a_step_shows_at_once_and_counts_apart() -> None:
    seen = Watched(weight=0.05, labels="memory")
    assert seen["epoch"] == {}
    seen.observer.record(SURE, id="a")
    seen.observer.follow(3, 0.1 + 0.2)
    assert seen["epoch"] == {"": 3}
    assert seen["declared_share"] == {"": pytest.approx(0.3)}
    seen.observer.record(SURE, id="b")
    seen.observer.record(predictions=1, id="c")
    assert seen.observer.label_many(["a", "b", "c"], ["dog"] * 3) == ["matched"] * 3
    assert seen["predictions_total weight"] == {"0.05": 1, "0.3": 2}
    assert seen["split_total weight outcome"] == {"0.05 right": 1, "0.3 right": 2}
    assert seen.observer.local().answered == 2
    with pytest.raises(UsageError, match="between 0 and 1"):
        seen.observer.follow(4, 1.5)
    seen.observer.follow(5)
    assert (seen["epoch"], seen["declared_share"]) == ({"": 5}, {}), "no share that it could be held against"
    seen.observer.leave()
    assert (seen["epoch"], seen["observer_start_time_seconds"]) == ({}, {})
    assert seen["predictions_total weight"] == {"0.05": 1, "0.3": 2}
