"""The few kinds of panels that all dashboards are made of. Each has a title, a description, a unit and a size."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from grafana_foundation_sdk.builders import barchart, common, dashboard, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.models import common as shapes
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.table import Options as TableOptions

from makeweight_monitors.dashboards.look import BAD, GOOD, QUIET, Look
from makeweight_monitors.dashboards.query import Query, letter, now, over_time, source

COLUMNS = 24
NOTHING = "nothing known"
"""What stands where there is no data: never something that looks like zero."""


Axis = Literal["linear", "log", "counts"]
"""`log`: to the base of ten, for what is above zero; `counts`: the same for numbers from 1 on, with a zero."""


@dataclass(frozen=True)
class Size:
    width: int
    """Of 24 columns."""
    height: int
    """In rows of 30 pixels and a gap."""


STAT = Size(4, 4)
HALF = Size(12, 8)
THIRD = Size(8, 8)
WIDE = Size(24, 8)


@dataclass(frozen=True)
class Steps:
    """Colours by value: `first` from below, then (value, colour) rising."""

    first: str
    then: tuple[tuple[float, str], ...] = ()


_MERGED = models.DataTransformerConfig(id_val="merge", options={})
NONE_IS_GOOD = Steps(GOOD, ((1, BAD),))


@dataclass(frozen=True)
class Column:
    """One column of a table: a label of the series, or the value of an expression."""

    title: str
    expression: str = ""
    unit: str | None = None
    steps: Steps | None = None
    words: Mapping[int, tuple[str, str]] = field(default_factory=dict)
    link: tuple[str, str] | None = None
    """Title and address."""
    width: int | None = None
    label: str = ""
    """Where it is not called as the column is."""
    ref: str = ""
    """The letter of its question, where it is not the next one."""


def abreast(panels: Iterable[models.Panel]) -> tuple[models.Panel, ...]:
    """Panels as wide as they have to be to fill one row together."""
    found = tuple(panels)
    for index, panel in enumerate(found):
        if panel.grid_pos is not None:
            panel.grid_pos.w = COLUMNS // len(found) + (index < COLUMNS % len(found))
    return found


def lines(
    title: str,
    description: str,
    unit: str,
    *queries: Query,
    size: Size = HALF,
    axis: Axis = "linear",
    least: float | None = 0,
    most: float | None = None,
    stacked: bool = False,
) -> models.Panel:
    """Values over time; a `linear` axis reaches at least from `least` to `most`."""
    made = timeseries.Panel().title(title).description(description).unit(unit).datasource(source())
    made = made.span(size.width).height(size.height)
    made = made.draw_style(shapes.GraphDrawStyle.BARS if stacked else shapes.GraphDrawStyle.LINE)
    made = made.fill_opacity(60 if stacked else 0).show_points(shapes.VisibilityMode.NEVER).line_width(2)
    made = made.span_nulls(False)
    if stacked:
        made = made.stacking(common.StackingConfig().mode(shapes.StackingMode.NORMAL).group("A"))
    if axis != "linear":
        scale = common.ScaleDistributionConfig().log(10)
        scale = scale.type(shapes.ScaleDistribution.LOG if axis == "log" else shapes.ScaleDistribution.SYMLOG)
        made = made.scale_distribution(scale if axis == "log" else scale.linear_threshold(1))
    elif least is not None:
        made = made.axis_soft_min(least)
    made = made if most is None else made.axis_soft_max(most)
    made = made.legend(_legend())
    shown = common.VizTooltipOptions().mode(shapes.TooltipDisplayMode.MULTI).sort(shapes.SortOrder.DESCENDING)
    made = made.tooltip(shown)
    for index, query in enumerate(queries):
        made = made.with_target(over_time(query, letter(index)))
        if properties := _drawn(query.look):
            made = made.override_by_query(letter(index), properties)
    return made.build()


def value(
    title: str,
    description: str,
    unit: str,
    expression: str,
    *,
    steps: Steps = Steps("text"),
    words: Mapping[int, tuple[str, str]] | None = None,
    nothing: str = NOTHING,
    decimals: int | None = None,
    filled: bool = False,
) -> models.Panel:
    """One number as it is now, or the word that it stands for; `filled`: its colour is the background's."""
    made = stat.Panel().title(title).description(description).unit(unit).datasource(source())
    made = made.span(STAT.width).height(STAT.height).with_target(now(Query(expression), "A")).no_value(nothing)
    made = made.thresholds(_thresholds(steps)).color_scheme(_by_threshold()).mappings(_mappings(words or {}))
    made = made.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False).fields(""))
    made = made.graph_mode(shapes.BigValueGraphMode.NONE).orientation(shapes.VizOrientation.AUTO)
    made = made.text_mode(shapes.BigValueTextMode.VALUE)
    made = made.color_mode(shapes.BigValueColorMode.BACKGROUND_SOLID if filled else shapes.BigValueColorMode.VALUE)
    return (made if decimals is None else made.decimals(decimals)).build()


