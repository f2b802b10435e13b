"""Requests of one unit (a user, a session, a camera) stand in the tests by one of them; all else counts each."""

from __future__ import annotations

from pathlib import Path

import pytest
from observing import Watched

from makeweight_monitors.observe import Failure
from makeweight_monitors.observe.counters import Counters
from makeweight_monitors.observe.units import BITS, Units

CAT, DOG = [9.0, 0.0, 0.0], [0.0, 9.0, 0.0]


def test_a_unit_is_new_once() -> None:
    units = Units(Counters(), None)
    assert [units.known(name) for name in ("ann", "bob", "ann", "bob", "eve")] == [False, False, True, True, False]
    assert not units.known("a", "b")
    assert units.known("a", "b")
    assert not units.known("ab"), "its parts tell a unit, not what they spell together"


def test_few_of_many_meet_in_a_bit() -> None:
    units = Units(Counters(), None)
    met = sum(units.known(f"user {number}") for number in range(20_000))
    expected = 20_000**2 / 2 / BITS  # the birthday problem: 11.9
    assert met < expected + 5 * expected**0.5


def test_processes_that_share_a_folder_know_each_others_units(tmp_path: Path) -> None:
    one, other, alone = Units(Counters(), tmp_path), Units(Counters(), tmp_path), Units(Counters(), None)
    assert not one.known("ann")
    assert other.known("ann")
    assert not alone.known("ann")
    assert (tmp_path / "units.bits").stat().st_size == BITS // 8


def test_without_room_for_the_file_each_process_tells_them_apart_by_itself(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    units = Units(Counters(), tmp_path / "gone")
    assert [units.known("ann"), units.known("ann")] == [False, True]
    assert "gone" in caplog.text


def test_the_test_of_failures_leaves_out_what_is_of_a_unit_that_came_before() -> None:
    seen = Watched("canary", weight=0.2)
    for _ in range(3):
        seen.observer.record(CAT, 0.001, unit="ann")
    seen.observer.record(Failure("exception", 2), unit="ann")
    seen.observer.record([CAT, [float("nan")] * 3, DOG], unit=["bob", "bob", None])
    seen.observer.record(DOG)
    assert seen["predictions_total variant"] == {"canary": 6}
    assert seen["failures_total reason"] == {"exception": 2, "not_finite": 1}
    assert seen["repeats_total weight outcome"] == {"0.2 answered": 2, "0.2 failed": 3}
    assert seen["latency_seconds_count variant"] == {"canary": 3}


def test_split_traffic_counts_the_first_that_may_get_a_label() -> None:
    seen = Watched("canary", labels="memory", weight=0.2)
    seen.observer.record(CAT, unit="ann")  # no id: no label will come for it
    seen.observer.record([CAT, CAT, DOG], id=["a", "b", "c"], unit="ann")
    seen.observer.record([CAT, CAT], id=["d", None], unit=["bob", "eve"])
    seen.observer.record(CAT, id="e", unit="eve")
    assert [seen.observer.label(name, "dog") for name in "abcde"] == ["matched"] * 5
    assert seen["split_total outcome"] == {"wrong": 3}
    assert seen["labelled_total outcome"] == {"wrong": 4, "right": 1}
    assert seen.observer.label("b", "dog") == "duplicate"


def test_pairs_of_a_unit_are_one_pair_of_the_test() -> None:
    seen = Watched("stable", labels="memory", shadow=True, slices=["day"])
    stable, canary = [CAT, CAT, CAT], [DOG, DOG, CAT]
    seen.observer.record_pair(stable, canary, id=["a", "b", "c"], unit=["ann", "ann", "bob"], slice="day")
    seen.observer.record_pair(stable[0], Failure("timeout"), id="d", unit="bob")
    seen.observer.record_pair(stable[0], canary[0], id="e")
    assert seen["shadow_pairs_total agree"] == {"no": 2, "yes": 1}
    assert [seen.observer.label(name, "cat") for name in "abcde"] == ["matched"] * 5
    assert seen["paired_total stable canary"] == {"right wrong": 2, "right right": 1}
    assert seen["paired_class_total class stable canary"] == {"cat right wrong": 2, "cat right right": 1}
    assert seen["paired_slice_total slice stable canary"] == {"day right wrong": 1, "day right right": 1}
    assert seen["shadow_labelled_total agree"] == {"no": 2, "yes": 1}
    assert seen["labelled_total variant outcome"] == {"stable right": 5, "canary wrong": 4, "canary right": 1}
    assert seen["repeats_total variant outcome"] == {"stable answered": 2, "canary answered": 1, "canary failed": 1}


def test_a_unit_that_cannot_be_one_is_refused_and_its_request_counts_for_itself() -> None:
    seen = Watched("canary")
    seen.observer.record([CAT, CAT, CAT], unit=["ann", "", 1.5])
    seen.observer.record([CAT, CAT], unit=["ann"])
    assert seen["predictions_total variant"] == {"canary": 3}
    assert seen["rejected_total reason"] == {"bad_unit": 2, "bad_shape": 1}
    assert seen["repeats_total outcome"] == {}


def test_attempts_are_told_apart() -> None:
    first = Watched("canary", revision="r1")
    second = Watched("canary", revision="r2", registry=first.registry, environment="staging")
    for seen in (first, second):
        seen.observer.record(CAT, unit="ann")
    assert first["repeats_total outcome"] == {}
