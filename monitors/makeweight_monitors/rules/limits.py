"""The limits that alerts compare with, recorded so that a graph can draw them as they were at the time."""

from __future__ import annotations

from collections.abc import Iterator

from makeweight_monitors.rules import accuracy, burn, names
from makeweight_monitors.rules.promql import number
from makeweight_monitors.rules.rule import Group, Recording
from makeweight_monitors.rules.terms import Terms


def groups(terms: Terms) -> Iterator[Group]:
    recordings = tuple(
        Recording(names.LIMIT, f"vector({number(value)})", {"model": terms.model, "what": what})
        for what, value in limits(terms).items()
    )
    if recordings:
        yield Group("makeweight-limits", recordings)


def limits(terms: Terms) -> dict[str, float]:
    """By the name that the limit has in the label `what`."""
    by_name = {objective.what: objective.allowed for objective in burn.objectives(terms)}
    disagreement = accuracy.most_disagreement(terms)
    if disagreement is not None:
        by_name["disagreement"] = disagreement
    for limit in terms.latency:
        percentile = f"p{limit.quantile * 100:g}"
        if limit.most is not None:
            by_name[f"latency_{percentile}"] = limit.most
        if limit.most_ratio is not None:
            by_name[f"latency_ratio_{percentile}"] = limit.most_ratio
    return by_name
