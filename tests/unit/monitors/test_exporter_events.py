"""Events into counters: each is counted once, in the cell that an observer in the server would have used, or refused
alone with its reason."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exporter_app import CLASSES, SURE, Exporting, prediction, settings
from hypothesis import given
from hypothesis import strategies as st
from observing import Clock, Watched

from makeweight_monitors.exporter import counting, events, models
from makeweight_monitors.exporter.grouping import group
from makeweight_monitors.metrics import EXPORTER_REFUSALS, MOST_CLASSES, REJECTIONS
from makeweight_monitors.observe import pending

pytestmark = pytest.mark.long


def pair(stable: Any, canary: Any, **said: Any) -> dict[str, Any]:
    return {"type": "pair", "stable": stable, "canary": canary, **said}


def label(id: Any, truth: Any, **said: Any) -> dict[str, Any]:
    return {"type": "label", "id": id, "truth": truth, **said}


def test_a_prediction_a_pair_and_their_labels_in_one_body() -> None:
    with Exporting() as exporting:
        said = exporting.post(
            [
                label("p", "cat"),  # before its prediction, and counted after it all the same
                prediction(id="a", latency=0.003),
                label("a", "dog"),
                pair({"scores": SURE, "latency": 0.1}, {"prediction": "cat"}),
                pair({"scores": SURE}, {"scores": [9.0, 0.0, 0.0]}, id="p"),
                label("a", "dog"),
                label("nobody", "dog"),
            ]
        ).json()
        assert said == {
            "accepted": 6,
            "refused": 1,
            "reasons": {"no_prediction": 1},  # two arms of different kinds
            "labels": {"matched": 2, "duplicate": 1, "unknown": 1},
        }
        assert exporting["predictions_total variant"] == {"canary": 2, "stable": 1}
        assert exporting["paired_total stable canary"] == {"wrong right": 1}
        assert exporting["labelled_total variant outcome"] == {"canary right": 2, "stable wrong": 1}
        assert exporting["shadow_pairs_total agree"] == {"no": 1}
        assert exporting["latency_seconds_sum"] == {"": 0.003}
        assert exporting["exporter_events_total outcome"] == {"accepted": 6, "refused": 1}


def test_a_unit_of_predictions_and_of_pairs_counts_once() -> None:
    with Exporting() as exporting:
        said = exporting.post(
            [
                *[prediction(unit="ann") for _ in range(3)],
                prediction(unit=7),
                prediction(),
                *[pair({"scores": SURE}, {"failure": "timeout"}, unit="ann", id=f"p{n}") for n in range(2)],
                prediction(unit={"no": "text"}),
            ]
        ).json()
        assert (said["accepted"], said["reasons"]) == (8, {"bad_unit": 1})
        assert exporting["predictions_total variant"] == {"canary": 6, "stable": 2}
        assert exporting["repeats_total variant outcome"] == {
            "canary answered": 2, "stable answered": 1, "canary failed": 1,
        }  # fmt: skip
        assert exporting["shadow_pairs_total agree"] == {"no": 1}


scores = st.lists(st.floats(-30, 30, width=32) | st.sampled_from([float("nan"), float("inf")]), min_size=3, max_size=3)
event = st.fixed_dictionaries(
    {"variant": st.just("canary")},
    optional={"latency": st.floats(0, 9), "id": st.integers(0, 5), "slice": st.sampled_from(["day", "nowhere"])},
).flatmap(
    lambda said: (
        (scores.map(lambda given: {**said, "scores": given}))
        | st.sampled_from([0, 2, 7, "cat", "cow", 1.0, True]).map(lambda given: {**said, "prediction": given})
    )
)


@given(st.lists(event, min_size=1, max_size=15))
def test_a_batch_counts_what_an_observer_counts_of_its_events_one_by_one(batch: list[dict[str, Any]]) -> None:
    with Exporting(settings(slices=["day"], scores="softmax", most_waiting=100)) as exporting:
        seen = Watched(reference=None, classes=CLASSES, scores="softmax", slices=["day"], labels="memory")
        said = exporting.lines(*batch).json()
        for one in batch:
            answer = one.get("scores")
            seen.observer.record(
                None if answer is None else np.array(answer),
                one.get("latency"),
                predictions=one.get("prediction"),
                id=one.get("id"),
                slice=one.get("slice"),
            )
        for asked in (
            "predictions_total variant",
            "predicted_class_total class",
            "score_bin_total bin",
            "latency_seconds_bucket le",
            "rejected_total reason",
        ):
            assert exporting[asked] == seen[asked], asked
        assert said["accepted"] == sum(seen["predictions_total"].values())
        assert said["accepted"] + said["refused"] == len(batch)
        assert said["reasons"] == seen["rejected_total reason"]


@pytest.mark.parametrize(
    ("event", "reasons"),
    [
        (b"{", {"malformed": 1}),
        (b"[" * 100_000, {"malformed": 1}),
        (b"\xff\xfe", {"malformed": 1}),
        (b"7", {"not_an_event": 1}),
        (b"[{}]", {"not_an_event": 1}),
        (b'{"variant": "canary", "scores": [0, NaN, 0]}', {"not_finite": 1}),
        (b'{"variant": "canary", "scores": [0, -Infinity, 0]}', {"not_finite": 1}),
        (b'{"variant": "canary", "scores": [0, 1e999, 0]}', {"not_finite": 1}),
        (b'{"variant": "canary", "scores": [0, null, 0]}', {"not_finite": 1}),
        (b'{"variant": "canary", "prediction": "\\ud800"}', {"unknown_class": 1}),
        ({}, {"no_prediction": 1}),
        (prediction(scores=[]), {"no_prediction": 1}),
        (prediction(scores="many"), {"no_prediction": 1}),
        (prediction(prediction="dog"), {"no_prediction": 1}),
        (prediction(scores=None, prediction={"class": 1}), {"no_prediction": 1}),
        (prediction(scores=[1.0, 2.0]), {"bad_shape": 1}),
        (prediction(scores=["1", "2", "3"]), {"bad_shape": 1}),
        (prediction(scores=[[1.0], [2.0], [3.0]]), {"bad_shape": 1}),
        (prediction(scores=[1.0, [2.0], 3.0]), {"bad_shape": 1}),
        (prediction(scores=None, prediction="cow"), {"unknown_class": 1}),
        (prediction(scores=None, prediction=3), {"unknown_class": 1}),
        (prediction(scores=None, prediction=-1), {"unknown_class": 1}),
        (prediction(scores=None, prediction=10**30), {"unknown_class": 1}),
        (prediction(scores=None, prediction=1.5), {"unknown_class": 1}),
        (prediction(scores=None, prediction=1, confidence="sure"), {"not_finite": 1}),
        (prediction(scores=None, prediction=1, confidence=3), {"bad_shape": 1}),
        (prediction(variant="blue"), {"unknown_variant": 1}),
        (prediction(variant=["canary"]), {"unknown_variant": 1}),
        (prediction(variant=None), {"unknown_variant": 1}),
        (prediction(model="other"), {"unknown_model": 1}),
        (prediction(model=["digits"]), {"unknown_model": 1}),
        (prediction(revision=7), {"unknown_revision": 1}),
        (prediction(revision=""), {"unknown_revision": 1}),
        (prediction(type="guess"), {"unknown_type": 1}),
        (prediction(type=["label"]), {"unknown_type": 1}),
        (pair({"scores": SURE}, None), {"no_prediction": 1}),
        (pair({"scores": SURE}, [1]), {"no_prediction": 1}),
        (pair({"scores": SURE}, {"scores": [1.0]}), {"bad_shape": 1}),
        (label("a", "dog", model="other"), {"unknown_model": 1}),
        (label(None, "dog"), {"bad_id": 1}),
        (label("a" * 201, "dog"), {"bad_id": 1}),
        (label("a", "cow"), {"unknown_class": 1}),
        (label("a", None), {"unknown_class": 1}),
        (label("a", {"class": 1}), {"unknown_class": 1}),
    ],
    ids=lambda value: value.decode(errors="replace")[:40] if isinstance(value, bytes) else None,
)
def test_what_is_no_event_is_refused_alone(event: Any, reasons: dict[str, int]) -> None:
    with Exporting() as exporting:
        answer = exporting.lines(prediction(), event, prediction())
        assert answer.status == 200
        said = answer.json()
        assert said["reasons"] == reasons
        assert (said["accepted"], said["refused"]) == (2, 1)
        assert exporting["predictions_total variant"]["canary"] == 2
        known = {**exporting["rejected_total reason"], **exporting["exporter_refused_total reason"]}
        assert known == reasons
        assert exporting.post(event if isinstance(event, bytes) else [event]).status in (200, 400)


@pytest.mark.parametrize(
    ("said", "reasons"),
    [
        ({"latency": -1}, {"bad_latency": 1}),
        ({"latency": "1"}, {"bad_latency": 1}),
        ({"latency": True}, {"bad_latency": 1}),
        ({"latency": 1e9}, {"bad_latency": 1}),
        ({"id": ["a"]}, {"bad_id": 1}),
        ({"id": 1.5}, {"bad_id": 1}),
        ({"id": "a", "slice": "nowhere"}, {"unknown_slice": 1}),
        ({"id": "a", "slice": {"day": 1}}, {"unknown_slice": 1}),
        ({"features": {"light": "x"}}, {"bad_feature": 1}),
        ({"features": {"light": True, "strange": 1, "light2": 0}}, {"bad_feature": 3}),
        ({"features": [1]}, {"bad_feature": 1}),
    ],
)
def test_a_bad_part_is_refused_and_the_answer_counts(said: dict[str, Any], reasons: dict[str, int]) -> None:
    with Exporting(settings(features={"light": [0.5]}, slices=["day"])) as exporting:
        answer = exporting.post([prediction(**said), prediction(latency=1, features={"light": 0.7})]).json()
        assert answer == {"accepted": 2, "refused": 0, "reasons": reasons}
        assert exporting["rejected_total reason"] == reasons
        assert exporting["feature_bin_total bin"] == {"01": 1}


def test_regression() -> None:
    said = settings(task="regression", tolerance=0.5, error_edges=[0.1, 1])
    with Exporting(said) as exporting:
        answer = exporting.post(
            [
                prediction(scores=None, prediction=2.0, id="a"),
                prediction(scores=None, prediction=[1.0, 2.0], id="b"),
                prediction(scores=None, prediction=float("nan")),
                prediction(scores=None, prediction="2.0"),
                prediction(scores=SURE),
                label("a", 2.25),
                label("b", [1.0]),
                pair({"prediction": 1.0}, {"prediction": 1.2}, id="p"),
                label("p", 0.0),
            ]
        ).json()
        assert answer["reasons"] == {"not_finite": 1, "bad_shape": 3}
        assert answer["labels"] == {"matched": 2, "rejected": 1}
        assert exporting["labelled_total variant outcome"] == {"canary right": 1, "canary wrong": 1, "stable wrong": 1}
        assert exporting["shadow_pairs_total agree"] == {"yes": 1}


def test_every_reason_is_one_that_is_exported() -> None:
    with Exporting() as exporting:
        exported = {
            sample.labels["reason"]
            for family in exporting.running.models.collect()
            for sample in family.samples
            if sample.name in ("makeweight_exporter_refused_total", "makeweight_rejected_total")
        }
    assert exported == {*EXPORTER_REFUSALS, *REJECTIONS}


def test_what_nobody_expected_is_no_reason_to_count_less() -> None:
    """An array of the events of a body gives what its lines give."""
    batch = [prediction(id="a", extra=[1]), label("a", "dog"), prediction(model="x"), 7, None]
    with Exporting() as one, Exporting() as other:
        assert one.post(batch).json() == other.lines(*batch).json()


@given(st.lists(st.dictionaries(st.text(max_size=8), st.integers() | st.text(max_size=3) | st.none()), max_size=10))
def test_no_event_is_lost(found: list[dict[str, Any]]) -> None:
    grouped = group(found)
    batches = [*grouped.predictions.values(), *grouped.pairs.values()]
    labels = sum(len(one.ids) for one in grouped.labels.values())
    assert sum(map(len, batches)) + labels + sum(grouped.refused.values()) == len(found)


@given(st.lists(st.one_of(st.binary(max_size=30), st.just(b'{"a": 1}'), st.just(b"  ")), max_size=10))
def test_every_line_is_an_event_or_refused(lines: list[bytes]) -> None:
    lines = [line.replace(b"\n", b"") for line in lines]
    refused: Counter[str] = Counter()
    found = events.of_lines(b"\n".join(lines), refused)
    assert len(found) + sum(refused.values()) == sum(bool(line.strip()) for line in lines)


def test_labels_of_another_process_of_before_are_matched(tmp_path: Any) -> None:
    store = str(tmp_path / "labels.sqlite")
    with Exporting(settings(labels=store)) as exporting:
        exporting.post([prediction(id="a", revision="r1"), prediction(id="b", variant="stable")])
    with Exporting(settings(labels=store, revision=None)) as exporting:
        assert exporting.post([label("a", "dog"), label("b", "cat")]).json()["labels"] == {"matched": 2}
        assert exporting["labelled_total revision variant outcome"] == {"r1 canary right": 1, "r1 stable wrong": 1}
        assert not any("other" in sample for sample in exporting["observer_start_time_seconds revision"])


def test_what_the_observers_are_told_elsewhere_is_no_bodys_refusal() -> None:
    """The label store finds a duplicate a second later, in its own thread."""
    with Exporting() as exporting:
        observer = exporting.running.models.find("digits")
        assert observer is not None
        observer.labelled().refused(None, "duplicate_id", 1, "an id came again")
        assert exporting.post([prediction()]).json()["reasons"] == {}
        assert exporting["rejected_total reason"] == {"duplicate_id": 1}


def test_label_values_of_every_kind_are_capped() -> None:
    said, names = settings(classes=None, task="classification", revision=None, slices=["day"]), 3 * MOST_CLASSES
    with Exporting(said, bounds=None, most_revisions=4) as exporting:
        lines = b"\n".join(b'{"variant":"canary","revision":"r1","prediction":"c%d"}' % n for n in range(names))
        assert exporting.post(lines, content_type="application/x-ndjson").status == 200
        for revision in range(20):
            exporting.post([prediction(revision=f"r{revision}", slice=f"s{revision}", model=f"m{revision}")])
            exporting.post([prediction(revision=f"r{revision}", id=str(revision), slice=f"s{revision}")])
        assert sum(exporting["predicted_class_total class"].values()) == names + 4
        assert len(exporting["predicted_class_total class"]) == MOST_CLASSES + 1
        assert exporting["predicted_class_total class"]["other"] == names - MOST_CLASSES + 4
        assert exporting["rejected_total revision reason"]["other too_many_revisions"] == 16
        assert exporting["exporter_refused_total reason"] == {"unknown_model": 20}
        assert set(exporting["predictions_total revision"]) == {"r0", "r1", "r2", "r3"}
        assert set(exporting["observer_start_time_seconds revision"]) == {"r0", "r1", "r2", "r3"}


def test_what_there_is_no_memory_for_is_refused_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a body that is half counted would be sent again."""
    with Exporting(settings(revision=None)) as exporting:
        both = [prediction(revision="r1", variant=variant) for variant in ("stable", "canary")]
        assert exporting.post(both).json()["accepted"] == 2
        monkeypatch.setattr("makeweight_monitors.observe.arena.CELLS", 0)
        pair = {"type": "pair", "revision": "r1", "stable": {"scores": SURE}, "canary": {"scores": SURE}}
        said = exporting.post([*both, prediction(revision="r2"), pair])
        assert said.status == 200
        assert said.json() == {"accepted": 2, "refused": 2, "reasons": {"too_many_revisions": 2}}
        assert exporting["predictions_total variant"] == {"stable": 2, "canary": 2}


