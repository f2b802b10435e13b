"""Failed answers: no label is needed to see one, so they ask for a rollback before anything else can."""

from __future__ import annotations

from collections.abc import Iterator

from makeweight_monitors.metrics import FAILED, PREDICTIONS, REPEATS
from makeweight_monitors.rules import names, samples, totals
from makeweight_monitors.rules.promql import CANARY, MEMORY, STABLE, carried, exact, inner, part
from makeweight_monitors.rules.rollback import ask
from makeweight_monitors.rules.rule import Group, Recording, Rule
from makeweight_monitors.rules.terms import Terms
from makeweight_monitors.rules.windows import SPEED

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
    traffic then. Stable need not know that share, so its requests are those from the canary's first answer at it to the
    last.
    """
    found, by = names.FAILURES, ("weight",)
    canary = terms.of(found.canary)
    yield from totals.rules(terms, FAILED, PREDICTIONS, REPEATS)
    serving = f"count by (model, revision, weight) ({terms.of(PREDICTIONS.series, CANARY)})"
    for name, metrics, of in ((found.canary_wrong, (FAILED,), (_FAILED,)), (found.canary, (FAILED, PREDICTIONS), ())):
        every = "\n+ ".join(exact(metric, terms.model, by, CANARY) for metric in metrics)
        repeated = exact(REPEATS, terms.model, by, CANARY, *of)
        yield Recording(name, f"{every}\n- ({repeated}\nor {serving} * 0)")
    still = f"and on (model, revision) {terms.of(names.SERVING)}"
    # what was counted at a share of before is shown on and on. Two looks: the second has a scrape of both arms
    idle = f"(({canary} > 0) <= last_over_time({canary}[{MEMORY}] offset {2 * terms.interval}s))"
    for name, did, metrics, of in (
        (found.stable_wrong, names.STABLE_DID["failed"], (FAILED,), (_FAILED,)),
        (found.stable, names.STABLE_DID["asked"], (FAILED, PREDICTIONS), ()),
    ):
        ever, before, latest = (terms.of(one) for one in did)
        every = "\n+ ".join(f"sum by (model) ({exact(metric, terms.model, (), STABLE)})" for metric in metrics)
        repeated = f"sum by (model) ({exact(REPEATS, terms.model, (), STABLE, *of)})"
        every += f"\n- ({repeated} or sum by (model) ({serving}) * 0)"
        all_of_it = f"{serving} * 0\n+ on (model) group_left () (\n{inner(every)}\n)"
        yield Recording(did[0], f"{all_of_it}\nunless {idle}")
        # while the canary answers at this share: from its first answer on
        begun = carried(ever, before, "min_over_time", own_first=True)
        yield Recording(did[1], f"(\n  {ever} and {canary} == 0\n  or {begun}\n)\n{still}")
        yield Recording(did[2], f"(\n  {carried(ever, latest, 'max_over_time')}\n)\n{still}")
        yield Recording(name, f"{latest} - {before}\nor\n{canary} * 0")
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
