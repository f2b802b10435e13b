"""The observer: every answer in its cell, singly and in batches, and nothing that a client sends ever raises."""

from __future__ import annotations

import datetime
import logging
import sqlite3
import sys
import threading
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from observing import CLASSES, Clock, Watched, reference
from prometheus_client import CollectorRegistry

from makeweight_base.errors import UsageError
from makeweight_monitors.build import Build
from makeweight_monitors.metrics import CATALOGUE, LABEL_RESULTS, MOST_CLASSES, REJECTIONS
from makeweight_monitors.observe.pending import Pending

SURE = [0.0, 9.0, 0.0]
UNSURE = [1.0, 1.0, 0.9]


def test_one_answer_by_class_confidence_and_latency() -> None:
    seen = Watched()
    seen.observer.record(SURE, 0.003)
    assert seen["predictions_total variant revision"] == {"canary r1": 1}
    assert seen["predicted_class_total class"] == {"dog": 1}
    assert seen["score_bin_total bin"] == {"02": 1}
    assert seen["latency_seconds_count"] == {"": 1}
    assert seen["latency_seconds_sum"] == {"": 0.003}
    assert seen.count("latency_seconds_bucket", le="0.0025") == 0
    assert seen.count("latency_seconds_bucket", le="0.005") == 1


answer = st.lists(st.floats(-30, 30) | st.sampled_from([float("nan"), float("inf"), -1e308]), min_size=3, max_size=3)


@given(st.lists(answer, min_size=1, max_size=12), st.sampled_from([None, 0.0001, 0.003, -1.0, float("nan")]))
def test_a_batch_counts_what_its_answers_count_one_by_one(batch: list[list[float]], latency: float | None) -> None:
    singly, together = Watched(), Watched()
    with np.errstate(over="ignore"):
        together.observer.record(np.array(batch), latency)
        for one in batch:
            singly.observer.record(one, latency)
    for asked in (
        "predictions_total",
        "predicted_class_total class",
        "score_bin_total bin",
        "latency_seconds_bucket le",
        "rejected_total reason",
    ):
        assert singly[asked] == together[asked], asked
    assert sum(singly["predictions_total"].values()) + singly.count("rejected_total", reason="not_finite") == len(batch)


@pytest.mark.parametrize(
    "scores",
    [SURE, tuple(SURE), np.array(SURE), np.array(SURE, np.float32), np.array([SURE]), [SURE], np.array([[[SURE]]])[0]],
    ids=["list", "tuple", "array", "float32", "batch of one", "nested", "with a dimension of one"],
)
def test_scores_of_every_form(scores: Any) -> None:
    seen = Watched()
    seen.observer.record(scores)
    assert seen["predicted_class_total class"] == {"dog": 1}
    assert seen["rejected_total reason"] == {}


@pytest.mark.parametrize(
    ("predictions", "expected"),
    [
        (1, {"dog": 1}),
        ("dog", {"dog": 1}),
        (np.int64(1), {"dog": 1}),
        (1.0, {"dog": 1}),
        (True, {"dog": 1}),
        ([1, 2, 1], {"dog": 2, "owl": 1}),
        (np.array([0.0, 2.0]), {"cat": 1, "owl": 1}),
        (np.array([[1], [2]]), {"dog": 1, "owl": 1}),
        (["cat", "dog"], {"cat": 1, "dog": 1}),
        (np.array(["cat", "owl"]), {"cat": 1, "owl": 1}),
        ([], {}),
    ],
)
def test_predictions_of_every_form(predictions: Any, expected: dict[str, int]) -> None:
    seen = Watched()
    seen.observer.record(predictions=predictions)
    assert seen["predicted_class_total class"] == expected
    assert seen["rejected_total reason"] == {}


