"""What the generated rules are tried on: for each way to go wrong, which alerts fire and which must not."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from makeweight_monitors import eprocess, metrics
from makeweight_monitors.rules import burn, generate, names
from makeweight_monitors.rules.rule import Group
from makeweight_monitors.rules.terms import Terms
from makeweight_monitors.rules.trials.fleet import BINS, CLASSES, Row, fast_bucket, healthy, latency, spoiled

LENGTH = 44
"""Minutes of a case, unless it has to last: over the half hour that most alerts wait at most."""
LONG = 72
"""For those that wait an hour."""
_ASKING = (
    names.FAILURES_ABOVE_STABLE, names.ACCURACY_DROP_PAIRED, names.ACCURACY_DROP_SPLIT, names.ACCURACY_DROP_SLICE,
    names.ACCURACY_DROP_CLASS,
)  # fmt: skip
_HARM = {"stable": "right", "canary": "wrong"}
_TIE = {"stable": "right", "canary": "right"}
_OF_CANARY = {"variant": "canary"}


@dataclass(frozen=True)
class Check:
    """At some minute, of the alerts `about`, those in `fires` fire and the others do not."""

    minute: int
    about: frozenset[str]
    fires: frozenset[str]


@dataclass(frozen=True)
class Case:
    name: str
    rows: tuple[Row, ...]
    checks: tuple[Check, ...]


@dataclass(frozen=True)
class Trial:
    """Series under which, at the end, `fires` fire, as far as they exist.

    Besides these, nothing in `about` does, and nothing of what would roll back: of that, what reads series that are
    not as in good order, since the rest is asked where all is well.
    """

    name: str
    rows: list[Row]
    fires: set[str]
    about: Collection[str] = ()
    minutes: int = LENGTH

    def case(self, existing: frozenset[str], asking: Mapping[str, set[str]], usual: list[Row]) -> Case | None:
        """`asking` says what each of those that would roll back reads; `usual` are the series of good order."""
        expected = existing & self.fires
        here, there = _by_name(self.rows), _by_name(usual)
        differ = {name for name in {*here, *there} if here.get(name) != there.get(name)}
        about = existing & {*(name for name, read in asking.items() if read & differ), *self.about, *expected}
        checks = (Check(self.minutes - 4, about, expected),)
        return Case(self.name, tuple(self.rows), checks) if expected else None


def _by_name(rows: Iterable[Row]) -> dict[str, list[Row]]:
    named: dict[str, list[Row]] = {}
    for row in rows:
        named.setdefault(row.name, []).append(row)
    return named


def cases(terms: Terms) -> list[Case]:
    """All that apply to these terms; no alert that exists is left without a case in which it fires."""
    groups = generate.groups(terms)
    existing = frozenset(alert.name for alert in generate.alerts(groups))
    usual = healthy(terms)
    asking = {name: generate.read_by({name}, groups) for name in _ASKING}
    trials = (_rollback(terms), _evidence(terms), _controller(terms), _serving(terms), _blind(terms, existing))
    tried = (trial.case(existing, asking, usual) for trial in itertools.chain(*trials, _labels(terms)))
    built = [*_good(terms, existing), _inputs(terms), *tried]
    return [_without_idle_rows(case, groups) for case in built if case is not None]


def _without_idle_rows(case: Case, groups: tuple[Group, ...]) -> Case:
    """The case with only those series that its alerts read, directly or through recordings."""
    read = generate.read_by({name for check in case.checks for name in check.about}, groups)
    return replace(case, rows=tuple(row for row in case.rows if row.name in read))


def _good(terms: Terms, existing: frozenset[str]) -> Iterator[Case]:
    rows = healthy(terms)
    quiet, only = _kept(terms, existing), frozenset({names.WATCHDOG})
    checks = tuple(Check(minute, quiet, only) for minute in (20, LENGTH - 4))
    yield Case("all is well", tuple(rows), checks)
    restarted = [row for one in rows for row in _reborn(one)]
    about = existing & {*_ASKING, names.REPLICA_DOWN, names.CANARY_GONE, names.STABLE_UNSEEN, names.SHARE_OFF}
    silent = tuple(Check(minute, about, frozenset()) for minute in (28, LENGTH - 4))
    yield Case("a replica restarts: its counters begin at nought", tuple(restarted), silent)
    if names.CONTROLLER_GONE in existing:
        # for longer than Prometheus reads back
        checks = tuple(Check(minute, frozenset({names.CONTROLLER_GONE}), frozenset()) for minute in (20, LONG - 4))
        yield Case("a trial is over, and its controller taken down", tuple(_taken_down(rows)), checks)
    if names.ACCURACY_DROP_PAIRED in existing and terms.drop is not None:
        yield _over_two_boots(terms, rows)


def _reborn(row: Row) -> list[Row]:
    """The first canary ends after an hour, and a process of a new boot takes its address."""
    if row.labels.get("boot") != "c0":
        return [row]
    half = LENGTH // 2
    values = row.notation(half)[1]
    after = {**row.labels, "boot": "c0-again"}
    return [row.until(half), replace(row, labels=after, values=f"_x{half} {values}")]


def _over_two_boots(terms: Terms, rows: list[Row]) -> Case:
    """Harm that no process alone has seen enough of."""
    bets, line, enough = eprocess.paired(terms.drop or 0.0), terms.line("paired"), 1
    while eprocess.shared(eprocess.evalue(bets, enough, 0, 0), (), 1) <= line:
        enough += 1
    half = LENGTH // 2
    harm = {"c0": f"0 {enough - 1}x{half - 1} stale", "c0-again": f"_x{half + 1} 0 {enough - 1}x{half - 2}"}
    counted = [
        replace(row, values=harm.get(row.labels["boot"], row.values)) if row.fits(metrics.PAIRED, _HARM) else row
        for one in spoiled(rows, metrics.PAIRED, {})
        for row in _reborn(one)
    ]
    about = frozenset({names.ACCURACY_DROP_PAIRED})
    return Case(
        "harm seen by a process that ended and by its successor adds up",
        tuple(counted),
        (Check(half - 2, about, frozenset()), Check(LENGTH - 4, about, about)),
    )


def _kept(terms: Terms, existing: frozenset[str]) -> frozenset[str]:
    """What is quiet in good order: all, but where a budget's ratio asks for more than buckets can show."""
    stable, canary = fast_bucket(terms)
    bounds = (0.0, *metrics.LATENCY_BUCKETS)
    beaten = all(
        limit.most_ratio is None
        or (bounds[canary] + limit.quantile * (bounds[canary + 1] - bounds[canary]))
        < limit.most_ratio * (bounds[stable] + limit.quantile * (bounds[stable + 1] - bounds[stable]))
        for limit in terms.latency
    )
    return existing if beaten else existing - {names.LATENCY_ABOVE_STABLE}


