"""The lines of makeweight.yaml that rules stand on."""

from __future__ import annotations

from typing import Any

from makeweight.budget.operator import OPERATORS
from makeweight.layout import CONFIG
from makeweight_base.yamlfile import parse


def of_rules(text: str) -> dict[str, int]:
    """The line of each rule of a makeweight.yaml, by the rule's id (`latency_p50[pi5].max_ratio`)."""
    document = parse(text, CONFIG)
    budget = (document.data or {}).get("budget")
    lines: dict[str, int] = {}
    for metric, entry in budget.items() if isinstance(budget, dict) else ():
        several = isinstance(entry, list)
        for index, spec in enumerate(entry if several else [entry]):
            if not isinstance(spec, dict):
                continue
            path = ("budget", metric, index) if several else ("budget", metric)
            for operator in (name for name in OPERATORS if spec.get(name) is not None):
                lines[f"{metric}{_where(spec)}.{operator}"] = document.line((*path, operator))
    return lines


def of_budget(text: str) -> int:
    """The line where the budget begins."""
    return parse(text, CONFIG).line(("budget",))


def of_variants(text: str) -> dict[str, int]:
    """The line of each variant."""
    document = parse(text, CONFIG)
    variants = (document.data or {}).get("variants")
    return {str(name): document.line(("variants", str(name))) for name in variants or ()}


def _where(spec: dict[str, Any]) -> str:
    parts = [str(spec["device"])] if spec.get("device") else []
    parts += [f"slice={spec['slice']}"] if spec.get("slice") else []
    return f"[{','.join(parts)}]" if parts else ""