@pytest.mark.parametrize(
    ("given_", "reason", "refused", "counted"),
    [
        ({"scores": [0.0, float("nan"), 0.0]}, "not_finite", 1, 0),
        ({"scores": np.array([SURE, [np.inf, 0, 0], UNSURE])}, "not_finite", 1, 2),
        ({"scores": [1.0, 2.0]}, "bad_shape", 1, 0),
        ({"scores": np.zeros((4, 7))}, "bad_shape", 1, 0),
        ({"scores": "cat"}, "bad_shape", 1, 0),
        ({"scores": object()}, "bad_shape", 1, 0),
        ({"scores": [[1.0, 2.0, 3.0], [1.0]]}, "bad_shape", 1, 0),
        ({"scores": np.zeros((2, 3, 4, 5))}, "bad_shape", 1, 0),
        ({}, "bad_shape", 1, 0),
        ({"scores": SURE, "predictions": 1}, "bad_shape", 1, 0),
        ({"predictions": 3}, "unknown_class", 1, 0),
        ({"predictions": -1}, "unknown_class", 1, 0),
        ({"predictions": 2**70}, "unknown_class", 1, 0),
        ({"predictions": "cow"}, "unknown_class", 1, 0),
        ({"predictions": [0, 1, 7]}, "unknown_class", 1, 2),
        ({"predictions": [0.5, 1.0]}, "unknown_class", 1, 1),
        ({"predictions": [float("nan"), 1.0]}, "not_finite", 1, 1),
        ({"predictions": {"class": 1}}, "unknown_class", 1, 0),
        ({"predictions": [0, 1], "confidence": [0.5, float("nan")]}, "not_finite", 1, 1),
        ({"predictions": [0, 1], "confidence": [0.5, 7]}, "bad_shape", 1, 1),
        ({"predictions": [0, 1], "confidence": [0.5]}, "bad_shape", 1, 0),
        ({"predictions": [0, 1], "latency": [0.5]}, "bad_shape", 1, 0),
        ({"predictions": [0, 1], "latency": [0.5, -0.5]}, "bad_latency", 1, 2),
        ({"scores": SURE, "latency": -1.0}, "bad_latency", 1, 1),
        ({"scores": SURE, "latency": 1e300}, "bad_latency", 1, 1),
        ({"scores": SURE, "latency": "fast"}, "bad_shape", 1, 0),
        ({"scores": SURE, "features": {"colour": 1.0}}, "bad_feature", 1, 1),
        ({"scores": SURE, "features": {"light": "dark"}}, "bad_feature", 1, 1),
        ({"scores": SURE, "features": {"light": float("nan")}}, "bad_feature", 1, 1),
        ({"scores": SURE, "id": "x" * 300}, "bad_id", 1, 1),
        ({"scores": SURE, "id": ""}, "bad_id", 1, 1),
        ({"scores": SURE, "id": "\ud800"}, "bad_id", 1, 1),
        ({"scores": [SURE, SURE], "id": ["a", True]}, "bad_id", 1, 2),
        ({"scores": SURE, "id": "a", "slice": "dusk"}, "unknown_slice", 1, 1),
    ],
)
def test_bad_data_is_counted_by_its_reason_and_never_raised(
    given_: dict[str, Any], reason: str, refused: int, counted: int
) -> None:
    seen = Watched(labels="memory", slices=["day"], features={"light": [0.5]})
    seen.observer.record(**given_)
    assert seen["rejected_total reason"] == {reason: refused}
    assert seen["predictions_total"] == ({"": counted} if counted else {})
    seen.observer.record(SURE)
    assert seen["predictions_total"] == {"": counted + 1}, "it goes on"
    total = [sample.value for family in seen.registry.collect() for sample in family.samples]
    assert all(np.isfinite(total)), "nothing is poisoned"


def test_a_flood_of_bad_data_is_one_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    seen = Watched()
    with caplog.at_level(logging.WARNING, "makeweight_monitors"):
        for _ in range(50):
            seen.observer.record([float("nan")] * 3)
        seen.observer.record("nonsense")
    assert len(caplog.records) == 2
    assert seen["rejected_total reason"] == {"not_finite": 50, "bad_shape": 1}


def test_latencies_of_a_batch_one_for_all_or_one_each() -> None:
    seen = Watched()
    seen.observer.record(predictions=[0, 1], latency=0.002)
    seen.observer.record(predictions=[0, 1], latency=np.array([0.0001, 0.25]))
    seen.observer.record(predictions=[0, 1], latency=np.float32(0.5))
    seen.observer.record(predictions=[0, 9], latency=[1.0, 2.0])
    assert seen["latency_seconds_count"] == {"": 7}, "what is refused has no latency"
    assert seen["latency_seconds_sum"] == {"": pytest.approx(0.004 + 0.2501 + 1.0 + 1.0, abs=1e-9)}
    assert seen.count("latency_seconds_bucket", le="0.0001") == 1, "an upper bound belongs to its bucket"
    assert seen.count("latency_seconds_bucket", le="0.25") == 4
    assert seen.count("latency_seconds_bucket", le="10.0") == 7


