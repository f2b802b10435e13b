"""The replay: the same measurements give the same verdict, and an edited one is found out."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

import makeweight
from makeweight.decide import Terms, decide, verdict
from makeweight.decide.verdict import Verdict
from makeweight.measurement import Measurement
from makeweight.project.reading import understand
from makeweight.proof.replay import Replay, replay
from makeweight.publish import terms
from makeweight_base.errors import UsageError

CONFIG = """\
name: digits
model: {onnx: model.onnx}
data: {npz: {test: test.npz}}
variants: {half: {steps: [float16]}, broken: {steps: [float16]}}
devices: {pi5: {kind: local}}
budget: {size: {max: 100 B}, latency_p50: {max_ratio: 0.7}}
"""


@pytest.fixture
def asked(tmp_path: Path) -> Terms:
    return terms(understand(CONFIG, "makeweight.yaml", tmp_path))


@pytest.fixture
def decided(asked: Terms) -> Verdict:
    """As it comes back from its file."""
    measured = [
        Measurement("size", "half", "B", 60.0),
        Measurement("nonfinite_outputs", "half", "fraction", 0.0, samples=3),
        Measurement(
            "latency_p50", "half", "ratio", 0.5, (0.49, 0.51), 96, device="pi5", noise_floor=0.01, comparison="ratio"
        ),
    ]
    made = decide(asked, measured, {"broken": "nothing to convert"})
    provenance = {"makeweight": makeweight.__version__, "failed": {"broken": "nothing to convert"}}
    return verdict.loads(verdict.dumps(replace(made, provenance=provenance)), "verdict.json")


def test_the_same_comes_out(decided: Verdict, asked: Terms) -> None:
    assert decided.verdict == "pass"
    assert {variant.variant: variant.verdict for variant in decided.variants} == {"half": "pass", "broken": "fail"}
    assert replay(decided, asked) == Replay("same")


def test_the_name_of_the_folder_does_not_matter(decided: Verdict, asked: Terms) -> None:
    assert replay(decided, replace(asked, project="checkout")).status == "same"


def edited(decided: Verdict, change: Callable[[dict[str, Any]], None]) -> Verdict:
    data = json.loads(verdict.dumps(decided))
    change(data)
    return verdict.loads(json.dumps(data), "verdict.json")


def a_slower_model(data: dict[str, Any]) -> None:
    data["measurements"][2]["value"], data["measurements"][2]["interval"] = 0.9, [0.89, 0.91]


def a_larger_model(data: dict[str, Any]) -> None:
    data["measurements"][0]["value"] = 400.0


def a_measurement_dropped(data: dict[str, Any]) -> None:
    del data["measurements"][1]


def the_outcome(data: dict[str, Any]) -> None:
    data["verdict"] = "fail"


def a_rules_outcome(data: dict[str, Any]) -> None:
    data["rules"][-1]["verdict"] = "pass"


def a_rules_limit(data: dict[str, Any]) -> None:
    data["rules"][-1]["limit"] = 1e9


def a_rule_dropped(data: dict[str, Any]) -> None:
    del data["rules"][-1]


def a_rule_twice(data: dict[str, Any]) -> None:
    data["rules"].insert(0, {**data["rules"][0], "verdict": "fail"})


def a_sentence(data: dict[str, Any]) -> None:
    data["rules"][0]["sentence"] = "all is well."


def who_ships(data: dict[str, Any]) -> None:
    data["ship"] = "broken"


def a_variant_mended(data: dict[str, Any]) -> None:
    data["provenance"]["failed"] = {}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (a_slower_model, "verdict is pass in the file, and fail when decided again"),
        (a_larger_model, "`size.max` of `half`: verdict is pass in the file, and fail"),
        (a_measurement_dropped, "`finite_outputs` of `half` is judged when decided again, and not in the file"),
        (the_outcome, "the whole: verdict is fail in the file, and pass when decided again"),
        (a_rules_outcome, "`recipe` of `broken`: verdict is pass in the file, and fail when decided again"),
        (a_rules_limit, "limit is 1000000000.0 in the file, and 0.7"),
        (a_rule_dropped, "`latency_p50.max_ratio` of `half` on pi5 is judged when decided again"),
        (a_rule_twice, "a rule is judged twice"),
        (who_ships, "the whole: ship is broken in the file, and half when decided again"),
        (a_variant_mended, "`recipe` of `broken` is judged in the file, and not when decided again"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_an_edited_verdict_is_found_out(
    decided: Verdict, asked: Terms, change: Callable[[dict[str, Any]], None], said: str
) -> None:
    if change in (a_rules_limit, a_rule_dropped):
        decided = replace(decided, rules=sorted(decided.rules, key=lambda rule: rule.rule == "latency_p50.max_ratio"))
    found = replay(edited(decided, change), asked)
    assert found.status == "differs"
    assert any(said in reason for reason in found.reasons), found.reasons


def test_other_words_for_the_same_outcome_are_told_and_no_fault(decided: Verdict, asked: Terms) -> None:
    """As another version might put it."""
    found = replay(edited(decided, a_sentence), asked)
    assert found.status == "same"
    assert 'sentence is "all is well." in the file' in found.reasons[0]


def test_other_terms_give_another_verdict(decided: Verdict, tmp_path: Path) -> None:
    tighter = understand(CONFIG.replace("100 B", "50 B"), "makeweight.yaml", tmp_path)
    assert replay(decided, terms(tighter)).status == "differs"


def test_many_differences_are_summed_up(decided: Verdict, asked: Terms) -> None:
    rules = [replace(rule, rule=f"{rule.rule}{index}") for rule in decided.rules for index in range(5)]
    found = replay(replace(decided, rules=rules), asked)
    assert len(found.reasons) == 6
    assert found.reasons[-1].startswith("and ")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"notices": ["this pull request loosens the budget"]}, "this pull request loosens the budget"),
        ({"provenance": {"makeweight": "0.0.1"}}, "makeweight 0.0.1 decided"),
    ],
)
def test_what_more_than_the_file_decided_is_not_held_against_it(
    decided: Verdict, asked: Terms, more: dict[str, Any], said: str
) -> None:
    other = edited(replace(decided, **more), the_outcome)
    found = replay(other, asked)
    assert found.status == "not replayed"
    assert said in found.reasons[0]


def test_a_waiver_is_no_part_of_the_file(decided: Verdict, asked: Terms) -> None:
    rules = [replace(rule, waiver="waived until 2027-01-01: a driver") for rule in decided.rules]
    found = replay(edited(replace(decided, rules=rules), the_outcome), asked)
    assert (found.status, "waivers" in found.reasons[0]) == ("not replayed", True)


def test_a_notice_alone_is_no_obstacle(decided: Verdict, asked: Terms) -> None:
    assert replay(replace(decided, notices=["2 benchmarks skipped"]), asked).status == "same"


def test_what_are_no_measurements_is_told(decided: Verdict, asked: Terms) -> None:
    record = {**asdict(Measurement("size", "half", "B", 60.0)), "colour": "red"}
    with pytest.raises(UsageError, match="colour"):
        replay(replace(decided, measurements=[record]), asked)
