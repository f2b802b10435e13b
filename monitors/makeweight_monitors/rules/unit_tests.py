"""The cases as a file for `promtool test rules`: deterministic text, like the rules that it tests.

What fires is read from `ALERTS`, so that a case says what fires and, in the same breath, that nothing else does.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from makeweight_monitors.rules import yamltext
from makeweight_monitors.rules.cases import Case, Check


def render(cases: Iterable[Case], rules: str, heading: Iterable[str]) -> str:
    """The text of a file of tests; `rules` is how the rules' file is found from it."""
    content = {"rule_files": [rules], "evaluation_interval": "4m", "tests": [_test(case) for case in cases]}
    return yamltext.document(content, heading, width=math.inf)


def _test(case: Case) -> dict[str, Any]:
    rows = (row.notation(case.minutes) for row in case.rows)
    return {
        "name": case.name,
        "interval": "1m",
        "input_series": [{"series": series, "values": values} for series, values in rows],
        "promql_expr_test": [_check(check) for check in case.checks],
    }


def _check(check: Check) -> dict[str, Any]:
    about = "|".join(sorted(check.about))
    return {
        "expr": f'group by (alertname) (\n  ALERTS{{alertstate="firing", alertname=~"{about}"}}\n)',
        "eval_time": f"{check.minute}m",
        "exp_samples": [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in sorted(check.fires)],
    }