def test_features_by_bin() -> None:
    seen = Watched(features={"light": [0.0, 0.5], "size": [10]})
    seen.observer.record([SURE, SURE, SURE], features={"light": [-3, 0.0, 7], "size": np.array([1, 10, float("inf")])})
    counts = {"light 00": 1, "light 01": 1, "light 02": 1, "size 00": 1, "size 01": 1}
    assert seen["feature_bin_total feature bin"] == counts
    assert seen["rejected_total reason"] == {"bad_feature": 1}


def test_everything_is_there_before_the_first_request() -> None:
    seen = Watched(labels="memory", weight=0.05, shadow=True, slices=["day", "night"], features={"light": [0.5]})
    there = {family.name for family in seen.registry.collect()}
    absent = {"makeweight_error_bin", "makeweight_model_bytes", "makeweight_epoch"}
    assert there == {metric.name for metric in CATALOGUE} - absent
    labels = {
        sample.name + str(sorted(sample.labels.items())): sample.labels
        for family in seen.registry.collect()
        for sample in family.samples
    }
    mine = [
        found
        for name, found in labels.items()
        if name.startswith("makeweight_rejected") and found["variant"] == "canary"
    ]
    assert {found["reason"] for found in mine} == set(REJECTIONS)
    events = [found["result"] for name, found in labels.items() if name.startswith("makeweight_label_events")]
    assert set(events) == set(LABEL_RESULTS)
    pairs = [found for name, found in labels.items() if name.startswith("makeweight_paired_total")]
    assert len(pairs) == 4


def identities(seen: Watched, name: str) -> set[tuple[str, ...]]:
    """What the series of a metric say of whom they are."""
    which = ("environment", "model", "revision", "attempt", "variant", "sha256")
    return {
        tuple(sample.labels.get(label, "-") for label in which)
        for family in seen.registry.collect()
        for sample in family.samples
        if sample.name == f"makeweight_{name}"
    }


OLD, NEW = Build("baseline", sha256="a" * 64), Build("int8", sha256="b" * 64)


def test_every_series_says_of_whom_it_is() -> None:
    seen = Watched("stable", shadow=True, manifest={"stable": OLD, "canary": NEW}, environment="staging", attempt=2)
    arms = {("staging", "digits", "r1", "2", arm, sha * 64) for arm, sha in (("stable", "a"), ("canary", "b"))}
    pair = {("staging", "digits", "r1", "2", "-", "b" * 64)}
    assert identities(seen, "predictions_total") == arms
    assert identities(seen, "observer_start_time_seconds") == arms
    assert identities(seen, "build_info") == arms, "what stable serves too: there is something to go back to"
    assert identities(seen, "paired_total") == identities(seen, "shadow_pairs_total") == pair


def test_the_environment_may_be_the_process_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAKEWEIGHT_ENVIRONMENT", "production")
    assert identities(Watched(), "predictions_total") == {("production", "digits", "r1", "", "canary", "")}
    seen = Watched(environment="staging")
    assert identities(seen, "predictions_total") == {("staging", "digits", "r1", "", "canary", "")}


def test_a_label_counts_for_the_attempt_and_the_file_that_answered(tmp_path: Path) -> None:
    before = Watched(labels=Pending(tmp_path / "labels.sqlite", every=0), attempt=1, manifest=OLD)
    before.observer.record(SURE, id="a")
    before.observer.close()
    after = Watched(labels=Pending(tmp_path / "labels.sqlite", every=0), attempt=2, manifest=NEW)
    after.observer.record(SURE, id="b")
    assert after.observer.label_many(["a", "b"], [1, 1]) == ["matched"] * 2
    assert after["labelled_total attempt sha256"] == {f"1 {'a' * 64}": 1, f"2 {'b' * 64}": 1}
    after.observer.close()


