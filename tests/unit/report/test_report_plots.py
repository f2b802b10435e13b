from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from makeweight.report.plots import classes, latency, scale, svg, tradeoff
from makeweight.report.plots.labels import Box, place


def parsed(drawn: str) -> ET.Element:
    return ET.fromstring(drawn)  # noqa: S314 - what we drew ourselves


FINITE = st.floats(-1e9, 1e9, allow_nan=False)


# svg


def test_elements_escape_what_they_hold():
    drawn = svg.text('a<b>&"c', 1.0, 2.5, class_="label", text_anchor="end")
    assert drawn == '<text x="1" y="2.5" class="label" text-anchor="end">a&lt;b&gt;&amp;&quot;c</text>'
    assert svg.element("path", d='"', fill=None) == '<path d="&quot;"/>'


def test_control_characters_do_not_reach_the_page():
    parsed(svg.chart(10, "a\x00b\x1b", "c\x07", svg.text("d\x0b", 0.0, 0.0), svg.tooltip("\x01")))


@given(FINITE)
def test_coordinates_are_short_and_near(value: float):
    written = svg.number(value)
    assert float(written) == pytest.approx(value, abs=0.00501)
    assert "e" not in written
    assert written != "-0"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_no_chart_holds_what_is_no_number(value: float):
    with pytest.raises(ValueError, match="no coordinate"):
        svg.number(value)


def test_a_path_through_points():
    assert svg.path([(0, 1), (2.5, 3)]) == "M0 1L2.5 3"
    assert svg.path([(0, 1), (2.5, 3)], closed=True) == "M0 1L2.5 3Z"
    assert svg.path([]) == ""


# scale


def test_a_linear_scale_maps_its_ends():
    axis = scale.Scale(0, 10, 100, 0)
    assert (axis(0), axis(5), axis(10)) == (100, 50, 0)
    assert (axis(-5), axis(99)) == (100, 0)


def test_a_logarithmic_scale_gives_equal_factors_equal_distances():
    axis = scale.Scale(1, 100, 0, 10, logarithmic=True)
    assert axis(10) == pytest.approx(5)


def test_amounts_that_differ_much_are_logarithmic():
    assert scale.amounts([1, 10], 0, 1).logarithmic
    assert not scale.amounts([1, 2], 0, 1).logarithmic
    assert not scale.amounts([0, 10], 0, 1).logarithmic


@given(st.lists(st.floats(1e-9, 1e12), min_size=1, max_size=8))
def test_every_amount_lies_on_its_axis_and_ticks_are_within(values: list[float]):
    axis = scale.amounts(values, 0, 100)
    assert all(axis.low <= value <= axis.high for value in values)
    ticks = axis.ticks(6)
    assert len(ticks) <= 6
    assert all(axis.low <= tick <= axis.high for tick in ticks)
    assert ticks == sorted(set(ticks))


@given(st.lists(FINITE, min_size=1, max_size=8), st.floats(0.01, 10))
def test_an_axis_spans_at_least_what_is_asked(values: list[float], least: float):
    axis = scale.around(values, 0, 100, least=least)
    assert axis.high - axis.low >= least * 0.999
    assert all(axis.low <= value <= axis.high for value in values)


@given(st.lists(st.floats(0, 100), min_size=1, max_size=8), st.floats(0.01, 10))
def test_an_axis_ends_at_what_no_value_can_exceed(values: list[float], least: float):
    axis = scale.around(values, 0, 100, least=least, most=100.0)
    assert axis.high <= 100.0
    assert axis.high - axis.low >= least * 0.999
    assert all(axis.low <= value <= axis.high for value in values)
    assert max(scale.around([99.9], 0, 100, least=1, most=100.0).ticks()) == 100.0


@pytest.mark.parametrize("value", [0.0, 1e-300, 1e12, -3.0])
def test_an_axis_of_one_value_has_it_in_the_middle(value: float):
    assert scale.around([value, value], 0, 100, least=0.0)(value) == pytest.approx(50, abs=0.1)


def test_an_interval_that_reaches_beyond_ends_with_the_axis():
    axis = scale.around([98.0, 101.5], 0, 100, least=1, most=100.0)
    assert (axis.high, axis(101.5)) == (100.0, 100.0)


def test_ticks_are_round():
    assert scale.Scale(97.1, 99.2, 0, 1).ticks(6) == [97.5, 98.0, 98.5, 99.0]
    assert scale.Scale(80, 2300, 0, 1, logarithmic=True).ticks(6) == [100, 200, 500, 1000, 2000]


