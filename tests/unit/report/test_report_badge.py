"""The badge: the right words and figures, in a picture that stands by itself, and as shields.io wants them."""

from __future__ import annotations

import json
from dataclasses import replace
from xml.etree import ElementTree

import invented_content as invented
import pytest

from makeweight.decide.verdict import Outcome
from makeweight.report import badge, brief

SHIPS = brief.of(invented.content().verdict)


def test_the_figures_are_those_of_what_ships_where_it_gains_least() -> None:
    assert (SHIPS.outcome, SHIPS.variant, SHIPS.ships) == ("pass", "slim-int8", True)
    assert SHIPS.size_ratio == pytest.approx(0.099)
    assert SHIPS.latency_ratio == pytest.approx(max(0.213, 0.187))
    assert (SHIPS.quality, SHIPS.quality_drop) == ("accuracy", pytest.approx(0.005))


def test_what_was_not_measured_is_not_known() -> None:
    verdict = invented.content().verdict
    bare = brief.of(replace(verdict, measurements=[m for m in verdict.measurements if m["metric"] != "latency_p50"]))
    assert bare.latency_ratio is None
    guessed = [m | {"status": "estimated"} if m["metric"] == "size" else m for m in verdict.measurements]
    assert brief.of(replace(verdict, measurements=guessed)).size_ratio is None


def test_the_words() -> None:
    assert badge.words(SHIPS) == "passed · slim-int8 · 0.0990x size · 0.21x latency"
    assert badge.words(replace(SHIPS, outcome="fail", latency_ratio=None)) == "blocked · slim-int8 · 0.0990x size"
    assert badge.words(replace(SHIPS, variant=None, size_ratio=None, latency_ratio=None)) == "passed"


def test_shields_io_can_make_one() -> None:
    said = json.loads(badge.endpoint(SHIPS))
    assert set(said) == {"schemaVersion", "label", "message", "color"}
    assert (said["schemaVersion"], said["label"], said["message"]) == (1, "makeweight", badge.words(SHIPS))


@pytest.mark.parametrize("name", ["int8", *invented.HOSTILE])
def test_the_picture_stands_by_itself(name: str) -> None:
    drawn = badge.draw(replace(SHIPS, variant=name))
    root = ElementTree.fromstring(drawn)  # noqa: S314 - of our own
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    texts = ["".join(each.itertext()) for each in root.iter("{http://www.w3.org/2000/svg}text")]
    assert texts == ["makeweight", badge.words(replace(SHIPS, variant=name))]
    assert not any(word in drawn for word in ("<script", "<image", "href"))


def test_each_outcome_has_a_colour_of_its_own() -> None:
    outcomes: tuple[Outcome, ...] = ("pass", "fail", "inconclusive", "not_applicable")
    assert len({json.loads(badge.endpoint(replace(SHIPS, outcome=each)))["color"] for each in outcomes}) == 4
