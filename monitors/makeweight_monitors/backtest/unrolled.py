"""Rules that go on from what they recorded themselves, for a backtest: it asks for a whole range at once, and so has no
looks that could see the one before. What such a rule remembers from look to look it reads from the past instead.

It remembers all of it, where the rule forgets what it recorded longer ago than `promql.MEMORY`.
"""

from __future__ import annotations

import re
from dataclasses import replace

from makeweight_monitors.backtest.rulefile import Loaded
from makeweight_monitors.rules.dependencies import words
from makeweight_monitors.rules.promql import MEMORY

_MATCHERS = r"""((?:\{(?:[^"}]|"(?:\\.|[^"\\])*")*\})?)"""


def unrolled(rule: Loaded, seconds: float) -> list[Loaded]:
    """Rules that record the same without reading themselves, for so many seconds of records.

    Of the form of `promql.carried` is left what its source had by then; that of `promql.accumulated` becomes a rule
    that records each step, and their sum. A rule that reads itself in another form stays as it is.
    """
    if rule.name not in words(rule.expression):
        return [rule]
    own = rf"last_over_time\({re.escape(rule.name)}{_MATCHERS}\[{MEMORY}\]\)"
    window = f"[{max(1, round(seconds))}s]"
    summed = re.fullmatch(rf"\(\n(.*)\n\)\n\+ \({own} or .*\)", rule.expression.strip(), re.DOTALL)
    if summed is not None:
        step = replace(rule, name=f"{rule.name}:each_look", expression=summed[1])
        each = f"{step.name}{summed[2]}"
        return [step, replace(rule, expression=f"sum_over_time({each}{window}) and {each}")]
    alone = re.sub(rf"\s+or\s+{own}|{own}\s+or\s+", "", rule.expression)
    return [replace(rule, expression=alone.replace(f"[{MEMORY}]", window))]
