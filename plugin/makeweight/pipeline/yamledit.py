"""Edits of a YAML text that leave every other byte of it as it was.

A round trip through a parser rewraps, requotes and reindents what people wrote. ruamel.yaml, which keeps comments, does
so too: of 300 generated files in block style 102 came back to the byte, with the best of its indents. So the text is
composed only to find where things stand, new text is put in between, and the result is read back: an edit whose result
does not say exactly what it should is refused, and nothing is changed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import yaml

from makeweight_base import yamlversions
from makeweight_base.errors import ConfigError, Problem, UsageError
from makeweight_base.yamlfile import Path, composed, composed_for_data, parse

_STR = "tag:yaml.org,2002:str"
_COMMENT = re.compile(r"( *)#.*(?:\n|$)")
_NOTE = re.compile(r"[ \t]+#[^\r\n]*")


def put(text: str, path: Path, value: Any, *, source: str, above: Sequence[str] = ()) -> str:
    """The text with `value` at `path`; what lies there is replaced, what is missing on the way is made.

    A text in `path` is a key, a number an index: that of an item to replace, or the list's length to append one.
    `above` are lines of comment that go above a new block entry (an empty one stays empty). In block style new
    entries get two spaces a level and the line endings of the text; in flow style they are written as JSON.

    Raises:
        UsageError: the text has a shape that this cannot edit safely (an alias on the way, a document end marker).
    """
    return _put(text, path, value, {}, source, above)


def put_each(text: str, path: Path, values: Mapping[str, Any], *, source: str, above: Sequence[str] = ()) -> str:
    """The text with new entries in the mapping at `path`, made where it is missing: as by one `put` after the other,
    and read back twice in all. `above` is for the first; in block style the others stand below an empty line.

    Raises:
        UsageError: see `put`.
    """
    first, *rest = values
    begun = put(text, (*path, first), values[first], source=source, above=above)
    if not rest:
        return begun
    name, *others = rest
    return _put(begun, (*path, name), values[name], {other: values[other] for other in others}, source, ("",))


def _put(text: str, path: Path, value: Any, others: Mapping[str, Any], source: str, above: Sequence[str]) -> str:
    """As `put`, with `others` as well, where that is a new entry of a mapping that is there."""
    try:
        node, before = _read(text)
        edited = _edit(text, node, path, value, others, source, above)
        wanted = _data_put(before, path, value)
        for name, other in others.items():
            wanted = _data_put(wanted, (*path[:-1], name), other)
        reached = _read(edited)[1] == wanted
    except yaml.YAMLError:
        reached = False
    if not reached:
        raise _refusal(source, parse(text, source).line(path), path)
    return edited


@lru_cache(maxsize=2)  # of several edits each begins with what the one before has read
def _read(text: str) -> tuple[yaml.Node | None, Any]:
    """Where things stand in a text, and what it says; neither is to be changed."""
    root = composed_for_data(text)
    return composed(text), None if root is None else yaml.SafeLoader("").construct_document(root)


def dump(value: Any) -> str:
    """A value in block style: two spaces a level, items indented below their key, long lines left whole."""
    return f"{_dumped(value, in_flow=False)}\n"


def flow(value: Any) -> str:
    """A value on one line, quoted where it must be."""
    return _dumped(value, in_flow=True)


def _dumped(value: Any, *, in_flow: bool) -> str:
    written: str = yaml.dump(
        value, Dumper=_Dumper, default_flow_style=in_flow, sort_keys=False, allow_unicode=True, width=2**20
    )
    # behind a scalar alone stands a line of dots, which ends the document; a text may end in dots of its own
    return written.removesuffix("\n").removesuffix("\n...")


class _Dumper(yaml.SafeDumper):
    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    """In quotes where DVC would read a number (`08`, `1e3`), besides where PyYAML itself would not read the text."""
    other = yamlversions.objection(_STR, text, plain=True, implicit=_STR) is not None
    return dumper.represent_scalar(_STR, text, style="'" if other else None)


_Dumper.add_representer(str, _text)


def _data_put(data: Any, path: Path, value: Any) -> Any:
    """The same edit on plain data: what the edited text has to say."""
    if not path:
        return value
    part, rest = path[0], path[1:]
    if isinstance(part, str):
        mapping = dict(data or {})
        mapping[part] = _data_put(mapping.get(part), rest, value)
        return mapping
    items = list(data or [])
    if part == len(items):
        items.append(None)
    items[part] = _data_put(items[part], rest, value)
    return items


def _edit(
    text: str,
    node: yaml.Node | None,
    path: Path,
    value: Any,
    others: Mapping[str, Any],
    source: str,
    above: Sequence[str],
) -> str:
    if node is None:
        return _inserted(text, len(text), _block(_nest(path, value), 0, _newline(text), above))
    in_flow = False
    for depth, part in enumerate(path):
        in_flow = in_flow or _is_flow(node)
        rest = path[depth + 1 :]
        if isinstance(node, yaml.MappingNode) and isinstance(part, str):
            found = next((entry for entry in node.value if entry[0].value == part), None)
            if found is None:
                return _grown(text, node, {part: _nest(rest, value), **others}, in_flow, above, depth == 0)
            key, child = found
            if child.start_mark.index < key.end_mark.index:  # an alias: its node stands where its anchor is
                raise _refusal(source, key.start_mark.line + 1, path)
            if not rest or _is_empty(child):
                return _replaced(text, (key, child), _nest(rest, value), in_flow)
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            if part == len(node.value):
                return _grown(text, node, [_nest(rest, value)], in_flow, above, depth == 0)
            child = node.value[part]
            if not rest:
                return _replaced(text, (None, child), value, in_flow)
        else:
            raise _refusal(source, node.start_mark.line + 1, path)
        node = child
    raise _refusal(source, node.start_mark.line + 1, path)


def _nest(path: Path, value: Any) -> Any:
    for part in reversed(path):
        value = {part: value} if isinstance(part, str) else [value]
    return value


def _is_flow(node: yaml.Node) -> bool:
    return isinstance(node, yaml.CollectionNode) and bool(node.flow_style)


def _is_empty(node: yaml.Node) -> bool:
    if isinstance(node, yaml.ScalarNode):
        return bool(node.tag == "tag:yaml.org,2002:null")
    return not node.value


def _grown(
    text: str, node: yaml.Node, new: dict[str, Any] | list[Any], in_flow: bool, above: Sequence[str], whole: bool
) -> str:
    """The text with more at the end of a collection (`whole`: of the file): in block style, `above` over each entry."""
    if in_flow:
        inner = json.dumps(new, ensure_ascii=False)[1:-1]
        if not node.value:
            return text[: node.end_mark.index - 1] + inner + text[node.end_mark.index - 1 :]
        at = _end(text, _last(node))
        return f"{text[:at]}, {inner}{text[at:]}"
    first = node.value[0][0] if isinstance(node, yaml.MappingNode) else None
    column = first.start_mark.column if first is not None else node.start_mark.column
    at = len(text) if whole else _after_line(text, _end(text, node))
    # comments right below the last entry and as deep as it belong to it; at the left margin they may belong to the next
    while column and (match := _COMMENT.match(text, at)) and len(match[1]) >= column:
        at = match.end()
    entries = [{key: value} for key, value in new.items()] if isinstance(new, dict) else [new]
    return _inserted(text, at, "".join(_block(each, column, _newline(text), above) for each in entries))


def _replaced(text: str, entry: tuple[yaml.Node | None, yaml.Node], value: Any, in_flow: bool) -> str:
    """The text with one entry's value exchanged; comments within the old value go with it."""
    key, old = entry
    end = _end(text, old)
    if in_flow:
        return text[: old.start_mark.index] + json.dumps(value, ensure_ascii=False) + text[end:]
    begin = key or old
    new = _block(value if key is None else {key.value: value}, begin.start_mark.column, _newline(text), ())
    head, break_, tail = new.lstrip(" ").rstrip("\r\n").partition(_newline(text))
    # a comment behind `key:` stays behind it, also when what follows now takes many lines
    note = _NOTE.match(text, end) if begin.start_mark.line == old.end_mark.line else None
    behind = note[0] if note else ""
    return text[: begin.start_mark.index] + head + behind + break_ + tail + text[end + len(behind) :]


