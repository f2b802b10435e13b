"""The cases as a file for `promtool test rules`: deterministic text, like the rules that it tests.

What fires is read from `ALERTS`, so that a case says what fires and, in the same breath, that nothing else does.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from makeweight_monitors.rules import yamltext
from makeweight_monitors.rules.trials.cases import Case, Check

_ALERT = "Makeweight"
"""How the names of all alerts begin."""


def render(cases: Iterable[Case], rules: str, heading: Iterable[str]) -> str:
    """The text of a file of tests; `rules` is how the rules' file is found from it."""
    rows: dict[tuple[str, str], dict[str, str]] = {}
    tests = [_test(case, rows) for case in cases]
    content = {"rule_files": [rules], "evaluation_interval": "4m", "tests": tests}
    return yamltext.document(content, heading, width=math.inf, aliases=True)


def _test(case: Case, known: dict[tuple[str, str], dict[str, str]]) -> dict[str, Any]:
    """One case; a series that others have too is the same object in all of them."""
    rows = (row.notation() for row in case.rows)
    return {
        "name": case.name,
        "interval": "1m",
        "input_series": [known.setdefault(row, dict(zip(("series", "values"), row, strict=True))) for row in rows],
        "promql_expr_test": [_check(check) for check in case.checks],
    }


def _check(check: Check) -> dict[str, Any]:
    about = "|".join(name.removeprefix(_ALERT) for name in sorted(check.about))
    return {
        "expr": f'group by (alertname) (\n  ALERTS{{alertstate="firing", alertname=~"{_ALERT}({about})"}}\n)',
        "eval_time": f"{check.minute}m",
        "exp_samples": [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in sorted(check.fires)],
    }
