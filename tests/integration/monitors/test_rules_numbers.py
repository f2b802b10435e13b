"""What the recording rules compute, on a real Prometheus, against the same computed here."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

import prometheus
from makeweight_monitors import eprocess
from makeweight_monitors.backtest.recorded import Recorded
from makeweight_monitors.backtest.replay import replay
from makeweight_monitors.backtest.rulefile import read
from makeweight_monitors.prometheus import throwaway
from makeweight_monitors.prometheus.queries import Client, Series
from makeweight_monitors.rules import generate, names, text
from makeweight_monitors.rules.terms import Terms
from rules_project import digits

START, STEP, STEPS = 1_700_000_040, 60, 45
WINDOW = 30  # steps of half an hour
M, R = "digits", "r2"
SCORES = {"stable": (10, 20, 30, 40), "canary": (12, 25, 33, 30)}
ACCURATE = (0.6, 0.8, 0.9, 0.99)
REFERENCE = (0.1, 0.2, 0.3, 0.4)
RIGHT, WRONG = {"stable": 97, "canary": 93}, {"stable": 3, "canary": 7}
ERRORS = {"stable": (70, 20, 10), "canary": (50, 25, 25)}
ANSWERED, FAILED = {"stable": 190, "canary": 43}, {"stable": 2, "canary": 1}
"""In each step; 2 of 192 and 1 of 44."""
SPLIT = {"0.2": {"stable": 5, "canary": 1}, "0.5": {"stable": 1, "canary": 3}}
"""Of ten labelled answers, how many are wrong, by the canary's share."""
PAIRS = {("right", "wrong"): 3, ("wrong", "right"): 1, ("right", "right"): 40, ("wrong", "wrong"): 2}

SHADOW = {"makeweight_shadow_pairs_total": (46, 4), "makeweight_shadow_labelled_total": (42, 4)}
"""In each step, how many agree and how many do not."""

APART = {
    "slice": {"heavy ink": (2, 1, 20), "light ink": (1, 2, 30)},
    "class": {"0": (1, 0, 9), "7": (3, 1, 12)},
}
"""Harms, helps and ties of each slice and class."""


def growing(name: str, rate: float, first: float = 0, begin: int = 0, end: int = STEPS, **labels: str) -> Series:
    points = tuple((START + STEP * i, first + rate * (i - begin)) for i in range(begin, end + 1))
    return Series({"__name__": name, "model": M, **{key.rstrip("_"): value for key, value in labels.items()}}, points)


def fleet() -> Iterator[Series]:
    for variant, revision in (("stable", "r1"), ("canary", R)):
        where = {"variant": variant, "revision": revision, "boot": f"{variant}-0"}
        yield growing("makeweight_observer_start_time_seconds", 0, START, **where)
        for index, rate in enumerate(SCORES[variant]):
            yield growing("makeweight_score_bin_total", rate, bin=f"{index:02}", **where)
            gauge = {"variant": variant, "revision": revision, "bin": f"{index:02}"}
            yield growing("makeweight_calibration_accuracy", 0, ACCURATE[index], **gauge)
            yield growing("makeweight_reference_score_share", 0, REFERENCE[index], **gauge)
        yield growing("makeweight_labelled_total", RIGHT[variant], outcome="right", **where)
        yield growing("makeweight_labelled_total", WRONG[variant], outcome="wrong", **where)
        yield growing("makeweight_predictions_total", ANSWERED[variant], **where)
        yield growing("makeweight_failures_total", FAILED[variant], reason="exception", **where)
        yield growing("makeweight_failures_total", 0, reason="timeout", **where)
        yield growing("makeweight_latency_seconds_sum", 0.5 if variant == "stable" else 0.3, **where)
        yield growing("makeweight_latency_seconds_count", 100, **where)
        for weight, wrong in SPLIT.items():
            for outcome, rate in (("right", 10 - wrong[variant]), ("wrong", wrong[variant])):
                yield growing("makeweight_split_total", rate, weight=weight, outcome=outcome, **where | {"revision": R})
    for (stable, canary), rate in PAIRS.items():
        cell = {"stable": stable, "canary": canary, "revision": R}
        # a process that ends, its successor, and a second scrape of that under another address: it counts once
        yield growing("makeweight_paired_total", rate, end=20, boot="a", **cell)
        yield growing("makeweight_paired_total", rate, begin=21, boot="b", instance="one", **cell)
        yield growing("makeweight_paired_total", rate, begin=21, end=30, boot="b", instance="two", **cell)
    for boot, instance, begin, end in (
        ("a", "", 0, 20), ("b", "one", 21, STEPS), ("b", "two", 21, 30), ("c", "", 0, STEPS),
    ):  # fmt: skip
        where = {"variant": "canary", "revision": R, "boot": boot, "instance": instance}
        yield growing("makeweight_observer_start_time_seconds", 0, START, begin=begin, end=end, **where)
    for kind, members in APART.items():
        for name, (harm, help_, tie) in members.items():
            for (stable, canary), rate in zip(PAIRS, (harm, help_, tie, 0), strict=True):
                cell = {"stable": stable, "canary": canary, "revision": R, "boot": "c", kind: name}
                yield growing(f"makeweight_paired_{kind}_total", rate, **cell)
    for name, counts in SHADOW.items():
        for agree, rate in zip(("yes", "no"), counts, strict=True):
            yield growing(name, rate, revision=R, boot="c", agree=agree)


