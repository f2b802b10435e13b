"""The canary in the demo's model server: whatever becomes of it, a request never waits for it, and each pair counts."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

import prometheus
from examples.monitoring import shadow
from examples.monitoring.shadow import Request, Shadow
from makeweight_monitors.observe.observer import Observer

IMAGE = np.zeros((1, 1, 8, 8), np.float32)


def request(number: int) -> Request:
    return Request(str(number), IMAGE, [0.5, 1.5], 0.001)


class Counted:
    """An observer's counts of pairs and of failures."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.observer = Observer(
            "digits", "r2", "stable", classes=["no", "yes"], shadow=True, environment="", registry=self._registry
        )

    def __call__(self, series: str, **labels: str) -> float:
        return sum(
            sample.value
            for family in self._registry.collect()
            for sample in family.samples
            if sample.name == series and labels.items() <= sample.labels.items()
        )


@pytest.fixture
def counted() -> Counted:
    return Counted()


def behind(counted: Counted, canary: Callable[[np.ndarray], tuple[list[float], float]]) -> Shadow:
    return Shadow(canary, counted.observer)


def test_both_answers_are_counted_as_a_pair(counted: Counted) -> None:
    answers = iter([[2.5, 3.5], [3.5, 2.5], [2.5, 3.5]])
    beside = behind(counted, lambda _: (next(answers), 0.002))
    for number in range(3):
        beside.put(request(number))
    beside.close()
    agreed = (counted("makeweight_shadow_pairs_total", agree=agree) for agree in ("yes", "no"))
    assert tuple(agreed) == (2, 1)
    assert counted("makeweight_latency_seconds_sum", variant="canary") == pytest.approx(0.006)


def test_a_canary_that_raises_has_failed_and_goes_on(counted: Counted) -> None:
    answers = iter([None, [2.5, 3.5]])

    def canary(image: np.ndarray) -> tuple[list[float], float]:
        if (scores := next(answers)) is None:
            raise RuntimeError("no")
        return scores, 0.002

    beside = behind(counted, canary)
    for number in range(2):
        beside.put(request(number))
    beside.close()
    assert counted("makeweight_failures_total", variant="canary", reason="exception") == 1
    assert counted("makeweight_predictions_total", variant="canary") == 1
    assert counted("makeweight_predictions_total", variant="stable") == 2


def test_a_canary_that_hangs_loses_calls_which_count_while_it_hangs_and_no_request_waits(
    counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shadow, "MOST_WAITING", 4)
    entered, free = threading.Event(), threading.Event()

    def canary(image: np.ndarray) -> tuple[list[float], float]:
        entered.set()
        free.wait(60)
        return [2.5, 3.5], 0.002

    beside = behind(counted, canary)
    beside.put(request(0))
    assert entered.wait(60)
    for number in range(1, 10):
        beside.put(request(number))  # it would not return if it waited
    prometheus.until(lambda: counted("makeweight_failures_total", variant="canary", reason="lost") == 5)
    free.set()
    beside.close()
    assert counted("makeweight_failures_total", variant="canary") == 5
    assert counted("makeweight_predictions_total", variant="canary") == 5
