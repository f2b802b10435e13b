"""Serving: a Python server's models, by a pointer that it follows.

    serving = Serving("serving/current.json", load=onnxruntime.InferenceSession)
    arm = serving.arm(key=user)
    scores = arm.answer(lambda session: session.run(None, {"image": image})[0])

What a new pointer names is loaded beside what serves, and takes over in one step when all of it is whole. Whatever is
wrong with it is logged, counted (`makeweight_serving_refused_total`) and kept in `trouble`; the server goes on.
"""

from __future__ import annotations

import hashlib
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from makeweight_base.errors import EnvironmentFailed, UsageError
from makeweight_monitors import metrics
from makeweight_monitors.complaints import Complaints
from makeweight_monitors.metrics import Variant
from makeweight_monitors.observe import counters as counting
from makeweight_monitors.observe import failure, prefork
from makeweight_monitors.observe.observer import Observer
from makeweight_monitors.serving import pointer as pointers
from makeweight_monitors.serving.breaker import Breaker
from makeweight_monitors.serving.pointer import Pointer, Served
from makeweight_monitors.serving.whole import MANIFEST, model_file

if TYPE_CHECKING:
    from prometheus_client.registry import CollectorRegistry

_REFERENCE = "reference.json"
_PATIENCE = 30.0
"""Seconds after which what could not be taken over is tried again although the pointer stayed as it is."""


@dataclass(frozen=True)
class Arm:
    """One model that is kept warm. A request keeps the arm that it was given, whatever changes meanwhile."""

    name: Variant
    served: Served
    model: Any
    """What the loader returned."""
    observer: Observer
    breaker: Breaker | None
    """Of the canary that is on trial; None: there is none."""

    def answer(self, call: Callable[[Any], Any], scores: Callable[[Any], Any] | None = None, **more: Any) -> Any:
        """What `call` answers with the model, timed and recorded; what it raises is recorded as a failure, and raised.

        Args:
            scores: takes from the answer what `Observer.record` counts; None: the answer itself. Where it raises, the
                answer is counted as refused.
            more: for `Observer.record`, such as `id`, `unit` or `slice`.
        """
        began = time.perf_counter()
        try:
            answer = call(self.model)
        except Exception as error:
            self.record(failure.of(error), time.perf_counter() - began, **more)
            raise
        seconds = time.perf_counter() - began
        try:
            found = answer if scores is None else scores(answer)
        except Exception as error:  # noqa: BLE001 - the answer is there, and goes out
            self.observer.refused(None, "bad_shape", 1, f"no scores found in an answer: {error!r}")
            return answer
        self.record(found, seconds, **more)
        return answer

    def record(self, scores: Any = None, latency: float | None = None, **more: Any) -> None:
        """`Observer.record`; the breaker sees the outcome and the latency, in seconds."""
        self.observer.record(scores, latency, **more)
        if self.breaker is not None and latency is not None:
            self.breaker.latency(self.name, latency)


@dataclass(frozen=True)
class _Standing:
    """All that serves, exchanged as a whole."""

    pointer: Pointer
    """As it was read last."""
    stable: Arm
    canary: Arm | None

    def arms(self) -> list[Arm]:
        return [arm for arm in (self.stable, self.canary) if arm is not None]