def regression() -> Iterator[Series]:
    for variant in ("stable", "canary"):
        where = {"model": "prices", "variant": variant, "revision": R, "boot": f"{variant}-0"}
        yield growing("makeweight_observer_start_time_seconds", 0, START, **where)
        for index, rate in enumerate(ERRORS[variant]):
            yield growing("makeweight_error_bin_total", rate, bin=f"{index:02}", **where)
        yield growing("makeweight_labelled_total", RIGHT[variant], outcome="right", **where)
        yield growing("makeweight_labelled_total", WRONG[variant], outcome="wrong", **where)


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    programs = prometheus.install()
    folder: Path = tmp_path_factory.mktemp("numbers")
    loaded = []
    for terms in (digits()[0], Terms("prices", classification=False)):
        rules = folder / f"{terms.model}.yaml"
        rules.write_text(text.render(generate.groups(terms), [], terms.runbooks))
        # what is recorded is looked at, and what fires is not
        loaded += [rule for rule in read(rules) if not rule.alert]
    past = Recorded((*fleet(), *regression()), START, START + STEP * STEPS, STEP)
    replay(loaded, past, programs, folder / "store")
    with throwaway.running(programs, folder / "store", lookback="54s", scrape="1h") as client:
        yield client


@pytest.fixture
def value(answers: Client):
    def ask(name: str, *, model: str = M, **labels: str) -> float:
        where = {"model": model, **labels}
        (sample,) = answers.query(
            f"{name}{{{','.join(f'{key}={chr(34)}{text}{chr(34)}' for key, text in where.items())}}}",
            START + STEP * STEPS,
        )
        return sample.value

    return ask


def test_the_e_value_is_that_of_exact_counts(value) -> None:
    steps = 20 + (STEPS - 21)
    # 4 of 50 pairs differ: beside the 4 labelled ones in each step stand 46 ties, of which 42 got a label
    harm, help_, tie = 3 * steps, steps, 50 * STEPS - 4 * steps
    assert value(names.PAIRS.harm) == harm
    assert value(names.PAIRS.help) == help_
    assert value(names.PAIRS.tie_since, since="start") == tie
    assert value(names.PAIRED_DROP) == pytest.approx(2 * steps / (50 * STEPS))
    expected = eprocess.evalue(eprocess.paired(0.01), harm, help_, tie)
    assert expected > 1
    assert value(names.PAIRS.evalue_since, revision=R, since="start") == pytest.approx(expected, rel=1e-9)


def test_the_e_value_of_failures_is_that_of_each_arms_own_counts(value) -> None:
    counts = [count * STEPS for count in (1, 44, 2, 192)]
    found = names.FAILURES
    for name, count in zip((found.canary_wrong, found.canary, found.stable_wrong, found.stable), counts, strict=True):
        assert value(name, revision=R) == count
    expected = eprocess.two_samples(0.01, *counts)
    assert 0 < expected != 1
    assert value(found.evalue_since, revision=R, since="start") == pytest.approx(expected, rel=1e-9)
    assert value(names.FAILED, variant="canary") == pytest.approx(1 / 44)


