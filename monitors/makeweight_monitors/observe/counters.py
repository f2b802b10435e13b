"""Counters of one process, each exact, added up by Prometheus; in one stretch of memory (`arena.py`).

Times are kept as whole nanoseconds: sums of them are exact too, in whatever order they are made.
"""

from __future__ import annotations

import os
import threading
import time
import uuid
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from makeweight_base.errors import UsageError
from makeweight_monitors.metrics import LATENCY_BUCKETS, Metric
from makeweight_monitors.observe.arena import METRICS, Arena, Block, Labels, added_up

if TYPE_CHECKING:
    from prometheus_client.core import Metric as Family
    from prometheus_client.registry import CollectorRegistry

    from makeweight_monitors.observe.prefork import Folder

LATENCY_ROWS = (*(str(bound) for bound in LATENCY_BUCKETS), "+Inf", "sum")
"""A histogram's cells: how many fell into each bucket alone, and the sum in nanoseconds."""
LONGEST_LABEL = 128
"""Characters; longer values are cut, so that no client fills the memory with one of them."""


@dataclass
class Gauge:
    """A value that is asked for when it is collected."""

    metric: Metric
    labels: Mapping[str, str]
    value: Callable[[], float]


class Counters:
    """All that one process counts, and what a registry of prometheus_client asks for it.

    `cells`, `array` (the same memory, for numpy), `lock` and `making` are for those who count: take the lock, add, let
    go. They are other objects after a fork, so they are to be asked for each time.
    """

    def __init__(self, group: Folder | None = None, clock: Callable[[], float] = time.time) -> None:
        self._group = group
        self._clock = clock
        self._blocks: dict[tuple[str, Labels], Block] = {}
        self._gauges: dict[tuple[str, Labels], Gauge] = {}
        self.shared: dict[tuple[str, str], Any] = {}
        """What several observers of one model have in common, by kind and model."""
        self._settle(group.arena() if group else Arena.private())
        _living.add(self)

    def _settle(self, arena: Arena) -> None:
        self._arena = arena
        self.lock = threading.Lock()
        self.making = threading.RLock()
        """For those who find out which cells they need."""
        self.cells = arena.cells
        self.array = arena.array
        self.boot = self._group.boot if self._group else uuid.uuid4().hex[:12]
        self.began = self._group.began if self._group else self._clock()

    def renew(self) -> None:
        """Begin anew in a child process: what the parent counted stays the parent's."""
        arena = self._group.arena() if self._group else Arena.private()
        arena.copy_keys(self._arena)
        self._settle(arena)
        by_start = {block.at: block for block in arena.blocks}
        for block in self._blocks.values():
            block.axes = by_start[block.at].axes

    def block(
        self,
        metric: Metric,
        labels: Mapping[str, str],
        axes: Mapping[str, Sequence[str]] | None = None,
        room: int | None = None,
    ) -> Block:
        """The cells of a metric, at zero when they are new; asked for twice, they are the same.

        Args:
            axes: the labels in which the series differ, with their values; none: one series.
            room: how many values the first axis may come to have; None: no more than it has.

        Raises:
            UsageError: the same series were asked for with other values, or there are too many.
        """
        given = {name: [cut(value) for value in values] for name, values in (axes or {}).items()}
        shared = {name: cut(value) for name, value in labels.items()}
        key = (metric.name, tuple(sorted(shared.items())))
        with self.lock:
            block = self._blocks.get(key)
            if block is not None:
                if (room is None and block.axes != given) or block.axes.keys() != given.keys():
                    raise UsageError(
                        f"{metric.series}{shared} is counted in this process already, with other values of "
                        f"{', '.join(given)}",
                        do="Describe a model once in a process, or give each observer a registry of its own.",
                    )
                return block
            first = len(next(iter(given.values()), [""]))
            block = self._arena.allot(metric, shared, given, room or first)
            if block is None:
                raise UsageError(
                    f"more series than one process may have: {metric.series} does not fit any more",
                    do="Have fewer classes, slices, features or models in one process.",
                )
            self._blocks[key] = block
            return block

    def extend(self, blocks: Sequence[Block], value: str) -> bool:
        """One more value of the first axis of several blocks; to be called with the lock held. False: no room."""
        return self._arena.extend(blocks, cut(value))

    def gauge(self, metric: Metric, labels: Mapping[str, str], value: Callable[[], float]) -> None:
        """A gauge that is asked for at every collection; a later one takes an earlier one's place."""
        shared = {name: cut(text) for name, text in labels.items()}
        self._gauges[(metric.name, tuple(sorted(shared.items())))] = Gauge(metric, shared, value)

    def drop_gauges(self, labels: Mapping[str, str], *metrics: Metric) -> None:
        """The gauges of these metrics that bear these labels, and perhaps more, are collected no more."""
        shared = {name: cut(text) for name, text in labels.items()}.items()
        for key, gauge in list(self._gauges.items()):
            if gauge.metric in metrics and shared <= gauge.labels.items():
                self._gauges.pop(key, None)

    def collect(self) -> Iterator[Family]:
        """Everything, as families of prometheus_client; metrics without a series are left out."""
        samples = self._samples()
        gauges = list(self._gauges.values())
        for metric in METRICS.values():
            family = family_of(metric)
            if metric.kind == "gauge":
                _add_gauges(family, [gauge for gauge in gauges if gauge.metric is metric], self.boot)
            elif metric.kind == "histogram":
                _add_histograms(family, samples.get(metric.name, []), self.boot)
            else:
                name = f"{metric.name}_total"
                for labels, value in samples.get(metric.name, ()):
                    family.add_sample(name, {**labels, "boot": self.boot}, value)
            if family.samples:
                yield family

    def describe(self) -> Iterator[Family]:
        return map(family_of, METRICS.values())

    def _samples(self) -> dict[str, list[tuple[dict[str, str], int]]]:
        """By metric, each series' labels (without `boot`) and count, over all processes of the group."""
        if self._group is None:
            with self.lock:
                total = added_up([self._arena])
        else:
            with self._group.reading() as arenas:
                total = added_up(arenas)
        samples: dict[str, list[tuple[dict[str, str], int]]] = {}
        for (name, _), (labels, value) in total.items():
            samples.setdefault(name, []).append((labels, value))
        return samples


