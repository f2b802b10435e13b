"""YAML with line numbers: one load gives the data and, for every path in it, the line it stands on."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from yaml.reader import ReaderError

from makeweight_base import yamlversions
from makeweight_base.errors import ConfigError, Problem

Path = tuple[str | int, ...]


MERGE = "tag:yaml.org,2002:merge"
"""The tag of `<<`, which merges another mapping into this one."""
_KEYS = frozenset({"tag:yaml.org,2002:str", MERGE})

_MOST_ENTRIES = 100_000

_KEPT = 32
"""Texts whose nodes are kept."""
_ALTERED = re.compile(r"<<|!|(?:^|[\s,\[{?\ufeff])=(?:[\s,:\]}]|$)")

_UNSPACED = "a key stands here without its colon, or without the space behind that"
_KEY_UNSPACED = re.compile(r"\s*(?:- +)*[\w-]+:[^\s/]")
"""A line that YAML takes for a text, and goes on with it to the next."""
_MEANT = (
    (r"found character '\\t'", "a tab stands here, where YAML takes spaces alone; indent with spaces"),
    (r"<block end>.*found '<scalar>'", "more stands behind what ends with a quote or a bracket; quote all of it"),
    (
        r"<block end>",
        "this line is indented otherwise than those beside it; what belongs together begins in one column",
    ),
    (r"could not find expected ':'", _UNSPACED),
    (r"mapping values are not allowed", "a second colon; indent what belongs below the line above, or quote the text"),
    (r"quoted scalar .*unexpected end", "the quote that begins here is not closed"),
    (
        r"parsing a flow (mapping|sequence)|flow node .*<stream end>",
        "the bracket that begins here is not closed, or a comma is missing",
    ),
    (r"flow node .*found ','", "no value stands before this comma"),
    (r"block node .*found '[\]}]'", "a bracket ends here that does not begin"),
    (r"cannot start any token", "no text begins with such a sign; quote it"),
    (r"unknown escape character", "a backslash in double quotes stands for another sign; use single quotes"),
)
"""What the parser's words mean where people mistype; the first that is found in them counts."""
_AT_THE_BEGINNING = re.compile(r"could not find expected ':'|parsing a flow|quoted scalar")
"""Where the mistake is where the parser began to read the thing, and not where it gave up."""


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, which forgets to say where when a value cannot be what it looks like."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError, ArithmeticError, AttributeError) as error:
            said = f"`{node.value}` cannot be read ({error}); quote it if it is meant as text"
            raise yaml.constructor.ConstructorError(None, None, said, node.start_mark) from error


@dataclass(frozen=True)
class Document:
    """A parsed file: plain data, its text's lines, and where each key and item begins (1-based)."""

    source: str
    data: Any
    text: list[str]
    lines: dict[Path, int]
    unquoted: tuple[Path, ...] = ()
    """Keys that YAML reads as something other than text: numbers, `on`, `no`, dates."""
    ambiguous: tuple[tuple[Path, str], ...] = ()
    """What DVC may read as something else, and why; see `yamlversions`."""
    refused: tuple[tuple[Path, str], ...] = ()
    """What many a DVC does not read at all, and why; see `yamlversions`."""

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

    def problem(self, path: Sequence[str | int], message: str) -> Problem:
        """`message` with its place and the offending line."""
        number = self.line(path)
        quoted = self.text[number - 1].rstrip() if number <= len(self.text) else ""
        return Problem(self.source, number, message, quoted)


def _composed(text: str) -> yaml.Node | None:
    root: yaml.Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
    return root


@functools.lru_cache(maxsize=_KEPT)
def composed(text: str) -> yaml.Node | None:
    """The nodes of one document, which nobody may alter; None for an empty one.

    Finding them is most of what it takes to read a file, and a process may look at one several times: for its data and
    for what is written there, at two commits that hold it alike.

    Raises:
        yaml.YAMLError: it is no YAML, or more than one document.
        RecursionError: it is nested too deeply.
    """
    return _composed(text)


