"""Counts since the canary began, over all processes, those that ended included: integers, no extrapolation.

Each process is a series of its own (`boot`) that never falls, so a total is the sum of the last values. Of those that
live Prometheus has them. Those that ended are carried on, look by look, in a series for each: then a look costs the
same however old the canary is, and one that is repeated or left out changes nothing. A Prometheus that was down for
longer than `MEMORY` has forgotten them. All of it ends with the canary.
"""

from __future__ import annotations

from collections.abc import Iterator

from makeweight_monitors.metrics import UP, Metric
from makeweight_monitors.rules import identity, names, processes
from makeweight_monitors.rules.processes import REACH
from makeweight_monitors.rules.promql import CANARY, STABLE, block, carried
from makeweight_monitors.rules.rule import Group, Recording, Rule
from makeweight_monitors.rules.terms import Terms

SERVED = "10m"
"""A canary that was not seen for so long is gone, and so is what asked for its rollback."""


def groups(terms: Terms) -> Iterator[Group]:
    up = f"last_over_time({terms.of(UP.series, CANARY)}[{SERVED}])"
    serving = Recording(names.SERVING, f"count by (model, revision) ({up})")
    # in this order: where a canary is known to serve, so are the processes that count
    rules = (processes.scraped(terms, names.SCRAPED, REACH), serving)
    yield Group("makeweight-serving", rules, f"{terms.interval}s")


def rules(terms: Terms, *metrics: Metric) -> Iterator[Rule]:
    for metric in metrics:
        every, apart = identity.groupings(metric.labels)
        ended = names.ended(metric)
        gone, whole = [], []
        for arm in ((CANARY,), (STABLE,)) if "variant" in metric.labels else ((),):
            series, own = terms.of(metric.series, *arm), terms.of(ended, *arm)
            # the process of a pair tells of its canary
            absent = f"unless on (model, revision, boot) {terms.of(UP.series, *(arm or (CANARY,)))}"
            serving = f"and on ({_while(arm)}) {terms.of(names.SERVING)}"
            gone.append(
                block(f"""
                    (
                      max by ({every}) ({carried(series, own, but=absent)})
                      {absent}
                    )
                    {serving}
                    """)
            )
            # one that ended counts as such from the first look without it, and is left out here from the same look on
            whole.append(
                block(f"""
                    sum by ({apart}) (
                      sum by ({apart}) (
                        last_over_time({series}[{REACH}])
                        and on ({processes.ADDRESS}) {terms.of(names.SCRAPED)}
                        unless on (model, revision, boot) {own}
                      )
                      or
                      {own}
                    )
                    {serving}
                    """)
            )
        yield Recording(ended, "\nor\n".join(gone))
        yield Recording(names.total(metric), "\nor\n".join(whole))


def _while(arm: tuple[str, ...]) -> str:
    """Stable is counted while any canary serves beside it."""
    return "model" if STABLE in arm else "model, revision"
