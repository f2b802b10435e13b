"""What a canary gains: how fast each arm answers, how large it is, and what that would save."""

from __future__ import annotations

from collections.abc import Iterator

from grafana_foundation_sdk.models.dashboard import Panel

from makeweight_monitors.dashboards.look import CANARY, LIMIT, STABLE, Look
from makeweight_monitors.dashboards.panel import THIRD, lines
from makeweight_monitors.dashboards.query import Query, both, of_budget, of_canary, of_revision, of_stable
from makeweight_monitors.metrics import MODEL_BYTES
from makeweight_monitors.rules import names
from makeweight_monitors.rules.limits import limits
from makeweight_monitors.rules.terms import Terms

LATENCY = "Latency"
RATIO = "Latency against stable's"
TRAFFIC = "Requests"
_DASHES = {0.5: lambda look: look, 0.9: Look.dashed, 0.99: Look.dotted}


def panels(terms: Terms) -> Iterator[Panel]:
    percentiles, ratios = [], []
    for quantile, dash in _DASHES.items():
        named = f"p{quantile * 100:g}"
        percentiles += both(names.LATENCY[quantile], f" {named}", dash(STABLE), dash(CANARY))
        ratios.append(Query(of_revision(names.LATENCY_RATIO[quantile]), f"{named} {{{{revision}}}}", dash(CANARY)))
    ratios.append(Query(of_revision(names.LATENCY_MEAN_RATIO), "mean (exact) {{revision}}"))
    yield lines(
        LATENCY,
        "From request to answer as the server saw it: p50 solid, p90 dashed, p99 dotted. A percentile of a histogram "
        "is exact to the width of a bucket.",
        "s",
        *percentiles,
        *_declared(terms, "latency_", "limit of "),
    )
    yield lines(
        RATIO,
        "Canary / stable over five minutes; below 100 % the canary is faster. Both hold what the server itself takes.",
        "percentunit",
        *ratios,
        *_declared(terms, "latency_ratio_", "the budget's "),
        most=1,
    )
    served = "Predictions of each arm. A canary in the shadow of stable answers the same requests once more."
    yield lines(TRAFFIC, served, "reqps", *both(names.TRAFFIC), size=THIRD)
    yield lines(
        "Size of the model file",
        "Bytes that each replica loads.",
        "decbytes",
        Query(f"max({of_stable(MODEL_BYTES.series)})", "stable", STABLE),
        Query(f"max by (revision) ({of_canary(MODEL_BYTES.series)})", "canary {{revision}}", CANARY),
        size=THIRD,
    )
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
        Query(saved, "seconds a second {{revision}}", CANARY),
        size=THIRD,
    )


def _declared(terms: Terms, what: str, legend: str) -> Iterator[Query]:
    """The budget's own limits on percentiles."""
    for named in (f"p{quantile * 100:g}" for quantile in names.LATENCY):
        if f"{what}{named}" in limits(terms):
            yield Query(of_budget(names.LIMIT, f'what="{what}{named}"'), f"{legend}{named}", LIMIT)
