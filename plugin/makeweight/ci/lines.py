"""Where in makeweight.yaml things stand, for annotations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from makeweight.budget.operator import OPERATORS
from makeweight.layout import CONFIG
from makeweight_base.yamlfile import Document, parse


@dataclass(frozen=True)
class Lines:
    """Lines of a makeweight.yaml, from 1."""

    rules: Mapping[str, int]
    """By the rule's id (`latency_p50[pi5].max_ratio`)."""
    variants: Mapping[str, int]
    budget: int = 1
    """Where it begins."""
    path: str = CONFIG
    """Relative to the repository."""


def of(text: str, path: str = CONFIG) -> Lines:
    """The lines of a makeweight.yaml, which lies at `path`."""
    document = parse(text, CONFIG)
    variants = (document.data or {}).get("variants") or ()
    by_name = {str(name): document.line(("variants", str(name))) for name in variants}
    return Lines(_of_rules(document), by_name, document.line(("budget",)), path)


def _of_rules(document: Document) -> dict[str, int]:
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


def _where(spec: dict[str, Any]) -> str:
    parts = [str(spec["device"])] if spec.get("device") else []
    parts += [f"slice={spec['slice']}"] if spec.get("slice") else []
    return f"[{','.join(parts)}]" if parts else ""
