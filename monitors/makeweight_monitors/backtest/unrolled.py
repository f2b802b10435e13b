"""Rules that go on from what they recorded themselves, for a backtest: it asks for a whole range at once, and so has no
looks that could see the one before. What such a rule remembers from look to look it reads from the past instead.
"""

from __future__ import annotations

import re
from dataclasses import replace

from makeweight_monitors.backtest.rulefile import Loaded
from makeweight_monitors.rules.dependencies import words
from makeweight_monitors.rules.promql import MEMORY

_MATCHERS = r"""(?:\{(?:[^"}]|"(?:\\.|[^"\\])*")*\})?"""


def unrolled(rule: Loaded, seconds: float) -> Loaded:
    """The rule without the form of `promql.carried`: what it would have kept, its source had within so many seconds.

    A rule that reads itself in another form stays as it is.
    """
    if rule.name not in words(rule.expression):
        return rule
    own = rf"last_over_time\({re.escape(rule.name)}{_MATCHERS}\[{MEMORY}\]\)"
    alone = re.sub(rf"\s+or\s+{own}|{own}\s+or\s+", "", rule.expression)
    return replace(rule, expression=alone.replace(f"[{MEMORY}]", f"[{max(1, round(seconds))}s]"))