def _turned(
    rows: list[Row],
    metric: metrics.Metric,
    rate: float,
    was: Mapping[str, str],
    now: Mapping[str, str],
    where: Mapping[str, str] = _OF_CANARY,
) -> list[Row]:
    """What was counted as one thing is counted as another instead."""
    return spoiled(spoiled(rows, metric, {**was, **where}), metric, {**now, **where}, rate)


def _rollback(terms: Terms) -> Iterator[Trial]:
    rows = healthy(terms)
    failing = spoiled(rows, metrics.FAILED, {"reason": "exception", **_OF_CANARY}, 150)
    yield Trial("a fifth of the canary's answers fail", failing, {names.FAILURES_ABOVE_STABLE})
    once = spoiled(failing, metrics.REPEATS, {"outcome": "failed", **_OF_CANARY}, 150)
    yield Trial("those that fail are of one unit: no rollback", once, {names.WATCHDOG})
    harmed = _turned(rows, metrics.PAIRED, 20, _TIE, _HARM, {})
    paired = {names.ACCURACY_DROP_PAIRED, names.FLIPS_BURN}
    yield Trial("the canary is wrong wherever stable is right", harmed, paired)
    wrong = _turned(rows, metrics.SPLIT, 50, {"outcome": "right"}, {"outcome": "wrong"})
    yield Trial("in split traffic the canary is wrong", wrong, {names.ACCURACY_DROP_SPLIT})
    for name in list(terms.slices)[:1]:
        harmed = _turned(rows, metrics.PAIRED_SLICE, 20, _TIE, _HARM, {"slice": name})
        yield Trial("the canary is wrong on one slice", harmed, {names.ACCURACY_DROP_SLICE})
    harmed = _turned(rows, metrics.PAIRED_CLASS, 20, _TIE, _HARM, {"class": CLASSES[0]})
    yield Trial("the canary is wrong on one class", harmed, {names.ACCURACY_DROP_CLASS})


