"""Resamples: what is drawn, that two models are drawn alike, and that their interval holds what it says it holds."""

import numpy as np
import pytest

from makeweight.measure.bootstrap import RESAMPLES, draws, interval, resampled, whole


def test_every_resample_has_as_many_examples_as_there_are() -> None:
    weights = np.concatenate(list(draws(30)))
    assert weights.shape == (RESAMPLES, 30)
    assert (weights.sum(axis=1) == 30).all()
    rng = np.random.default_rng(0)
    np.testing.assert_array_equal(weights[0], np.bincount(rng.integers(0, 30, 30), minlength=30))
    np.testing.assert_array_equal(whole(3), [[1, 1, 1]])


def test_resamples_do_not_depend_on_the_blocks_that_they_are_drawn_in(monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = np.concatenate(list(draws(50)))
    monkeypatch.setattr("makeweight.measure.bootstrap._BLOCK", 350)
    np.testing.assert_array_equal(at_once, np.concatenate(list(draws(50))))


def test_two_models_meet_the_same_resamples() -> None:
    own, base = resampled(20, lambda w: {"first": w[:, 0]}, lambda w: {"first": w[:, 0]})
    np.testing.assert_array_equal(own["first"], base["first"])


def test_the_interval_is_that_of_the_percentiles() -> None:
    figures = np.random.default_rng(1).permutation(np.arange(1001) / 1000)
    assert interval(figures, 0.95) == pytest.approx((0.025, 0.975))
    assert interval(np.append(figures, np.nan), 0.95) is None


def test_it_holds_the_mean_about_as_often_as_it_says() -> None:
    """Of 200 samples of 100 normal numbers, about 190."""
    held = 0
    for seed in range(200):
        sample = np.random.default_rng(seed).normal(1, 2, 100)
        (found,) = resampled(100, lambda w, sample=sample: {"mean": w @ sample / 100})  # type: ignore[misc]
        low, high = interval(found["mean"], 0.95) or (0, 0)
        held += low <= 1 <= high
    assert 180 <= held <= 198