class Serving:
    """Follows a pointer.

    Args:
        pointer: the file; models lie in folders beside it.
        load: opens a model's file and returns what answers; called before a model takes over, from a thread of ours.
        observe: arguments for the `Observer` of each arm, such as `labels` (a `Pending`), `task` or `shared`. Model,
            revision, reference, manifest, weight and attempt are the pointer's to say.
        breaker: makes the breaker of a canary; None: there is none.
        every: seconds between two looks at the file, in a thread; None: `follow` is called by the server.
        registry: of prometheus_client; None: the one that it serves by default.

    Raises:
        UsageError: the pointer or its stable model cannot be taken at the start. A broken canary never raises.
    """

    def __init__(
        self,
        pointer: Path | str,
        load: Callable[[Path], Any],
        *,
        observe: Mapping[str, Any] | None = None,
        breaker: Callable[[], Breaker] | None = Breaker,
        every: float | None = 1.0,
        registry: CollectorRegistry | None = None,
    ) -> None:
        if registry is None:
            from prometheus_client import REGISTRY

            registry = REGISTRY
        self._path, self._load, self._make_breaker = Path(pointer), load, breaker
        self._observe = {**(observe or {}), "registry": registry}
        shared = self._observe.get("shared")
        self._counters = counting.of(registry, None if shared is None else prefork.folder(shared))
        self._complaints = Complaints(f"serving {self._path}")
        self._following = threading.Lock()
        self._stopped = threading.Event()
        self._tried = 0.0
        self.trouble: str | None = None
        """What of the pointer could not be taken over, in a sentence; None: all of it serves."""
        self._seen = _signature(self._path)
        first = pointers.load(self._path)
        axes = {"reason": metrics.SERVING_REFUSALS}
        self._refused = self._counters.block(metrics.SERVING_REFUSED, {"model": first.stable.model}, axes).at
        stable = self._arm("stable", first.stable, first, None, None)
        self._standing = _Standing(first, stable, None)
        self._take_over(first)
        told = {"model": first.stable.model}
        self._counters.gauge(metrics.SERVING_EPOCH, told, lambda: float(self._standing.pointer.epoch))
        if every is not None:
            threading.Thread(target=self._watch, args=(every,), name="makeweight-serving", daemon=True).start()

    def arm(self, key: str | bytes | None = None) -> Arm:
        """The model for a request: the canary for its share of them, unless its breaker is open; else stable.

        Args:
            key: whose request it is: one key gets one arm, and keeps the canary as its share grows; None: by lot.
        """
        standing = self._standing
        canary = standing.canary
        if canary is None or (canary.breaker is not None and canary.breaker.opened is not None):
            return standing.stable
        at = random.random() if key is None else _place(key, canary.served.revision)  # noqa: S311 - no secret
        return canary if at < canary.served.weight else standing.stable

    @property
    def stable(self) -> Arm:
        return self._standing.stable

    @property
    def canary(self) -> Arm | None:
        return self._standing.canary

    def follow(self) -> bool:
        """Look at the file, and take over what it says now; whether anything changed. Nothing that it finds raises."""
        with self._following:
            signature = _signature(self._path)
            again = self.trouble is not None and time.monotonic() - self._tried > _PATIENCE
            if signature == self._seen and not again:
                return False
            self._seen = signature
            before = self._standing
            self.trouble = None
            try:
                self._take_over(pointers.load(self._path))
            except UsageError as error:
                self._refuse("pointer", str(error))
            return self._standing is not before

    def close(self) -> None:
        """Look no more. What is loaded goes on to serve."""
        self._stopped.set()

    def _watch(self, every: float) -> None:
        while not self._stopped.wait(every):
            try:
                self.follow()
            except Exception as error:  # noqa: BLE001 - the thread is all that will ever see a rollback
                self._refuse("pointer", f"following the pointer failed: {error}")

    def _take_over(self, pointer: Pointer) -> None:
        """Make what serves what the pointer says; a part that cannot be is told, and stable stays what it was.

        A canary that the pointer no longer names goes even where nothing else of it can be taken over.
        """
        before = self._standing
        breaker = self._breaker_of(pointer.canary, before)
        stable = self._try("stable", pointer.stable, pointer, breaker)
        if stable is None:
            old = before.stable
            stable = self._try("stable", old.served, pointer, breaker) or old
        canary = None if pointer.canary is None else self._try("canary", pointer.canary, pointer, breaker)
        self._standing = _Standing(pointer, stable, canary)
        for arm in self._standing.arms():
            arm.observer.follow(pointer.epoch, _weight(pointer))
        self._tell(canary)
        serve = [arm.observer.labels for arm in self._standing.arms()]
        for arm in before.arms():
            if arm.observer.labels not in serve:
                self._leave(arm)

    def _breaker_of(self, canary: Served | None, before: _Standing) -> Breaker | None:
        """The breaker of a canary, which it keeps while it is the same attempt with the same model."""
        held = before.canary
        if canary is None or self._make_breaker is None:
            return None
        if held is not None and held.breaker is not None and _trial(held.served) == _trial(canary):
            if held.served.weight != canary.weight:
                held.breaker.step()
            return held.breaker
        return self._make_breaker()

    def _try(self, name: Variant, served: Served, pointer: Pointer, breaker: Breaker | None) -> Arm | None:
        try:
            loaded = next((arm.model for arm in self._standing.arms() if _file(arm.served) == _file(served)), None)
            return self._arm(name, served, pointer, breaker, loaded)
        except _Refused as refused:
            self._refuse(refused.reason, f"{name} `{served.variant}` ({served.revision}): {refused}")
            return None

    def _arm(self, name: Variant, served: Served, pointer: Pointer, breaker: Breaker | None, loaded: Any) -> Arm:
        """An arm, of a model that is loaded already where that is not None.

        Raises:
            _Refused: the model is damaged, does not load, or cannot be observed.
        """
        folder = self._path.parent / served.path
        if loaded is None:
            try:
                path = model_file(folder, served.sha256)
            except UsageError as error:
                raise _Refused("damaged", str(error)) from error
            try:
                loaded = self._load(path)
            except Exception as error:
                raise _Refused("load", f"it does not load: {type(error).__name__}: {error}", str(path)) from error
        try:
            observer = self._observer(name, served, pointer, folder, breaker)
        except (UsageError, EnvironmentFailed, TypeError) as error:
            raise _Refused("load", f"it cannot be observed: {error}", str(folder)) from error
        return Arm(name, served, loaded, observer, breaker)

    def _observer(
        self, name: Variant, served: Served, pointer: Pointer, folder: Path, breaker: Breaker | None
    ) -> Observer:
        """Both arms bear the release that is on trial."""
        release = pointer.canary or pointer.stable
        beside = {"reference": folder / _REFERENCE, "manifest": folder / MANIFEST}
        known: dict[str, Any] = {argument: path for argument, path in beside.items() if path.is_file()}
        return Observer(
            served.model,
            release.revision,
            name,
            **{**self._observe, **known},
            weight=_weight(pointer),
            attempt=release.attempt,
            on_outcome=None if breaker is None else breaker.outcome,
        )

    def _refuse(self, reason: str, what: str) -> None:
        self.trouble = what
        self._tried = time.monotonic()
        with self._counters.lock:
            self._counters.cells[self._refused + metrics.SERVING_REFUSALS.index(reason)] += 1
        self._complaints.say(reason, f"what served goes on to serve: {what}")

    def _tell(self, canary: Arm | None) -> None:
        """The breaker of a canary, as a series for as long as that is on trial."""
        if canary is not None and canary.breaker is not None:
            self._counters.gauge(metrics.SERVING_BREAKER, canary.observer.labels, partial(_is_open, canary.breaker))

    def _leave(self, arm: Arm) -> None:
        """Of what the pointer no longer names the counts alone stay: no alert is to speak of it for ever."""
        arm.observer.leave()
        self._counters.drop_gauges(arm.observer.labels, metrics.SERVING_BREAKER)


class _Refused(UsageError):
    """A model that cannot be taken over."""

    def __init__(self, reason: str, what: str, where: str | None = None) -> None:
        super().__init__(what, where=where)
        self.reason = reason


def _signature(path: Path) -> object:
    """What changes whenever the file is replaced; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _place(key: str | bytes, revision: str) -> float:
    """Where a key stands from 0 to 1: evenly spread, and anew for each release."""
    text = key if isinstance(key, bytes) else key.encode(errors="surrogatepass")
    digest = hashlib.blake2b(text, digest_size=8, key=hashlib.sha256(revision.encode()).digest()).digest()
    return int.from_bytes(digest) / 2**64


def _weight(pointer: Pointer) -> float | None:
    """The canary's share, where the traffic is split."""
    share = 0.0 if pointer.canary is None else pointer.canary.weight
    return share if 0 < share < 1 else None


def _file(served: Served) -> tuple[str, str]:
    return served.path, served.sha256


def _trial(served: Served) -> tuple[str, str, int]:
    return served.revision, served.sha256, served.attempt


def _is_open(breaker: Breaker) -> float:
    return float(breaker.opened is not None)
