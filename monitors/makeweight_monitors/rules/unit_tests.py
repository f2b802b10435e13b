"""The cases as a file for `promtool test rules`: deterministic text, like the rules that it tests.

What fires is read from `ALERTS`, so that a case says what fires and, in the same breath, that nothing else does.
"""

from __future__ import annotations

from collections.abc import Iterable

from makeweight_monitors.rules.cases import Case
from makeweight_monitors.rules.text import scalar


def render(cases: Iterable[Case], rules: str, heading: Iterable[str]) -> str:
    """The text of a file of tests; `rules` is how the rules' file is found from it."""
    lines = [f"# {line}".rstrip() for line in heading]
    lines += ["rule_files:", f"  - {scalar(rules)}", "evaluation_interval: 4m", "tests:"]
    for case in cases:
        lines += [f"  - name: {scalar(case.name)}", "    interval: 1m", "    input_series:"]
        for row in case.rows:
            series, values = row.notation(case.minutes)
            lines += [f"      - series: {scalar(series)}", f"        values: {scalar(values)}"]
        lines.append("    promql_expr_test:")
        for check in case.checks:
            considered = "|".join(sorted(check.about))
            lines.append("      - expr: |-")
            lines.append("          group by (alertname) (")
            lines.append(f'            ALERTS{{alertstate="firing", alertname=~"{considered}"}}')
            lines.append("          )")
            lines.append(f"        eval_time: {check.minute}m")
            lines.append("        exp_samples:" if check.fires else "        exp_samples: []")
            for name in sorted(check.fires):
                lines += [f"          - labels: '{{alertname=\"{name}\"}}'", "            value: 1"]
    return "\n".join(lines) + "\n"
