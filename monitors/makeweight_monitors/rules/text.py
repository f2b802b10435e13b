"""Rules as the YAML that Prometheus reads and people do: expressions as blocks, sentences folded. Deterministic."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from makeweight_monitors.rules.rule import Alert, Group, Recording, Rule

_WIDTH = 110


def render(groups: Iterable[Group], heading: Iterable[str], runbooks: str) -> str:
    """The text of a file of rules; `heading` becomes comments, `runbooks` the page that alerts point at."""
    lines = [f"# {line}".rstrip() for line in heading]
    lines.append("groups:")
    for group in groups:
        lines.append(f"  - name: {group.name}")
        if group.interval is not None:
            lines.append(f"    interval: {group.interval}")
        lines.append("    rules:")
        for rule in group.rules:
            lines += [f"      {line}" if line else "" for line in _rule(rule, runbooks)]
    return "\n".join(lines) + "\n"


def runbook(runbooks: str, alert: str) -> str:
    """The address of an alert's section; headings become anchors in lower case."""
    return f"{runbooks}#{alert.lower()}" if not urlsplit(runbooks).fragment else runbooks


def _rule(rule: Rule, runbooks: str) -> Iterable[str]:
    if isinstance(rule, Recording):
        yield f"- record: {rule.record}"
        yield from _expression(rule.expression)
        yield from _mapping("labels", rule.labels)
        return
    yield f"- alert: {rule.name}"
    yield from _expression(rule.expression)
    if rule.hold != "0s":
        yield f"  for: {rule.hold}"
    yield from _mapping("labels", labels_of(rule))
    yield from _mapping(
        "annotations",
        {
            "summary": rule.summary,
            "description": rule.description,
            "runbook_url": runbook(runbooks, rule.name),
        },
    )


def labels_of(alert: Alert) -> dict[str, str]:
    """What an alert bears besides the labels of its series."""
    return {"severity": alert.severity, "kind": alert.kind, **alert.labels}


def _expression(text: str) -> Iterable[str]:
    if "\n" not in text and len(text) <= _WIDTH:
        yield f"  expr: {scalar(text)}"
        return
    yield "  expr: |-"
    for line in text.splitlines():
        yield f"    {line}"


def _mapping(name: str, content: Mapping[str, str]) -> Iterable[str]:
    if content:
        yield f"  {name}:"
    for key, value in content.items():
        if len(value) <= _WIDTH - 15 or value != " ".join(value.split()):
            yield f"    {key}: {scalar(value)}"
            continue
        yield f"    {key}: >-"
        for line in textwrap.wrap(value, _WIDTH - 6, break_long_words=False, break_on_hyphens=False):
            yield f"      {line}"


def scalar(text: str) -> str:
    """A text as YAML: as it is where that is one, else quoted as JSON, which is YAML too."""
    import yaml

    plain = text and not set(text) & set("{}[]#&*!|>'\"%@`\\\n") and ": " not in text
    if plain:
        try:
            if yaml.safe_load(f"k: {text}") == {"k": text}:
                return text
        except yaml.YAMLError:
            pass
    return "'" + text.replace("'", "''") + "'" if text.isprintable() else json.dumps(text)