def test_what_another_attempt_answered_expires_for_that_one(tmp_path: Path) -> None:
    clock = Clock()
    before, after = (Pending(tmp_path / "labels.sqlite", every=0, timeout=100, clock=clock) for _ in range(2))
    first = Watched(labels=before, attempt=1)
    first.observer.record(SURE, id="a")
    first.observer.close()
    second = Watched(labels=after, attempt=2)
    clock.now += 101
    within = threading.Thread(target=after.tend, daemon=True)
    within.start()
    within.join(60)
    assert not within.is_alive(), "it holds the lock that it waits for"
    assert second["labels_expired_total attempt"] == {"1": 1}
    second.observer.close()


def test_a_label_makes_an_answer_right_or_wrong() -> None:
    seen = Watched(labels="memory", weight=0.05, slices=["day", "night"])
    seen.observer.record([SURE, SURE, UNSURE], id=["a", "b", None], slice=["day", "night", "day"])
    seen.observer.record(predictions="cat", id=uuid.UUID(int=7))
    assert seen["labels_pending"] == {"": 3}
    assert seen.observer.label("a", 1) == "matched"
    assert seen.observer.label("b", "owl") == "matched"
    assert seen.observer.label(str(uuid.UUID(int=7)), np.int64(0), slice="day") == "matched"
    assert seen.observer.label("a", 1) == "duplicate"
    assert seen.observer.label("never", 1) == "unknown"
    assert seen.observer.label("b", 17) == "rejected"
    assert seen.observer.label(None, 1) == "rejected"
    assert seen["label_events_total result"] == {"matched": 3, "duplicate": 1, "unknown": 1, "rejected": 2}
    assert seen["labelled_total outcome"] == {"right": 2, "wrong": 1}
    assert seen["labelled_class_total class outcome"] == {"dog right": 1, "owl wrong": 1, "cat right": 1}
    assert seen["labelled_slice_total slice outcome"] == {"day right": 2, "night wrong": 1}
    assert seen["split_total weight outcome"] == {"0.05 right": 2, "0.05 wrong": 1}
    assert seen["labels_pending"] == {}


