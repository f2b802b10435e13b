"""When a test that asks for a rollback is not believed: what it takes for granted does not hold just now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from makeweight_monitors.rollback.seen import Alerting
from makeweight_monitors.rules import names

_LABELLED = frozenset({"paired", "split", "slice", "class"})
_ALL = _LABELLED | {"failures"}
SELDOM = 1.5
"""Times the interval of the rules: how often a process is scraped is known from a handful of scrapes."""
GUARDS = {
    names.REPLICA_DOWN: _ALL,
    names.STABLE_UNSEEN: _ALL,
    names.COUNTER_POISONED: _ALL,
    names.SHARE_OFF: _LABELLED,
    names.LABEL_COVERAGE_LOW: _LABELLED,
    names.LABELS_SELECTED: _LABELLED - {"split"},
}
"""By alert, the tests that are not believed while it fires. An answer that failed has failed, whatever the share and
no matter who labels what."""


def early(asking: Alerting, scraped_every: float | None) -> bool:
    """Whether it may be that both arms fail, and one alone was scraped since: the rules wait for one of their
    evaluations, and processes may be scraped more seldom (`scraped_every`, in seconds).
    """
    if asking.test != "failures" or scraped_every is None or scraped_every <= SELDOM * asking.every:
        return False
    return asking.lasts < scraped_every


def disbelieved(asking: Alerting, alerting: Iterable[Alerting]) -> Iterator[Alerting]:
    """Those that speak against an alert of the kind `rollback`; none that is about another canary, such as one that was
    rolled back before.
    """
    for guard in alerting:
        # a canary that no longer answers its scrapes is no less broken for that
        own = guard.name == names.REPLICA_DOWN and guard.variant == "canary" and asking.test == "failures"
        aside = own or guard.of_another(asking.sha256, asking.attempt)
        if guard.firing and asking.test in GUARDS.get(guard.name, ()) and not aside:
            yield guard
