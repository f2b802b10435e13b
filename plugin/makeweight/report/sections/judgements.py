"""The budget, rule by rule."""

from __future__ import annotations

from typing import Any

from makeweight.report import prose
from makeweight.report.content import Content
from makeweight.report.standing import SIGNS, WORDS, blocking, named, subject, waived


def judgement(content: Content, variant: str) -> tuple[str, list[dict[str, Any]]]:
    own = next(each for each in content.verdict.variants if each.variant == variant)
    judged = [
        {
            "rule": rule,
            "name": subject(rule),
            "limit": "" if rule.limit is None else rule.limit_text,
            "symbol": SIGNS[rule.verdict],
            "word": WORDS[rule.verdict],
            "sentence": prose.sentence(rule.sentence),
            "waiver": prose.sentence(rule.waiver) if rule.waiver is not None else "",
        }
        for rule in content.verdict.of(variant)
    ]
    held_up = blocking(content.verdict, variant)
    shown = f"{WORDS[own.verdict]}{': ' + ', '.join(named(rule) for rule in held_up) if held_up else ''}"
    let_through = waived(content.verdict, variant)
    shown += f"; waived: {', '.join(named(rule) for rule in let_through)}" if let_through else ""
    return shown, judged