def _evidence(terms: Terms) -> Iterator[Trial]:
    rows = healthy(terms)
    wrong = _turned(rows, metrics.LABELLED, 300, {"outcome": "right"}, {"outcome": "wrong"})
    fires = {names.ACCURACY_BELOW_STABLE, names.ACCURACY_BURN}
    yield Trial("labels say that the canary is wrong: evidence, and no rollback", wrong, fires)
    apart = _turned(rows, metrics.SHADOW_PAIRS, 40, {"agree": "yes"}, {"agree": "no"}, {})
    yield Trial("the two answer differently", apart, {names.DISAGREEMENT_HIGH_ALERT})
    unsure = _turned(rows, metrics.SCORE_BIN, 600, {}, {"bin": BINS[0]})
    fires = {names.SCORES_DIFFER, names.SCORES_SHIFTED, names.CONFIDENCE_FELL}
    yield Trial("the canary is no longer sure of itself", unsure, fires)
    one_class = _turned(rows, metrics.PREDICTED_CLASS, 600, {}, {"class": CLASSES[0]})
    yield Trial("the canary predicts one class alone", one_class, {names.PREDICTIONS_DIFFER})
    slow = _untimed(rows)
    for index in range(2):
        one = next(row for row in rows if row.labels.get("boot") == f"c{index}" and "variant" in row.labels)
        slow += latency(terms, one.labels, len(metrics.LATENCY_BUCKETS))
    yield Trial("the canary is slow", slow, {names.LATENCY_BURN, names.LATENCY_ABOVE_STABLE})


def _untimed(rows: list[Row]) -> list[Row]:
    """Of the canary no latency is told."""
    return [
        row for row in rows if not (row.name.startswith(metrics.LATENCY.series) and row.labels["variant"] == "canary")
    ]


def _inputs(terms: Terms) -> Case:
    """Three hours as they were, then one in which everything falls into the first bin."""
    before, after = 90, 60
    rows = []
    for row in healthy(terms):
        if row.name == metrics.FEATURE_BIN.series:
            then = 600 if row.labels["bin"] == BINS[0] else 0
            rows.append(replace(row, values=f"0+60x{before} {60 * before}+{then}x{after}"))
        elif row.fits(metrics.UP, {}):
            rows.append(row)
    about = frozenset({names.INPUTS_SHIFTED})
    checks = (Check(before - 4, about, frozenset()), Check(before + after - 4, about, about))
    return Case("inputs shift", tuple(rows), checks)


