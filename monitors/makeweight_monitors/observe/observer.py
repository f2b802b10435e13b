"""Observer: what a model server tells of its answers, as counters that Prometheus collects.

    observer = Observer("digits", "2026-07-01", "canary", reference="reports/int8/reference.json")
    observer.record(scores, latency=0.0021)

Nothing here ever raises into the server for what a model or a client sent: it is refused, counted and logged. Only what
is wrong when the server starts (a file that is missing, series that contradict each other) raises.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from makeweight_base.errors import UsageError
from makeweight_monitors import build
from makeweight_monitors.build import Build
from makeweight_monitors.complaints import Complaints
from makeweight_monitors.metrics import VARIANTS, Variant
from makeweight_monitors.observe import batch, given, local, prefork, quick, standing
from makeweight_monitors.observe import counters as counting
from makeweight_monitors.observe.arm import Arm, Arms, Shape
from makeweight_monitors.observe.classes import Classes
from makeweight_monitors.observe.counters import Counters
from makeweight_monitors.observe.labelfile import PAIR, LabelResult, Owner
from makeweight_monitors.observe.local import Local
from makeweight_monitors.observe.outcomes import AGAIN, BOTH, Outcomes
from makeweight_monitors.observe.pending import LONGEST_ID, Pending, identity
from makeweight_monitors.observe.quick import NOT_COUNTED
from makeweight_monitors.observe.reading import Answered, Reader
from makeweight_monitors.observe.units import Units
from makeweight_monitors.reference import Reference, ScoreKind

if TYPE_CHECKING:
    from prometheus_client.registry import CollectorRegistry

ENVIRONMENT = "MAKEWEIGHT_ENVIRONMENT"
_NAMES = (str, bytes, int, uuid.UUID)
"""What is one id, or one unit, and no list of them."""


class Observer:
    """Counts for one model as one arm.

    Args:
        model, revision, variant: the labels of every series. `revision` names the release on trial: stable and canary
            of one rollout bear the same.
        reference: `reports/<variant>/reference.json`, or what was read of it; for shadowed requests one for each arm,
            by `stable` and `canary`. Gives task, classes, bins, and how scores are to be read.
        task: `classification` or `regression`, where there is no reference.
        classes: names of the classes in the order of the scores; None: the reference's, else they are learnt, up to
            a cap.
        scores: how scores are to be read: `softmax` (logits), `probability` or `sigmoid`; None: as the reference says,
            else found out on the first.
        tolerance: regression: how far off an answer may be and still be right.
        error_edges: regression: rising inner edges of the bins of the absolute error; None: the reference's.
        features: rising inner edges of the bins of each input feature that is watched.
        slices: names of the groups that an example may belong to.
        weight: the canary's share of the traffic where it is split at random, 0 to 1; both arms give the same.
        labels: where predictions wait for their label: a file, or a store; None: there will be no labels.
        shadow: whether `record_pair` will be used: its series are there from the start.
        manifest: `artifacts/<variant>/manifest.json`, or what was read of it; for both arms by `stable` and `canary`.
            Its sha256, else the reference's, is a label of every series.
        environment: where this serves, such as `staging`; None: as MAKEWEIGHT_ENVIRONMENT says, else nothing. No two
            environments are ever compared.
        attempt: which try of the same revision this is; a new one is judged afresh, as is another file.
        registry: of prometheus_client; None: the one that it serves by default.
        shared: a folder for the counters of all processes of a pre-fork server; None: this process stands alone.
        on_outcome: called with the variant, how many of its answers were counted and how many failed, after each call
            that counts, from whichever thread: for a breaker beside the model.
        on_refusal: called with the reason and the number of whatever is refused, from whichever thread, for a server
            that answers for it.

    Raises:
        UsageError: something of this contradicts itself or a file; EnvironmentFailed: `shared` cannot be written to.
    """

    def __init__(
        self,
        model: str,
        revision: str,
        variant: Variant,
        *,
        reference: Path | str | Reference | Mapping[Variant, Path | str | Reference] | None = None,
        task: str | None = None,
        classes: Sequence[str] | None = None,
        scores: ScoreKind | None = None,
        tolerance: float | None = None,
        error_edges: Sequence[float] | None = None,
        features: Mapping[str, Sequence[float]] | None = None,
        slices: Sequence[str] = (),
        weight: float | None = None,
        labels: Path | str | Pending | None = None,
        shadow: bool = False,
        manifest: Path | str | Build | Mapping[Variant, Path | str | Build] | None = None,
        environment: str | None = None,
        attempt: str | int = "",
        registry: CollectorRegistry | None = None,
        shared: Path | str | None = None,
        on_outcome: Callable[[str, int, int], object] | None = None,
        on_refusal: Callable[[str, int], object] | None = None,
    ) -> None:
        if variant not in VARIANTS:
            raise UsageError(f"variant {variant!r} is neither `stable` nor `canary`")
        if tolerance is not None and not 0 <= tolerance < float("inf"):
            raise UsageError(f"a tolerance of {tolerance}", where="tolerance", do="Give a number of at least 0.")
        self.model, self.revision, self.variant = model, revision, variant
        self._complaints = Complaints(f"{model} {variant}")
        self._on_refusal, self._on_outcome = on_refusal, on_outcome
        by_arm = given.of_references(reference, variant)
        first = by_arm.get(variant) or next(iter(by_arm.values()), None)
        self.task = task or (first.task if first else "classification")
        if self.task not in ("classification", "regression"):
            why = f": {first.unavailable}" if first is not None and first.unavailable else ""
            raise UsageError(
                f"a task of kind `{self.task}` has no answers that could be counted{why}",
                where="task",
                do="Give `task='regression'`, and record a number of each answer, such as how many boxes it has.",
            )
        errors = error_edges if error_edges is not None else (first.error_edges if first else None)
        self._error_edges = given.rising(errors or (), "error_edges")
        self._features = {name: given.rising(edges, f"features.{name}") for name, edges in (features or {}).items()}
        self._counters = counters = _counters(registry, shared)
        declared = classes if classes is not None else (first.classes if first else None)
        kind, edges = given.confidence(by_arm, scores)
        by_class = _classes(counters, model, declared) if self.task == "classification" else None
        self._reader = Reader(by_class, kind, edges)
        self._shape = Shape(
            classes=by_class,
            bins=len(edges) + 1 if by_class else 0,
            error_bins=len(self._error_edges) + 1 if self._error_edges and not by_class else 0,
            features={name: len(inner) + 1 for name, inner in self._features.items()},
            slices=tuple(slices),
            outcomes=by_class is not None or tolerance is not None,
        )
        builds = standing.builds(given.by_variant(manifest, variant, build.read), by_arm)
        sha256 = {arm: made.sha256 for arm, made in builds.items()}
        self._owner = Owner(
            revision,
            variant,
            _share(weight),
            os.environ.get(ENVIRONMENT, "") if environment is None else environment,
            str(attempt),
            sha256.get(variant, ""),
        )
        self._pair_owner = replace(self._owner, variant=PAIR, weight="", sha256=sha256.get("canary", ""))
        self._arms = Arms(counters, model, self._owner, self._shape, sha256)
        self._outcomes = Outcomes(counters, self._arms, self._shape, self._error_edges, tolerance, self.refused)
        self._units = Units(counters, None if shared is None else Path(shared))
        self._prepared = False
        self._quick_scores: quick.Scores = quick.not_yet
        self._quick_class: quick.Class = quick.not_yet
        self._prepare()
        if shadow:
            self._arms.pair(self._pair_owner)
        self._labels = labels if isinstance(labels, Pending) or labels is None else Pending(labels)
        if self._labels is not None:
            self._labels.attach(model, self)
        arms = VARIANTS if shadow else (variant,)
        owners: dict[str, Owner] = {
            arm: replace(self._owner, variant=arm, sha256=sha256.get(arm, "")) for arm in VARIANTS
        }
        standing.tell(counters, model, owners, arms, by_arm, builds, self._labels)
        self._told = [owners[arm] for arm in arms]
        self._tell_step(None)

    @property
    def labels(self) -> Mapping[str, str]:
        """Of every series of its arm, but for the process's own."""
        return self._owner.labels(self.model)

    def record(
        self,
        scores: Any = None,
        latency: Any = None,
        *,
        predictions: Any = None,
        confidence: Any = None,
        features: Mapping[str, Any] | None = None,
        id: Any = None,
        slice: Any = None,
        unit: Any = None,
    ) -> None:
        """Count answers: one, or a batch of n.

        Args:
            scores: a classifier's, [classes] for one answer, [n, classes] for a batch; or a `Failure` in place of n.
            latency: seconds from request to answer; one for all, or [n].
            predictions: in place of scores: a class (index or name) or a number, or [n] of them, [n, outputs] for
                regression.
            confidence: beside predictions: the probability of the top class, one or [n].
            features: values of watched features, by name; one or [n].
            id: by which a label may come later; one, or [n] (None where none will).
            slice: the group that the example belongs to; one name, or [n].
            unit: whose request it is, such as a user, a session or a camera; one, or [n] (None where that is not
                known). The tests count each once: requests of one unit are right or wrong together.
        """
        try:
            if features is None and confidence is None and unit is None:
                # the short way, for one answer; what it does not take is read like a batch
                top = NOT_COUNTED
                if scores is None:
                    if predictions.__class__ is int:
                        top = self._quick_class(predictions, latency)
                elif scores.__class__ is np.ndarray and predictions is None:
                    if scores.ndim == 1:
                        top = self._quick_scores(scores.tolist(), latency)
                    elif scores.ndim == 2 and len(scores) == 1:
                        top = self._quick_scores(scores[0].tolist(), latency)
                elif scores.__class__ is list and scores and scores[0].__class__ is float and predictions is None:
                    top = self._quick_scores(scores, latency)
                if top != NOT_COUNTED:
                    if self._on_outcome is not None:
                        self._hook(self.variant, 1, 0)
                    if id is not None and self._labels is not None:
                        self._put(self._ids(id, 1), (0,), [self._name(top)], slice, self._owner)
                    return
            self.take(scores, latency, predictions, confidence, features, id, slice, unit)
        except Exception as error:  # noqa: BLE001 - whatever it was given, the server goes on
            self.refused(None, "bad_shape", 1, f"what was recorded cannot be read: {error}")

    def take(
        self,
        scores: Any = None,
        latency: Any = None,
        predictions: Any = None,
        confidence: Any = None,
        features: Mapping[str, Any] | None = None,
        id: Any = None,
        slice: Any = None,
        unit: Any = None,
    ) -> int:
        """`record` for callers that answer for what they hand over: how many are counted, failed ones among them.

        Raises:
            ValueError, TypeError: it cannot be read, and nothing is counted.
        """
        answered = self._reader.read(scores, predictions, confidence)
        if not self._prepared and scores is not None:
            self._prepare()
        told, ids, units = answered.told(), self._ids(id, answered.count), self._units_of(unit, answered.count)
        if units is not None:
            self._count_repeats([(self._arms.own, answered)], self._known(units, told, None, self.variant))
        self._count(self._arms.own, answered, latency)
        if features is not None:
            self.count_features(features)
        if ids is not None:
            texts = [self._reader.text(answered, index) for index in told]
            again = self._known(units, told, ids, self.variant)
            texts = [text + AGAIN * (index in again) for index, text in zip(told, texts, strict=True)]
            self._put(ids, told, texts, slice, self._owner)
        return answered.count - sum(answered.refused.values())

    def record_pair(
        self,
        stable: Any = None,
        canary: Any = None,
        latency: Any = None,
        *,
        predictions: tuple[Any, Any] | None = None,
        features: Mapping[str, Any] | None = None,
        id: Any = None,
        slice: Any = None,
        unit: Any = None,
    ) -> None:
        """Count a request, or a batch of n, that both arms answered: the stable model's answer went out, the canary
        answered in its shadow. Whichever arm this observer is for, both are counted.

        Args:
            stable, canary: scores, as for `record`; where one failed, its `Failure`: it counts as wrong.
            latency: (stable, canary), each as for `record`.
            predictions: (stable, canary) in place of scores.
            unit: as for `record`.
        """
        try:
            self.take_pair(stable, canary, latency, predictions, features, id, slice, unit)
        except Exception as error:  # noqa: BLE001 - whatever it was given, the server goes on
            self.refused(None, "bad_shape", 1, f"what was recorded cannot be read: {error}")

    def take_pair(
        self,
        stable: Any = None,
        canary: Any = None,
        latency: Any = None,
        predictions: tuple[Any, Any] | None = None,
        features: Mapping[str, Any] | None = None,
        id: Any = None,
        slice: Any = None,
        unit: Any = None,
    ) -> int:
        """`record_pair` for callers that answer for what they hand over: how many pairs are counted.

        Raises:
            ValueError, TypeError: it cannot be read, and nothing is counted.
        """
        pair, arms = self._arms.pair(self._pair_owner), self._arms.both()
        given = zip((stable, canary), predictions or (None, None), strict=True)
        both = [self._reader.read(scores, answer, None) for scores, answer in given]
        if both[0].count != both[1].count:
            raise ValueError(f"{both[0].count} answers of stable and {both[1].count} of canary")
        ids, units = self._ids(id, both[0].count), self._units_of(unit, both[0].count)
        if units is not None:
            every = range(both[0].count)
            self._count_repeats(zip(arms, both, strict=True), self._known(units, every, None, PAIR))
        for arm, answered, seconds in zip(arms, both, latency or (None, None), strict=True):
            self._count(arm, answered, seconds)
        if features is not None:
            self.count_features(features)
        kept = sorted(set(both[0].told()) & set(both[1].told()))
        again = self._known(units, kept, ids, f"compared {PAIR}")
        texts = [[self._reader.text(answered, index) for index in kept] for answered in both]
        if self._shape.outcomes:
            agree = [self._outcomes.agree(*one) for index, *one in zip(kept, *texts, strict=True) if index not in again]
            with self._counters.lock:
                self._counters.cells[pair.agree] += sum(agree)
                self._counters.cells[pair.agree + 1] += len(agree) - sum(agree)
        if ids is not None:
            cleaned = [[name.replace(BOTH, " ") for name in arm] for arm in texts]
            joined = [BOTH.join(answer) for answer in zip(*cleaned, strict=True)]
            joined = [text + AGAIN * (index in again) for index, text in zip(kept, joined, strict=True)]
            self._put(ids, kept, joined, slice, self._pair_owner)
        return len(kept)

    def local(self) -> Local:
        """What this process has counted of its own arm, and of pairs, at the share of the traffic it was told last."""
        return local.read(self._counters, self._arms.own, self._arms.paired(self._pair_owner))

    def follow(self, epoch: int, weight: float | None = None) -> None:
        """A step of the rollout: from now on answers are counted at another share of the traffic.

        Both are shown at once (`makeweight_epoch`, `makeweight_declared_share`), so that who takes the step can see
        that each process has.

        Args:
            epoch: the number of the step; weight: the canary's share from now on, as for the observer.

        Raises:
            UsageError: the share is none.
        """
        self._owner = replace(self._owner, weight=_share(weight))
        self._arms.turn(self._owner)
        self._prepared = False
        self._quick_scores = self._quick_class = quick.not_yet
        self._prepare()
        self._tell_step(epoch)

    def leave(self) -> None:
        """The arm serves no more, such as a canary after its rollback: what it counted stays; since when it counts, its
        share and its build are told no more, which speak of one that serves.
        """
        standing.untell(self._counters, self.labels)

    def count_features(self, features: Mapping[str, Any]) -> None:
        """Count values of watched features, one or [n] of each, apart from answers.

        One that is no number, or of a feature that is not watched, is refused alone.
        """
        strangers = [name for name in features if name not in self._features]
        if strangers:
            count = sum(np.size(features[name]) for name in strangers)
            self.refused(None, "bad_feature", count, f"feature `{str(strangers[0])[:80]}` is not watched")
        for name, edges in self._features.items():
            if name not in features:
                continue
            try:
                bad = batch.count_feature(self._counters, self._arms.own.features[name], edges, features[name])
            except (TypeError, ValueError):
                self.refused(None, "bad_feature", 1, f"feature `{name}` holds no numbers")
                continue
            if bad:
                self.refused(None, "bad_feature", bad, f"feature `{name}` is NaN or infinite")

    def label(self, id: Any, truth: Any, *, slice: str | None = None) -> LabelResult:
        """The truth about an earlier answer: a class (index or name), or for regression its numbers.

        Args:
            slice: the example's group, where it was not known before.

        Returns:
            `matched`; `unknown`: no such id; `duplicate`: it had its label; `late`: it came after the time-out;
            `rejected`: the truth or the id cannot be, or the store failed; `deferred`: the store's file is locked, and
            the label is counted as soon as it can be looked up.
        """
        return self.label_many([id], [truth], [slice])[0]

    def label_many(
        self, ids: Sequence[Any], truths: Sequence[Any], slices: Sequence[str | None] | None = None
    ) -> list[LabelResult]:
        """Many labels at once, at a fraction of the cost; the results in their order."""
        try:
            groups: list[str | None] = list(slices) if slices else [None] * len(ids)
            return self._outcomes.label_many(self._labels, list(ids), list(truths), groups)
        except Exception as error:  # noqa: BLE001 - whatever it was given, the server goes on
            self.refused(None, "bad_shape", 1, f"labels that cannot be read: {error}")
            results: list[LabelResult] = ["rejected"] * len(ids)
            self._outcomes.count_results([(self._arms.own, result) for result in results])
            return results

    def refused(self, owner: Owner | None, reason: str, count: int, what: str) -> None:
        """Count what was refused, by one of metrics.REJECTIONS, and say it in the log."""
        arms = [self._arms.own] if owner is None else self._arms.of(owner)
        with self._counters.lock:
            for arm in arms or [self._arms.own]:
                self._counters.cells[arm.rejected[reason]] += count
        self._tell(reason, count, what)

    def expired(self, owner: Owner, count: int) -> None:
        """Count predictions whose label never came; the label store calls this."""
        arms = self._arms.of(owner)
        with self._counters.lock:
            for arm in arms:
                self._counters.cells[arm.expired] += count

    def store_failed(self, what: str) -> None:
        """Count a label store that could not be written or read; it calls this."""
        with self._counters.lock:
            self._counters.cells[self._arms.own.store_failures] += 1
        self._complaints.say("store_failed", what)

    def close(self) -> None:
        """Write what waits for labels. The counters stay."""
        if self._labels is not None:
            self._labels.close()

    def _prepare(self) -> None:
        """Find the short ways, as soon as it is known how answers are read."""
        reader, classes = self._reader, self._reader.classes
        if classes is None:
            return
        if classes.declared is not None:
            self._quick_class = quick.of_class(self._counters, self._arms.own, classes.rows_of_all())
        if reader.kind is not None and reader.columns and max(reader.columns) < quick.MANY:
            rows = [classes.row_of(index) for index in range(max(2, *reader.columns))]
            make = quick.of_logits if reader.kind == "softmax" and min(reader.columns) > 1 else quick.of_probabilities
            self._quick_scores = make(self._counters, self._arms.own, reader, rows)
            self._prepared = True

    def _name(self, top: int) -> str:
        return (self._reader.classes.name(top) if self._reader.classes is not None else None) or ""

    def _count(self, arm: Arm, answered: Answered, latency: Any) -> None:
        bad = batch.count_answers(self._counters, arm, answered, latency)
        for why in answered.failures.keys() - answered.refused.keys():
            self._complaints.say(why, f"{answered.failures[why]} of {answered.count} answers failed")
        for reason, refused in answered.refused.items():
            self._tell(reason, refused, f"{refused} of {answered.count} answers")
        if bad:
            self._tell("bad_latency", bad, f"{bad} latencies that are negative, no number, or days")
        if self._on_outcome is not None:
            failed = sum(answered.failures.values())
            self._hook(arm.variant, len(answered.indices()), failed)

    def _hook(self, variant: str, counted: int, failed: int) -> None:
        try:
            if self._on_outcome is not None:
                self._on_outcome(variant, counted, failed)
        except Exception as error:  # noqa: BLE001 - what is counted stays counted, whatever the breaker does
            self._complaints.say("on_outcome", f"the hook for outcomes failed: {error}")

    def _tell_step(self, epoch: int | None) -> None:
        for owner in self._told:
            standing.tell_step(self._counters, self.model, replace(owner, weight=self._owner.weight), epoch)

    def _tell(self, reason: str, count: int, what: str) -> None:
        """Say what was refused, once it is counted."""
        self._complaints.say(reason, what)
        if self._on_refusal is not None:
            self._on_refusal(reason, count)

    def _ids(self, id: Any, count: int) -> list[Any] | None:
        """By which labels may come, for each of `count` answers; None where none will."""
        if id is None or self._labels is None:
            return None
        ids = [id] if isinstance(id, _NAMES) else list(id)
        if len(ids) != count:
            raise ValueError(f"{len(ids)} ids for {count} answers")
        return ids

    def _units_of(self, unit: Any, count: int) -> list[str | None] | None:
        """Whose each of `count` requests is; None where that is not known of any."""
        if unit is None:
            return None
        units = [unit] * count if isinstance(unit, _NAMES) else list(unit)
        if len(units) != count:
            raise ValueError(f"{len(units)} units for {count} answers")
        names = [None if one is None else identity(one) for one in units]
        bad = sum(one is not None and name is None for one, name in zip(units, names, strict=True))
        if bad:
            self.refused(None, "bad_unit", bad, f"a unit that is no text of 1 to {LONGEST_ID} characters")
        return names

    def _known(
        self, units: list[str | None] | None, which: Iterable[int], ids: list[Any] | None, what: str
    ) -> set[int]:
        """Those of the requests whose unit stands in a test already: by what may get a label where that has an id."""
        if units is None:
            return set()
        own = (self.model, *self._owner.release, what)
        found = set()
        for index in which:
            name, labelled = units[index], ids is not None and ids[index] is not None
            if name is not None and self._units.known(*own, "labelled" if labelled else "", name):
                found.add(index)
        return found

    def _count_repeats(self, arms: Iterable[tuple[Arm, Answered]], again: set[int]) -> None:
        with self._counters.lock:
            for arm, answered in arms:
                for index in again.intersection(answered.told()):
                    failed = answered.failed is not None and bool(answered.failed[index])
                    self._counters.cells[arm.repeats + failed] += 1

    def _put(self, ids: list[Any] | None, kept: Iterable[int], texts: list[str], slice: Any, owner: Owner) -> None:
        """Put aside what may get a label.

        Args:
            ids: of all that were handed over; `kept`, which of them are counted; `texts`, what those answered.
        """
        if self._labels is None or ids is None:
            return
        slices = [slice] * len(ids) if slice is None or isinstance(slice, str) else list(slice)
        if len(slices) != len(ids):
            raise ValueError(f"{len(slices)} slices for {len(ids)} answers")
        for index, text in zip(kept, texts, strict=True):
            if ids[index] is None:
                continue
            name = identity(ids[index])
            if name is None:
                self.refused(owner, "bad_id", 1, f"an id that is no text of 1 to {LONGEST_ID} characters")
                continue
            reason = self._labels.put(name, owner, text, self._outcomes.slice(slices[index]))
            if reason is not None:
                self.refused(owner, reason, 1, "a prediction that cannot wait for its label")


def _share(weight: float | None) -> str:
    """The canary's share as a label: always the same text for the same share."""
    if weight is not None and not 0 < weight < 1:
        raise UsageError(f"the canary's share is {weight}, and should lie between 0 and 1", where="weight")
    return "" if weight is None else f"{weight:.12g}"


def _counters(registry: CollectorRegistry | None, shared: Path | str | None) -> Counters:
    if registry is None:
        from prometheus_client import REGISTRY

        registry = REGISTRY
    return counting.of(registry, None if shared is None else prefork.folder(shared))


def _classes(counters: Counters, model: str, declared: Sequence[str] | None) -> Classes:
    """The classes of a model, which all its observers in a process share."""
    classes = counters.shared.get(("classes", model))
    if classes is None:
        classes = counters.shared[("classes", model)] = Classes(counters, declared)
    elif classes.declared != (None if declared is None else tuple(declared)):
        raise UsageError(f"two observers of `{model}` in one process have different classes", where="classes")
    return cast(Classes, classes)