def test_a_label_that_cannot_be_looked_up_yet_counts_later(tmp_path: Path) -> None:
    store = Pending(tmp_path / "labels.sqlite", every=0)
    seen = Watched(labels=store, slices=["day"])
    seen.observer.record([SURE, SURE], id=["a", "b"])
    store.tend()
    other = sqlite3.connect(tmp_path / "labels.sqlite", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    assert seen.observer.label_many(["a", "b", "never"], [1, "owl", 1], ["day", None, None]) == ["deferred"] * 3
    assert seen["label_events_total"] == {}
    assert seen["labels_pending"] == {"": 2}
    other.close()
    store.tend()
    assert seen["label_events_total result"] == {"matched": 2, "unknown": 1}
    assert seen["labelled_total outcome"] == {"right": 1, "wrong": 1}
    assert seen["labelled_slice_total slice outcome"] == {"day right": 1}
    assert seen["labels_pending"] == {}


def test_a_label_after_the_time_out() -> None:
    seen = Watched(labels="memory")
    seen.observer.record(SURE, id="a")
    seen.clock.now += 101
    assert seen.observer.label("a", 1) == "late"
    seen.observer._labels.tend()
    assert seen["labels_expired_total"] == {"": 1}
    assert seen["labels_pending"] == {}
    assert seen.observer.label("a", 1) == "late"
    assert seen["labelled_total outcome"] == {}


@pytest.mark.parametrize("truth", [float("nan"), -1, 99, "cow", None, [1, 2], datetime.date(2026, 1, 1)])
def test_a_truth_that_cannot_be_does_not_use_up_the_prediction(truth: Any) -> None:
    seen = Watched(labels="memory")
    seen.observer.record(SURE, id="a")
    assert seen.observer.label("a", truth) == "rejected"
    assert seen.observer.label("a", "dog") == "matched"


def test_many_labels_at_once() -> None:
    seen = Watched(labels="memory")
    seen.observer.record([SURE] * 4, id=["a", "b", "c", "d"])
    assert seen.observer.label_many(["a", "x", "b", "a"], [1, 1, 0, 1]) == [
        "matched",
        "unknown",
        "matched",
        "duplicate",
    ]
    assert seen["labelled_total outcome"] == {"right": 1, "wrong": 1}
    assert seen.observer.label_many(["c"], []) == ["rejected"]
    assert seen["label_events_total result"] == {"matched": 2, "unknown": 1, "duplicate": 1, "rejected": 1}


def test_pairs_agree_or_not_and_fill_the_table() -> None:
    seen = Watched("stable", labels="memory", shadow=True, slices=["day"])
    stable = [SURE, SURE, SURE, UNSURE]
    canary = [SURE, UNSURE, [0.0, 0.0, 9.0], [0.0, 0.0, float("nan")]]
    seen.observer.record_pair(stable, canary, (0.01, 0.001), id=["a", "b", "c", "d"], slice="day")
    assert seen["predictions_total variant"] == {"stable": 4, "canary": 3}
    assert seen["latency_seconds_sum variant"] == {"stable": 0.04, "canary": pytest.approx(0.003)}
    assert seen["shadow_pairs_total agree"] == {"yes": 1, "no": 3}
    assert seen["labels_pending variant"] == {"stable": 4, "canary": 4}
    assert [seen.observer.label(name, "dog") for name in "abcd"] == ["matched"] * 4
    assert seen["shadow_labelled_total agree"] == {"yes": 1, "no": 3}
    assert seen["paired_total stable canary"] == {"right right": 1, "right wrong": 2, "wrong wrong": 1}
    table = {"dog right right": 1, "dog right wrong": 2, "dog wrong wrong": 1}
    assert seen["paired_class_total class stable canary"] == table
    assert seen["paired_slice_total slice stable canary"] == {key.replace("dog", "day"): n for key, n in table.items()}
    assert seen["labelled_total variant outcome"] == {
        "stable right": 3, "stable wrong": 1, "canary right": 1, "canary wrong": 3,
    }  # fmt: skip
    assert seen["rejected_total variant reason"] == {"canary not_finite": 1}


def test_a_single_pair_by_predictions() -> None:
    seen = Watched("canary", labels="memory")
    seen.observer.record_pair(predictions=("cat", "dog"), id="a")
    seen.observer.record_pair(predictions=([0, 1], [0]))
    seen.observer.record_pair(predictions=(0,))
    assert seen["shadow_pairs_total agree"] == {"no": 1}
    assert seen.observer.label("a", "dog") == "matched"
    assert seen["paired_total stable canary"] == {"wrong right": 1}
    assert seen["rejected_total reason"] == {"bad_shape": 2}


def test_a_regression_by_error_and_tolerance() -> None:
    seen = Watched(task="regression", error_edges=[0.5, 1.0], tolerance=0.75, labels="memory", shadow=True)
    seen.observer.record(predictions=[1.0, 2.0, 3.0, float("nan")], id=["a", "b", "c", "d"])
    assert [seen.observer.label(name, 1.0) for name in "abcd"] == ["matched"] * 4
    assert seen["error_bin_total bin"] == {"00": 1, "02": 2}
    assert seen["labelled_total outcome"] == {"right": 1, "wrong": 3}
    assert seen["rejected_total reason"] == {"not_finite": 1}
    seen.observer.record_pair(predictions=(5.0, 5.5), id="p")
    seen.observer.record_pair(predictions=(5.0, 6.0))
    assert seen["shadow_pairs_total agree"] == {"yes": 1, "no": 1}
    assert seen.observer.label("p", 4.7) == "matched"
    assert seen["paired_total stable canary"] == {"right wrong": 1}
    assert seen["shadow_labelled_total agree"] == {"yes": 1}
    assert seen.observer.label("p", float("inf")) == "rejected"


def test_a_regression_of_several_outputs_without_a_tolerance() -> None:
    seen = Watched(task="regression", error_edges=[1.0], labels="memory")
    seen.observer.record(predictions=np.array([[1.0, 2.0]]), id=["a"])
    assert seen.observer.label("a", [1.0, 7.0]) == "matched"
    assert seen["error_bin_total bin"] == {"00": 1, "01": 1}
    seen.observer.record(predictions=np.array([[1.0, 2.0]]), id=["b"])
    assert seen.observer.label("b", 3.0) == "rejected"
    seen.observer.record([1.0, 2.0])
    assert seen["rejected_total reason"] == {"bad_shape": 2}
    assert seen["labelled_total outcome"] == {}


@pytest.mark.parametrize("scores", ["probability", "sigmoid"])
def test_one_score_for_two_classes(scores: Any) -> None:
    seen = Watched(task="classification", classes=["no", "yes"], scores=scores)
    seen.observer.record(np.array([[0.9], [-3.0]]))
    seen.observer.record([0.9])
    assert seen["predicted_class_total class"] == {"yes": 2, "no": 1}


def test_classes_that_nobody_declared_are_learnt() -> None:
    seen = Watched(task="classification", labels="memory")
    seen.observer.record(predictions=["b", "a", "b"], id=["1", "2", "3"])
    seen.observer.record(predictions="c")
    seen.observer.record(predictions=4)
    assert seen["predicted_class_total class"] == {"b": 2, "a": 1, "c": 1, "4": 1}
    assert seen.observer.label("1", "z") == "matched"
    assert seen["labelled_class_total class outcome"] == {"z wrong": 1}


def test_scores_of_an_undeclared_model_say_how_many_classes_there_are() -> None:
    seen = Watched(task="classification")
    seen.observer.record(np.array([[0.1, 0.9], [0.8, 0.2]]))
    seen.observer.record([0.3, 0.7])
    seen.observer.record([0.3, 0.3, 0.4])
    assert seen["predicted_class_total class"] == {"0": 1, "1": 2}
    assert seen["rejected_total reason"] == {"bad_shape": 1}
    assert seen["score_bin_total bin"] == {"14": 1, "16": 1, "18": 1}, "probabilities are taken as such"


def test_a_million_distinct_classes_fill_nothing() -> None:
    seen = Watched(task="classification", labels="memory")
    for start in range(0, 1_000_000, 100_000):
        seen.observer.record(predictions=np.arange(start, start + 100_000))
    seen.observer.record(predictions=[f"name {index}" for index in range(3000)])
    counts = seen["predicted_class_total class"]
    assert sum(counts.values()) == 1_003_000
    assert len(counts) == MOST_CLASSES + 1
    assert counts["other"] == 1_003_000 - MOST_CLASSES
    assert len(seen.observer._reader.classes._row) == MOST_CLASSES + 1


def test_declared_classes_beyond_the_cap_share_a_row_and_are_still_told_apart() -> None:
    seen = Watched(task="classification", classes=[f"c{index}" for index in range(MOST_CLASSES + 5)], labels="memory")
    seen.observer.record(predictions=[0, MOST_CLASSES, MOST_CLASSES + 1, MOST_CLASSES + 9], id=["a", "b", "c", "d"])
    assert seen["predicted_class_total class"] == {"c0": 1, "other": 2}
    assert seen["rejected_total reason"] == {"unknown_class": 1}
    assert seen.observer.label("b", MOST_CLASSES + 1) == "matched"
    assert seen.observer.label("c", f"c{MOST_CLASSES + 1}") == "matched"
    assert seen["labelled_class_total class outcome"] == {"other right": 1, "other wrong": 1}


def test_gauges_say_what_was_measured_before() -> None:
    build = Build("int8", "8", "onnxruntime", "0123456789ab", "abc", 89374)
    seen = Watched(manifest=build, reference={"stable": reference(), "canary": reference()})
    assert seen["calibration_accuracy variant bin"] == {
        "stable 00": 0.6, "stable 02": 1, "canary 00": 0.6, "canary 02": 1,
    }  # fmt: skip
    assert seen["reference_score_share bin"] == {"00": 0.5, "01": 0.5, "02": 1.0}
    assert seen.count("build_info", variant="canary", compressed="int8", bits="8", recipe="0123456789ab") == 1
    assert seen["model_bytes variant"] == {"canary": 89374}
    assert seen.count("observer_start_time_seconds") > 1.7e9


def test_stable_and_canary_in_one_process_share_a_registry_and_a_boot() -> None:
    registry = CollectorRegistry(auto_describe=True)
    stable = Watched("stable", registry=registry, weight=0.2)
    canary = Watched("canary", registry=registry, weight=0.2)
    stable.observer.record(SURE)
    canary.observer.record([SURE, SURE])
    assert stable["predictions_total variant"] == {"stable": 1, "canary": 2}
    assert len(stable["observer_start_time_seconds boot"]) == 1


def test_a_replica_that_starts_again_has_another_boot() -> None:
    assert Watched()["observer_start_time_seconds boot"].keys() != Watched()["observer_start_time_seconds boot"].keys()


def test_a_label_for_a_revision_before_a_restart_counts_for_that_revision(tmp_path) -> None:
    first = Watched(labels=Pending(tmp_path / "labels.sqlite", every=0), weight=0.05)
    first.observer.record([SURE, SURE], id=["a", "b"])
    first.observer.close()
    second = Watched(labels=Pending(tmp_path / "labels.sqlite", every=0), revision="r2")
    second.observer.record(SURE, id="c")
    assert second.observer.label_many(["a", "c"], [1, 0]) == ["matched", "matched"]
    assert second["labelled_total revision outcome"] == {"r1 right": 1, "r2 wrong": 1}
    assert second["split_total revision weight outcome"] == {"r1 0.05 right": 1}
    assert second.observer.label("a", 1) == "duplicate"


def test_revisions_of_long_ago_get_no_series(tmp_path) -> None:
    for number in range(12):
        old = Watched(labels=Pending(tmp_path / "labels.sqlite", every=0), revision=f"r{number}")
        old.observer.record(SURE, id=f"id {number}")
        old.observer.close()
    now = Watched(labels=Pending(tmp_path / "labels.sqlite", every=0), revision="now")
    results = [now.observer.label(f"id {number}", 1) for number in range(12)]
    assert results == ["matched"] * 8 + ["late"] * 4
    assert len(now["labelled_total revision"]) == 8


def test_a_label_store_that_fails_is_counted_and_not_raised(tmp_path) -> None:
    (tmp_path / "file").write_text("in the way")
    seen = Watched(labels=Pending(tmp_path / "file" / "labels.sqlite", every=0))
    seen.observer.record([SURE, SURE], id=["a", "b"])
    seen.observer._labels.tend()
    assert seen["label_store_failures_total"] == {"": 1}
    assert seen["labels_pending"] == {"": 2}, "they wait in memory"
    assert seen.observer.label("a", 1) == "matched"
    assert seen.observer.label("never", 1) == "rejected", "whether it is known cannot be said"


def test_many_threads_lose_nothing() -> None:
    store = Pending(every=0)
    seen = Watched(labels=store, shadow=True)
    every = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)

    def work(name: int) -> None:
        for index in range(300):
            seen.observer.record(SURE, 0.001, id=f"{name} {index}")
            seen.observer.record(np.array([SURE, UNSURE]), 0.002)
            seen.observer.record_pair(SURE, UNSURE, id=f"pair {name} {index}")
            seen.observer.label_many([f"{name} {index}", f"pair {name} {index}"], [1, 1])

    try:
        threads = [threading.Thread(target=work, args=(name,)) for name in range(6)]
        for thread in threads:
            thread.start()
        for _ in range(5):
            seen["predictions_total"]
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(every)
    store.tend()  # labels that met another thread in the store were put aside
    assert seen["predictions_total variant"] == {"canary": 1800 * 4, "stable": 1800}
    assert seen["latency_seconds_count"] == {"": 5400}
    assert seen["latency_seconds_sum"] == {"": pytest.approx(1800 * 0.001 + 3600 * 0.002)}
    assert seen["paired_total stable canary"] == {"right wrong": 1800}
    assert seen["label_events_total variant result"] == {"canary matched": 3600, "stable matched": 1800}


@pytest.mark.parametrize(
    ("given_", "said"),
    [
        ({"variant": "blue"}, "neither `stable` nor `canary`"),
        ({"weight": 5}, "between 0 and 1"),
        ({"classes": ["a", "a"]}, "named twice"),
        ({"task": "custom"}, "kind `custom`"),
        ({"features": {"light": [1, 1]}}, "do not rise"),
        ({"tolerance": -1}, "tolerance"),
        ({"reference": "nowhere/reference.json"}, "no such file"),
        ({"reference": {"blue": reference()}}, "neither"),
    ],
)
def test_what_is_wrong_at_the_start_is_told(given_: dict[str, Any], said: str) -> None:
    variant = given_.pop("variant", "canary")
    with pytest.raises(UsageError, match=said):
        Watched(variant, **given_)


def test_two_observers_with_different_classes_are_refused() -> None:
    registry = CollectorRegistry(auto_describe=True)
    Watched("stable", registry=registry)
    with pytest.raises(UsageError, match="different classes"):
        Watched("canary", registry=registry, classes=CLASSES[:2])
