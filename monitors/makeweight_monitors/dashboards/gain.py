"""What a canary gains: how fast each arm answers, how large it is, and what that would save."""

from __future__ import annotations

from collections.abc import Iterator

from grafana_foundation_sdk.models.dashboard import Panel

from makeweight_monitors.dashboards.look import CANARY, LIMIT, PLAIN, STABLE, Look
from makeweight_monitors.dashboards.panel import THIRD, lines
from makeweight_monitors.dashboards.query import Query, both, of_canary, of_model, of_revision, of_stable
from makeweight_monitors.metrics import MODEL_BYTES
from makeweight_monitors.rules import names
from makeweight_monitors.rules.limits import limits
from makeweight_monitors.rules.terms import Terms

LATENCY = "Latency"
RATIO = "Latency against stable's"
TRAFFIC = "Requests"


def panels(terms: Terms) -> Iterator[Panel]:
    found = limits(terms)
    percentiles: list[Query] = []
    for quantile, series in names.LATENCY.items():
        dash = {0.5: lambda look: look, 0.9: Look.dashed, 0.99: Look.dotted}[quantile]
        percentiles += both(series, f" p{quantile * 100:g}", dash(STABLE), dash(CANARY))
    for quantile in names.LATENCY:
        what = f"latency_p{quantile * 100:g}"
        if what in found:
            percentiles.append(Query(of_model(names.LIMIT, f'what="{what}"'), f"limit of p{quantile * 100:g}", LIMIT))
    yield lines(
        LATENCY,
        "From request to answer as the server saw it: p50 solid, p90 dashed, p99 dotted. A percentile of a histogram "
        "is exact to the width of a bucket.",
        "s",
        percentiles,
        least=0,
    )
    ratios = [
        Query(of_revision(series), f"p{quantile * 100:g} {{{{revision}}}}", dash)
        for (quantile, series), dash in zip(
            names.LATENCY_RATIO.items(), (CANARY, CANARY.dashed(), CANARY.dotted()), strict=True
        )
    ]
    ratios.append(Query(of_revision(names.LATENCY_MEAN_RATIO), "mean (exact) {{revision}}", PLAIN))
    for quantile in names.LATENCY_RATIO:
        what = f"latency_ratio_p{quantile * 100:g}"
        if what in found:
            allowed = of_model(names.LIMIT, f'what="{what}"')
            ratios.append(Query(allowed, f"the budget's p{quantile * 100:g}", LIMIT))
    yield lines(
        RATIO,
        "Canary / stable over five minutes; below 100 % the canary is faster. Both hold what the server itself takes.",
        "percentunit",
        ratios,
        least=0,
        most=1,
    )
    yield lines(
        TRAFFIC,
        "Predictions of each arm. A canary in the shadow of stable answers the same requests once more.",
        "reqps",
        both(names.TRAFFIC),
        THIRD,
        least=0,
    )
    size = [
        Query(f"max({of_stable(MODEL_BYTES.series)})", "stable", STABLE),
        Query(f"max by (revision) ({of_canary(MODEL_BYTES.series)})", "canary {{revision}}", CANARY),
    ]
    yield lines("Size of the model file", "Bytes that each replica loads.", "decbytes", size, THIRD, least=0)
    saved = (
        f"(\n  sum({of_stable(names.LATENCY_MEAN)})\n  - on () group_right ()\n  {of_canary(names.LATENCY_MEAN)}\n)\n"
        f"* on () group_left ()\nsum({of_stable(names.TRAFFIC)})"
    )
    yield lines(
        "Time the canary would save",
        "(stable's mean latency - the canary's) x stable's requests a second: seconds of answering saved in each "
        "second if the canary answered all that stable answers now. 1 is one server that is always busy; below 0 it "
        "would cost more. What a second costs is not known here.",
        "none",
        [Query(saved, "seconds a second {{revision}}", CANARY)],
        THIRD,
        least=0,
    )
