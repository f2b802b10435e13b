"""A failed answer is a wrong answer: by its reason, in pairs and labels, and in the way of the certificate."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from exporter_app import Exporting, prediction
from observing import Watched

from makeweight_monitors.metrics import FAILURES
from makeweight_monitors.observe import Failure, failure

DOG = [0.0, 9.0, 0.0]
NAN = [float("nan")] * 3


def test_nan_and_infinity_are_failures_and_all_others_count() -> None:
    seen = Watched(labels="memory")
    seen.observer.record([DOG, NAN, [np.inf, 0.0, 0.0]], id=["a", "b", "c"])
    assert seen["failures_total variant reason"] == {"canary not_finite": 2}
    assert seen["predictions_total"] == {"": 1}
    assert [seen.observer.label(name, "dog") for name in "abc"] == ["matched"] * 3
    assert seen["labelled_total outcome"] == {"right": 1, "wrong": 2}


def test_nulls_are_what_some_servers_make_of_nan() -> None:
    seen = Watched()
    seen.observer.record([None, 1.0, None])
    assert seen["failures_total reason"] == {"not_finite": 1}


@pytest.mark.parametrize("reason", FAILURES)
def test_an_answer_that_never_came(reason: Any) -> None:
    seen = Watched(labels="memory")
    seen.observer.record(Failure(reason, 3), id=["a", "b", "c"])
    seen.observer.record(predictions=Failure(reason))
    assert seen["failures_total reason"] == {reason: 4}
    assert seen["predictions_total"] == seen["rejected_total"] == {}
    assert seen.observer.label("b", "cat") == "matched"
    assert seen["labelled_total outcome"] == {"wrong": 1}


def test_a_failure_for_no_reason_that_there_is_is_refused_and_told() -> None:
    seen = Watched()
    seen.observer.record(Failure("bad luck"))  # type: ignore[arg-type]
    seen.observer.record(Failure("lost", 0))
    assert seen["failures_total"] == {}
    assert seen["rejected_total reason"] == {"bad_shape": 2}


def test_an_exception_has_its_reason() -> None:
    assert failure.of(TimeoutError()) == Failure("timeout")
    assert failure.of(LookupError(), 7) == Failure("exception", 7)


def test_a_pair_whose_canary_failed_is_a_harm_whether_it_is_nan_or_never_came() -> None:
    seen = Watched("stable", labels="memory", shadow=True)
    seen.observer.record_pair([DOG, DOG], [NAN, DOG], id=["a", "b"])
    seen.observer.record_pair([DOG, DOG], Failure("exception", 2), id=["c", "d"])
    seen.observer.record_pair(predictions=(Failure("timeout"), "dog"), id="e")
    seen.observer.record_pair(Failure("status"), Failure("status"), id="f")
    assert seen["failures_total variant reason"] == {
        "canary not_finite": 1,
        "canary exception": 2,
        "stable timeout": 1,
        "stable status": 1,
        "canary status": 1,
    }
    # two that failed are both wrong, as two that give the same wrong answer are
    assert seen["shadow_pairs_total agree"] == {"yes": 2, "no": 4}
    assert [seen.observer.label(name, "dog") for name in "abcdef"] == ["matched"] * 6
    assert seen["paired_total stable canary"] == {
        "right wrong": 3,
        "right right": 1,
        "wrong right": 1,
        "wrong wrong": 1,
    }


def test_a_pair_of_a_regression_whose_canary_failed() -> None:
    seen = Watched(task="regression", error_edges=[1.0], tolerance=0.5, labels="memory", shadow=True)
    seen.observer.record_pair(predictions=([1.0, 2.0], [float("nan"), 2.0]), id=["a", "b"])
    seen.observer.record_pair(predictions=(1.0, Failure("lost")), id="c")
    assert seen["shadow_pairs_total agree"] == {"yes": 1, "no": 2}
    assert [seen.observer.label(name, 1.0) for name in "abc"] == ["matched"] * 3
    assert seen["paired_total stable canary"] == {"right wrong": 2, "wrong wrong": 1}
    assert seen["error_bin_total variant"] == {"stable": 3, "canary": 1}


def test_an_exporter_is_told_of_failures() -> None:
    with Exporting() as exporting:
        answer = exporting.post(
            [
                prediction(scores=None, failure="timeout", id="a"),
                prediction(scores=None, failure="timeout", id="b"),
                {"type": "pair", "stable": {"scores": DOG}, "canary": {"failure": "lost"}, "id": "c"},
                {"type": "pair", "stable": {"prediction": 1}, "canary": {"failure": "exception"}, "id": "d"},
                {"type": "pair", "stable": {"failure": "status"}, "canary": {"failure": "exception"}},
                prediction(scores=None, failure="bad luck"),
                prediction(failure="lost"),
                {"type": "label", "id": "c", "truth": 1},
            ]
        ).json()
        assert (answer["accepted"], answer["refused"]) == (6, 2)
        assert answer["reasons"] == {"no_prediction": 2}
        assert exporting["failures_total variant reason"] == {
            "canary timeout": 2,
            "canary lost": 1,
            "canary exception": 2,
            "stable status": 1,
        }
        assert exporting["paired_total stable canary"] == {"right wrong": 1}
        assert exporting["predictions_total variant"] == {"stable": 2}