def _blind(terms: Terms, existing: frozenset[str]) -> Iterator[Trial]:
    rows, half = healthy(terms), LENGTH // 2
    yield Trial(
        "no traffic: nothing is known, and nothing rolled back",
        [replace(row, rate=0.0) for row in rows],
        {names.NO_TRAFFIC, names.WATCHDOG},
        {names.NOTHING_OBSERVED, *(one.alert for one in burn.objectives(terms))},
    )
    scraped = [row for row in rows if row.name == "up"]
    yield Trial("no process at all", scraped, {names.NOTHING_OBSERVED, names.WATCHDOG}, existing)
    gone = [
        (replace(row, values=f"1x{half} 0x{half}") if row.name == "up" else row.until(half)) if row.is_of("c1") else row
        for row in rows
    ]
    apart = {names.STABLE_UNSEEN, names.CANARY_GONE, names.REPLICA_DOWN, names.NO_TRAFFIC, names.NOTHING_OBSERVED}
    yield Trial("one replica is gone: told, and the rest is judged on", gone, {names.REPLICA_DOWN}, apart)
    alone = [row for row in rows if not row.is_of("s")]
    yield Trial("a canary beside no stable model", alone, {names.STABLE_UNSEEN}, apart)
    gone = [row.until(half) if row.is_of("c") else row for row in rows]
    yield Trial("the canary is no target any more", gone, {names.CANARY_GONE}, apart)
    yield Trial("a canary left a process that serves on", list(_left(rows, half)), {names.CANARY_GONE}, apart)
    broken = f"0+20x{half} " + " ".join(["NaN"] * half)
    poisoned = [
        replace(row, values=broken) if row.fits(metrics.PAIRED, {**_TIE, "boot": "c0"}) else row
        for row in rows
        if row.fits(metrics.PAIRED, {}) or row.fits(metrics.UP, {})
    ]
    yield Trial("a counter turns into NaN", poisoned, {names.COUNTER_POISONED})
    limits = {names.LATENCY_UNSEEN, names.LATENCY_BURN, names.LATENCY_ABOVE_STABLE}
    yield Trial("nothing tells how fast the canary answers", _untimed(rows), {names.LATENCY_UNSEEN}, limits, LONG)
    lasting = healthy(terms)
    silent = spoiled(spoiled(lasting, metrics.PAIRED, {}), metrics.SPLIT, {})
    watched = {names.CANARY_UNWATCHED, names.SLICE_UNWATCHED}
    yield Trial("the canary serves and no label comes", silent, {names.CANARY_UNWATCHED}, watched, LONG)
    for metric in (metrics.LABEL_EVENTS, metrics.LABELLED):
        silent = spoiled(silent, metric, {})
    yield Trial("a model that nobody labels", silent, {names.NO_LABELS}, {names.NO_LABELS, *watched}, LONG)
    chosen = _turned(spoiled(rows, metrics.SHADOW_PAIRS, {"agree": "no"}, 4), metrics.PAIRED, 4, _TIE, _HARM, {})
    chosen = _turned(chosen, metrics.SHADOW_LABELLED, 4, {"agree": "yes"}, {"agree": "no"}, {})
    yield Trial("labels come for the pairs that differ alone", chosen, {names.LABELS_SELECTED})
    silent = spoiled(lasting, metrics.PAIRED_SLICE, {})
    yield Trial("no label comes for the slices", silent, {names.SLICE_UNWATCHED}, watched, LONG)
    # a step is of a minute, and one of four is seen here: enough that a quarter of the requests tells it
    more = spoiled(lasting, metrics.PREDICTIONS, _OF_CANARY, 700)
    yield Trial("the canary gets more than its share", more, {names.SHARE_OFF}, {names.SHARE_OFF}, LONG)
    # a share of 0.503 for a half, as of weights that are rounded
    busy = spoiled(spoiled(lasting, metrics.PREDICTIONS, {}, 1_200_000), metrics.PREDICTIONS, _OF_CANARY, 607_000)
    yield Trial("many requests, and a share that is rounded", busy, {names.WATCHDOG}, {names.SHARE_OFF}, LONG)


def _left(rows: Iterable[Row], minute: int) -> Iterator[Row]:
    """One process has both models, and after some minutes no canary: its counters stay as they are."""
    for row in rows:
        if row.is_of("s"):
            yield row
        elif row.is_of("c0") and row.name != "up":
            there = {key: "s0" for key in ("boot", "instance") if key in row.labels}
            moved = replace(row, labels={**row.labels, **there}, rate=0.0)
            yield moved.until(minute) if row.fits(metrics.UP, {}) else moved


def _controller(terms: Terms) -> Iterator[Trial]:
    rows = healthy(terms)
    about = {
        names.CONTROLLER_GONE, names.CONTROLLER_BLIND, names.ROLLBACK_FAILED, names.TARGET_REFUSES,
        names.READ_BACK_DISAGREES, names.CONTROLLER_HELD, names.ALERTS_UNKNOWN,
    }  # fmt: skip
    gone = [row for row in rows if row.labels.get("job") != "controller"]
    yield Trial("there is no controller", gone, {names.CONTROLLER_GONE}, about)
    hangs = _set(rows, metrics.CONTROLLER_LAST_LOOK, {}, f"0+60x{LENGTH // 2} {30 * LENGTH}+0x{LENGTH}")
    yield Trial("the controller hangs", hangs, {names.CONTROLLER_GONE}, about)
    for label in ("environment", "namespace"):
        ended = list(_one_ended(rows, label))
        yield Trial(f"one of two controllers ended, told apart by {label}", ended, {names.CONTROLLER_GONE}, about)
    for why in ("rules", "journal"):
        blind = _set(rows, metrics.CONTROLLER_BLIND, {"why": why}, f"1x{LENGTH}")
        yield Trial(f"the controller is blind: {why}", blind, {names.CONTROLLER_BLIND}, about)
    failed = _set(rows, metrics.CONTROLLER_STAGE, {"stage": "failed"}, f"1x{LENGTH}")
    yield Trial("a rollback that is not in force", failed, {names.ROLLBACK_FAILED}, about)
    for action, alert in (("set", names.TARGET_REFUSES), ("verify", names.READ_BACK_DISAGREES)):
        wrong = spoiled(rows, metrics.CONTROLLER_ACTIONS, {"action": action, "outcome": "failed"}, 1)
        yield Trial(f"what does not succeed: {action}", wrong, {alert}, about)
    held = _set(rows, metrics.CONTROLLER_HELD, {}, f"1x{LONG}")
    yield Trial("somebody holds the canary for long", held, {names.CONTROLLER_HELD}, about, LONG)
    strange = spoiled(rows, metrics.CONTROLLER_REQUESTS, {"outcome": "unknown"}, 1)
    yield Trial("alerts about something else are sent to the controller", strange, {names.ALERTS_UNKNOWN}, about)


