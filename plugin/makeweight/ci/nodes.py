"""YAML that others wrote, compared without being believed: as it is written, and as DVC means it.

DVC reads YAML 1.2 and makeweight 1.1, and of some words (`010`, `on`) they make different things. So what two commits
say is the same only where it is written the same; and what DVC wrote into its lock is read as DVC would.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import Any

import yaml

from makeweight_base import yamlfile

_MOST = 100_000
"""Nodes of one file, anchors unfolded."""
_KEPT = 1024
"""Files whose nodes are kept, as there may be many of .dvc."""
_NULL = re.compile(r"~|null|Null|NULL|")
_TRUE, _FALSE = re.compile("true|True|TRUE"), re.compile("false|False|FALSE")
_WHOLE = re.compile(r"[-+]?[0-9][0-9_]*|0o[0-7_]+|0x[0-9a-fA-F_]+|0b[01_]+")
_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9]+)?")
# A word that every reader takes for text, quoted or not.
_TEXT = re.compile(
    r"(?!(?:true|false|null|yes|no|on|off|y|n)$)[A-Za-z_][\w ./+-]*(:[A-Za-z_][\w./+-]*)?", re.IGNORECASE | re.ASCII
)


@functools.lru_cache(maxsize=_KEPT)
def compose(content: bytes) -> yaml.Node | None:
    """The nodes of one document, which nobody may alter; None for an empty one.

    Two commits hold most files alike and each phase reads them again, so what was read is kept.

    Raises:
        ValueError: it is no YAML, or unfolds without end.
    """
    try:
        # not by the parser in C: it ends tags elsewhere than other readers, passes over a byte order mark that begins
        # any line, and tells what is quoted from what is not in a way of its own
        root = yamlfile.composed(content.decode())
        for count, _ in enumerate(_unfolded(root)):
            if count > _MOST:
                raise ValueError("it unfolds without end")
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(f"it is no YAML: {str(error).splitlines()[0]}") from error
    return root


def _unfolded(root: yaml.Node | None) -> Iterator[None]:
    if isinstance(root, yaml.MappingNode):
        for key, value in root.value:
            yield from _unfolded(key)
            yield from _unfolded(value)
    elif isinstance(root, yaml.SequenceNode):
        for item in root.value:
            yield from _unfolded(item)
    yield None


def at(node: yaml.Node | None, *keys: str) -> yaml.Node | None:
    """What stands below keys; None where there is none."""
    for key in keys:
        node = next((value for name, value in pairs(node) if name == key), None)
    return node


def pairs(node: yaml.Node | None) -> list[tuple[str, yaml.Node]]:
    """The keys of a mapping, each with what stands below it; behind its own those that it takes from others by `<<`,
    which DVC and makeweight read alike."""
    if not isinstance(node, yaml.MappingNode):
        return []
    found = [(str(key.value), value) for key, value in node.value if key.tag != yamlfile.MERGE]
    known = {key for key, _ in found}
    for others in (value for key, value in node.value if key.tag == yamlfile.MERGE):
        for other in others.value if isinstance(others, yaml.SequenceNode) else [others]:
            more = [(key, value) for key, value in pairs(other) if key not in known]
            found += more
            known |= {key for key, _ in more}
    return found


def written(node: yaml.Node | None, *, without: frozenset[str] = frozenset()) -> object:
    """As it is written, formatting aside: equal for two nodes only where every reader takes them for the same.

    Args:
        without: keys that count for nothing, on the first level.
    """
    if isinstance(node, yaml.MappingNode):
        # in order: a foreach runs in it, and a reader may take the first or the last of two equal keys
        return ("mapping", *((written(k), written(v)) for k, v in node.value if k.value not in without))
    if isinstance(node, yaml.SequenceNode):
        return ("sequence", *map(written, node.value))
    if not isinstance(node, yaml.ScalarNode):
        return None
    plain = node.style is None and not _TEXT.fullmatch(node.value)
    return (node.tag if plain else "text", node.value, plain)


def texts(node: yaml.Node | None) -> Any:
    """As plain data in which every scalar is the text that is written there."""
    if isinstance(node, yaml.MappingNode):
        return {key: texts(value) for key, value in pairs(node)}
    if isinstance(node, yaml.SequenceNode):
        return [texts(item) for item in node.value]
    return None if node is None else node.value


def meant(node: yaml.Node | None) -> Any:
    """As plain data in which two scalars are equal where DVC, which reads YAML 1.2, takes them for equal."""
    if isinstance(node, yaml.MappingNode):
        return {key: meant(value) for key, value in pairs(node)}
    if isinstance(node, yaml.SequenceNode):
        return [meant(item) for item in node.value]
    if not isinstance(node, yaml.ScalarNode):
        return None
    text = str(node.value)
    if node.style is not None:
        return text
    if _NULL.fullmatch(text):
        return None
    if _TRUE.fullmatch(text) or _FALSE.fullmatch(text):
        return bool(_TRUE.fullmatch(text))
    if not _WHOLE.fullmatch(text):
        return float(text.replace("_", "")) if _NUMBER.fullmatch(text) else text
    bare = text.replace("_", "")
    try:
        return int(bare, 0) if bare[:2] in ("0o", "0x", "0b") else int(bare)
    except ValueError:  # no number to DVC either: `0x_`, or one of thousands of digits
        return text
