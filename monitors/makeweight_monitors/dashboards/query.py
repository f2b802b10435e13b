"""What a panel asks Prometheus, and selectors that hold the dashboard's variables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import prometheus
from grafana_foundation_sdk.models.dashboard import DataSourceRef
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from makeweight_monitors.dashboards.look import CANARY, PLAIN, STABLE, Look
from makeweight_monitors.metrics import UP, Metric
from makeweight_monitors.rules import promql
from makeweight_monitors.rules.promql import selector

RATE = "$__rate_interval"
SOURCE = "${datasource}"
HERE, HERE_OR_NOWHERE = "$here", "$here-or-nowhere"
"""Stand for matchers of the labels that tell environments apart; `placed` puts these in."""
MODEL = 'model=~"$model"'
REVISION = 'revision=~"$revision"'


@dataclass(frozen=True)
class Query:
    expression: str
    legend: str = ""
    look: Look = PLAIN


def source() -> DataSourceRef:
    return DataSourceRef(type_val="prometheus", uid=SOURCE)


def of_model(series: str, *matchers: str) -> str:
    """A series of the chosen model in the chosen environment."""
    return selector(series, HERE, MODEL, *matchers)


def of_budget(series: str, *matchers: str) -> str:
    """What the budget says of the chosen model, which is the same in all environments."""
    return selector(series, MODEL, *matchers)


def of_alerts(*matchers: str) -> str:
    """Those of the chosen model; some, such as that it is not seen at all, are of no environment."""
    return selector("ALERTS", HERE_OR_NOWHERE, MODEL, *matchers)


def of_revision(series: str, *matchers: str) -> str:
    """A comparison with the chosen canary."""
    return of_model(series, REVISION, *matchers)


def of_canary(series: str, *matchers: str) -> str:
    return of_revision(series, promql.CANARY, *matchers)


def of_stable(series: str, *matchers: str) -> str:
    """The stable model's, which is pooled over its revisions where it is a recorded series."""
    return of_model(series, promql.STABLE, *matchers)


def at_its_address(series: str) -> str:
    """A series that bears no environment: those that are scraped where the chosen model's counters are."""
    return f"{series} and on (job, instance) {of_model(UP.series)}"


def rates(metric: Metric, *labels: str) -> Query:
    """What a counter rises by in a second, by some of its labels."""
    rate = f"rate({of_model(metric.series)}[{RATE}])"
    if "environment" not in metric.labels:
        rate = at_its_address(f"rate({metric.series}[{RATE}])")
    legend = ", ".join(f"{{{{{label}}}}}" for label in labels)
    return Query(f"sum by ({', '.join(labels)}) ({rate})", legend)


def placed(expression: str, environment: Sequence[str]) -> str:
    """The question about the environment that is chosen, by a variable for each of these labels."""
    for stands, none in ((HERE_OR_NOWHERE, "|"), (HERE, "")):
        expression = expression.replace(stands, ", ".join(f'{label}=~"${label}{none}"' for label in environment))
    return expression


def both(series: str, more: str = "", stable: Look = STABLE, canary: Look = CANARY) -> list[Query]:
    """Both arms of a recorded series; `more` goes behind their names in the legend."""
    return [
        Query(of_stable(series), f"stable{more}", stable),
        Query(of_canary(series), f"canary {{{{revision}}}}{more}", canary),
    ]


def now_of_both(series: str, label: str) -> list[Query]:
    """Both arms of a recorded series, by a label and over all revisions."""
    around = f"max by ({label}) ({{}})"
    return [
        Query(around.format(of_stable(series)), "stable", STABLE),
        Query(around.format(of_canary(series)), "canary", CANARY),
    ]


def over_time(query: Query, ref: str) -> prometheus.Dataquery:
    return _asked(query, ref).range()


def now(query: Query, ref: str, *, table: bool = False) -> prometheus.Dataquery:
    asked = _asked(query, ref).instant()
    return asked.format(PromQueryFormat.TABLE) if table else asked


def letter(index: int) -> str:
    """The name of a panel's nth query: A, B, ..."""
    return chr(ord("A") + index)


def _asked(query: Query, ref: str) -> prometheus.Dataquery:
    made = prometheus.Dataquery().expr(query.expression).ref_id(ref).datasource(source())
    return made.legend_format(query.legend or "__auto")