def _one_ended(rows: Iterable[Row], label: str) -> Iterator[Row]:
    """The model with its canary at two places, at one of which the controller ends; it is promoted at the other."""
    controllers = (metrics.CONTROLLER_LAST_LOOK.series, metrics.CONTROLLER_STAGE.series)
    for row in rows:
        if row.name in (metrics.UP.series, *controllers):
            here, there = (replace(row, labels={**row.labels, label: place}) for place in ("a", "b"))
            yield here.until(LENGTH // 2) if row.name in controllers else here
            yield _at_stage(there, "promoted")
        else:
            yield row


def _taken_down(rows: Iterable[Row]) -> Iterator[Row]:
    """The canary is rolled back, its process stays, and the controller ends for good."""
    for row in rows:
        over = _at_stage(row, "rolled_back")
        yield over.until(5) if row.labels.get("job") == "controller" else over


def _at_stage(row: Row, stage: str) -> Row:
    """The same, where it tells of a trial, of one that has come to another stage."""
    on_trial = row.fits(metrics.CONTROLLER_STAGE, {"stage": "observing"})
    return replace(row, labels={**row.labels, "stage": stage}) if on_trial else row


def _set(rows: list[Row], metric: metrics.Metric, where: Mapping[str, str], values: str) -> list[Row]:
    return [replace(row, values=values) if row.fits(metric, where) else row for row in rows]


def _serving(terms: Terms) -> Iterator[Trial]:
    opened = _set(healthy(terms), metrics.SERVING_BREAKER, {"boot": "c0"}, f"1x{LENGTH}")
    refused = spoiled(opened, metrics.SERVING_REFUSED, {}, 1)
    fires = {names.BREAKER_OPEN, names.SERVING_REFUSED}
    yield Trial("a breaker opens", refused, fires)


def _labels(terms: Terms) -> Iterator[Trial]:
    rows = healthy(terms)
    # of one variant alone: the other must not be named
    spoilt: tuple[tuple[str, metrics.Metric, int, dict[str, str], str], ...] = (
        ("answers that cannot be read", metrics.REJECTED, 60, {"reason": "bad_shape"}, names.OBSERVATIONS_REJECTED),
        ("labels do not come in time", metrics.LABELS_EXPIRED, 900, {}, names.LABEL_COVERAGE_LOW),
        ("labels for strangers", metrics.LABEL_EVENTS, 300, {"result": "unknown"}, names.LABELS_UNMATCHED),
        ("the label store's disk is full", metrics.LABEL_STORE_FAILURES, 1, {}, names.LABEL_STORE_FAILING),
        ("more classes than are told apart", metrics.PREDICTED_CLASS, 1, {"class": "other"}, names.CAP_REACHED),
    )
    every = {names.EXPORTER_REFUSING, *(alert for *_, alert in spoilt)}
    for name, metric, rate, where, alert in spoilt:
        yield Trial(name, spoiled(rows, metric, {**where, **_OF_CANARY}, rate), {alert}, every)
    refusing = spoiled(rows, metrics.EXPORTER_REQUESTS, {"outcome": "unauthorized"}, 2)
    yield Trial("an exporter refuses a sender", refusing, {names.EXPORTER_REFUSING}, every)
