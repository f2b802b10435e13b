"""An AnalysisTemplate for Argo Rollouts: one step of analysis after each weight, which lasts until it is sure."""

from __future__ import annotations

import math
from typing import Any

from makeweight_monitors.analysis.standing import Standing
from makeweight_monitors.rollback.policy import Policy
from makeweight_monitors.rules.terms import Terms

UNLIMITED = 2**31 - 1


def template(terms: Terms, policy: Policy, name: str, prometheus: str) -> dict[str, Any]:
    """As `kubectl apply` takes it; each label that tells environments apart is an argument without a default.

    Source: argoproj.github.io/argo-rollouts/features/analysis. `consecutiveSuccessLimit` came with version 1.8.
    """
    standing = Standing(terms, {label: f"{{{{args.{label}}}}}" for label in terms.environment})
    metric = {
        "name": "makeweight",
        "interval": f"{terms.interval}s",
        "successCondition": "result[0] == 0",
        "failureCondition": "result[0] == 1",
        "failureLimit": 0,
        "inconclusiveLimit": UNLIMITED,
        "consecutiveErrorLimit": math.ceil(policy.silence_for / terms.interval),
        "consecutiveSuccessLimit": math.ceil(policy.step_for / terms.interval),
        "provider": {"prometheus": {"address": prometheus, "query": standing.good()}},
    }
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AnalysisTemplate",
        "metadata": {"name": name},
        "spec": {"args": [{"name": label} for label in terms.environment], "metrics": [metric]},
    }


def heading(policy: Policy) -> list[str]:
    return [
        "For a step `analysis` after each `setWeight`. It fails once a test asks for a rollback, and Argo aborts. It",
        f"succeeds once every look of {policy.step_for:g} s found the canary good enough. While nothing is known",
        f"it goes on, and the weight stays. Where Prometheus does not answer for {policy.silence_for:g} s Argo",
        "aborts, as it does with whatever it cannot measure.",
    ]
