"""The verdict as JUnit XML: a suite for each variant, a case for each rule, and one for the verdict itself.

JUnit never described its files. These hold what the schema of Jenkins' xUnit plug-in (junit-10.xsd) knows and what
GitLab reads (docs.gitlab.com, "Unit test reports").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from xml.etree import ElementTree

from makeweight.decide.verdict import Outcome, RuleVerdict, Verdict
from makeweight.report.facts import inputs
from makeweight.report.standing import line, offences
from makeweight.report.text import plain

_RESULTS: Mapping[Outcome, str] = {"fail": "failure", "inconclusive": "error"}


def render(verdict: Verdict) -> str:
    """junit.xml. It holds a failure or an error if, and only if, the verdict does not pass.

    A rule that is broken and holds nothing up (it only warns, is waived, or its variant need not ship) is skipped, in
    words: who counts failures must not count it.
    """
    held_up = {rule for rule in offences(verdict) if rule.blocks and verdict.verdict in _RESULTS}
    whole = _case(verdict.project, "verdict", _RESULTS.get(verdict.verdict), verdict.verdict, verdict.sentence)
    known = {"ship": verdict.ship or "none", "policy": verdict.policy, **dict(inputs(verdict.provenance))}
    suites = [_suite(verdict.project, known, [whole])]
    for each in verdict.variants:
        name = f"{verdict.project}.{each.variant}"
        known = {"verdict": each.verdict, "ships": "yes" if each.ships else "no", "sentence": each.sentence}
        suites.append(_suite(name, known, [_of_rule(name, rule, rule in held_up) for rule in verdict.of(each.variant)]))
    return _document(verdict.project, suites)


def render_error(project: str, said: str) -> str:
    """junit.xml where nothing could be judged."""
    return _document(project, [_suite(project, {}, [_case(project, "verdict", "error", "error", said)])])


def _of_rule(suite: str, rule: RuleVerdict, holds_up: bool) -> ElementTree.Element:
    place = f" on {rule.device}" if rule.device and f"[{rule.device}" not in rule.rule else ""
    result = None if rule.verdict == "pass" else _RESULTS[rule.verdict] if holds_up else "skipped"
    return _case(suite, f"{rule.rule}{place}", result, rule.verdict, rule.sentence if result is None else line(rule))


def _case(suite: str, name: str, result: str | None, outcome: str, said: str) -> ElementTree.Element:
    case = ElementTree.Element("testcase", {"name": plain(name), "classname": plain(suite)})
    if result == "skipped":
        ElementTree.SubElement(case, result, {"message": plain(said)})
    elif result is not None:
        ElementTree.SubElement(case, result, {"message": plain(said), "type": outcome}).text = _lines(said)
    else:
        ElementTree.SubElement(case, "system-out").text = _lines(said)
    return case


def _suite(name: str, known: Mapping[str, str], cases: Iterable[ElementTree.Element]) -> ElementTree.Element:
    suite = ElementTree.Element("testsuite", {"name": plain(name)})
    properties = ElementTree.SubElement(suite, "properties")
    for key, value in known.items():
        ElementTree.SubElement(properties, "property", {"name": plain(key), "value": plain(value)})
    suite.extend(cases)
    for count, tag in (("tests", "testcase"), ("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(count, str(len(list(suite.iter(tag)))))
    return suite


def _document(project: str, suites: Iterable[ElementTree.Element]) -> str:
    root = ElementTree.Element("testsuites", {"name": plain(project)})
    root.extend(suites)
    for count in ("tests", "failures", "errors"):
        root.set(count, str(sum(int(suite.get(count, "0")) for suite in root)))
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def _lines(said: str) -> str:
    return "\n".join(map(plain, said.splitlines()))
