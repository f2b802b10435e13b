"""What happens, and what Prometheus makes of it: all is well for a while, then a shadow falls on the pages, and the
next canary answers NaN.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from math import isnan

from examples.monitoring import interrupted
from examples.monitoring.parts import say
from examples.monitoring.traffic import Traffic
from examples.monitoring.watch import Look, Pairs, look
from makeweight_monitors.prometheus.queries import Client
from makeweight_monitors.rules import names
from makeweight_monitors.rules.confidence import MARKED

SHADOW = 0.5
"""How much darker the top of each page gets, where 1 is ink."""
FIRST, NEXT = "demo", "demo-nan"
"""The revisions on trial: of the canary, and of the one that answers NaN."""
NAN = 0.2
"""The share of the requests that it does so on."""
LEAST_PAIRS = 200
"""With fewer, a quiet phase says nothing."""
_LABEL_WAIT = 60.0
"""Seconds that a slow machine gets for them."""


@dataclass
class Phase:
    """What was seen in one part of the story."""

    name: str
    revision: str
    before: Pairs
    last: Look
    alerts: set[str] = field(default_factory=set)
    """Those that fired, of the kinds rollback and alarm: none of them may while all is well."""
    evidence: set[str] = field(default_factory=set)
    """What else was true at its end; `pending` alerts wait some minutes before they fire."""

    def see(self, seen: Look) -> None:
        self.last = seen
        self.alerts.update(seen.alerts("firing", "rollback", "alarm"))
        firing = seen.alerts("firing", "evidence") - {names.WATCHDOG}  # that one always does
        self.evidence = {f"{name} (firing)" for name in firing}
        self.evidence |= {f"{name} (pending)" for name in seen.alerts("pending", "alarm", "evidence")}

    @property
    def pairs(self) -> Pairs:
        return self.last.pairs.since(self.before)


def watched(
    client: Client,
    model: str,
    traffic: Traffic,
    another: Callable[[str, float], None],
    *,
    quiet: float,
    patience: float,
) -> bool:
    """Start the traffic and tell what Prometheus sees of it.

    Args:
        another: begins the trial of another canary: its revision, and the share of its answers that are NaN.
        quiet: seconds before the shadow falls.
        patience: seconds to wait for the alert after that.

    Returns:
        Whether nothing called anybody while all was well, and both rollbacks were asked for afterwards.

    Raises:
        KeyboardInterrupt: it was to end.
    """
    traffic.start()
    began = time.monotonic()
    say(f"traffic       {traffic.rate:g} requests a second; their labels come {traffic.delay:g} s later")
    say(f"\nfor {quiet:g} s all is well:")
    healthy = Phase("all is well", FIRST, Pairs(), look(client, model, FIRST))
    certified = _Noticed(began, healthy=True)

    def long_enough(seen: Look) -> bool:
        certified.see(seen)
        over = time.monotonic() - began - quiet
        return over > (0 if healthy.pairs.count >= LEAST_PAIRS else _LABEL_WAIT)

    _follow(client, model, healthy, long_enough)
    if healthy.pairs.count < LEAST_PAIRS:
        say(f"\nonly {healthy.pairs.count} labelled pairs came; {traffic.failed} requests or labels failed")
        _table([healthy])
        return False

    say(f"\na shadow falls on the top of every page (up to {SHADOW:g} darker):")
    traffic.depth = SHADOW
    fell = time.monotonic()
    dark = Phase("in the shadow", FIRST, healthy.last.pairs, healthy.last)
    noticed = _Noticed(fell, healthy=False)

    def over(seen: Look) -> bool:
        noticed.see(seen)
        called = names.ACCURACY_DROP_PAIRED in seen.alerts("firing", "rollback")
        return called or time.monotonic() > fell + patience

    _follow(client, model, dark, over)
    fired = names.ACCURACY_DROP_PAIRED in dark.last.alerts("firing", "rollback")
    took = time.monotonic() - fell
    _follow(client, model, dark, lambda _: False, for_=3)
    say("")
    if fired:
        say(
            f"{names.ACCURACY_DROP_PAIRED} (kind: rollback) fires {took:.0f} s after the shadow fell, "
            f"of which labels took {traffic.delay:g} s"
        )
    else:
        say(f"{names.ACCURACY_DROP_PAIRED} did not fire within {patience:g} s")
    phases = [healthy, dark]
    if fired:
        phases.append(_answers_nan(client, model, traffic, another, patience))
        fired = names.FAILURES_ABOVE_STABLE in phases[-1].alerts and not phases[-1].pairs.count
    _table(phases)
    if traffic.failed:
        say(f"{traffic.failed} of {len(traffic.answers) + traffic.failed} requests or labels failed")
    if healthy.alerts:
        say(f"not quiet while all was well: {', '.join(sorted(healthy.alerts))}")
    return fired and not healthy.alerts


def _answers_nan(
    client: Client, model: str, traffic: Traffic, another: Callable[[str, float], None], patience: float
) -> Phase:
    """Another canary, up to the alert, which no label is needed for."""
    say(f"\nthe light is back, and another canary takes its place; it answers {NAN:.0%} of the requests with NaN:")
    traffic.depth = 0.0
    another(NEXT, NAN)
    began = time.monotonic()
    broken = Phase("NaN", NEXT, Pairs(), look(client, model, NEXT))

    def over(seen: Look) -> bool:
        called = names.FAILURES_ABOVE_STABLE in seen.alerts("firing", "rollback")
        return called or time.monotonic() > began + patience

    _follow(client, model, broken, over)
    if names.FAILURES_ABOVE_STABLE in broken.alerts:
        say(
            f"\n{names.FAILURES_ABOVE_STABLE} (kind: rollback) fires {time.monotonic() - began:.0f} s after that "
            f"canary began, on {broken.pairs.count} labelled pairs"
        )
    else:
        say(f"\n{names.FAILURES_ABOVE_STABLE} did not fire within {patience:g} s")
    return broken


class _Noticed:
    """What is seen without any label; each is told once."""

    def __init__(self, since: float, *, healthy: bool) -> None:
        self._since = since
        self._healthy = healthy
        self._told: set[str] = set()

    def see(self, seen: Look) -> None:
        certified = seen.value(names.CERTIFIED)
        if certified is not None and bool(certified) == self._healthy:
            differ = _percent(seen.value(names.DISAGREEMENT_HIGH))
            tolerated = _percent(seen.value(names.TOLERATED_DROP, "paired"))
            self._tell(
                "certified",
                f"the models differ on at most {differ} of the requests, within the tolerated {tolerated}: safe"
                if self._healthy
                else f"the models may differ on {differ} of the requests, beyond the tolerated {tolerated}: not "
                "known to be safe",
            )
        for variant in () if self._healthy else ("stable", "canary"):
            psi, floor = (seen.value(name, variant) for name in (names.REFERENCE_PSI, names.REFERENCE_PSI_FLOOR))
            if psi is not None and floor is not None and psi > max(floor, MARKED):
                self._tell(
                    variant,
                    f"{variant} is not as sure of itself as on the test split (stability index {psi:.2f}; chance "
                    f"reaches {floor:.2f})",
                )

    def _tell(self, what: str, line: str) -> None:
        if what not in self._told:
            self._told.add(what)
            say(f"  {time.monotonic() - self._since:3.0f} s  without any label: {line}")


def _follow(
    client: Client,
    model: str,
    phase: Phase,
    over: Callable[[Look], bool],
    for_: float = float("inf"),
) -> None:
    """Look every half second until it is over; say how it stands every five."""
    began = told = time.monotonic()
    while True:
        seen = look(client, model, phase.revision)
        known = set(phase.alerts)
        phase.see(seen)
        for name in sorted(phase.alerts - known):
            say(f"  alert  {name} fires")
        done = over(seen) or time.monotonic() - began > for_
        if time.monotonic() - told >= 5 or (done and for_ == float("inf")):
            told = time.monotonic()
            say(f"  {told - began:3.0f} s  {_standing(phase)}")
        if done:
            return
        interrupted.wait(0.5)


def _standing(phase: Phase) -> str:
    pairs, (of, value, line) = phase.pairs, _evidence(phase)
    if not pairs.count:
        return f"no labelled pair yet; e-value of {of} {value} of {line}"
    return (
        f"{pairs.count:,} labelled pairs, right: stable {_percent(pairs.stable())}, canary {_percent(pairs.canary())}; "
        f"e-value {value} of {line}"
    )


def _evidence(phase: Phase) -> tuple[str, str, str]:
    """Of what the test is that can tell by now (of failures, until a pair is labelled), its e-value and its line."""
    if phase.pairs.count:
        of, evalue, test = "pairs", names.PAIRS.evalue, "paired"
    else:
        of, evalue, test = "failures", names.FAILURES.evalue, "failures"
    return of, _evalue(phase.last.value(evalue)), _evalue(phase.last.value(names.ROLLBACK_LINE, test))


def _table(phases: list[Phase]) -> None:
    say("\nwhat Prometheus saw:")
    say(f"  {'':14} {'pairs':>7} {'stable right':>13} {'canary right':>13} {'e-value':>9} {'of':9} {'line':>6}  fired")
    for phase in phases:
        pairs, (of, value, line) = phase.pairs, _evidence(phase)
        say(
            f"  {phase.name:14} {pairs.count:7,} {_percent(pairs.stable()):>13} {_percent(pairs.canary()):>13} "
            f"{value:>9} {of:9} {line:>6}  {', '.join(sorted(phase.alerts)) or 'nothing'}"
        )
    for phase in phases:
        say(f"  evidence, {phase.name}: {', '.join(sorted(phase.evidence)) or 'none'}")


def _percent(share: float | None) -> str:
    return "?" if share is None or isnan(share) else f"{share:.1%}"


def _evalue(value: float | None) -> str:
    if value is None:
        return "?"
    return f"{value:,.0f}" if 100 <= value < 1e6 else f"{value:.2g}"
