"""From terms to all files that Grafana reads, by their paths. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath

from grafana_foundation_sdk.models.dashboard import Dashboard, Panel, RowPanel

from makeweight_monitors.dashboards import (
    board,
    canary,
    controllers,
    drift,
    exporters,
    fleet,
    gain,
    health,
    managed,
    parts,
    provisioning,
)
from makeweight_monitors.rules import burn, generate, names, yamltext
from makeweight_monitors.rules.terms import Terms

DASHBOARDS = PurePosixPath("grafana/dashboards")
PROVISIONING = PurePosixPath("grafana/provisioning")
_SHOWN = {
    "canary.json": {
        names.FAILURES_ABOVE_STABLE: canary.FAILURES,
        names.ACCURACY_DROP_PAIRED: canary.EVALUES,
        names.ACCURACY_DROP_SPLIT: canary.EVALUES,
        names.ACCURACY_BELOW_STABLE: canary.DROP,
        names.DISAGREEMENT_HIGH_ALERT: canary.DISAGREEMENT,
        names.LATENCY_ABOVE_STABLE: gain.RATIO,
        names.LATENCY_UNSEEN: gain.LATENCY,
        names.NO_TRAFFIC: gain.TRAFFIC,
        names.CANARY_UNWATCHED: canary.PAIRS_SEEN,
        names.SHARE_OFF: canary.SHARE,
    },
    "drift.json": {
        names.ACCURACY_DROP_SLICE: parts.BY_SLICE,
        names.ACCURACY_DROP_CLASS: parts.BY_CLASS,
        names.SCORES_DIFFER: drift.CONFIDENCE,
        names.SCORES_SHIFTED: drift.TEST_SPLIT,
        names.CONFIDENCE_FELL: drift.ESTIMATE,
        names.PREDICTIONS_DIFFER: drift.PREDICTED,
        names.INPUTS_SHIFTED: drift.INPUTS,
        names.SLICE_UNWATCHED: parts.SLICE_PAIRS,
    },
    "health.json": {
        names.NOTHING_OBSERVED: health.REPLICAS,
        names.REPLICA_DOWN: health.REPLICAS,
        names.STABLE_UNSEEN: health.REPLICAS,
        names.CANARY_GONE: health.REPLICAS,
        names.NO_LABELS: health.COVERAGE,
        names.OBSERVATIONS_REJECTED: health.REFUSED,
        names.LABEL_COVERAGE_LOW: health.COVERAGE,
        names.LABELS_UNMATCHED: health.STRANGERS,
        names.LABELS_SELECTED: health.AGREEING,
        names.LABEL_STORE_FAILING: health.STORE,
        names.CAP_REACHED: health.CAPS,
        names.EXPORTER_REFUSING: exporters.ANSWERS,
        names.CONTROLLER_GONE: controllers.LAST_LOOK,
        names.CONTROLLER_BLIND: controllers.BLIND,
        names.CONTROLLER_HELD: controllers.HELD,
        names.ROLLBACK_FAILED: controllers.STAGES,
        names.TARGET_REFUSES: controllers.ACTIONS,
        names.READ_BACK_DISAGREES: controllers.ACTIONS,
        names.ALERTS_UNKNOWN: controllers.SENT,
        names.BREAKER_OPEN: controllers.BREAKERS,
        names.SERVING_REFUSED: controllers.REFUSED,
    },
}
"""The panel that shows what an alert is about, by dashboard; budgets have panels of their own."""


BOARDS: Mapping[str, Callable[[Terms], Dashboard]] = {
    "fleet.json": lambda terms: fleet.build(terms.runbooks, terms.environment),
    "canary.json": canary.build,
    "drift.json": drift.build,
    "health.json": health.build,
}
"""What makes each dashboard, by the name of its file."""


def dashboards(terms: Terms) -> dict[str, Dashboard]:
    """By the names of their files."""
    return {name: build(terms) for name, build in BOARDS.items()}


def files(terms: Terms, version: str, *, prometheus: str, datasource: str, place: Path) -> dict[PurePosixPath, str]:
    """The text of each file, by its path below the folder that all are written to.

    Args:
        prometheus: its address; `datasource`, the uid of that data source in Grafana.
        place: where the dashboards lie on Grafana's machine.
    """
    built = dashboards(terms)
    heading = [
        f"Written by makeweight-monitors {version} for {terms.model}. Do not edit: change makeweight.yaml, and",
        "generate it again.",
    ]
    alerts = managed.content(terms, generate.groups(terms), datasource, panels(terms, built))
    given = {
        PROVISIONING / "dashboards" / "makeweight.yaml": provisioning.dashboards(terms.model, place),
        PROVISIONING / "datasources" / "makeweight.yaml": provisioning.datasources(datasource, prometheus),
        PROVISIONING / "alerting" / "makeweight.yaml": alerts,
    }
    written = {DASHBOARDS / name: board.text(one) for name, one in built.items()}
    return written | {path: yamltext.document(content, heading) for path, content in given.items()}


def panels(terms: Terms, built: dict[str, Dashboard]) -> dict[str, managed.Panel]:
    """Where each alert is to be seen, as far as there is a panel for it."""
    numbers = {
        (name, panel.title): managed.Panel(one.uid or "", panel.id_val or 0)
        for name, one in built.items()
        for panel in every_panel(one)
    }
    budgets = {objective.alert: canary.budget_title(objective) for objective in burn.objectives(terms)}
    places = [(name, *place) for name, shown in (*_SHOWN.items(), ("canary.json", budgets)) for place in shown.items()]
    return {alert: numbers[name, title] for name, alert, title in places if (name, title) in numbers}


def every_panel(one: Dashboard) -> Iterator[Panel]:
    """The panels that show something, those in collapsed rows too."""
    for panel in one.panels or ():
        if isinstance(panel, RowPanel):
            yield from panel.panels
        else:
            yield panel
