"""The table of rules in docs/advice.md: `python benchmarks/advice/page.py` writes it anew from the rules."""

from __future__ import annotations

from pathlib import Path

from makeweight.advise import sentences
from makeweight.advise.rule import Rule, Source
from makeweight.advise.rules import RULES

PAGE = Path(__file__).resolve().parents[2] / "docs/advice.md"
HEADS = ("rule", "what it does", "when", "takes", "expected of what it reaches", "against it", "sources")


def page(text: str) -> str:
    """The page with its table as the rules are."""
    lines = text.splitlines()
    first = lines.index(_row(HEADS))
    end = next((at for at in range(first, len(lines)) if not lines[at].startswith("|")), len(lines))
    return "\n".join([*lines[:first], *_table(), *lines[end:]]) + "\n"


def _table() -> list[str]:
    return [_row(HEADS), _row(("---",) * len(HEADS)), *map(_told, RULES)]


def _told(rule: Rule) -> str:
    reaches = ", ".join(sentences.KINDS[kind] for kind in rule.reaches)
    left = "what pruning leaves of " if rule.narrows else ""
    effects = "; ".join(map(sentences.effect_told, rule.effects))
    sources = "; ".join(map(_linked, rule.sources))
    expected = f"{left}{reaches}: {effects}"
    return _row((f"`{rule.name}`", rule.does, sentences.ways_told(rule), rule.effort, expected, rule.against, sources))


def _linked(source: Source) -> str:
    url = source.url
    if not url.startswith("https://"):
        url = url.removeprefix("docs/") if url.startswith("docs/") else f"../{url}"
    return f"[{source.title}]({url})"


def _row(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
