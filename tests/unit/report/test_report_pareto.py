from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from makeweight.report.pareto import front

POINTS = st.lists(st.tuples(st.integers(0, 6).map(float), st.integers(0, 6).map(float)), max_size=14)


def _dominates(a: tuple[float, float], b: tuple[float, float]) -> bool:
    return a[0] <= b[0] and a[1] >= b[1] and a != b


@given(POINTS)
def test_on_the_front_is_what_nothing_dominates(points: list[tuple[float, float]]):
    expected = {i for i, own in enumerate(points) if not any(_dominates(other, own) for other in points)}
    assert set(front(points)) == expected


@given(POINTS)
def test_along_the_front_cost_and_quality_rise(points: list[tuple[float, float]]):
    along = [points[i] for i in front(points)]
    assert along == sorted(along)
    assert [quality for _, quality in along] == sorted(quality for _, quality in along)


def test_known_points():
    points = [(1.0, 1.0), (2.0, 3.0), (3.0, 2.0), (2.0, 3.0), (float("nan"), 9.0), (4.0, 3.5), (0.5, float("nan"))]
    assert front(points) == [0, 1, 3, 5]
    assert front([]) == []
