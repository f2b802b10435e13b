from __future__ import annotations

import re

import invented_content as invented
from hypothesis import given
from hypothesis import strategies as st

from makeweight.report.mermaid import quadrant

POINT = re.compile(r'    "([^"\n]*)": \[([01]\.\d{3}), ([01]\.\d{3})\]')


@given(st.lists(st.tuples(st.text(max_size=70), st.floats(), st.floats()), max_size=20))
def test_whatever_the_points_the_chart_is_well_formed(points: list[tuple[str, float, float]]):
    chart = quadrant("a;b\n%%{", points, ("1 us", "2 us"), ('"low"', "high"))
    if chart is None:
        return
    head, title, x_axis, y_axis, *rows = chart.split("\n")
    assert (head, title) == ("quadrantChart", "    title a b %%")
    assert (x_axis, y_axis) == ('    x-axis "1 us" --> "2 us"', '    y-axis "low" --> "high"')
    places = [POINT.fullmatch(row) for row in rows]
    assert all(places)
    assert all(0 <= float(place[axis]) <= 1 for place in places if place for axis in (2, 3))


def test_names_that_would_lie_on_one_another_are_joined():
    chart = quadrant("t", [("fast", 1, 1), ("same", 1, 1), ("slow", 3, 2)], ("", ""), ("", ""))
    assert chart is not None
    assert '"fast, same": [0.080, 0.080]' in chart
    assert '" ": [0.080, 0.080]' in chart


def test_costs_that_differ_much_are_spread_by_their_logarithm():
    chart = quadrant("t", [("a", 1, 1), ("b", 10, 2), ("c", 100, 3)], ("", ""), ("", ""))
    assert chart is not None
    assert '"b": [0.500, 0.500]' in chart


def test_two_points_at_one_place_are_no_chart():
    assert quadrant("t", [("a", 1, 1), ("b", 1, 1), ("c", float("nan"), 2)], ("", ""), ("", "")) is None


def test_hostile_names_leave_no_markup():
    chart = quadrant("t", [(name, i + 1, i) for i, name in enumerate(invented.HOSTILE)], ("", ""), ("", ""))
    assert chart is not None
    assert not set("<>`|;#{}[]'") & set("".join(re.findall(r'"([^"]*)": \[', chart)))
