"""YAML with line numbers: one load gives the data and, for every path in it, the line it stands on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from makeweight.errors import ConfigError

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Document:
    """A parsed file: plain data, its text's lines, and where each key and item begins (1-based)."""

    source: str
    data: Any
    text: list[str]
    lines: dict[Path, int]

    def line(self, path: Sequence[str | int]) -> int:
        """The line of the deepest part of `path` that the file holds.

        Components that are not in the file (the index that a validator adds, a key that is missing) are
        passed over, so an error always points at the nearest thing that the reader can see.
        """
        found: Path = ()
        for part in path:
            if (*found, part) in self.lines:
                found = (*found, part)
        return self.lines.get(found, 1)

    def problem(self, path: Sequence[str | int], message: str) -> str:
        """`message` with its place in front and the offending line quoted below."""
        number = self.line(path)
        quoted = self.text[number - 1].rstrip() if number <= len(self.text) else ""
        return f"{self.source}:{number}: {message}" + (f"\n    {number} | {quoted}" if quoted else "")


def parse(text: str, source: str) -> Document:
    """Parse one YAML document of plain data.

    Raises:
        ConfigError: not YAML, more than one document, a key given twice, or a key that is no string.
    """
    lines: dict[Path, int] = {}
    problems: list[str] = []
    rows = text.splitlines()

    def quote(number: int, message: str) -> str:
        return Document(source, None, rows, {(): number}).problem((), message)

    def walk(node: yaml.Node, path: Path) -> None:
        lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            seen: dict[str, int] = {}
            for key_node, value_node in node.value:
                key, number = str(key_node.value), key_node.start_mark.line + 1
                if key in seen:
                    problems.append(quote(number, f"`{key}` is given twice; the first is on line {seen[key]}"))
                seen[key] = number
                lines[(*path, key)] = number
                walk(value_node, (*path, key))
        elif isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                walk(item, (*path, index))

    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        if root is not None:
            walk(root, ())
        data = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        number = mark.line + 1 if mark else 1
        said = " ".join(part for part in (error.context, error.problem) if part)
        raise ConfigError([quote(number, f"this is not YAML: {said}")]) from error
    except yaml.YAMLError as error:
        raise ConfigError([f"{source}:1: this is not YAML: {error}"]) from error
    except RecursionError as error:
        raise ConfigError([f"{source}:1: nested too deeply, or an anchor that holds itself"]) from error
    if problems:
        raise ConfigError(problems)
    return Document(source, data, rows, lines)
