"""From terms to all files that Grafana reads, by their paths. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from grafana_foundation_sdk.models.dashboard import Dashboard, Panel, RowPanel

from makeweight_monitors.dashboards import (
    board,
    canary,
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


def dashboards(terms: Terms) -> dict[str, Dashboard]:
    """By the names of their files."""
    return {
        "fleet.json": fleet.build(terms.runbooks),
        "canary.json": canary.build(terms),
        "drift.json": drift.build(terms),
        "health.json": health.build(terms),
    }


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
    by_alert = {}
    for alert, place in _places(terms):
        if place in numbers:
            by_alert[alert] = numbers[place]
    return by_alert


def every_panel(one: Dashboard) -> Iterator[Panel]:
    """The panels that show something, those in collapsed rows too."""
    for panel in one.panels or ():
        if isinstance(panel, RowPanel):
            yield from panel.panels
        else:
            yield panel


def _places(terms: Terms) -> Iterator[tuple[str, tuple[str, str]]]:
    yield names.ACCURACY_DROP_PAIRED, ("canary.json", canary.EVALUES)
    yield names.ACCURACY_DROP_SPLIT, ("canary.json", canary.EVALUES)
    yield names.ACCURACY_DROP_RECENT, ("canary.json", canary.EVALUES)
    yield names.ACCURACY_BELOW_STABLE, ("canary.json", canary.DROP)
    yield names.DISAGREEMENT_HIGH_ALERT, ("canary.json", canary.DISAGREEMENT)
    yield names.LATENCY_ABOVE_STABLE, ("canary.json", gain.RATIO)
    for objective in burn.objectives(terms):
        yield objective.alert, ("canary.json", canary.budget_title(objective))
    yield names.ACCURACY_DROP_SLICE, ("drift.json", parts.BY_SLICE)
    yield names.ACCURACY_DROP_CLASS, ("drift.json", parts.BY_CLASS)
    yield names.SCORES_DIFFER, ("drift.json", drift.CONFIDENCE)
    yield names.SCORES_SHIFTED, ("drift.json", drift.TEST_SPLIT)
    yield names.CONFIDENCE_FELL, ("drift.json", drift.ESTIMATE)
    yield names.PREDICTIONS_DIFFER, ("drift.json", drift.PREDICTED)
    yield names.INPUTS_SHIFTED, ("drift.json", drift.INPUTS)
    yield names.NOTHING_OBSERVED, ("health.json", health.REPLICAS)
    yield names.REPLICA_DOWN, ("health.json", health.REPLICAS)
    yield names.NO_TRAFFIC, ("canary.json", gain.TRAFFIC)
    yield names.CANARY_UNWATCHED, ("canary.json", canary.PAIRS_SEEN)
    yield names.WEIGHT_UNKNOWN, ("canary.json", canary.SPLIT)
    yield names.SLICE_UNWATCHED, ("drift.json", parts.SLICE_PAIRS)
    yield names.OBSERVATIONS_REJECTED, ("health.json", health.REFUSED)
    yield names.LABEL_COVERAGE_LOW, ("health.json", health.COVERAGE)
    yield names.LABELS_UNMATCHED, ("health.json", health.STRANGERS)
    yield names.LABEL_STORE_FAILING, ("health.json", health.STORE)
    yield names.CAP_REACHED, ("health.json", health.CAPS)
    yield names.EXPORTER_REFUSING, ("health.json", exporters.ANSWERS)