def rows(
    title: str, description: str, *columns: Column, size: Size, nothing: str = NOTHING, most_first: str | None = None
) -> models.Panel:
    """Series as they are now, a row each; several questions are joined by the labels that they share.

    `most_first`: the title of the column by which rows are sorted, from the highest value.
    """
    made = table.Panel().title(title).description(description).unit("none").datasource(source()).no_value(nothing)
    made = made.span(size.width).height(size.height).show_header(True).cell_height(shapes.TableCellHeight.SM)
    if most_first is not None:
        made = made.sort_by([common.TableSortByFieldState().display_name(most_first).desc(True)])
    asked = _lettered(columns)
    for ref, column in sorted(asked.items()):
        made = made.with_target(now(Query(column.expression), ref, table=True))
    made = made.with_transformation(_MERGED).with_transformation(_arranged(columns))
    for column in columns:
        if properties := _cell(column):
            made = made.override_by_name(column.title, properties)
    built = made.build()
    if isinstance(built.options, TableOptions):
        built.options.footer = None  # Grafana 12 knows it no more
    return built


def bars(title: str, description: str, label: str, *queries: Query) -> models.Panel:
    """Shares as they are now: a group of bars for each value of the label."""
    made = barchart.Panel().title(title).description(description).unit("percentunit").datasource(source())
    made = made.span(HALF.width).height(HALF.height).x_field(label).orientation(shapes.VizOrientation.VERTICAL)
    made = made.show_value(shapes.VisibilityMode.NEVER).group_width(0.8).bar_width(0.9).fill_opacity(80)
    made = made.stacking(shapes.StackingMode.NONE).x_tick_label_spacing(40).legend(_legend())
    made = made.tooltip(common.VizTooltipOptions().mode(shapes.TooltipDisplayMode.MULTI))
    for index, query in enumerate(queries):
        made = made.with_target(now(query, letter(index), table=True))
        made = made.override_by_name(query.legend, _drawn(query.look))
    columns = [Column(label), *(Column(query.legend, query.expression) for query in queries)]
    sort = models.DataTransformerConfig(id_val="sortBy", options={"sort": [{"field": label}]})
    made = made.with_transformation(_MERGED).with_transformation(_arranged(columns))
    return made.with_transformation(sort).build()


def states(title: str, description: str, query: Query, words: Mapping[int, tuple[str, str]]) -> models.Panel:
    """Which of a few states held when."""
    made = statetimeline.Panel().title(title).description(description).unit("none").datasource(source())
    made = made.span(HALF.width).height(HALF.height).with_target(over_time(query, "A")).mappings(_mappings(words))
    made = made.show_value(shapes.VisibilityMode.AUTO).row_height(0.8).merge_values(True).fill_opacity(80)
    made = made.legend(_legend()).tooltip(common.VizTooltipOptions().mode(shapes.TooltipDisplayMode.SINGLE))
    return made.thresholds(_thresholds(Steps(QUIET))).color_scheme(_by_threshold()).build()


