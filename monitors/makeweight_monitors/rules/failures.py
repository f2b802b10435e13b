"""Failed answers: no label is needed to see one, so they ask for a rollback before anything else can."""

from __future__ import annotations

from collections.abc import Iterator

from makeweight_monitors.metrics import FAILED, PREDICTIONS, REPEATS, Metric
from makeweight_monitors.rules import names, samples, totals
from makeweight_monitors.rules.promql import CANARY, MEMORY, STABLE, accumulated, exact, inner, part
from makeweight_monitors.rules.rollback import ask
from makeweight_monitors.rules.rule import Group, Recording, Rule
from makeweight_monitors.rules.terms import Terms
from makeweight_monitors.rules.windows import SPEED

QUIET = "10m"
"""For so long without an answer at a share, the canary is taken to serve at it no more."""
_SELDOM = 120
"""Seconds in which processes that are scraped once a minute, as Prometheus does by itself, show what they answer."""
_FAILED = 'outcome="failed"'


def groups(terms: Terms) -> Iterator[Group]:
    failed, answered = (terms.by_arm(metric.series, SPEED) for metric in (FAILED, PREDICTIONS))
    rules: list[Rule] = [Recording(names.FAILED, part(failed, answered))]
    if terms.drop is not None:
        rules += _evalues(terms, terms.drop)
    yield Group("makeweight-failures", tuple(rules), f"{terms.interval}s")


def _evalues(terms: Terms, drop: float) -> Iterator[Rule]:
    """A failed answer is a wrong one: failures may rise by what accuracy may fall. A unit counts once.

    At each declared share apart: a time in which both arms fail would else weigh more on the one that had more of the
    traffic then. Stable need not know that share, so its requests are those that came while the canary answered at it:
    not those of the time between, where it comes back to one. Both arms are counted from the first look at both, and
    anew where that is forgotten: else a bad time of both that only one's counts hold would tell of a difference.
    """
    found, asked = names.FAILURES, terms.of(names.EVER["canary", "asked"])
    none = f"count by (model, revision, weight) ({asked}) * 0"  # a number, even where the counter is none
    yield from totals.rules(terms, FAILED, PREDICTIONS, REPEATS)
    for of, counted, metrics, repeats in (
        ("asked", {"canary": found.canary, "stable": found.stable}, (FAILED, PREDICTIONS), ()),
        ("failed", {"canary": found.canary_wrong, "stable": found.stable_wrong}, (FAILED,), (_FAILED,)),
    ):
        for arm, did in (("canary", _canary_did), ("stable", _stable_did)):
            ever, name = names.EVER[arm, of], counted[arm]
            yield Recording(ever, did(terms, metrics, repeats))
            # more than ever before: a process that is missed for a look makes the sum fall and rise again
            rose = f"{terms.of(ever)} - max_over_time({terms.of(ever)}[{MEMORY}] offset 1ms) > 0"
            if arm == "stable":
                rose += f"\nunless\n{_away(terms, asked)}"
            yield Recording(name, accumulated(f"{rose}\nor\n{none}", terms.of(name), none))
    yield from samples.evalue(terms, found, drop)
    yield ask(
        terms,
        names.FAILURES_ABOVE_STABLE,
        "failures",
        terms.of(found.evalue),
        summary="{{ $labels.model }} {{ $labels.revision }} fails to answer more often than stable: roll it back",
        against=f"a rise of failed answers by at most {drop:.2%}",
        # both arms are scraped within that: what befalls both is not held against the one that is scraped first
        hold=f"{terms.interval}s",
    )


def _canary_did(terms: Terms, metrics: tuple[Metric, ...], repeats: tuple[str, ...]) -> str:
    by = ("weight",)
    every = "\n+ ".join(exact(metric, terms.model, by, CANARY) for metric in metrics)
    return f"{every}\n- ({exact(REPEATS, terms.model, by, CANARY, *repeats)}\nor {_serving(terms)} * 0)"


def _stable_did(terms: Terms, metrics: tuple[Metric, ...], repeats: tuple[str, ...]) -> str:
    """All of it, at each share that the canary has, or had."""
    every = "\n+ ".join(f"sum by (model) ({exact(metric, terms.model, (), STABLE)})" for metric in metrics)
    repeated = f"sum by (model) ({exact(REPEATS, terms.model, (), STABLE, *repeats)})"
    every += f"\n- ({repeated} or sum by (model) ({_serving(terms)}) * 0)"
    return f"{_serving(terms)} * 0\n+ on (model) group_left () (\n{inner(every)}\n)"


def _serving(terms: Terms) -> str:
    return f"count by (model, revision, weight) ({terms.of(PREDICTIONS.series, CANARY)})"


def _away(terms: Terms, asked: str) -> str:
    """Shares at which the canary does not answer: not yet, no more, or while it answers at another one."""
    elsewhere = []
    # two looks: the second has a scrape of both arms. Between the scrapes of a minute two looks see none
    for ago in sorted({2 * terms.interval, max(2 * terms.interval, _SELDOM)}):
        lately = f"last_over_time({asked}[{MEMORY}] offset {ago}s)"
        elsewhere.append(f"{asked} <= {lately} and on (model, revision) {asked} > {lately}")
    quiet = f"{asked} <= last_over_time({asked}[{MEMORY}] offset {QUIET})"
    away = "\nor\n".join((f"{asked} == 0", quiet, *elsewhere))
    return f"(\n{inner(away)}\n)"
