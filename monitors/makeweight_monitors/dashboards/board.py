"""A dashboard put together: panels flow into rows of the grid, get their numbers, and share variables and marks."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.prometheus import Dataquery

from makeweight_monitors.dashboards.marks import Mark, marks
from makeweight_monitors.dashboards.panel import COLUMNS
from makeweight_monitors.dashboards.query import placed, source
from makeweight_monitors.metrics import PREDICTIONS

_STEP = "60s"
"""Between two looks for something to mark."""
TAG = "makeweight"
_PLAIN = re.compile(r"[A-Za-z0-9_-]{1,28}")


@dataclass(frozen=True)
class Section:
    """Panels under a heading; without one they stand at the very top."""

    title: str
    panels: tuple[models.Panel, ...]
    collapsed: bool = False


def uid(kind: str, model: str) -> str:
    """What a dashboard is called in addresses: at most 40 characters, the same as long as the model has its name."""
    own = model if _PLAIN.fullmatch(model) else hashlib.sha256(model.encode()).hexdigest()[:12]
    return f"mw-{kind}-{own}"


def text(made: models.Dashboard) -> str:
    """As JSON, the same bytes for the same dashboard."""
    return json.dumps(made, cls=JSONEncoder, sort_keys=True, indent=2, ensure_ascii=False) + "\n"


def assembled(
    own_uid: str,
    title: str,
    description: str,
    sections: Sequence[Section],
    variables: Sequence[dashboard.QueryVariable],
    *,
    environment: Sequence[str],
    runbooks: str,
    span: str,
) -> models.Dashboard:
    """The dashboard, every panel of which shows the environment that is chosen.

    Args:
        environment: the labels that tell environments apart; each becomes a variable.
        span: how far back it looks at first, such as `6h`.
    """
    made = dashboard.Dashboard(title).uid(own_uid).description(description).tags([TAG]).editable()
    made = made.time(f"now-{span}", "now").refresh("30s").timezone("browser")
    made = made.tooltip(models.DashboardCursorSync.CROSSHAIR)
    others = dashboard.DashboardLink("makeweight").type(models.DashboardLinkType.DASHBOARDS).tags([TAG])
    made = made.link(others.as_dropdown(True).keep_time(True).include_vars(False).icon("external link"))
    if published(runbooks):
        page = dashboard.DashboardLink("Runbooks").type(models.DashboardLinkType.LINK).url(runbooks).icon("doc")
        made = made.link(page.target_blank(True).tooltip("What each alert means and what to do"))
    known = dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus")
    made = made.with_variable(known.description("The Prometheus that has the rules."))
    for variable in (*map(_where, environment), *variables):
        made = made.with_variable(variable)
    built = made.build()
    built.panels = _placed(sections)
    for each in built.templating.list_val or ():
        each.auto = each.auto_count = each.auto_min = None  # of variables of intervals only
    every = [target for section in sections for panel in section.panels for target in panel.targets or ()]
    for asked in every:
        if isinstance(asked, Dataquery):
            asked.expr = placed(asked.expr, environment)
    here = (replace(mark, expression=placed(mark.expression, environment)) for mark in marks())
    built.annotations.list_val = [_Annotation(mark) for mark in here]
    return built


def published(runbooks: str) -> bool:
    """Whether the page has an address that a browser can follow from Grafana."""
    return urlsplit(runbooks).scheme in ("http", "https")


def chosen(
    name: str, label: str, description: str, question: str, *, current: str | None = None, several: bool = False
) -> dashboard.QueryVariable:
    """A variable whose values Prometheus is asked for; without a `current` one, all are chosen."""
    made = dashboard.QueryVariable(name).label(label).description(description).datasource(source())
    made = made.query({"query": question, "refId": f"variable-{name}"}).sort(models.VariableSort.ALPHABETICAL_ASC)
    made = made.refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
    if current is not None:
        given = [current] if several else current
        return made.current(models.VariableOption(True, given, given)).include_all(False).multi(several)
    made = made.include_all(True).all_value(".*").multi(several)
    return made.current(models.VariableOption(True, "All", "$__all"))


def _where(label: str) -> dashboard.QueryVariable:
    """One of the labels by which environments are told apart."""
    which = "Environments that are shown together. Choose one where there are several: a canary is of one of them."
    return chosen(label, label.capitalize(), which, f"label_values({PREDICTIONS.series}, {label})", several=True)


class _Annotation(models.AnnotationQuery):
    """An annotation of Prometheus: how its title and text are made is known to the data source, not to the schema."""

    def __init__(self, mark: Mark) -> None:
        super().__init__(mark.name, source(), icon_color=mark.color, expr=mark.expression)
        self._mark = mark

    def to_json(self) -> dict[str, object]:
        asked = {"expr": self._mark.expression, "refId": "Anno", "interval": _STEP}
        own = {"titleFormat": self._mark.title, "textFormat": self._mark.text, "step": _STEP, "target": asked}
        return super().to_json() | own


def _placed(sections: Sequence[Section]) -> list[models.Panel | models.RowPanel]:
    """All panels with their places; those of a collapsed row lie inside it, as Grafana wants them."""
    placed: list[models.Panel | models.RowPanel] = []
    top, number = 0, 1
    for section in sections:
        row: models.RowPanel | None = None
        if section.title:
            place = models.GridPos(h=1, w=COLUMNS, y=top)
            row = models.RowPanel(title=section.title, collapsed=section.collapsed, id_val=number, grid_pos=place)
            row.panels = []
            placed.append(row)
            top, number = top + 1, number + 1
        below = _flow(section.panels, top)
        top = top if section.collapsed else below  # what is closed takes no room
        for panel in section.panels:
            panel.id_val, number = number, number + 1
            if row is not None and section.collapsed:
                row.panels.append(panel)
            else:
                placed.append(panel)
    return placed


def _flow(panels: Sequence[models.Panel], top: int) -> int:
    """Put panels side by side while they fit; the first free line below them."""
    left, height = 0, 0
    for panel in panels:
        place = panel.grid_pos
        if place is None:
            raise ValueError(f"panel `{panel.title}` has no size")
        if left + place.w > COLUMNS:
            top, left, height = top + height, 0, 0
        place.x, place.y = left, top
        left, height = left + place.w, max(height, place.h)
    return top + height
