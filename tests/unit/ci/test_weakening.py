"""What is judged, side by side with the base: each weakening is told as one, and what is harmless never is."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from makeweight.ci import gate, waiver_sources, weakening
from makeweight.ci.base import Base
from makeweight.decide import Waiver
from makeweight.decide.verdict import Alteration, Review
from makeweight.github.labels import Label
from makeweight.measurement import Measurement
from makeweight.project.project import Project
from unit.ci.conftest import CONFIG, Made, base_of, figure

TODAY = date(2026, 6, 1)
DEVICE = "  local: {kind: local}\n"
OTHER = "  other: {steps: [float16]}\n"
WAIVER = "waivers: [{rule: size.max_ratio, reason: the shelf is full, until: 2026-12-31}]\n"
CANARY = "canary: {traffic: 5 %, max_accuracy_drop: 1 pt}\n"
FULL = f"{CONFIG}{WAIVER}{CANARY}review: required\n"


def beside(
    project: Project, base: Base, figures: list[Measurement] | None = None, facts: dict[str, Any] | None = None
) -> list[Alteration]:
    return weakening.alterations(project, base, (), figures or [], facts or {}, lambda _: True)


def told(found: list[Alteration]) -> list[tuple[str, str, str]]:
    return [(each.what, each.was, each.now) for each in found if each.weakens]


WEAKER = {
    "the file of test examples": (
        ("{test: test.npz, calibration: calibration.npz}", "{test: easy.npz}"),
        ("`data.npz`", "test test.npz, calibration calibration.npz", "test easy.npz"),
    ),
    "the groups": (("data: {npz", "data: {slices: 'code:groups', npz"), ("`data.slices`", "none", "code:groups")),
    "the seed": (("seed: 0", "seed: 7"), ("`seed`", "0", "7")),
    "a source less": (("sources: [code]", "sources: []"), ("`sources`", "code", "none")),
    "another source": (("sources: [code]", "sources: [data]"), ("`sources`", "code", "data")),
    "what may be absent": (
        ("task: classification", "task: {kind: classification, absent_classes: allow}"),
        ("`task.absent_classes`", "refuse", "allow"),
    ),
    "what ships": (("devices:", "ship: int8\ndevices:"), ("`ship`", "best", "int8")),
    "what is preferred": (("devices:", "prefer: size\ndevices:"), ("`prefer`", "latency", "size")),
    "a variant that is gone": ((OTHER, ""), ("variant `other`", "float16", "taken away")),
    "a variant with another name": (
        ("  other:", "  half:"), ("the name of a variant", "`other`", "`half`, held against what `other` was")
    ),
    "threads": (("{kind: local}", "{kind: local, threads: 8}"), ("`threads` of device `local`", "1", "8")),
    "less time": (("{kind: local}", "{kind: local, seconds: 1}"), ("`seconds` of device `local`", "10", "1")),
    "fewer processes": (("{kind: local}", "{kind: local, processes: 1}"), ("`processes` of device `local`", "3", "1")),
    "another machine": (
        ("{kind: local}", "{kind: local, runner: [self-hosted]}"), ("`runner` of device `local`", "none", "self-hosted")
    ),
    "a device that is gone": ((DEVICE, "  pi5: {kind: local}\n"), ("device `local`", "kind local", "taken away")),
    "another output": (("{onnx: tiny.onnx,", "{onnx: tiny.onnx, output: y,"), ("`model.output`", "none", "y")),
    "other inputs": (("{x: [N, 4]}", "{x: [N, 5]}"), ("`model.inputs`", "x N, 4", "x N, 5")),
    "a waiver that is added": (
        ("waivers: [", "waivers: [{rule: accuracy.min, variant: int8, reason: why not, until: 2027-01-01}, "),
        ("waiver of `accuracy.min` on `int8`", "none", "until 2027-01-01: why not"),
    ),
    "a waiver for longer": (
        ("2026-12-31", "2029-12-31"),
        ("waiver of `size.max_ratio`", "until 2026-12-31: the shelf is full", "until 2029-12-31: the shelf is full"),
    ),
    "a canary that sees more": (("traffic: 5 %", "traffic: 50 %"), ("`traffic` of `canary`", "0.05", "0.5")),
    "a canary that may fall": (
        ("max_accuracy_drop: 1 pt", "max_accuracy_drop: 9 pt"), ("`max_accuracy_drop` of `canary`", "0.01", "0.09")
    ),
    "no canary": ((CANARY, ""), ("`canary`", "declared", "none")),
    "no review": (("review: required\n", ""), ("`review`", "required", "none")),
}  # fmt: skip


@pytest.mark.parametrize("case", WEAKER)
def test_each_weakening_is_told_side_by_side(made: Made, case: str) -> None:
    replacement, row = WEAKER[case]
    found = told(beside(made(replacement, config=FULL), base_of(made(config=FULL))))
    assert row in found
    # a device under another name is one that is gone and one that is new, and every other case is one row
    assert len(found) == 1


HARMLESS = {
    "nothing": None,
    "words": ("# nothing", ""),
    "a variant more": (OTHER, OTHER + "  third: {steps: [{quantize: {method: static}}]}\n"),
    "another recipe": ("{method: dynamic}", "{method: static}"),
    "a device more": (DEVICE, DEVICE + "  pi5: {kind: local}\n"),
    "more time": ("{kind: local}", "{kind: local, seconds: 60}"),
    "more processes": ("{kind: local}", "{kind: local, processes: 5}"),
    "more to be told": ("{kind: local}", "{kind: local, matrix: {batch: [1, 8]}}"),
    "a source more": ("sources: [code]", "sources: [code, data]"),
    "names of classes": ("task: classification", "task: {kind: classification, classes: [a, b]}"),
    "more to calibrate on": ("data: {npz", "data: {calibration: {samples: 512}, npz"),
    "another file": ("onnx: tiny.onnx", "onnx: small.onnx"),
    "a waiver less": (WAIVER, ""),
    "a waiver for less long": ("2026-12-31", "2026-07-31"),
    "a canary that sees less": ("traffic: 5 %", "traffic: 1 %"),
    "another name": ("name: tiny", "name: small"),
}


@pytest.mark.parametrize("case", HARMLESS)
def test_what_is_harmless_is_no_weakening(made: Made, case: str) -> None:
    config = f"{FULL}# nothing\n"
    replacement = HARMLESS[case]
    head = made(*([replacement] if replacement else []), config=config)
    assert told(beside(head, base_of(made(config=FULL)))) == []


def test_what_asks_for_more_is_told_apart(made: Made) -> None:
    head = made((OTHER, OTHER + "  third: {steps: [{quantize: {method: static}}]}\n"), ("seed: 0", "seed: 1"))
    found = beside(head, base_of(made()))
    assert [(each.what, each.weakens) for each in found] == [("variant `third`", False), ("`seed`", True)]
    strict, lax = made(config=FULL), made(("review: required\n", ""), config=FULL)
    assert [(each.what, each.weakens) for each in beside(strict, base_of(lax))] == [("`review`", False)]


def test_without_a_base_there_is_nothing_beside(made: Made) -> None:
    assert beside(made(), base_of(None)) == []


def test_what_the_base_names_stands_first_of_what_is_taken_away(made: Made) -> None:
    two = (DEVICE, DEVICE + "  pi5: {kind: local}\n")
    ships = ("budget:", "ship: other\nbudget:")
    rule = ("max_regression: 5 %", "max_regression: 5 %, device: pi5")
    base = base_of(made(two, ships, rule))
    less = ("  int8: {steps: [{quantize: {method: dynamic}}]}\n", "  new: {steps: [{quantize: {method: static}}]}\n")
    found = told(beside(made((OTHER, ""), less, ("seed: 0", "seed: 1")), base))
    assert [what for what, _, _ in found][:4] == ["variant `other`", "device `pi5`", "variant `int8`", "`seed`"]


# --- what was measured


def answered(count: int, *, groups: dict[str, int] | None = None, **more: float) -> list[Measurement]:
    """What the baseline's evaluation records."""
    figures = [figure("nonfinite_outputs", 0.0, variant="baseline", unit="fraction", samples=count)]
    for name, members in (groups or {}).items():
        figures.append(figure("accuracy", 0.9, variant="baseline", unit="fraction", samples=members, slice=name))
    for name, value in more.items():
        figures.append(figure(name, value, variant="baseline", unit="fraction" if name == "accuracy" else "B"))
    return figures


