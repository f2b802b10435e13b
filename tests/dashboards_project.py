"""Dashboards of several budgets, as tests look at them: the JSON and the YAML that Grafana would read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from makeweight_monitors.dashboards import board, generate
from makeweight_monitors.rules.terms import LatencyLimit, Terms
from rules_project import digits

PAGE = "https://example.org/runbooks"
BUDGETS = {
    "digits": digits()[0],
    "all that there is": Terms(
        'a "model" {{ $here',
        drop=0.0,
        slices={'a "quoted" \\ one {{ $x': 0.3},
        class_drop=0.4,
        classes=3,
        accuracy=0.7,
        flips=0.2,
        latency=(LatencyLimit(0.5, 0.002, 0.9), LatencyLimit(0.9, 2.5, None), LatencyLimit(0.99, 1.0, 1.5)),
        examples=40,
        controlled=True,
        runbooks=PAGE,
    ),
    "no limit at all": Terms("bare", classes=3),
    "many classes": Terms("photos", drop=0.01, class_drop=0.05, classes=1000, examples=5000),
    "regression": Terms("prices", drop=0.01, latency=(LatencyLimit(0.99, 10.0, None),), classification=False),
    "regression without a drop": Terms("plain", classification=False),
}

_WRITTEN: dict[str, dict[str, str]] = {}
"""Dashboards by the name of their file, by the terms."""


def files(terms: Terms) -> dict[PurePosixPath, str]:
    return generate.files(
        terms, "0.0", prometheus="http://prometheus:9090", datasource="source", place=Path("/dashboards")
    )


def loaded(terms: Terms) -> dict[str, dict[str, Any]]:
    """As Grafana would read them; written once for any terms, and read anew each time, as some tests spoil them."""
    key = repr(terms)
    if key not in _WRITTEN:
        _WRITTEN[key] = {name: board.text(one) for name, one in generate.dashboards(terms).items()}
    return {name: json.loads(text) for name, text in _WRITTEN[key].items()}


def panels(one: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Those that show something, in collapsed rows too."""
    for panel in one["panels"]:
        yield from panel["panels"] if panel["type"] == "row" else [panel]