def test_nothing_finite_is_no_axis():
    with pytest.raises(ValueError, match="no value"):
        scale.amounts([math.nan], 0, 1)


# labels


@given(st.lists(st.tuples(st.floats(50, 400), st.floats(40, 280)), min_size=1, max_size=13))
def test_labels_stay_within_and_off_one_another(anchors: list[tuple[float, float]]):
    bounds = Box(50, 34, 440, 286)
    boxes = place(anchors, [(80.0, 15.0)] * len(anchors), bounds)
    for i, box in enumerate(boxes):
        assert box.left >= bounds.left
        assert box.right <= bounds.right + 1e-9
        assert box.top >= bounds.top
        assert box.bottom <= bounds.bottom + 1e-9
        assert all(box.overlap(other) == 0 for other in boxes[:i])


def test_a_single_label_lies_right_of_its_point():
    (box,) = place([(100.0, 100.0)], [(40.0, 12.0)], Box(0, 0, 400, 300))
    assert (box.left, box.top) == (109.0, 94.0)


def test_a_label_wider_than_the_plot_begins_at_its_edge():
    (box,) = place([(100.0, 100.0)], [(900.0, 12.0)], Box(10, 0, 400, 300))
    assert box.left == 10


# quality against cost

COST = tradeoff.Axis("size, kB", lambda value: f"{value:g}")
QUALITY = tradeoff.Axis("accuracy, %", lambda value: f"{value:g}")


def point(name: str, cost: float, quality: float, kind: str = "variant") -> tradeoff.Point:
    return tradeoff.Point(name, cost, quality, None, kind, f"{name}: {cost}, {quality}")  # type: ignore[arg-type]


def draw(points: list[tradeoff.Point], better: str = "higher", room: tradeoff.Room | None = None) -> ET.Element:
    drawn = tradeoff.draw(points, COST, QUALITY, better, 1.0, room or tradeoff.Room())  # type: ignore[arg-type]
    return parsed(drawn)


def marks(root: ET.Element) -> dict[str, str]:
    """Each mark's class, by the name in its tooltip."""
    found = {}
    for group in root.iter("g"):
        shape = group[-1]
        found[group.findtext("title", "").partition(":")[0]] = shape.get("class", "")
    return found


THREE = [point("base", 1000, 98, "baseline"), point("beaten", 1200, 97), point("small", 100, 97.5, "ships")]


def test_the_front_and_what_ships_are_marked():
    assert marks(draw(THREE)) == {
        "base": "mark baseline on",
        "beaten": "mark variant off",
        "small": "mark ships on",
    }


def test_lower_can_be_better():
    assert marks(draw(THREE, better="lower"))["base"] == "mark baseline off"


def test_the_front_is_drawn_in_steps():
    root = draw(THREE)
    front = next(path for path in root.iter("path") if path.get("class") == "front")
    assert len(re.findall(r"[ML]", front.get("d", ""))) == 3


def test_the_budgets_room_is_tinted():
    root = draw(THREE, room=tradeoff.Room(cost=500, quality=97.2))
    (rect,) = (each for each in root.iter("rect") if each.get("class") == "room")
    assert float(rect.get("width", "0")) > 0
    assert len([each for each in root.iter("path") if each.get("class") == "limit"]) == 2
    assert not list(draw(THREE).iterfind(".//rect[@class='room']"))


@pytest.mark.parametrize(
    "points",
    [
        [],
        [point("only", 5, 5)],
        [point("same", 5, 5), point("same", 5, 5)],
        [point("zero", 0, 0), point("zero", 0, 1)],
        [point("nan", math.nan, 5), point("inf", 5, math.inf), point("kept", 5, 5)],
    ],
)
def test_odd_data_are_drawn_or_left_out(points: list[tradeoff.Point]):
    root = draw(points)
    drawn = [p for p in points if math.isfinite(p.cost) and math.isfinite(p.quality)]
    assert len(list(root.iter("g"))) == len(drawn)
    if not drawn:
        assert "nothing was measured" in "".join(root.itertext())


def test_names_are_escaped_and_long_ones_shortened():
    root = draw([point("<script>" * 9, 5, 5)])
    labels = [each.text for each in root.iter("text") if (each.get("class") or "").startswith("label")]
    assert labels == ["<script><sc…ipt><script>"]


# latency


