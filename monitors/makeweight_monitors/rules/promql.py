"""PromQL, put together from parts: selectors, cells that are exact, intervals, distances. Text in, text out.

Everything that is multiplied or divided by something else comes in brackets. Formulas are of those that promtool's unit
tests hold against numbers (tests/integration/monitors).
"""

from __future__ import annotations

from collections.abc import Iterable
from textwrap import dedent, indent

from makeweight_monitors.eprocess import CEILING, Bet
from makeweight_monitors.metrics import Metric
from makeweight_monitors.rules import names

MEMORY = "1h"
"""How long a Prometheus may be down and still go on from what it had recorded."""
Z = 2.576
"""The normal quantile of a two-sided 99 % interval."""
Z_RARE = 3.0902
"""What a normal deviate exceeds once in a thousand."""
CANARY, STABLE = 'variant="canary"', 'variant="stable"'
HARM = ('stable="right"', 'canary="wrong"')
HELP = ('stable="wrong"', 'canary="right"')


def selector(name: str, *matchers: str) -> str:
    return f"{name}{{{', '.join(matchers)}}}" if matchers else name


def equals(label: str, value: str) -> str:
    """A matcher; the value may hold anything."""
    return f"{label}={quoted(value)}"


def quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def block(text: str) -> str:
    """An expression written over several lines of Python, without its margin."""
    return dedent(text).strip()


def inner(text: str, spaces: int = 2) -> str:
    return indent(text, " " * spaces)


def number(value: float) -> str:
    return f"{value:.12g}"


def exact(metric: Metric, model: str, by: Iterable[str], *matchers: str) -> str:
    """A sum over all processes since the canary began, as `totals.py` records it, by revision and `by`."""
    labels = ", ".join(("model", "revision", *by))
    return f"sum by ({labels}) ({selector(names.total(metric), equals('model', model), *matchers)})"


def carried(source: str, own: str, function: str = "last_over_time", *, own_first: bool = False, but: str = "") -> str:
    """What a series was, and what the same rule recorded of it before: remembered from look to look.

    Where both are there the first counts; `but` is a set operation on the source alone. A backtest, which has no looks
    one after the other, reads this form (`backtest/unrolled.py`).
    """
    seen, kept = f"{function}({source}[{MEMORY}]) {but}".strip(), f"last_over_time({own}[{MEMORY}])"
    return f"{kept} or {seen}" if own_first else f"{seen} or {kept}"


def accumulated(step: str, own: str, none: str) -> str:
    """The sum of a step over all looks, which the rule carries on itself. A backtest reads this form too, so it is all
    of the rule.

    Args:
        step: an expression that has a value at each look, 0 where nothing is to be added.
        none: an expression of 0 for each series.
    """
    return f"(\n{inner(step)}\n)\n+ (last_over_time({own}[{MEMORY}]) or {none})"


def beside(canary: str, operator: str, stable: str, by: Iterable[str] = ()) -> str:
    """canary OPERATOR stable, two series by arm; the result bears `model, revision` and what else is in `by`."""
    on = ", ".join(("model", *by))
    return f"sum by ({', '.join(('model', 'revision', *by))}) ({canary} {operator} on ({on}) group_left () {stable})"


def ratio(part: str, whole: str) -> str:
    """part / whole, where there is a whole."""
    return f"(\n{inner(part)}\n) / ((\n{inner(whole)}\n) > 0)"


def part(some: str, rest: str) -> str:
    """some / (some + rest), where there is any."""
    return f"(\n{inner(some)}\n) / ((\n{inner(some)}\n) + (\n{inner(rest)}\n) > 0)"


def wilson(share: str, count: str, side: str) -> str:
    """One end of the 99 % interval of a share (Wilson 1927); `side` is `-` for the lower, `+` for the upper."""
    z2 = number(Z * Z)
    return block(f"""
        (
          {share} + {z2} / (2 * {count})
          {side} {Z} * sqrt({share} * (1 - {share}) / {count} + {z2} / (4 * {count} ^ 2))
        ) / (1 + {z2} / {count})
        """)


def share_of(bins: str, count: str, label: str) -> str:
    """The share of each bin, smoothed by half an event so that none is zero."""
    return block(f"""
        ({bins} + 0.5)
        / ignoring ({label}) group_left ()
        ({count} + 0.5 * count without ({label}) ({bins}))
        """)


def evalue(bets: Iterable[Bet], harm: str, help: str, tie: str) -> str:
    """The mean capital of the bets, as `eprocess.evalue` has it."""
    terms = []
    for bet in bets:
        tied = f" - {tie} * {number(-bet.tie)}" if bet.tie else ""
        terms.append(f"exp({harm} * {number(bet.harm)} - {help} * {number(-bet.help)}{tied})")
    joined = "\n    + ".join(terms)
    return f"clamp_max(\n  (\n    {joined}\n  ) / {len(terms)},\n  {CEILING:g}\n)"


def chi_squared(degrees: str) -> str:
    """The quantile that chance exceeds once in a thousand (Wilson and Hilferty 1931); `degrees` is one operand."""
    return f"{degrees} * (1 - 2 / (9 * {degrees}) + {Z_RARE} * sqrt(2 / (9 * {degrees}))) ^ 3"
