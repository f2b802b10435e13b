"""A MetricTemplate for Flagger, and the entry of a Canary's `analysis.metrics` that refers to it."""

from __future__ import annotations

from typing import Any

from makeweight_monitors.analysis.standing import Standing
from makeweight_monitors.rules.terms import Terms


def template(terms: Terms, name: str, prometheus: str) -> dict[str, Any]:
    """As `kubectl apply` takes it. Source: docs.flagger.app/usage/metrics, custom metrics."""
    scope = {
        label: "{{ namespace }}" if label == "namespace" else f"{{{{ variables.{label} }}}}"
        for label in terms.environment
    }
    return {
        "apiVersion": "flagger.app/v1beta1",
        "kind": "MetricTemplate",
        "metadata": {"name": name},
        "spec": {
            "provider": {"type": "prometheus", "address": prometheus},
            "query": Standing(terms, scope).watched(),
        },
    }


def entry(terms: Terms, name: str) -> dict[str, Any]:
    """To be merged into a Canary; the variables are empty, as where processes bear no such label."""
    variables = {label: "" for label in terms.environment if label != "namespace"}
    metric: dict[str, Any] = {
        "name": "makeweight",
        "templateRef": {"name": name},
        "interval": "1m",
        "thresholdRange": {"min": 0, "max": 0},
    }
    return {"spec": {"analysis": {"metrics": [metric | ({"templateVariables": variables} if variables else {})]}}}


HEADING = [
    "0: the canary is watched, and nothing asks for a rollback. 1: a test does. -1: nothing is known. Each look that",
    "finds no 0 is a failed check to Flagger, which rolls back after `analysis.threshold` of them in all: silence is",
    "never taken for health, and in the end for a reason to roll back.",
]