def ridge(name: str, seconds: list[float] | np.ndarray, p99: float | None = None) -> latency.Ridge:
    values = np.asarray(seconds, dtype=float)
    p50 = float(np.median(values)) if len(values) else None
    return latency.Ridge(name, values, (("p50", p50), ("p90", None), ("p99", p99)), "variant", name)


def draw_latency(*ridges: latency.Ridge) -> ET.Element:
    drawn = latency.draw(ridges, "latency, us", 1e-6, lambda value: f"{value:g}", lambda s: f"{s * 1e6:.0f} us")
    return parsed(drawn)


def test_density_is_highest_where_samples_are():
    rng = np.random.default_rng(0)
    axis = scale.Scale(1, 100, 0, 1, logarithmic=True)
    heights = latency.density(np.exp(rng.normal(math.log(10), 0.1, 4000)), axis)
    assert int(heights.argmax()) == pytest.approx(len(heights) / 2, abs=4)
    assert heights.max() == 1


def test_density_of_identical_samples_is_a_spike():
    heights = latency.density(np.full(500, 10.0), scale.Scale(1, 100, 0, 1, logarithmic=True))
    assert heights.max() == 1
    assert (heights > 0.5).sum() <= 5


def test_density_of_nothing_is_flat():
    assert latency.density(np.array([200.0]), scale.Scale(1, 100, 0, 1)).sum() == 0


def test_a_row_a_model():
    root = draw_latency(ridge("a", [1e-4] * 50), ridge("b", [2e-4] * 50))
    assert [each.text for each in root.iter("tspan") if each.get("class") == "name"] == ["a", "b"]
    assert [each.text for each in root.iter("tspan") if each.get("class") == "quiet"] == ["100 us", "200 us"]


def test_a_tail_of_hiccups_does_not_press_the_rest_together():
    rng = np.random.default_rng(0)
    body = 1e-4 * np.exp(rng.normal(0, 0.05, 2000))
    body[:30] = 5e-3
    root = draw_latency(ridge("a", body, p99=4.9e-3))
    assert "p99 4900 us →" in "".join(root.itertext())
    ticks = [float(each.text or 0) for each in root.iter("text") if each.get("class") == "tick"]
    assert max(ticks) < 1000
    assert not [each for each in root.iter("path") if each.get("class") == "extreme"]


@pytest.mark.parametrize("seconds", [[], [math.nan, -1.0, 0.0], [1e-4], [1e-4, 1e-4]])
def test_odd_samples_are_drawn_or_left_out(seconds: list[float]):
    own = latency.Ridge("odd", np.array(seconds), (("p50", None),), "baseline", "odd")
    usable = any(math.isfinite(value) and value > 0 for value in seconds)
    shown = "".join(draw_latency(own).itertext())
    assert ("nothing was measured" in shown) is not usable


# classes


def draw_classes(*drops: float) -> ET.Element:
    bars = [classes.Bar(f"class {i}", drop, f"class {i}") for i, drop in enumerate(drops)]
    return parsed(classes.draw(bars, "by class"))


def test_bars_go_to_both_sides_of_no_change():
    root = draw_classes(0.02, 0.0, -0.01)
    zero = float(re.match(r"M([\d.]+)", root.find("path[@class='zero']").get("d"))[1])  # type: ignore[union-attr,index,arg-type]
    worse, better = root.iter("rect")
    assert (worse.get("class"), better.get("class")) == ("bar worse", "bar better")
    assert float(worse.get("x", 0)) == pytest.approx(zero, abs=0.02)
    assert float(better.get("x", 0)) + float(better.get("width", 0)) == pytest.approx(zero, abs=0.02)
    assert float(worse.get("width", 0)) == pytest.approx(2 * float(better.get("width", 0)), rel=0.01)
    figures = [each.text for each in root.iter("text") if each.get("class") == "figure"]
    assert figures == ["2.0 pt", "0.0 pt", "-1.0 pt"]


@pytest.mark.parametrize("changes", [(), (0.0,), (-1.0,), (1.0, 1.0), (math.nan,), (1e-9, -1e-9)])
def test_odd_changes_are_drawn_or_left_out(changes: tuple[float, ...]):
    root = draw_classes(*changes)
    usable = [change for change in changes if math.isfinite(change)]
    assert len(list(root.iter("g"))) == len(usable)
    for rect in root.iter("rect"):
        assert float(rect.get("x", -1)) >= 0
        assert float(rect.get("x", 0)) + float(rect.get("width", 0)) <= svg.WIDTH
