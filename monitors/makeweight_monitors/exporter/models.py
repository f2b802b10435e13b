"""The models that are served: which observer counts for which revision and variant, within a bound.

Events bring revisions, and a revision is a label: so many of them are told apart, and no more. What comes beyond is
refused and counted under the revision `other`. Once a revision is out of use the model begins anew, as after a restart,
with another `boot`: else the series of all that was ever served would stay, and one day leave no place for the next.
The old series are shown for a while longer, so that their last counts are collected.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry

from makeweight_base.errors import UsageError
from makeweight_monitors.exporter.limits import MOST_REVISIONS
from makeweight_monitors.exporter.settings import OBSERVED, ModelSettings
from makeweight_monitors.metrics import VARIANTS, Variant
from makeweight_monitors.observe import counters as counting
from makeweight_monitors.observe.counters import Counters
from makeweight_monitors.observe.observer import Observer
from makeweight_monitors.observe.pending import EVERY, MOST_FRESH, Pending

if TYPE_CHECKING:
    from prometheus_client.core import Metric as Family

OTHER = "other"
IDLE = 600.0
"""Seconds without an event after which a revision is out of use, if others are in use."""
SHOWN = 180.0
"""Seconds for which the series of before are still shown: more than one interval of any scrape."""
AT_LEAST = 3600.0
"""Seconds between two beginnings, unless a place is needed: every one gives Prometheus new series to store."""
Refusals = Callable[[str, int], object]
Release = tuple[str | None, str]
"""Environment and revision."""


@dataclass
class Generation:
    """What counts from one beginning to the next."""

    registry: CollectorRegistry = field(default_factory=lambda: CollectorRegistry(auto_describe=False))
    observers: dict[tuple[Release, Variant], Observer] = field(default_factory=dict)
    used: dict[Release, float] = field(default_factory=dict)
    """When its last event came, in seconds of the clock."""
    until: float = float("inf")


class Model:
    """One model, all its revisions and variants.

    Args:
        on_refusal: told what the observers refuse.

    Raises:
        UsageError: what is said of the model contradicts itself, or its label store is none.
    """

    def __init__(
        self,
        settings: ModelSettings,
        on_refusal: Refusals,
        *,
        most_revisions: int = MOST_REVISIONS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings
        self.name = settings.name
        self._on_refusal = on_refusal
        self._most = most_revisions
        self._clock = clock
        self.store = Pending(settings.labels, timeout=settings.label_timeout, most=settings.most_waiting)
        self._changing = threading.Lock()
        self._now = Generation()
        self._before: list[Generation] = []
        self._began = clock()
        self._next_relief = 0.0
        # wrong settings are to fail now, not at the first event
        Observer(self.name, OTHER, settings.variants[0], registry=CollectorRegistry(), **self._described(OTHER))
        if settings.revision is not None:
            # all series from the start, at zero: what counts from the first scrape on is not lost to `increase`
            for variant in settings.variants:
                self._observe((settings.environment, settings.revision), variant)

    def observer(self, revision: str | None, variant: Variant, environment: str | None = None) -> Observer | None:
        """Who counts; None where the revision is one too many. An event without a revision, or an environment, is of
        the declared one.

        Raises:
            LookupError: neither the event nor the configuration names a revision.
        """
        revision = revision if revision is not None else self.settings.revision
        if not revision:
            raise LookupError(self.name)
        release = (self.settings.environment if environment is None else environment, revision)
        now = self._clock()
        used = self._now.used
        if self._idle(now) and (now > self._began + AT_LEAST or (release not in used and len(used) >= self._most)):
            self._begin_anew(now)
        observer = self._now.observers.get((release, variant)) or self._admit(release, variant)
        if observer is not None:
            self._now.used[release] = now
        return observer

    def refuse(
        self,
        reason: str,
        count: int,
        what: str,
        revision: str | None,
        variant: Variant,
        environment: str | None = None,
    ) -> None:
        """Count what no observer could be asked about; under `other`, where the revision is one too many, and there is
        memory for the series of that.
        """
        environment = self.settings.environment if environment is None else environment
        observer = self._now.observers.get(((environment, revision or self.settings.revision or OTHER), variant))
        if observer is None:
            try:
                observer = self._observe((self.settings.environment, OTHER), variant)
                observer.leave()  # it is none that serves
            except UsageError:
                observer = next(iter(self._now.observers.values()), None)  # of those who left no memory
        if observer is not None:
            observer.refused(None, reason, count, what)

    def labelled(self) -> Observer:
        """Whom to give labels: any of them, for they share the store; the newest counts the unknown ones."""
        used = self._now.used
        if used:
            newest = max(used, key=used.__getitem__)
        else:  # nothing came yet, and labels come for what was answered before a restart
            revision = self.settings.revision or max((one.revision for one in self.store.waiting()), default=OTHER)
            newest = (self.settings.environment, revision)
        observers = [one for (release, _), one in self._now.observers.items() if release == newest]
        return observers[0] if observers else self._observe(newest, self.settings.variants[0])

    def relieve(self) -> None:
        """Write what waits for labels where it comes faster than the store's own thread writes it: a sender may wait
        for that, other than a model."""
        fresh = self.store.fresh
        if fresh > MOST_FRESH // 2 and self._clock() >= self._next_relief:
            self.store.tend()
            if self.store.fresh >= fresh:  # a full disk, say: not at every event
                self._next_relief = self._clock() + EVERY

    def collect(self) -> Iterator[Family]:
        """All series, also those of before a new beginning, for a while."""
        now = self._clock()
        with self._changing:
            self._before = [one for one in self._before if one.until > now]
            shown = [*self._before, self._now]
        for generation in shown:
            yield from counting.of(generation.registry).collect()

    def close(self) -> None:
        """Write what waits for labels."""
        self.store.close()

    def _idle(self, now: float) -> bool:
        return len(self._now.used) > 1 and min(self._now.used.values()) < now - IDLE

    def _admit(self, release: Release, variant: Variant) -> Observer | None:
        used = self._now.used
        if release not in used and len(used) >= self._most:
            return None
        try:
            return self._observe(release, variant)
        except UsageError:  # no memory for more series
            return None

    def _begin_anew(self, now: float) -> None:
        with self._changing:
            self._now.until = now + SHOWN
            self._before.append(self._now)
            self._now, self._began = Generation(), now

    def _observe(self, release: Release, variant: Variant) -> Observer:
        observer = self._now.observers.get((release, variant))
        if observer is None:
            environment, revision = release
            observer = Observer(
                self.name,
                revision,
                variant,
                environment=environment,
                registry=self._now.registry,
                labels=self.store,
                on_refusal=self._on_refusal,
                **self._described(revision),
            )
            self._now.observers[(release, variant)] = observer
        return observer

    def _described(self, revision: str) -> dict[str, Any]:
        settings = self.settings
        both = set(settings.variants) == set(VARIANTS)
        observed = {key: getattr(settings, key) for key in OBSERVED}
        if settings.revision not in (None, revision):  # which file that one serves nobody told
            observed["manifest"] = {}
            observed["reference"] = {arm: replace(one, sha256="") for arm, one in settings.reference.items()}
        return {**observed, "shadow": both and revision == settings.revision}


class Models:
    """All that are served, as one collector for prometheus_client."""

    def __init__(self, models: list[Model], own: Counters) -> None:
        self._models = {model.name: model for model in models}
        self._services = {model.settings.service: model for model in models if model.settings.service is not None}
        self._own = own

    def find(self, name: str | None) -> Model | None:
        """A model by its name; without one, the only one there is."""
        if name is None:
            return next(iter(self._models.values())) if len(self._models) == 1 else None
        return self._models.get(name)

    def of_service(self, name: str | None, namespace: str = "") -> Model | None:
        """A model by the service that serves it in a cluster; one that names the namespace too goes before others."""
        if name is None:
            return self.find(None)
        named = self._services.get(f"{namespace}/{name}") or self._services.get(name)
        if named is not None:
            return named
        found = self._models.get(name)
        # one whose service has a name of its own is not meant by the model's
        return found if found is not None and found.settings.service is None else None

    def __iter__(self) -> Iterator[Model]:
        return iter(self._models.values())

    def collect(self) -> Iterator[Family]:
        """Every metric once, with the series of all models."""
        families: dict[str, Family] = {}
        every = [self._own.collect(), *(model.collect() for model in self._models.values())]
        for family in itertools.chain.from_iterable(every):
            known = families.setdefault(family.name, family)
            if known is not family:
                known.samples.extend(family.samples)
        yield from families.values()
