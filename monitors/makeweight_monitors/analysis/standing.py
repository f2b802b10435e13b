"""How the canary that serves stands, as one number that Prometheus tells: what the controller decides by, in PromQL.

1: a test asks for a rollback, and nothing speaks against believing it. 0: it is known, and nothing asks. -1: anything
else, above all that nothing is known. The answer is never empty and never NaN, which each controller reads in its way.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from makeweight_monitors import metrics
from makeweight_monitors.rollback.guards import GUARDS, SELDOM
from makeweight_monitors.rollback.looking import COUNTED, old_after, rules_age, scraped_every, unjudged
from makeweight_monitors.rollback.promotion import OF_THE_BUDGET
from makeweight_monitors.rules import names
from makeweight_monitors.rules.promql import CANARY, STABLE, equals, inner, number, selector
from makeweight_monitors.rules.terms import Terms, Test

_FIRING = 'alertstate="firing"'
_CANARY = "on (sha256, attempt)"


class Standing:
    """Of one model in one environment.

    Args:
        scope: by label that tells environments apart, its value, or what stands for it in a template: no more than
            letters, digits, `-`, `_` and `.`.
    """

    def __init__(self, terms: Terms, scope: Mapping[str, str]) -> None:
        self.terms, self.scope = terms, scope
        self._own = [equals(*label) for label in scope.items()]
        self._all = [equals("model", terms.model), *self._own]
        # what bears no environment concerns all of them
        self._or_none = [f'{label}=~"{value}|"' for label, value in scope.items()]

    def watched(self) -> str:
        """0 as long as it is known and nothing asks for a rollback."""
        return self._in_all([])

    def good(self) -> str:
        """0 where besides that nothing speaks against more traffic, and something for it."""
        return self._in_all([self._breaker(), *self._alarms(), self._not_good_enough()])

    def _in_all(self, against: Iterable[str]) -> str:
        asks = "\nor\n".join(self._believed(tests, guards) for tests, guards in self._families())
        well = [f"{rules_age(self.terms.model)} < {old_after(self.terms.interval):g}"]
        silent = [
            self._alerts(equals("alertname", names.NOTHING_OBSERVED), _FIRING),
            f"({self._asking()} and {_CANARY} {self._serving()})",
            *self._guarding(sorted(GUARDS)),
            *(f"({unjudged(test, self._all)})" for test in self.terms.families() if test in COUNTED),
        ]
        well += [f"unless on () {one}" for one in (*silent, *against)]
        well.append(f"and on () {self._serving()}")
        known = "\n".join(well)
        return f"clamp_max(count(\n{inner(asks)}\n), 1)\nor\n0 * (\n{inner(known)}\n)\nor\nvector(-1)"

    def _families(self) -> Iterator[tuple[list[Test], list[str]]]:
        """Tests with those alerts for which they are not believed, alike ones together."""
        alike: dict[tuple[str, ...], list[Test]] = {}
        for test in self.terms.families():
            alike.setdefault(tuple(sorted(name for name, tests in GUARDS.items() if test in tests)), []).append(test)
        for guards, tests in alike.items():
            yield tests, list(guards)

    def _believed(self, tests: list[Test], guards: list[str]) -> str:
        """A canary that no longer answers its scrapes fails no less for that."""
        down = []
        if "failures" in tests and names.REPLICA_DOWN in guards:
            guards = [name for name in guards if name != names.REPLICA_DOWN]
            down = [self._alerts(equals("alertname", names.REPLICA_DOWN), _FIRING, 'variant!="canary"')]
        off = [f"unless on () {one}" for one in (*self._guarding(guards), *down)]
        if "failures" in tests:
            off.append(f"unless {_CANARY} ({self._early()})")
        asking = self._asking(_FIRING, f'test=~"{"|".join(tests)}"')
        return "\n".join([f"({asking} and {_CANARY} {self._serving()}", *off]) + ")"

    def _early(self) -> str:
        """Failures that both arms may have, where one alone was scraped since: as `guards.early` has it."""
        active = selector("ALERTS_FOR_STATE", *self._all, 'kind="rollback"', equals("test", "failures"))
        seldom = f"{scraped_every(selector(metrics.UP.series, *self._all))} > {number(SELDOM * self.terms.interval)}"
        return f"time() - {active} < on () group_left () ({seldom})"

    def _guarding(self, guards: Iterable[str]) -> Iterator[str]:
        """Those that fire; what does not hold for a canary that is not scraped, as for one of before, is none."""
        named = f'alertname=~"{"|".join(guards)}"'
        yield self._alerts(named, _FIRING, STABLE)
        yield from self._of_what_serves(named, _FIRING)

    def _of_what_serves(self, *matchers: str) -> Iterator[str]:
        """Alerts that name no file, and those on a canary that is scraped."""
        yield self._alerts(*matchers, equals("sha256", ""))
        yield f"({self._alerts(*matchers)} and {_CANARY} {self._serving()})"

    def _asking(self, *matchers: str) -> str:
        return selector("ALERTS", *self._all, 'kind="rollback"', *matchers)

    def _alerts(self, *matchers: str) -> str:
        return selector("ALERTS", equals("model", self.terms.model), *self._or_none, *matchers)

    def _serving(self) -> str:
        """The canaries whose processes are scraped; by that, what was said of those before them is past."""
        return f"group by (sha256, attempt) ({self.terms.of(metrics.UP.series, *self._own, CANARY)})"

    def _breaker(self) -> str:
        return f"(sum({self.terms.of(metrics.SERVING_BREAKER.series, *self._own)}) > 0)"

    def _alarms(self) -> Iterator[str]:
        for what in ('kind="alarm"', f'alertname=~"{"|".join(sorted(OF_THE_BUDGET))}"'):
            yield from self._of_what_serves(_FIRING, what, 'variant=~"canary|"')

    def _not_good_enough(self) -> str:
        """Those that serve and are not shown to be good enough."""
        drop = f"{self.terms.of(names.DROP_HIGH, *self._own)} <= {number(self.terms.drop or 0.0)}"
        certified = f"{self.terms.of(names.CERTIFIED, *self._own)} == 1"
        return f"({self._serving()} unless {_CANARY} ({drop} or {certified}))"
