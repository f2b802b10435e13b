"""GitHub's description of its REST API, reduced to the calls that are made: the whole takes Prism minutes to read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any


def reduce(description: Path, paths: Iterable[str], to: Path, *, answers: bool = True) -> None:
    """Write the part of an OpenAPI description that `paths` need, with what the answers hold or without.

    Raises:
        KeyError: it has no such path.
    """
    whole: dict[str, Any] = json.loads(description.read_text())
    part = {key: whole[key] for key in ("openapi", "info", "servers")}
    part["paths"] = {path: whole["paths"][path] for path in paths}
    if not answers:
        for operation in _operations(part["paths"]):
            operation["responses"] = {code: {"description": ""} for code in operation["responses"]}
    part["components"] = {}
    left = [part["paths"]]
    while left:
        for reference in _references(left.pop()):
            _, _, kind, name = reference.split("/")
            name = name.replace("~1", "/").replace("~0", "~")
            kept = part["components"].setdefault(kind, {})
            if name not in kept:
                kept[name] = whole["components"][kind][name]
                left.append(kept[name])
    to.write_text(json.dumps(part))


def _operations(paths: dict[str, dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for methods in paths.values():
        yield from (each for each in methods.values() if isinstance(each, dict) and "responses" in each)


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)