def facts(examples: str | None, baseline: str = "b") -> dict[str, Any]:
    return {"test_examples": examples, "artifacts": {"baseline": baseline}}


A, B = "a" * 64, "b" * 64


def test_fewer_test_examples_are_told_by_their_number(made: Made) -> None:
    base = base_of(made(), *answered(1500), provenance=facts(A))
    assert told(beside(made(), base, answered(120), facts(B))) == [("test examples", "1,500", "120, 1,380 fewer")]
    assert told(beside(made(), base, answered(2000), facts(B))) == [("test examples", "1,500", "2,000, 500 more")]


def test_as_many_other_ones_are_told_by_their_hash(made: Made) -> None:
    base = base_of(made(), *answered(500), provenance=facts(A))
    assert told(beside(made(), base, answered(500), facts(B))) == [
        ("test examples", "500, sha256 aaaaaaaaaaaa", "500, other ones, sha256 bbbbbbbbbbbb")
    ]


@pytest.mark.parametrize(("was", "now"), [(A, A), (None, B), (A, None), (None, None)])
def test_what_is_not_known_of_them_is_not_said(made: Made, was: str | None, now: str | None) -> None:
    base = base_of(made(), *answered(500), provenance=facts(was))
    assert beside(made(), base, answered(500 if was == now else 100), facts(now)) == []


