"""JUnit XML as its readers have it: what Jenkins' junit-10.xsd allows, and no failure where a verdict passes."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import invented_content as invented
import pytest

from makeweight.decide.verdict import Verdict
from makeweight.report import junit

ALLOWED = {
    "testsuites": ({"name", "tests", "failures", "errors"}, {"testsuite"}),
    "testsuite": ({"name", "tests", "failures", "errors", "skipped"}, {"properties", "testcase"}),
    "properties": (set(), {"property"}),
    "property": ({"name", "value"}, set()),
    "testcase": ({"name", "classname"}, {"skipped", "error", "failure", "system-out"}),
    "skipped": ({"message"}, set()),
    "failure": ({"message", "type"}, set()),
    "error": ({"message", "type"}, set()),
    "system-out": (set(), set()),
}
"""Attributes and children that an element may have, of those that the schema knows; all attributes of ours are set."""
FAILING = invented.content(
    (
        invented.Model("slim", 0.1, 0.01, broken={"accuracy.max_drop": "accuracy drops by 1 pt; 0.5 pt is allowed."}),
        invented.Model("int8", 0.3, 0.0, undecided={"latency_p50.max_ratio@pi5": "too noisy to tell."}),
    ),
    ship=None,
    policy="slim",
).verdict


def read(verdict: Verdict) -> ElementTree.Element:
    root = ElementTree.fromstring(junit.render(verdict))  # noqa: S314 - of our own
    for element in root.iter():
        attributes, children = ALLOWED[element.tag]
        assert set(element.keys()) == attributes
        assert {each.tag for each in element} <= children
    for counted in (root, *root.iter("testsuite")):
        counts = {"tests": "testcase", "failures": "failure", "errors": "error", "skipped": "skipped"}
        for name, tag in counts.items():
            if name in counted.keys():  # noqa: SIM118 - an element is no mapping
                assert int(counted.get(name, "")) == len(counted.findall(f".//{tag}")), name
    return root


def results(root: ElementTree.Element) -> dict[tuple[str, str], tuple[str, str]]:
    return {
        (case.get("classname", ""), case.get("name", "")): (each.tag, each.get("message") or each.text or "")
        for case in root.iter("testcase")
        for each in case
    }


def test_a_suite_for_each_variant_and_a_case_for_each_rule() -> None:
    found = results(read(FAILING))
    assert len(found) == 1 + len(FAILING.rules)
    assert found["digits", "verdict"] == ("failure", FAILING.sentence)
    kind, said = found["digits.slim", "accuracy.max_drop"]
    assert kind == "failure"
    assert "accuracy drops by 1 pt; 0.5 pt is allowed." in said
    assert found["digits.slim", "size.max"][0] == "system-out"
    assert found["digits.slim", "latency_p50.max_ratio on laptop"][0] == "system-out"


def test_what_holds_nothing_up_is_no_failure() -> None:
    """int8 need not ship, the meter that is not there only warns, and a waiver lets through."""
    found = results(read(FAILING))
    assert found["digits.int8", "latency_p50.max_ratio on pi5"][0] == "skipped"
    assert found["digits.slim", "energy.max on laptop"] == ("skipped", found["digits.slim", "energy.max on laptop"][1])
    assert "warning: slim: energy on laptop is not measured" in found["digits.slim", "energy.max on laptop"][1]
    waived = replace(
        FAILING,
        verdict="pass",
        ship="slim",
        rules=[replace(rule, waiver="waived by @boss") if rule.blocks else rule for rule in FAILING.rules],
    )
    kind, said = results(read(waived))["digits.slim", "accuracy.max_drop"]
    assert kind == "skipped"
    assert "Waived by @boss" in said


@pytest.mark.parametrize("outcome", ["pass", "fail", "inconclusive", "not_applicable"])
def test_failures_are_counted_only_where_the_verdict_does_not_pass(outcome: str) -> None:
    root = read(replace(FAILING, verdict=outcome))  # type: ignore[arg-type]
    counted = int(root.get("failures", "")) + int(root.get("errors", ""))
    assert (counted == 0) == (outcome in ("pass", "not_applicable"))


def test_an_open_rule_is_an_error() -> None:
    undecided = replace(FAILING, verdict="inconclusive", policy="int8")
    found = results(read(undecided))
    assert found["digits", "verdict"][0] == "error"
    kind, said = found["digits.int8", "latency_p50.max_ratio on pi5"]
    assert kind == "error"
    assert "To settle it: makeweight benchmark int8 --device pi5" in said


def test_what_the_verdict_stands_on_is_among_the_properties() -> None:
    first, second, *_ = read(FAILING).iter("properties")
    known = {each.get("name"): each.get("value") for each in first}
    assert known == {"ship": "none", "policy": "slim", "commit": "1a2b3c4d5e6f"}
    assert {each.get("name"): each.get("value") for each in second}["verdict"] == "fail"


@pytest.mark.parametrize("name", [*invented.HOSTILE, "a\x00b\x1b", "\ud800"])
def test_any_name_is_text(name: str) -> None:
    whole = invented.content((invented.Model(name, 0.1, 0.0),), ship=name, project=name).verdict
    junit.render(whole).encode()
    assert len(results(read(whole))) == 1 + len(whole.rules)


def test_what_could_not_be_judged_is_an_error() -> None:
    root = ElementTree.fromstring(junit.render_error("digits", "makeweight.yaml:3: no such metric\n  Mend it."))  # noqa: S314 - of our own
    (case,) = root.iter("testcase")
    (error,) = case
    assert (error.tag, error.text) == ("error", "makeweight.yaml:3: no such metric\nMend it.")
    assert (root.get("tests"), root.get("errors"), root.get("failures")) == ("1", "1", "0")
