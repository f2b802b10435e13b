"""The design effect that a backtest tells, on counts whose clustering is known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from makeweight_monitors.backtest import summary
from makeweight_monitors.backtest.clustering import LEAST, clustering, design_effect
from makeweight_monitors.backtest.recorded import Recorded
from makeweight_monitors.prometheus.queries import Series

STEPS, EACH = 600, 20
Counts = NDArray[np.int64]


def in_runs(length: int, rate: float = 0.05, steps: int = STEPS, seed: int = 1) -> Counts:
    """How many are wrong, of EACH in each step, where runs of so many are alike."""
    drawn = np.random.default_rng(seed).random(steps * EACH // length + 1) < rate
    return np.repeat(drawn, length)[: steps * EACH].reshape(steps, EACH).sum(axis=1)


def of(wrong: Counts) -> float | None:
    counts = np.full(len(wrong), float(EACH)), wrong.astype(float), wrong.astype(float)
    return design_effect([counts])


@pytest.mark.parametrize(("length", "near"), [(1, 0.2), (5, 0.25), (30, 0.35)])
def test_runs_of_alike_requests_are_as_long_as_the_effect_says(length: int, near: float) -> None:
    assert of(in_runs(length)) == pytest.approx(length, rel=near)


def test_a_rate_that_changes_slowly_is_no_clustering() -> None:
    rate = 0.05 * (1 + 0.8 * np.sin(np.arange(STEPS) / 100))
    assert of(np.random.default_rng(2).binomial(EACH, rate)) == pytest.approx(1, rel=0.3)


def test_too_little_tells_nothing() -> None:
    assert of(in_runs(1, steps=LEAST)) is None
    assert of(np.zeros(STEPS, np.int64)) is None, "where nothing goes wrong, nothing varies"
    assert design_effect([]) is None


def series(name: str, counts: Counts, **labels: str) -> Series:
    total = np.concatenate([[0], np.cumsum(counts)])
    points = tuple((60.0 * i, float(count)) for i, count in enumerate(total))
    return Series({"__name__": f"makeweight_{name}_total", "model": "m", "revision": "r", **labels}, points)


def test_each_test_and_arm_is_told_apart_and_units_count_once() -> None:
    harm, units = in_runs(30), np.random.default_rng(3).binomial(1, 0.1, STEPS)
    failed = 30 * units  # of each unit that fails thirty requests do
    recorded = []
    for boot, instances in (("a", ("one",)), ("b", ("one", "two"))):  # scraped twice: counted once
        for instance in instances:
            where = {"boot": boot, "instance": instance}
            recorded += [
                series("paired", harm, stable="right", canary="wrong", **where),
                series("paired", EACH - harm, stable="right", canary="right", **where),
                series("predictions", np.full(STEPS, EACH), variant="canary", weight="", **where),
                series("failures", failed, variant="canary", weight="", reason="timeout", **where),
                series("repeats", failed - units, variant="canary", weight="", outcome="failed", **where),
            ]
    past = Recorded(tuple(recorded), 0.0, 60.0 * STEPS, 60.0)
    failures, paired = clustering(past)
    assert (failures.test, failures.labels) == ("failures", {"model": "m", "revision": "r", "variant": "canary"})
    assert failures.requests == 2 * (STEPS * EACH + int(units.sum()))
    assert failures.effect < 2
    assert (paired.test, paired.labels) == ("paired", {"model": "m", "revision": "r"})
    assert paired.requests == 2 * STEPS * EACH
    assert paired.effect == pytest.approx(30, rel=0.35)
    told = summary.table([], past, [failures, paired])
    assert f" {paired.effect:.2f}  paired of 24,000 requests, revision=r\n" in told
    assert "give the observers a `unit`" in told
    assert "`unit`" not in summary.table([], past, [failures])
    assert summary.data([], past, [paired])["clustering"][0]["design_effect"] == paired.effect
