"""The chart over commits: a mark for each figure that was measured, in order, and the rows that it is drawn from."""

from __future__ import annotations

import json
from dataclasses import replace
from xml.etree import ElementTree

import invented_content as invented

from makeweight.report import brief, history
from makeweight.report.history import Entry

WHOLE = brief.of(invented.content().verdict)
SHIPS = replace(WHOLE, noise_floors={})
SVG = "{http://www.w3.org/2000/svg}"


def entries(*ratios: float | None) -> list[Entry]:
    return [
        Entry(f"{number:040x}", f"2027-03-{number:02}", replace(SHIPS, size_ratio=ratio))
        for number, ratio in enumerate(ratios, 1)
    ]


def drawn(*found: Entry) -> ElementTree.Element:
    return ElementTree.fromstring(history.draw("digits", found))  # noqa: S314 - of our own


def marks(root: ElementTree.Element) -> list[tuple[float, float, str]]:
    """Across, down, and what the first panel's marks say: there are as many in each of three."""
    circles = [each for each in root.iter(f"{SVG}circle") if each.find(f"{SVG}title") is not None]
    return [
        (float(each.get("cx", "")), float(each.get("cy", "")), each.findtext(f"{SVG}title") or "") for each in circles
    ]


def test_the_rows_are_what_the_verdicts_say() -> None:
    told = json.loads(history.rows(entries(0.3, None)))
    assert [(each["commit"][-1], each["day"], each["size_ratio"]) for each in told] == [
        ("1", "2027-03-01", 0.3),
        ("2", "2027-03-02", None),
    ]
    assert told[0]["outcome"] == "pass"
    assert told[0]["quality"] == "accuracy"


def test_a_smaller_model_is_drawn_further_down_and_a_later_commit_further_right() -> None:
    found = marks(drawn(*entries(0.5, 0.3, 0.1)))[:3]
    assert [x for x, _, _ in found] == sorted(x for x, _, _ in found)
    assert [y for _, y, _ in found] == sorted(y for _, y, _ in found)
    assert found[0][2] == "0000000, 2027-03-01: slim-int8, passed, 0.50x"


def test_what_was_not_measured_leaves_a_gap() -> None:
    root = drawn(*entries(0.5, 0.4, None, 0.2, 0.1))
    assert len(marks(root)) == 4 + 5 + 5
    assert len([each for each in root.iter(f"{SVG}path") if each.get("class") == "line"]) == 2 + 1 + 1


def test_a_figure_that_was_never_measured_is_said_to_be_lacking() -> None:
    texts = ["".join(each.itertext()) for each in drawn(*entries(None, None)).iter(f"{SVG}text")]
    assert texts.count("not measured") == 1


def test_one_commit_and_none_are_drawn_too() -> None:
    assert len(marks(drawn(*entries(0.5)))) == 3
    assert "no verdict is committed yet" in "".join(drawn().itertext())


def test_the_noise_floor_of_each_device_has_a_panel_of_its_own() -> None:
    """Of a device that a commit did not measure, its panel has a gap."""
    first, second = entries(0.5, 0.4)
    first = replace(first, brief=replace(SHIPS, noise_floors={"desk": 0.012}))
    second = replace(second, brief=replace(SHIPS, noise_floors={"desk": 0.034, "pi5": 0.004}))
    root = drawn(first, second)
    told = [words for _, _, words in marks(root)[6:]]
    assert [words.rpartition(", ")[2] for words in told] == ["1.2 %", "3.4 %", "0.4 %"]
    titles = ["".join(each.itertext()) for each in root.iter(f"{SVG}text")]
    assert [each.partition(":")[0] for each in titles if "noise floor" in each] == [
        "noise floor on desk", "noise floor on pi5",
    ]  # fmt: skip
    assert json.loads(history.rows([second]))[0]["noise_floors"] == {"desk": 0.034, "pi5": 0.004}
    assert WHOLE.noise_floors == {"laptop": 0.012, "pi5": 0.004}


def test_another_metric_of_quality_does_not_share_the_axis() -> None:
    before, *_ = entries(0.5)
    older = replace(before, brief=replace(SHIPS, quality="perplexity", quality_drop=3.5))
    assert len(marks(drawn(older, *entries(0.5, 0.4)))) == 3 + 3 + 2


def test_an_error_is_drawn_by_its_ratio_since_it_has_no_drop() -> None:
    (entry,) = entries(0.5)
    own = replace(entry, brief=replace(SHIPS, quality="rmse", quality_drop=None, quality_ratio=1.25))
    root = drawn(own)
    assert marks(root)[2][2].rpartition(", ")[2] == "1.25x"
    texts = ["".join(each.itertext()) for each in root.iter(f"{SVG}text")]
    assert "root mean square error, of the baseline's" in texts
    assert "not measured" not in texts
    # an accuracy has no ratio
    assert (SHIPS.quality, SHIPS.quality_ratio) == ("accuracy", None)


def test_a_variant_is_named_where_it_begins_to_ship() -> None:
    first, second, third = entries(0.5, 0.4, 0.3)
    other = replace(third, brief=replace(third.brief, variant="int8"))
    texts = ["".join(each.itertext()) for each in drawn(first, second, other).iter(f"{SVG}text")]
    assert [text for text in texts if text in ("slim-int8", "int8")] == ["slim-int8", "int8"]


def test_each_outcome_that_is_drawn_is_told() -> None:
    passed, blocked = entries(0.5, 0.4)
    texts = ["".join(each.itertext()) for each in drawn(passed, blocked).iter(f"{SVG}text")]
    assert ("passed" in texts, "blocked" in texts) == (True, False)
    broken = replace(blocked, brief=replace(blocked.brief, outcome="fail"))
    texts = ["".join(each.itertext()) for each in drawn(passed, broken).iter(f"{SVG}text")]
    assert ("passed" in texts, "blocked" in texts) == (True, True)


def test_any_name_is_text() -> None:
    for name in invented.HOSTILE:
        (entry,) = entries(0.5)
        shown = history.draw(name, [replace(entry, brief=replace(entry.brief, variant=name))])
        ElementTree.fromstring(shown)  # noqa: S314 - of our own
        assert "<script" not in shown