def of(registry: CollectorRegistry, group: Folder | None = None) -> Counters:
    """The counters behind a registry; made, and registered, when first asked for.

    Raises:
        UsageError: it has counters of another group, or of none.
    """
    with _opening:
        counters = _behind.get(registry)
        if counters is None:
            counters = _behind[registry] = Counters(group)
            registry.register(counters)
        elif counters._group is not group:
            raise UsageError(
                "the observers behind one registry count in different places",
                do="Give all of them the same `shared`, or each a registry of its own.",
            )
        return counters


def family_of(metric: Metric) -> Family:
    from prometheus_client.core import Metric as Family

    return Family(metric.name, metric.help, metric.kind)


def cut(value: str) -> str:
    """A label value that neither fills the memory nor spoils the page: one that is no UTF-8 would fail every scrape."""
    value = value if len(value) <= LONGEST_LABEL else f"{value[: LONGEST_LABEL - 1]}…"
    return value if value.isascii() else value.encode(errors="replace").decode()


def _add_gauges(family: Family, gauges: Iterable[Gauge], boot: str) -> None:
    for gauge in gauges:
        labels = dict(gauge.labels)
        if "boot" in gauge.metric.labels:
            labels["boot"] = boot
        family.add_sample(gauge.metric.name, labels, gauge.value())


def _add_histograms(family: Family, samples: Iterable[tuple[dict[str, str], int]], boot: str) -> None:
    by_labels: dict[Labels, dict[str, int]] = {}
    for labels, count in samples:
        shared = tuple((name, value) for name, value in labels.items() if name != "le")
        by_labels.setdefault(shared, {})[labels["le"]] = count
    for shared, counts in by_labels.items():
        labels_of_all = {**dict(shared), "boot": boot}
        total = 0
        for bound in LATENCY_ROWS[:-1]:
            total += counts[bound]
            family.add_sample(f"{family.name}_bucket", {**labels_of_all, "le": bound}, total)
        family.add_sample(f"{family.name}_count", labels_of_all, total)
        family.add_sample(f"{family.name}_sum", labels_of_all, counts["sum"] / 1e9)


_opening = threading.Lock()
_behind: weakref.WeakKeyDictionary[CollectorRegistry, Counters] = weakref.WeakKeyDictionary()
_living: weakref.WeakSet[Counters] = weakref.WeakSet()


def _renew() -> None:
    global _opening
    _opening = threading.Lock()
    for counters in list(_living):
        counters.renew()


os.register_at_fork(after_in_child=_renew)