def composed_for_data(text: str) -> yaml.Node | None:
    """As `composed`, of which data may be made: of a text whose nodes that alters, others than those that are kept.

    `<<` fills a mapping up with others, as what has its tag does, and a key `=` loses its tag.
    """
    return _composed(text) if _ALTERED.search(text) else composed(text)


def parse(text: str, source: str) -> Document:
    """Parse one YAML document of plain data.

    Raises:
        ConfigError: not YAML, more than one document, a value that is not what it looks like (the 31st of June), or
            a key given twice.
    """
    lines: dict[Path, int] = {}
    unquoted: list[Path] = []
    ambiguous: list[tuple[Path, str]] = []
    refused: list[tuple[Path, str]] = []
    met: set[int] = set()
    loader = _Loader("")
    problems: list[Problem] = []
    rows = text.splitlines()

    def quote(number: int, message: str) -> Problem:
        return Document(source, None, rows, {(): number}).problem((), message)

    def note(node: yaml.Node, path: Path, in_flow: bool) -> None:
        value = node.value if isinstance(node, yaml.ScalarNode) else ""
        plain = isinstance(node, yaml.ScalarNode) and node.style is None
        implicit = str(loader.resolve(type(node), value, (plain, not plain)))  # type: ignore[no-untyped-call]
        said = yamlversions.objection(node.tag, value, plain=plain, implicit=implicit)
        if said is not None:
            ambiguous.append((path, said))
        # what an alias names stands where its anchor is
        if plain and in_flow and id(node) not in met and (said := yamlversions.refusal(value)) is not None:
            refused.append((path, said))
        met.add(id(node))

    def walk(node: yaml.Node, path: Path, in_flow: bool = False) -> None:
        lines.setdefault(path, node.start_mark.line + 1)
        note(node, path, in_flow)
        in_flow = in_flow or (isinstance(node, yaml.CollectionNode) and bool(node.flow_style))
        if len(lines) > _MOST_ENTRIES:  # a few anchors that name each other unfold without end
            raise ConfigError([quote(node.start_mark.line + 1, f"the file unfolds to over {_MOST_ENTRIES:,} entries")])
        if isinstance(node, yaml.MappingNode):
            seen: dict[str, int] = {}
            for key_node, value_node in node.value:
                key, number = str(key_node.value), key_node.start_mark.line + 1
                if key in seen:
                    problems.append(quote(number, f"`{key}` is given twice; the first is on line {seen[key]}"))
                seen[key] = number
                lines[(*path, key)] = number
                if key_node.tag not in _KEYS:
                    unquoted.append((*path, key))
                else:
                    note(key_node, (*path, key), in_flow)
                walk(value_node, (*path, key), in_flow)
        elif isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                walk(item, (*path, index), in_flow)

    try:
        root = composed_for_data(text)
        if root is not None:
            walk(root, ())
        data = None if root is None else loader.construct_document(root)
    except yaml.MarkedYAMLError as error:
        said = " ".join(part for part in (error.context, error.problem) if part)
        marks = [mark for mark in (error.problem_mark, error.context_mark) if mark is not None]
        if _AT_THE_BEGINNING.search(said):
            marks.reverse()
        # what is never closed is found at the end of the file, and begins where there is something to see
        mark = next((mark for mark in marks if mark.line < len(rows)), None)
        number = mark.line + 1 if mark else max(1, len(rows))
        meant = next((words for pattern, words in _MEANT if re.search(pattern, said)), said)
        if "mapping values are not allowed" in said and number > 1 and _KEY_UNSPACED.match(rows[number - 2]):
            number, meant = number - 1, _UNSPACED
        raise ConfigError([quote(number, f"this is not YAML: {meant}")]) from error
    except ReaderError as error:
        number = text.count("\n", 0, error.position) + 1
        said = f"this is not YAML: an invisible character stands here (U+{error.character:04X}); write the line anew"
        raise ConfigError([Problem(source, number, said)]) from error
    except RecursionError as error:
        raise ConfigError([Problem(source, 1, "nested too deeply, or an anchor that holds itself")]) from error
    if problems:
        raise ConfigError(problems)
    return Document(source, data, rows, lines, tuple(unquoted), tuple(ambiguous), tuple(refused))
