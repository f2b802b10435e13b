"""The limits that alerts compare with, recorded so that a graph can draw them as they were at the time."""

from __future__ import annotations

from collections.abc import Iterator

from makeweight_monitors.rules import accuracy, burn, names
from makeweight_monitors.rules.promql import number
from makeweight_monitors.rules.rule import Group, Recording
from makeweight_monitors.rules.terms import Terms


def groups(terms: Terms) -> Iterator[Group]:
    found = tuple(
        Recording(names.LIMIT, f"vector({number(value)})", {"model": terms.model, "what": what})
        for what, value in limits(terms).items()
    )
    if found:
        yield Group("makeweight-limits", found)


def limits(terms: Terms) -> dict[str, float]:
    """By the name that the limit has in the label `what`."""
    found = {objective.what: objective.allowed for objective in burn.objectives(terms)}
    disagreement = accuracy.most_disagreement(terms)
    if disagreement is not None:
        found["disagreement"] = disagreement
    for limit in terms.latency:
        percentile = f"p{limit.quantile * 100:g}"
        if limit.most is not None:
            found[f"latency_{percentile}"] = limit.most
        if limit.most_ratio is not None:
            found[f"latency_ratio_{percentile}"] = limit.most_ratio
    return found
