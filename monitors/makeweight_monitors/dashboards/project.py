"""A project's own dashboards: about its model, and the canary that is chosen."""

from __future__ import annotations

import re
from collections.abc import Sequence

from grafana_foundation_sdk.models.dashboard import Dashboard

from makeweight_monitors.dashboards.board import Section, assembled, chosen, uid
from makeweight_monitors.dashboards.query import of_model, placed
from makeweight_monitors.metrics import PREDICTIONS
from makeweight_monitors.rules.promql import CANARY
from makeweight_monitors.rules.terms import Terms

_PLAIN = re.compile(r"[A-Za-z0-9_. -]+")


def of_project(
    terms: Terms, kind: str, title: str, question: str, sections: Sequence[Section], *, span: str, revision: bool = True
) -> Dashboard:
    """`revision`: whether one canary of several can be chosen."""
    canaries = placed(of_model(PREDICTIONS.series, CANARY), terms.environment)
    model = chosen(
        "model",
        "Model",
        "The model whose budget this dashboard was made from.",
        f"label_values({terms.of(PREDICTIONS.series)}, model)",
        current=terms.model,
        # Grafana escapes what a name holds for a regular expression only where several may be chosen
        several=not _PLAIN.fullmatch(terms.model),
    )
    which = "Which attempt; all of them unless one is chosen. Stable is always shown."
    attempt = chosen("revision", "Canary's revision", which, f"label_values({canaries}, revision)")
    variables = [model, attempt] if revision else [model]
    title = f"Makeweight: {terms.model}, {title}"
    return assembled(
        uid(kind, terms.model),
        title,
        question,
        sections,
        variables,
        environment=terms.environment,
        runbooks=terms.runbooks,
        span=span,
    )
