"""Tests that begin anew, so that a canary that breaks after a healthy day is found soon: `eprocess.shared` in PromQL.

A test that begins anew sees what was counted since then: no more than the difference to a recorded count. It may begin
at every full ten minutes of the clock, of which three are looked at; so the rules cost the same however old a canary
is. Where Prometheus has a gap in its records, the starts that fall into it are not looked at, and nothing else changes.
Nor are those before a gap that was long enough to forget in: what is counted anew since, less a count of before, is no
count of anything.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from makeweight_monitors import durations
from makeweight_monitors.eprocess import CEILING
from makeweight_monitors.rules import names
from makeweight_monitors.rules.promql import block
from makeweight_monitors.rules.terms import Terms

EVERY = "10m"
AGES = ("10m", "1h", "6h")
"""Those are looked at that are the youngest of at least this age: small drops take long to show."""
START = "start"
FIRST, LATER = f'since="{START}"', f'since!="{START}"'


def many(history: str) -> int:
    """How often a test may begin anew in a canary's life."""
    return math.ceil(durations.seconds(history) / durations.seconds(EVERY)) + 1


def since(terms: Terms, count: str) -> str:
    """A recorded count, since the canary began and since each of the starts, told apart by `since`."""
    parts = {START: count}
    for age in AGES:
        then = f"last_over_time(last_over_time({count}[5m])[{EVERY}:{EVERY}] offset {age})"
        began = f"time() - time() % {durations.seconds(EVERY):g} - {durations.seconds(age):g}"
        known = f"and on (model, revision) {terms.of(names.KNOWN)} <= {began}"
        # never below zero: where a process is missed for a look, the sum falls and rises again
        parts[age] = f"clamp_min({count} - {then}, 0) {known}"
    return "\nor\n".join(f'label_replace({part}, "since", "{name}", "", "")' for name, part in parts.items())


def shared(terms: Terms, evalue: str, by: Iterable[str] = (), *matchers: str) -> str:
    """From the e-values by `since` to that of all of them."""
    first, later = (terms.of(evalue, one, *matchers) for one in (FIRST, LATER))
    return block(f"""
        clamp_max(
          sum by ({", ".join(("model", "revision", *by))}) ({first} or {later} / {many(terms.history)}) / 2,
          {CEILING:g}
        )
        """)