def _legend() -> common.VizLegendOptions:
    below = common.VizLegendOptions().show_legend(True).placement(shapes.LegendPlacement.BOTTOM)
    return below.display_mode(shapes.LegendDisplayMode.LIST)


def _drawn(look: Look) -> list[models.DynamicConfigValue]:
    found: list[models.DynamicConfigValue] = []
    if look.color is not None:
        found.append(models.DynamicConfigValue("color", {"mode": "fixed", "fixedColor": look.color}))
    if look.dash:
        found.append(models.DynamicConfigValue("custom.lineStyle", {"fill": "dash", "dash": list(look.dash)}))
    if look.width != 2:
        found.append(models.DynamicConfigValue("custom.lineWidth", look.width))
    if look.band_down_to is not None:
        found.append(models.DynamicConfigValue("custom.fillBelowTo", look.band_down_to))
        found.append(models.DynamicConfigValue("custom.fillOpacity", 18))
    if look.bare:
        found.append(models.DynamicConfigValue("custom.hideFrom", {"legend": True, "tooltip": False, "viz": False}))
    return found


def _thresholds(steps: Steps) -> dashboard.ThresholdsConfig:
    listed = [models.Threshold(value=at, color=color) for at, color in ((None, steps.first), *steps.then)]
    return dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(listed)


def _by_threshold() -> dashboard.FieldColor:
    return dashboard.FieldColor().mode(models.FieldColorModeId.THRESHOLDS)


def _mappings(words: Mapping[int, tuple[str, str]]) -> list[models.ValueMapping]:
    """Words for numbers: (text, colour) by value."""
    results = {
        str(number): models.ValueMappingResult(text=text, color=color, index=index)
        for index, (number, (text, color)) in enumerate(sorted(words.items()))
    }
    return [models.ValueMap(options=results)] if results else []


def _lettered(columns: Sequence[Column]) -> dict[str, Column]:
    """What is asked, by the letters of the questions."""
    asked = [column for column in columns if column.expression]
    return {column.ref or letter(index): column for index, column in enumerate(asked)}


def _arranged(columns: Sequence[Column]) -> models.DataTransformerConfig:
    """Columns in their order and under their titles, and no time."""
    asked = _lettered(columns)
    # what Grafana calls the column of a question's values
    values = {column.title: f"Value #{ref}" if len(asked) > 1 else "Value" for ref, column in asked.items()}
    named = {values.get(column.title) or column.label or column.title: column.title for column in columns}
    return models.DataTransformerConfig(
        id_val="organize",
        options={
            "excludeByName": {"Time": True, "__name__": True},
            "indexByName": {name: index for index, name in enumerate(named)},
            "renameByName": {name: title for name, title in named.items() if name != title},
        },
    )


def _cell(column: Column) -> list[models.DynamicConfigValue]:
    properties: list[models.DynamicConfigValue] = []
    if column.unit is not None:
        properties.append(models.DynamicConfigValue("unit", column.unit))
    if column.width is not None:
        properties.append(models.DynamicConfigValue("custom.width", column.width))
    if column.words:
        mapped = [mapping.to_json() for mapping in _mappings(column.words)]
        properties.append(models.DynamicConfigValue("mappings", mapped))
    if column.steps is not None:
        properties.append(models.DynamicConfigValue("thresholds", _thresholds(column.steps).build().to_json()))
        properties.append(models.DynamicConfigValue("color", {"mode": "thresholds"}))
    if column.steps is not None or column.words:
        properties.append(models.DynamicConfigValue("custom.cellOptions", {"type": "color-text"}))
    if column.link is not None:
        title, address = column.link
        properties.append(models.DynamicConfigValue("links", [{"title": title, "url": address}]))
    return properties