def test_the_e_value_of_split_traffic_is_the_product_over_its_shares(value) -> None:
    each = []
    for weight, wrong in SPLIT.items():
        counts = [count * STEPS for count in (wrong["canary"], 10, wrong["stable"], 10)]
        each.append(eprocess.two_samples(0.01, *counts))
        at_weight = value(names.SPLIT.evalue_at_weight, revision=R, weight=weight, since="start")
        assert at_weight == pytest.approx(each[-1], rel=1e-9)
    assert each[0] < 1 < each[1]
    assert value(names.SPLIT.evalue_since, revision=R, since="start") == pytest.approx(math.prod(each), rel=1e-9)


def test_the_share_of_the_requests(value) -> None:
    # nothing was declared here: what chance makes of it is in the unit tests of promtool
    assert value(names.SHARE, revision=R) == pytest.approx(44 / (44 + 192))
    assert value(names.ASKED) == pytest.approx((44 + 192) * WINDOW)


@pytest.mark.parametrize(
    ("kind", "name", "drop", "evalue"),
    [
        ("slice", "heavy ink", 0.02, names.BY_PART["slice"].evalue_since),
        ("slice", "light ink", 0.02, names.BY_PART["slice"].evalue_since),
        ("class", "0", 0.05, names.BY_PART["class"].evalue_since),
        ("class", "7", 0.05, names.BY_PART["class"].evalue_since),
    ],
)
def test_the_e_values_of_slices_and_classes(value, kind: str, name: str, drop: float, evalue: str) -> None:
    expected = eprocess.evalue(eprocess.paired(drop), *(count * STEPS for count in APART[kind][name]))
    assert value(evalue, revision=R, since="start", **{kind: name}) == pytest.approx(expected, rel=1e-9)


def test_lines_and_tolerated_drops(value) -> None:
    assert value(names.ROLLBACK_LINE, test="failures") == 5000
    assert value(names.ROLLBACK_LINE, test="paired") == 5000
    assert value(names.ROLLBACK_LINE, test="slice") == 10_000
    assert value(names.ROLLBACK_LINE, test="class") == 50_000
    assert value(names.TOLERATED_DROP, test="slice", slice="heavy ink") == 0.02


def wilson(share: float, n: float) -> tuple[float, float]:
    z = 2.576
    centre = share + z * z / (2 * n)
    spread = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return (centre - spread) / (1 + z * z / n), (centre + spread) / (1 + z * z / n)


def test_accuracy_and_its_intervals(value) -> None:
    n = 100 * WINDOW
    low, high = {}, {}
    for variant in ("stable", "canary"):
        low[variant], high[variant] = wilson(RIGHT[variant] / 100, n)
        assert value(names.LABELLED, variant=variant) == pytest.approx(n)
        assert value(names.ACCURACY, variant=variant) == pytest.approx(RIGHT[variant] / 100)
        assert value(names.ACCURACY_LOW, variant=variant) == pytest.approx(low[variant])
        assert value(names.ACCURACY_HIGH, variant=variant) == pytest.approx(high[variant])
    assert value(names.DROP, revision=R) == pytest.approx(0.04)
    newcombe = 0.04 - math.hypot(0.97 - low["stable"], high["canary"] - 0.93)
    assert value(names.DROP_LOW, revision=R) == pytest.approx(newcombe)
    newcombe = 0.04 + math.hypot(high["stable"] - 0.97, 0.93 - low["canary"])
    assert value(names.DROP_HIGH, revision=R) == pytest.approx(newcombe)


def test_disagreement_and_the_certificate_that_it_is_not(value) -> None:
    low, high = wilson(0.08, 50 * WINDOW)
    assert value(names.DISAGREEMENT, revision=R) == pytest.approx(0.08)
    assert value(names.DISAGREEMENT_LOW) == pytest.approx(low)
    assert value(names.DISAGREEMENT_HIGH) == pytest.approx(high)
    assert value(names.CERTIFIED) == 0


def test_whether_labels_come_regardless_of_agreement(value) -> None:
    assert value(names.PAIR_COVERAGE, agree="yes") == pytest.approx(42 / 46)
    assert value(names.PAIR_COVERAGE, agree="no") == 1
    roots = math.sqrt(4 * STEPS) - math.sqrt(46 * STEPS * 0.08)
    assert value(names.LABELS_EXCESS, revision=R) == pytest.approx(2 * roots / math.sqrt(0.92))


