"""What is told of a decision: title, annotations, outputs. Pure; the texts themselves are the report's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from makeweight.ci.lines import Lines
from makeweight.decide.verdict import RECIPE, Outcome, RuleVerdict, Verdict
from makeweight.forge.annotation import Annotation, Level
from makeweight.forge.conclusion import Conclusion
from makeweight.layout import CONFIG, LOCK, PIPELINE
from makeweight.report import brief
from makeweight.report.content import Content
from makeweight.report.standing import HEADLINES, offences
from makeweight.report.standing import line as line_of
from makeweight.report.text import plain
from makeweight_base.errors import Problem

CONCLUSIONS: Mapping[Outcome, Conclusion] = {
    "pass": "success",
    "fail": "failure",
    # not `neutral`: GitHub lets a required check that is neutral through
    "inconclusive": "action_required",
    "not_applicable": "success",
}
_MOST = 50
"""Annotations that GitHub shows of one job."""
_LONGEST = 4000


def title(verdict: Verdict) -> str:
    """The check's one line, without markup."""
    return plain(f"{HEADLINES[verdict.verdict]}: {verdict.sentence}").replace("`", "")[:250]


def marks(verdict: Verdict, lines: Lines) -> list[Annotation]:
    """One annotation for each line of makeweight.yaml whose rule is broken or open; the worst first."""
    gathered: dict[tuple[int, str], list[RuleVerdict]] = {}
    for rule in reversed(offences(verdict)):
        gathered.setdefault((_line(rule, lines), rule.rule), []).append(rule)
    annotations = []
    for (line, name), rules in gathered.items():
        told = [plain(each) for rule in rules for each in line_of(rule).splitlines()]
        message = "\n".join(told).replace("`", "")
        annotations.append(Annotation(lines.path, line, _level(rules), _headline(name, rules), message[:_LONGEST]))
    order = ("failure", "warning", "notice")
    return sorted(annotations, key=lambda each: order.index(each.level))[:_MOST]


def _line(rule: RuleVerdict, lines: Lines) -> int:
    if rule.rule in lines.rules:
        return lines.rules[rule.rule]
    # what holds without being declared is about the variant; a rule that only the base has, about the budget
    return lines.variants.get(rule.variant, 1) if rule.limit is None else lines.budget


def _level(rules: list[RuleVerdict]) -> Level:
    if any(rule.blocks and rule.verdict == "fail" for rule in rules):
        return "failure"
    return "warning" if any(rule.blocks for rule in rules) else "notice"


def _headline(name: str, rules: list[RuleVerdict]) -> str:
    word = {"failure": "is broken", "warning": "is undecided", "notice": "warns"}[_level(rules)]
    if all(rule.waiver is not None for rule in rules):
        word = "is waived"
    return plain(f"{'the recipe' if name == RECIPE else name} {word}")


def problems(places: Iterable[Problem], prefix: str) -> list[Annotation]:
    """Annotations of an error's own places in the files of this commit, not in those of the base.

    Args:
        prefix: where the project lies in the repository.
    """
    return [
        Annotation(prefix + each.source, each.line, "failure", "makeweight could not judge this", each.what)
        for each in places
        if each.source in (CONFIG, PIPELINE, LOCK) and each.line is not None
    ][:_MOST]


def outputs(content: Content, report: str, verdict_json: str, comment: str) -> dict[str, str]:
    """The outputs of the Action."""
    verdict, known = content.verdict, brief.of(content.verdict)
    return {
        "verdict": verdict.verdict,
        "report-path": report,
        "verdict-json": verdict_json,
        "shipped-variant": verdict.ship or "",
        "size-ratio": _ratio(known.size_ratio),
        "latency-ratio": _ratio(known.latency_ratio),
        "comment-written": comment,
    }


def _ratio(value: float | None) -> str:
    """Empty when it is not known."""
    return "" if value is None else f"{value:.4g}"