def test_a_group_that_is_thinned_out_is_told(made: Made) -> None:
    base = base_of(made(), *answered(100, groups={"night": 50, "day": 50}), provenance=facts(A))
    found = told(beside(made(), base, answered(100, groups={"day": 95, "dusk": 5}), facts(B)))
    assert ("test examples of slice `night`", "50", "0") in found
    assert not any("day" in what or "dusk" in what for what, _, _ in found)


DROPS = ("  size: {max_ratio: 0.5}\n", "  size: {max_ratio: 0.5}\n  accuracy: {max_drop: 1 pt}\n")


@pytest.mark.parametrize(
    ("accuracy", "size", "rows"),
    [
        (0.8, 100.0, [("the baseline's accuracy", "90.0 %", "80.0 %")]),
        (0.9, 250.0, [("the baseline's size", "100 B", "250 B")]),
        (0.95, 50.0, []),
    ],
    ids=["right less often", "larger", "better and smaller"],
)
def test_a_worse_baseline_lets_more_through_and_is_told(
    made: Made, accuracy: float, size: float, rows: list[tuple[str, str, str]]
) -> None:
    base = base_of(made(DROPS), *answered(9, accuracy=0.9, size=100.0), provenance=facts(A))
    found = beside(made(DROPS), base, answered(9, accuracy=accuracy, size=size), facts(A, "c"))
    assert told(found) == rows
    assert [each.what for each in found if not each.weakens] == ["the baseline model"]
    same = beside(made(DROPS), base, answered(9, accuracy=accuracy, size=size), facts(A))
    assert same == []


@pytest.mark.parametrize(
    ("task", "rule", "what"),
    [
        ("'code.score:mean'", "metric: {min: 1}", "task.metric"),
        ("{kind: detection, outputs: 'code.score:decode'}", "map: {min: 40 %}", "task.outputs"),
    ],
)
def test_code_of_ones_own_that_judges_is_told_when_its_file_was_edited(
    made: Made, task: str, rule: str, what: str
) -> None:
    own = made(("task: classification", f"task: {task}"), ("  size: {max_ratio: 0.5}\n", f"  {rule}\n"))
    found = weakening.alterations(own, base_of(own), (), [], {}, lambda path: path != "code/score.py")
    assert told(found) == [(f"the code of `{what}`", "`code/score.py`", "the file was edited")]


ORIN = "command, run: \"sh -c 'python3 ./boards/time.py $1 | sort' sh {model}\""
MODULE = "command, run: 'python -m boards.time {model}'"


