"""Counts since the canary began, over all processes, those that ended included: integers, no extrapolation.

Each process is a series of its own (`boot`) that never falls, so a total is the sum of the last values. Of those that
live Prometheus has them. Those that ended are carried on, look by look, in a series for each: then a look costs the
same however old the canary is, and one that is repeated or left out changes nothing. A Prometheus that was down for
longer than `MEMORY` has forgotten them. All of it ends with the canary.

To find those that ended every series is read as far back as `MEMORY`, which is dear. Of the canary's that is done
seldom: until then they count as if they lived (`LIVING`). Stable's are read at every look: what stable did before the
canary is known at its first one, and must not come to light later.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from makeweight_monitors.metrics import CATALOGUE, UP, Metric
from makeweight_monitors.rules import identity, names, processes
from makeweight_monitors.rules.promql import CANARY, STABLE, block, carried
from makeweight_monitors.rules.rule import Group, Recording, Rule
from makeweight_monitors.rules.terms import Terms
from makeweight_monitors.rules.windows import SLOW_INTERVAL

SERVED = "10m"
"""A canary that was not seen for so long is gone, and so is what asked for its rollback."""
LIVING = "8m"
"""Longer than `processes.REACH`, after which a process is taken for ended, and `SLOW_INTERVAL` together."""


def groups(terms: Terms) -> Iterator[Group]:
    up = f"last_over_time({terms.of(UP.series, CANARY)}[{SERVED}])"
    serving = Recording(names.SERVING, f"count by (model, revision) ({up})")
    # in this order: where a canary is known to serve, so are the processes that count
    rules = (Recording(names.SCRAPED, processes.scraped(terms, LIVING)), serving)
    yield Group("makeweight-serving", rules, f"{terms.interval}s")


def ended(terms: Terms, read: Collection[str]) -> Iterator[Group]:
    """The canary's processes that ended, of the totals among the words that other rules read; and since when it is
    known what has ended: at the same looks, so that both are forgotten at once.
    """
    counted = [metric for metric in CATALOGUE if names.ended(metric) in read]
    if counted:
        rules = (*_known(terms), *(_ended(terms, metric, _arms(metric)[0]) for metric in counted))
        yield Group("makeweight-ended", rules, SLOW_INTERVAL)


def _known(terms: Terms) -> Iterator[Recording]:
    serving, looked = terms.of(names.SERVING), terms.of(names.LOOKED)
    yield Recording(names.LOOKED, f"{serving} * 0 + time()")
    kept = carried(looked, terms.of(names.KNOWN), "min_over_time", own_first=True)
    yield Recording(names.KNOWN, f"({kept})\nand on (model, revision) {serving}")


def rules(terms: Terms, *metrics: Metric) -> Iterator[Rule]:
    for metric in metrics:
        _, *stable = _arms(metric)
        yield from (_ended(terms, metric, arm) for arm in stable)
        whole = (_whole(terms, metric, arm) for arm in _arms(metric))
        yield Recording(names.total(metric), "\nor\n".join(whole))


def _arms(metric: Metric) -> tuple[tuple[str, ...], ...]:
    """The matchers of the canary's, and of stable's; the process of a pair tells of its canary."""
    return ((CANARY,), (STABLE,)) if "variant" in metric.labels else ((),)


def _ended(terms: Terms, metric: Metric, arm: tuple[str, ...]) -> Recording:
    every, _ = identity.groupings(metric.labels)
    absent = f"unless on (model, revision, boot) {terms.of(UP.series, *(arm or (CANARY,)))}"
    kept = carried(terms.of(metric.series, *arm), terms.of(names.ended(metric), *arm), but=absent)
    return Recording(
        names.ended(metric),
        block(f"""
            (
              max by ({every}) ({kept})
              {absent}
            )
            {_while(terms, arm)}
            """),
        # no other than they bear; by these rules of one name differ
        {"variant": "stable" if STABLE in arm else "canary"} if arm else {},
    )


def _whole(terms: Terms, metric: Metric, arm: tuple[str, ...]) -> str:
    """One that ended counts as such from the first look that has it, and is left out here from the same look on."""
    _, apart = identity.groupings(metric.labels)
    own = terms.of(names.ended(metric), *arm)
    return block(f"""
        sum by ({apart}) (
          sum by ({apart}) (
            last_over_time({terms.of(metric.series, *arm)}[{LIVING}])
            and on ({processes.ADDRESS}) {terms.of(names.SCRAPED)}
            unless on (model, revision, boot) {own}
          )
          or
          {own}
        )
        {_while(terms, arm)}
        """)


def _while(terms: Terms, arm: tuple[str, ...]) -> str:
    """Stable is counted while any canary serves beside it."""
    return f"and on ({'model' if STABLE in arm else 'model, revision'}) {terms.of(names.SERVING)}"
