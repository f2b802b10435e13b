"""What a stage of makeweight's names in dvc.yaml, which an entry of dvc.lock has to have noted.

An entry that lacks a dependency says nothing of it, and anybody who may push can write one.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import yaml

from makeweight.ci import nodes
from makeweight.layout import CONFIG

_KEY, _ESCAPED, _ASIDE = "${key}", "\\${", "\0"


@dataclass(frozen=True)
class Names:
    """Paths, and keys of makeweight.yaml."""

    dependencies: frozenset[str]
    parameters: frozenset[str]
    outputs: frozenset[str]


def of(pipeline: yaml.Node | None, stage: str) -> Names:
    """What a stage (`baseline`, `compress@int8`) names; nothing where there is none.

    What is templated with more than the variant's name is left out, as only DVC knows what that is.
    """
    kind, _, key = stage.partition("@")
    whole = nodes.at(pipeline, "stages", kind)
    body = nodes.at(whole, "do") or whole

    def plain(part: str) -> Iterable[str]:
        for text in _names(nodes.texts(nodes.at(body, part))):
            resolved = text.replace(_ESCAPED, _ASIDE).replace(_KEY, key)
            if "${" not in resolved:
                yield resolved.replace(_ASIDE, "${")

    def paths(*parts: str) -> frozenset[str]:
        return frozenset(posixpath.normpath(path) for part in parts for path in plain(part))

    params = _listed(nodes.texts(nodes.at(body, "params")))
    asked = [each.get(CONFIG) for each in params if isinstance(each, dict)]
    keys = frozenset(text.replace(_KEY, key) for names in asked for text in _listed(names) if isinstance(text, str))
    return Names(paths("deps"), keys, paths("outs", "metrics"))


def _names(listed: Any) -> Iterable[str]:
    """Each is a text, or a mapping of one to what else is said of it."""
    for each in _listed(listed):
        yield from [each] if isinstance(each, str) else each if isinstance(each, dict) else []


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