def _block(value: Any, column: int, newline: str, above: Sequence[str]) -> str:
    """Whole lines in block style, indented by `column`."""
    lines = [*(f"# {line}" if line else "" for line in above), *dump(value).splitlines()]
    return "".join(f"{' ' * column}{line}".rstrip() + newline for line in lines)


def _inserted(text: str, at: int, lines: str) -> str:
    gap = _newline(text) if at and text[at - 1] != "\n" else ""
    return text[:at] + gap + lines + text[at:]


def _end(text: str, node: yaml.Node) -> int:
    """Where a node's own text ends. A block collection's mark lies behind the comments that follow it."""
    if isinstance(node, yaml.ScalarNode):
        if node.style in ("|", ">"):
            header = text[node.start_mark.index : node.end_mark.index].partition("\n")[0]
            keeps = "+" in header.partition("#")[0]
            return int(node.end_mark.index) if keeps else len(text[: node.end_mark.index].rstrip())
        return int(node.end_mark.index)
    if _is_flow(node) or not node.value:
        return int(node.end_mark.index)
    last = _last(node)
    if isinstance(node, yaml.MappingNode):
        is_alias = last.start_mark.index < node.value[-1][0].end_mark.index
    else:
        is_alias = any(last.start_mark.index <= item.start_mark.index for item in node.value[:-1])
    if not is_alias:
        return _end(text, last)
    behind = text[: node.end_mark.index].rstrip()
    while (line := behind[behind.rfind("\n") + 1 :]).lstrip().startswith("#"):
        behind = behind[: len(behind) - len(line)].rstrip()
    return len(behind)


def _last(node: yaml.Node) -> yaml.Node:
    last: yaml.Node = node.value[-1][1] if isinstance(node, yaml.MappingNode) else node.value[-1]
    return last


def _after_line(text: str, at: int) -> int:
    """The start of the line below `at`; `at` itself when it begins a line."""
    if at and text[at - 1] == "\n":
        return at
    found = text.find("\n", at)
    return len(text) if found < 0 else found + 1


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _refusal(source: str, line: int, path: Path) -> UsageError:
    return ConfigError(
        [Problem(source, line, f"`{'.'.join(map(str, path))}` cannot be put here without touching what is yours")],
        do="Write the part around it in plain block style (no alias, no document markers), then run again.",
    )
