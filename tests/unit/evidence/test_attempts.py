"""Figures that are older than the last attempt to measure them, by how that attempt ended."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from makeweight import measurement
from makeweight.decide.verdict import Verdict, dumps
from makeweight.evidence import attempts
from makeweight.layout import Layout
from makeweight.measurement import Measurement
from makeweight_base.errors import EnvironmentFailed

LOST = EnvironmentFailed("the connection was lost", where="device `pi.5`")


def of(seconds: float) -> list[Measurement]:
    figures = [Measurement("latency_p50", variant, "s", seconds, device="pi.5") for variant in ("int8", "baseline")]
    return [*figures, measurement.unavailable(figures[0].measurand.compared("ratio"), "int8", "ratio", "too few")]


def decided(figures: list[Measurement]) -> Verdict:
    whole = [*map(asdict, figures), asdict(Measurement("size", "int8", "B", 5.0))]
    return Verdict("pass", "All is well.", "int8", "int8", "size", "p", [], [], whole)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """Of a project that was measured and decided on."""
    at = Layout(tmp_path)
    for path, text in (
        (at.benchmark("int8", "pi.5"), measurement.dumps(of(0.002))),
        (at.verdict, dumps(decided(of(0.002)))),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return at


@pytest.mark.parametrize(
    ("ended", "told"),
    [
        (LOST, "device `pi.5`: the connection was lost"),
        (KeyboardInterrupt(), "it was interrupted"),
        (SystemExit(137), "it did not come to its end"),
    ],
    ids=["lost", "interrupted", "killed"],
)
@pytest.mark.parametrize("removed", [False, True], ids=["by hand", "by DVC"])
def test_an_attempt_that_failed_is_told_beside_the_figures_of_before(
    layout: Layout, ended: BaseException, told: str, removed: bool
) -> None:
    if removed:  # which it does before a stage runs
        layout.benchmark("int8", "pi.5").unlink()
    with pytest.raises(type(ended)), attempts.noted(layout, "int8", "pi.5"):
        raise ended
    (said,) = attempts.older(layout, decided(of(0.002)))
    assert said == (
        f"`int8` was to be measured anew on `pi.5`, and was not: {told}; its figures there are older than that. "
        "`makeweight benchmark int8 --device pi.5` measures it."
    )
    assert attempts.older(layout, decided(of(0.003))) == [], "they came from elsewhere since"
    assert attempts.older(layout, decided([])) == []
    with attempts.noted(layout, "int8", "pi.5"):
        pass
    assert attempts.older(layout, decided(of(0.002))) == []


def test_where_nothing_was_measured_before_nothing_is_older(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    with pytest.raises(EnvironmentFailed), attempts.noted(layout, "int8", "pi.5"):
        raise LOST
    assert not layout.attempts.exists()


def test_where_nothing_can_be_noted_it_is_measured_all_the_same(layout: Layout) -> None:
    """As in a checkout that is read-only but for where evidence lies."""
    layout.attempts.parent.write_text("in the way")
    measured = []
    with attempts.noted(layout, "int8", "pi.5"):
        measured.append("at first")
    with pytest.raises(EnvironmentFailed) as failed, attempts.noted(layout, "int8", "pi.5"):
        raise LOST
    assert (measured, failed.value) == (["at first"], LOST)


def test_a_note_that_is_none_says_nothing(layout: Layout) -> None:
    place = layout.attempt("int8", "pi.5")
    place.parent.mkdir(parents=True)
    for text in ("", "[]", "{}", '{"figures": 3}'):
        place.write_text(text)
        assert attempts.older(layout, decided(of(0.002))) == []
