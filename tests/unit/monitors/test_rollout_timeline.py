"""The moments of a rollout, on recorded times; and the picture of them."""

from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from examples.monitoring.rollout import picture, timeline
from examples.monitoring.rollout.recorded import Recorded, Said, Second, Share, Untold, loads, moments, steps

SHARES = ((0, "r2", 0.0), (10, "r2", 0.05), (15, "r2", 0.25), (20, "r2", 1.0), (22, "r2", 0.0), (23, "r3", 0.0),
          (24, "r3", 0.05), (31.5, "r3", 0.0))  # fmt: skip
SAID = (
    Said(9.0, "observed", "watches digits r2", "r2"),
    Said(20.5, "decision", "digits r2 is promoted: it is stable now", "r2"),
    Said(26.0, "decision", "holds digits r3 at 5%: there is no data", "r3"),
    Said(31.25, "decision", "rolls digits r3 back from 5%", "r3"),
    Said(42.0, "decision", "digits r3 is rolled back, 10.8 s after that was decided; it stays so", "r3"),
)
RECORDED = Recorded(
    "r2",
    "r3",
    3.0,
    tuple(Share(*one) for one in SHARES),
    (Second(21.0, "r2", 0, 0, 100, 1), Second(24.0, "r3", 95, 1, 5, 4), Second(25.0, "r3", 94, 0, 6, 6)),
    SAID,
    ((25.0, 0.5), (29.0, 5000.0), (30.0, 12000.0), (31.0, 4e40)),
    5000.0,
    "MakeweightAccuracyDropSplit",
    30.5,
    24.125,
    31.375,
)


def test_the_steps_up_are_those_of_the_good_canary_alone() -> None:
    assert [(one.name, one.time) for one in steps(RECORDED)] == [
        ("5%", 10), ("25%", 15), ("100%", 20.5),
    ]  # fmt: skip


def test_evidence_is_what_is_over_the_line_and_an_answer_that_holds_is_no_decision() -> None:
    assert {one.name: one.time for one in moments(RECORDED)} == {
        "let in": 24, "fault": 24.125, "evidence": 30, "alert": 30.5, "decision": 31.25, "last bad answer": 31.375,
        "confirmed": 42,
    }  # fmt: skip


def test_lines_count_from_when_each_canary_was_let_in() -> None:
    said = timeline.text(RECORDED)
    assert "   10.5 s  digits r2 is promoted: it is stable now" in said
    assert "    6.0 s  evidence:        e-value 12,000 over 5,000; labels take 3 s" in said
    assert "    7.4 s  last bad answer: 10 wrong of its 11 answers, to 200 requests" in said
    assert "from the evidence to the last bad answer 1.4 s; from the first bad answer to the last 7.2 s" in said


@pytest.mark.parametrize(
    ("lacks", "said"),
    [
        ({"said": SAID[2:]}, "never said that r2 is promoted"),
        ({"said": SAID[:3]}, "never said that r3 rolls"),
        ({"said": SAID[:4]}, "never said that r3 is rolled back"),
        ({"evalues": ()}, "the evidence never reached 5,000"),
        ({"shares": tuple(Share(*one) for one in SHARES[:6])}, "r3 was never let in"),
    ],
    ids=["not promoted", "not decided", "not confirmed", "no evidence", "not let in"],
)
def test_what_did_not_happen_is_said(lacks: dict[str, object], said: str) -> None:
    with pytest.raises(Untold, match=said):
        timeline.text(replace(RECORDED, **lacks))


def test_a_record_comes_back_as_it_was() -> None:
    assert loads(RECORDED.dumps()) == RECORDED


def test_the_picture_has_each_moment_at_its_second() -> None:
    drawn = ElementTree.fromstring(picture.draw(RECORDED))  # noqa: S314 - our own
    space = "{http://www.w3.org/2000/svg}"
    texts = [text.text or "" for text in drawn.iter(f"{space}text")]
    seconds = [text for text in texts if re.fullmatch(r"\d+\.\d s", text)]
    assert seconds == ["0.0 s", "0.1 s", "6.0 s", "6.5 s", "7.2 s", "7.4 s", "18.0 s"]
    marks = [path.get("d") or "" for path in drawn.iter(f"{space}path") if path.get("class") == "moment"]
    places = [float(re.match(r"M([\d.]+)", mark)[1]) for mark in marks]  # type: ignore[index]
    assert places == sorted(places)
    # as far apart as the times are: 6 s from the first to the third, 18 s to the last
    assert (places[2] - places[0]) / (places[-1] - places[0]) == pytest.approx(6 / 18, abs=1e-3)