@pytest.mark.parametrize(
    ("device", "edited", "told_of"),
    [
        pytest.param(f"{ORIN}", "boards/time.py", "boards/time.py", id="what a shell is given"),
        pytest.param(f"{ORIN}, identify: cat 'a board'", "a board", "a board", id="a name with a space"),
        pytest.param(f"{ORIN}, prepare: tool --to=x", "../boards/time.py", "boards/time.py", id="above the project"),
        pytest.param(MODULE, "boards/time.py", "boards/time.py", id="a module"),
        pytest.param(MODULE, "boards/time/__main__.py", "boards/time/__main__.py", id="a package"),
        pytest.param("ssh, host: pi, config: ssh.conf", "ssh.conf", "ssh.conf", id="how ssh gets there"),
        pytest.param("adb, benchmark: {litert: tools/bm -v}", "tools/bm.dvc", "tools/bm", id="tracked by DVC"),
        pytest.param("adb, libraries: [libx.so]", "libx.so", "libx.so", id="a library"),
    ],
)
def test_files_that_a_device_names_are_told_when_they_were_edited(
    made: Made, device: str, edited: str, told_of: str
) -> None:
    own = made(("{kind: local}", f"{{kind: {device}}}"))
    found = weakening.alterations(own, base_of(own), (), [], {}, lambda path: path != edited, "../")
    assert told(found) == [("a file of device `local`", f"`{told_of}`", "the file was edited")]


def test_no_file_is_looked_for_outside_of_the_work_tree(made: Made) -> None:
    asked: list[str] = []
    own = made(("{kind: local}", "{kind: command, run: '/bin/x ../y {model} ../../etc/z'}"))
    weakening.alterations(own, base_of(own), (), [], {}, lambda path: asked.append(path) is None, "../")
    assert not [path for path in asked if path.startswith(("/", "../.."))]
    assert "../y" not in asked


# --- the budget, and whose word there is


def test_a_looser_rule_is_one_of_them_and_a_waiver_accepts_it(made: Made) -> None:
    head, base = (
        made(("max_ratio: 0.5", "max_ratio: 0.9"), ("max_regression: 5 %", "max_regression: 1 %")),
        base_of(made()),
    )
    ruled = gate.ruling(head, base, [], landed=False, today=TODAY)
    assert [(each.what, each.was, each.now, each.weakens) for each in ruled.budget] == [
        ("`size.max_ratio`", "at most 0.5x", "at most 0.9x", True),
        ("`latency_p50.max_regression`", "regression at most 5 %", "regression at most 1 %", False),
    ]
    waived = Waiver("size.max_ratio", None, "room", TODAY, "label by @boss")
    agreed = gate.ruling(head, base, [waived], landed=False, today=TODAY)
    assert [each.accepted for each in agreed.budget] == [True, False]
    assert gate.ruling(head, base, [], landed=True, today=TODAY).budget == ()


def test_a_waiver_of_the_base_stands_for_a_review_while_it_lasts(made: Made) -> None:
    asked = Review(required=True, label="reviewed:x")
    kept = Waiver("review", None, "the data move this week", TODAY, "makeweight.yaml on main")
    ruled = gate.ruling(made(), base_of(made()), [kept], landed=False, today=TODAY, review=asked)
    assert ruled.review.by == kept.sentence
    assert ruled.notices == ()
    late = gate.ruling(
        made(), base_of(made()), [replace(kept, until=date(2026, 5, 1))], landed=False, today=TODAY, review=asked
    )
    assert late.review.by is None
    one = gate.ruling(made(), base_of(made()), [replace(kept, variant="int8")], landed=False, today=TODAY, review=asked)
    assert one.review.by is None


HEAD = "a1" * 20


@pytest.mark.parametrize(
    ("label", "by", "said"),
    [
        (Label(f"reviewed:{HEAD}", "", "boss", True), "label by @boss", None),
        (Label(f"reviewed:{HEAD}", "", "reader", False), None, "@reader may not write"),
        (Label(f"reviewed:{HEAD}", "", None, False), None, "the one who set it may not write"),
        (Label(f"reviewed:{'b' * 40}", "", "boss", True), None, "it is for another commit"),
        (Label(f"reviewed:{HEAD[:12]}", "", "boss", True), None, "it is for another commit"),
        (Label("bug", "", "reader", False), None, None),
    ],
    ids=["a writer's", "a reader's", "nobody's", "of another commit", "of a short hash", "another label"],
)
def test_only_a_writers_label_for_that_very_commit_is_a_review(label: Label, by: str | None, said: str | None) -> None:
    given, objections = waiver_sources.review([label], HEAD)
    assert given == by
    assert len(objections) == (said is not None)
    assert said is None or said in objections[0]
    assert waiver_sources.review([label], None)[0] is None


def test_a_label_waives_no_review() -> None:
    given, (said,) = waiver_sources.of_labels([Label("waive:review", "until 2026-12-31: trust me", "boss", True)])
    assert given == []
    assert "a review is of one commit" in said