@pytest.mark.parametrize("labels", [None, "labels.sqlite"], ids=["in memory", "in a file"])
def test_more_ids_in_a_body_than_fit_into_memory_all_wait_for_their_labels(
    tmp_path: Path, labels: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pending, "MOST_FRESH", 500)
    monkeypatch.setattr(models, "MOST_FRESH", 500)
    monkeypatch.setattr(counting, "PART", 100)
    store = None if labels is None else str(tmp_path / labels)
    count = 700
    with Exporting(settings(labels=store)) as exporting:
        body = b"\n".join(b'{"variant":"canary","prediction":1,"id":%d}' % number for number in range(count))
        said = exporting.post(body, content_type="application/x-ndjson").json()
        assert said == {"accepted": count, "refused": 0, "reasons": {}}
        body = b"\n".join(b'{"type":"label","id":%d,"truth":1}' % number for number in range(count))
        assert exporting.post(body, content_type="application/x-ndjson").json()["labels"] == {"matched": count}


def test_a_clock_that_goes_back_is_counted_and_nothing_is_lost() -> None:
    clock = Clock()
    with Exporting() as exporting:
        model = exporting.running.models.find("digits")
        assert model is not None
        model.store._clock = clock
        exporting.post([prediction(id="a")])
        clock.now -= 3600
        exporting.post([prediction(id="b")])
        assert exporting.post([label("a", "dog"), label("b", "dog")]).json()["labels"] == {"matched": 2}
        assert exporting["rejected_total reason"] == {"clock": 1}


def test_a_rejected_label_of_one_model_is_not_one_of_another() -> None:
    with Exporting(settings(), settings("prices", task="regression")) as exporting:
        said = exporting.post([label("a", "cow", model="digits"), label("a", 1.0, model="prices")]).json()
        assert (said["accepted"], said["refused"], said["labels"]) == (1, 1, {"rejected": 1, "unknown": 1})


def test_pairs_alone_show_both_arms_as_up_and_waiting() -> None:
    with Exporting(settings(revision=None)) as exporting:
        exporting.post([pair({"scores": SURE}, {"scores": SURE}, id="p", revision="r2")])
        assert exporting["observer_start_time_seconds variant"].keys() == {"stable", "canary"}
        assert exporting["labels_pending variant"] == {"stable": 1, "canary": 1}
