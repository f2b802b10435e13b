"""Tests that begin anew, on a real Prometheus over seven hours of records, against the same computed here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import prometheus
import rules_project
from makeweight_monitors import eprocess
from makeweight_monitors.backtest.recorded import Recorded
from makeweight_monitors.backtest.replay import replay
from makeweight_monitors.backtest.rulefile import read
from makeweight_monitors.metrics import UP
from makeweight_monitors.prometheus import throwaway
from makeweight_monitors.prometheus.queries import Client, Series
from makeweight_monitors.rules import generate, names, text
from makeweight_monitors.rules.terms import Terms

START, STEP, STEPS, BREAKS = 1_700_000_400, 60, 430, 415
"""Times in minutes; the start is a full ten minutes."""
TERMS = Terms("m", drop=0.01)
LOOKS = (5, 19, 300, 415, 420, 423, 430)
AGES = (10, 60, 360)
STARTS = 7 * 24 * 6 + 1

Counts = dict[str, NDArray[np.int64]]
"""By minute, since the start."""


def counted() -> Counts:
    """Healthy for seven hours, then ten points worse, and failing."""
    random = np.random.default_rng(8)
    broken = np.arange(STEPS + 1) > BREAKS
    drawn = {
        "harm": random.binomial(80, np.where(broken, 0.12, 0.005)),
        "help": random.binomial(80, np.where(broken, 0.02, 0.005)),
        "canary failed": random.binomial(20, np.where(broken, 0.2, 0.001)),
        "canary": np.full(STEPS + 1, 20),
        "stable failed": random.binomial(300, 0.001, STEPS + 1),
        "stable": np.full(STEPS + 1, 300),
        "pairs": np.full(STEPS + 1, 80),
    }
    for each in drawn.values():
        each[0] = 0
    return {name: np.cumsum(each) for name, each in drawn.items()}


COUNTS = counted()


def returning() -> Iterator[Series]:
    """Elsewhere a canary that answers at 5 % of the traffic from minute 30 to 40, though its series are there before;
    at 25 % until minute 60; and then at 5 % again.
    """
    minutes = np.arange(96)
    small = 20 * (np.clip(minutes - 30, 0, 10) + np.clip(minutes - 60, 0, 30))
    large = 100 * np.clip(minutes - 40, 0, 20)
    where = {"environment": "prod", "model": "m", "revision": "r", "boot": "p"}
    canary = {**where, "variant": "canary"}
    arms = (
        (canary | {"weight": "0.05"}, small),
        (canary | {"weight": "0.25"}, large),
        (where | {"variant": "stable"}, 380 * minutes),
    )
    for labels, counts in arms:
        for name, by, each in (("predictions", {}, counts), ("failures", {"reason": "status"}, 0 * counts)):
            points = tuple((START + STEP * int(at), float(count)) for at, count in zip(minutes, each, strict=True))
            yield Series({"__name__": f"makeweight_{name}_total", **labels, **by}, points)
    yield Series({"__name__": UP.series, **canary}, tuple((START + STEP * int(at), float(START)) for at in minutes))


def recorded() -> Iterator[Series]:
    def series(name: str, counts: NDArray[np.int64], **labels: str) -> Series:
        points = tuple((START + STEP * i, float(count)) for i, count in enumerate(counts))
        return Series({"__name__": f"makeweight_{name}_total", "model": "m", "boot": "b", **labels}, points)

    harm, help_, pairs = (COUNTS[name] for name in ("harm", "help", "pairs"))
    cells = {"right wrong": harm, "wrong right": help_, "right right": pairs - harm - help_}
    for cell, counts in cells.items():
        stable, canary = cell.split()
        yield series("paired", counts, revision="r", stable=stable, canary=canary)
    for agree, counts in (("yes", pairs - harm - help_), ("no", harm + help_)):
        yield series("shadow_pairs", counts, revision="r", agree=agree)
        yield series("shadow_labelled", counts, revision="r", agree=agree)
    up = {"__name__": UP.series, "model": "m", "revision": "r", "variant": "canary", "boot": "b"}
    yield Series(up, tuple((START + STEP * i, float(START)) for i in range(STEPS + 1)))
    for arm in ("stable", "canary"):
        where = {"variant": arm, "revision": "r", "weight": "0.05"}
        yield series("failures", COUNTS[f"{arm} failed"], reason="status", **where)
        yield series("predictions", COUNTS[arm] - COUNTS[f"{arm} failed"], **where)


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    programs = prometheus.install()
    folder: Path = tmp_path_factory.mktemp("restarts")
    rules = folder / "rules.yaml"
    names_of = ("makeweight-serving", "makeweight-failures", "makeweight-rollback", "makeweight-ended")
    sequential = tuple(one for one in generate.groups(TERMS) if one.name in names_of)
    asking = rules_project.narrowed(sequential, {names.ACCURACY_DROP_PAIRED, names.FAILURES_ABOVE_STABLE})
    rules.write_text(text.render(asking, [], TERMS.runbooks))
    recording = [rule for rule in read(rules) if not rule.alert]
    past = Recorded((*recorded(), *returning()), START, START + STEP * STEPS, STEP)
    replay(recording, past, programs, folder / "store")
    with throwaway.running(programs, folder / "store", lookback="54s", scrape="1h") as client:
        yield client


def since(look: int, start: int) -> dict[str, int]:
    return {name: int(counts[look] - counts[start]) for name, counts in COUNTS.items()}


def paired(count: dict[str, int]) -> float:
    harm, help_ = count["harm"], count["help"]
    return float(eprocess.evalue(eprocess.paired(0.01), harm, help_, count["pairs"] - harm - help_))


def failing(count: dict[str, int]) -> float:
    counts = (count[name] for name in ("canary failed", "canary", "stable failed", "stable"))
    return float(eprocess.two_samples(0.01, *counts))


@pytest.mark.parametrize(("name", "evalue"), [(names.PAIRS.evalue, paired), (names.FAILURES.evalue, failing)])
@pytest.mark.parametrize("look", LOOKS)
def test_the_e_value_is_shared_with_the_tests_that_began_later(answers: Client, name, evalue, look: int) -> None:
    starts = [(look - age) // 10 * 10 for age in AGES]
    later = [evalue(since(look, start)) for start in starts if start >= 0]
    expected = eprocess.shared(evalue(since(look, 0)), later, STARTS)
    (sample,) = answers.query(f'{name}{{model="m", environment=""}}', START + STEP * look)
    assert sample.value == pytest.approx(expected, rel=1e-9)


def test_what_breaks_late_is_found_within_a_quarter_of_an_hour(answers: Client) -> None:
    for name, evalue in ((names.PAIRS.evalue, paired), (names.FAILURES.evalue, failing)):
        (sample,) = answers.query(f'{name}{{model="m", environment=""}}', START + STEP * (BREAKS + 15))
        assert sample.value > TERMS.line("paired") > evalue(since(BREAKS + 15, 0)), "the first test alone is too slow"


def test_stable_is_counted_at_a_share_while_the_canary_answers_there_as_it_is_look_by_look(answers: Client) -> None:
    asked = f'{names.FAILURES.stable}{{environment="prod"}}'
    for minute, expected in (
        (30, {"0.05": 0, "0.25": 0}),
        (35, {"0.05": 5 * 380, "0.25": 0}),
        (60, {"0.05": 10 * 380, "0.25": 20 * 380}),
        (85, {"0.05": 35 * 380, "0.25": 20 * 380}),
    ):
        found = {one.labels["weight"]: one.value for one in answers.query(asked, START + STEP * minute)}
        assert found == pytest.approx(expected)