def psi(one: list[float], other: list[float]) -> float:
    p, q = ([(n + 0.5) / (sum(counts) + 0.5 * len(counts)) for n in counts] for counts in (one, other))
    return sum((a - b) * math.log(a / b) for a, b in zip(p, q, strict=True))


def test_stability_indices_and_their_floors(value) -> None:
    canary, stable = ([rate * WINDOW for rate in SCORES[variant]] for variant in ("canary", "stable"))
    reference = [share * 500 for share in REFERENCE]
    assert value(names.SCORES.psi, revision=R) == pytest.approx(psi(canary, stable))
    assert value(names.REFERENCE_PSI, variant="canary") == pytest.approx(psi(canary, reference))
    assert value(names.REFERENCE_PSI, variant="stable") == pytest.approx(psi(stable, reference))
    # chi-squared, 3 degrees of freedom, 0.999 (tables); the rule's approximation is 2 % above it, the careful side
    quantile = 16.266
    assert value(names.SCORES.floor) == pytest.approx(quantile * (1 / sum(canary) + 1 / sum(stable)), rel=0.02)
    assert value(names.REFERENCE_PSI_FLOOR, variant="canary") == pytest.approx(
        quantile * (1 / sum(canary) + 1 / 500), rel=0.02
    )


def test_accuracy_estimated_from_confidence(value) -> None:
    for variant in ("stable", "canary"):
        share = [rate / 100 for rate in SCORES[variant]]
        mean = sum(s * a for s, a in zip(share, ACCURATE, strict=True))
        square = sum(s * a * a for s, a in zip(share, ACCURATE, strict=True))
        assert value(names.CBPE, variant=variant) == pytest.approx(mean)
        spread = math.sqrt((square - mean * mean) / (100 * WINDOW))
        assert value(names.CBPE_ERROR, variant=variant) == pytest.approx(spread, rel=1e-6)
    on_test = sum(s * a for s, a in zip(REFERENCE, ACCURATE, strict=True))
    assert value(names.REFERENCE_ACCURACY, variant="canary") == pytest.approx(on_test)


def test_latency_and_burning(value) -> None:
    assert value(names.LATENCY_MEAN, variant="stable") == pytest.approx(0.005)
    assert value(names.LATENCY_MEAN_RATIO, revision=R) == pytest.approx(0.6)
    assert value(names.burn_ratio("wrong", "5m"), variant="canary") == pytest.approx(0.07)
    assert value(names.burn_count("wrong", "1h"), variant="stable") == pytest.approx(100 * STEPS, rel=0.02)
    assert value(names.burn_ratio("flips", "30m")) == pytest.approx(3 / 46)


def test_limits_are_recorded_as_the_budget_has_them(value) -> None:
    assert value(names.LIMIT, what="wrong") == pytest.approx(0.02)
    assert value(names.LIMIT, what="flips") == 0.015
    assert value(names.LIMIT, what="disagreement") == 0.03
    assert value(names.LIMIT, what="latency_ratio_p50") == 0.7


def test_errors_of_a_regression(value) -> None:
    seen = {variant: [rate * STEPS for rate in rates] for variant, rates in ERRORS.items()}
    for variant in ("stable", "canary"):
        shares = [(n + 0.5) / (sum(seen[variant]) + 1.5) for n in seen[variant]]
        for index, share in enumerate(shares):
            found = value(names.ERRORS.share, model="prices", variant=variant, bin=f"{index:02}")
            assert found == pytest.approx(share, rel=1e-3)
        assert value(names.ACCURACY, model="prices", variant=variant) == pytest.approx(RIGHT[variant] / 100)
    assert value(names.ERRORS.psi, model="prices") == pytest.approx(psi(seen["canary"], seen["stable"]), rel=1e-3)
    quantile = 13.816  # chi-squared, 2 degrees of freedom, 0.999 (tables)
    floor = quantile * (1 / sum(seen["canary"]) + 1 / sum(seen["stable"]))
    assert value(names.ERRORS.floor, model="prices") == pytest.approx(floor, rel=0.05)
