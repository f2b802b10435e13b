"""A fleet of real observers, for what reads their counters: a classifier and a regression, each with a past.

Each process has a registry of its own, served on loopback. What they counted before is kept as text in OpenMetrics with
times, to be put into a Prometheus by `prometheus.backfill`; then they are scraped, and go on counting where they were.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from prometheus_client import CollectorRegistry, start_http_server

import rules_project
from makeweight_monitors.build import Build
from makeweight_monitors.metrics import Variant
from makeweight_monitors.observe.observer import Observer
from makeweight_monitors.observe.pending import Pending
from makeweight_monitors.rules.promql import equals

JOB = "models"
DIGITS, PRICES = "digits", "prices"
OLD, NEW = "r1", "r2"
WHERE = "production"
SLICES = ("heavy ink", "light ink")
_BASE = Build("baseline", "32", "onnxruntime", "", "b" * 64, 1_900_000)
_FIRST = Build("int8", "8", "onnxruntime", "1" * 12, "1" * 64, 500_000)
_SECOND = Build("slim-int8", "8", "onnxruntime", "2" * 12, "2" * 64, 200_000)


@dataclass
class Process:
    """One process of a model server: `count` lets it answer, with the share of its canary's answers that turn wrong."""

    count: Callable[[float], None]
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    address: str = "127.0.0.1:1"

    def snapshot(self, time: float) -> Iterator[str]:
        """Its series as they are, as lines of OpenMetrics of that time."""
        host = {"job": JOB, "instance": self.address}
        for family in self.registry.collect():
            for sample in family.samples:
                labels = ",".join(equals(*label) for label in sorted({**sample.labels, **host}.items()))
                yield f"{sample.name}{{{labels}}} {sample.value} {time}"


class Fleet:
    """Two replicas of each arm of a classifier, and one process of a regression in which both arms answer."""

    def __init__(self) -> None:
        self._random = np.random.default_rng(7)
        self._choice = random.Random(7)
        self._number = 0
        self.past: list[str] = []
        self.processes: list[Process] = []

    @contextlib.contextmanager
    def served(self, now: float) -> Iterator[list[str]]:
        """The addresses that serve /metrics, after three hours of a past in which

        the first canary ends six minutes ago, a second one serves, and the first is promoted four minutes ago.
        """
        with contextlib.ExitStack() as closing:
            canaries = [self._serve(closing, self._split(NEW, "canary", _SECOND)) for _ in range(2)]
            prices = [self._serve(closing, self._prices())]
            stable = [self._split_and_shadow(_BASE) for _ in range(2)]
            first = self._split(OLD, "canary", _FIRST)
            first.address, stable[0].address, stable[1].address = (f"127.0.0.1:{port}" for port in (1, 2, 3))
            for ago in range(180, 3, -2):
                alive = [*canaries, *prices, *stable, *([first] if ago > 5 else [])]
                for process in alive:
                    process.count(0.004)
                    self.past += process.snapshot(now - 60 * ago)
            promoted = [self._serve(closing, self._split_and_shadow(_FIRST)) for _ in range(2)]
            self.processes = [*canaries, *prices, *promoted]
            yield [process.address for process in self.processes]

    def spoil(self) -> None:
        """A little traffic, in which the canary is wrong far too often."""
        for process in self.processes:
            process.count(0.4)

    def _serve(self, closing: contextlib.ExitStack, process: Process) -> Process:
        server, thread = start_http_server(0, "127.0.0.1", process.registry)
        process.address = f"127.0.0.1:{server.server_port}"

        def end() -> None:
            server.shutdown()
            server.server_close()
            thread.join()

        closing.callback(end)
        return process

    def _ids(self, count: int) -> list[str]:
        self._number += count
        return [f"id-{self._number - count + index}" for index in range(count)]

    def _scores(self, truth: list[int], wrong: float) -> Any:
        """Logits of ten classes, sure of themselves but for a few."""
        count = len(truth)
        answers = [self._choice.randrange(10) if self._choice.random() < wrong else one for one in truth]
        scores = self._random.normal(0, 1, (count, 10))
        scores[range(count), answers] += self._random.choice([5.0, 7.0, 9.0], count)
        return scores

    def _split(self, revision: str, variant: Variant, build: Build) -> Process:
        """Answers a fifth of all requests, at random."""
        process = Process(lambda _: None)
        observer = self._observer(process, revision, variant, {variant: build})

        def count(wrong: float) -> None:
            self._record(observer, wrong, 0.002)

        process.count = count
        return process

    def _split_and_shadow(self, build: Build) -> Process:
        """Answers the rest, and lets the canary answer in its shadow."""
        process = Process(lambda _: None)
        observer = self._observer(process, NEW, "stable", {"stable": build, "canary": _SECOND}, shadow=True)

        def count(wrong: float) -> None:
            for _ in range(4):
                self._record(observer, 0.004, 0.005)
            for name in SLICES:
                truth = [self._choice.randrange(10) for _ in range(40)]
                ids = self._ids(len(truth))
                observer.record_pair(
                    self._scores(truth, 0.004),
                    self._scores(truth, wrong),
                    latency=(0.005, 0.002),
                    features={"ink": self._random.normal(0.5, 0.2, len(truth))},
                    id=ids,
                    slice=[name] * len(truth),
                )
                observer.label_many(ids, truth)
            observer.record([float("nan")] * 10, 0.004)
            observer.record(predictions="eleven")
            observer.label("nobody", "1")

        process.count = count
        return process

    def _observer(
        self, process: Process, revision: str, variant: Variant, builds: dict[Any, Build], *, shadow: bool = False
    ) -> Observer:
        known = {"stable": rules_project.known("baseline", shift=5), "canary": rules_project.known()}
        return Observer(
            DIGITS,
            revision,
            variant,
            reference=known if shadow else known[variant],
            manifest=builds,
            features={"ink": [0.2, 0.4, 0.6, 0.8]},
            slices=SLICES,
            weight=0.2,
            labels=Pending(),
            shadow=shadow,
            registry=process.registry,
            environment=WHERE,
        )

    def _record(self, observer: Observer, wrong: float, seconds: float) -> None:
        truth = [self._choice.randrange(10) for _ in range(30)]
        ids = self._ids(len(truth))
        slices = [self._choice.choice(SLICES) for _ in truth]
        times = self._random.gamma(4, seconds / 4, len(truth))
        ink = {"ink": self._random.normal(0.5, 0.2, len(truth))}
        observer.record(self._scores(truth, wrong), times, features=ink, id=ids, slice=slices)
        observer.label_many(ids[5:], truth[5:])

    def _prices(self) -> Process:
        """A regression: an answer within 1 of the truth is right."""
        process = Process(lambda _: None)
        observer = Observer(
            PRICES,
            NEW,
            "stable",
            task="regression",
            tolerance=1.0,
            error_edges=[0.1, 0.3, 1.0, 3.0],
            features={"area": [40, 80, 120]},
            weight=0.2,
            labels=Pending(),
            shadow=True,
            manifest={"stable": _BASE, "canary": _FIRST},
            registry=process.registry,
            environment=WHERE,
        )

        def count(wrong: float) -> None:
            truth = self._random.normal(100, 20, 60)
            off = self._random.random(60) < wrong
            stable = truth + self._random.normal(0, 0.2, 60)
            canary = truth + self._random.normal(0, 0.3, 60) + 5 * off
            ids = self._ids(60)
            area = {"area": self._random.normal(80, 30, 60)}
            observer.record_pair(predictions=(stable, canary), latency=(0.004, 0.003), features=area, id=ids)
            observer.label_many(ids, truth.tolist())

        process.count = count
        return process
