"""Where two readers of one YAML file part ways: YAML 1.1, as it is read here, and YAML 1.2, as DVC reads it.

The differences are those of the types that a plain scalar resolves to (yaml.org/type for 1.1; chapter 10 of the YAML
1.2.2 specification for 1.2, with the underscores and binary numbers that ruamel.yaml adds), of explicit tags, and of
what ends a line. Where it is not certain that both read the same, it is an objection.
"""

from __future__ import annotations

import re

_TAG = "tag:yaml.org,2002:"
ODD = "an invisible character is a line break here, or nothing, to some readers only; write the line anew"
"""What is said of `odd_break`."""
_ODD = frozenset("\x85\u2028\u2029\ufeff")
# Of what 1.1 takes for a number or a truth value, the forms that are the same in 1.2: no octal, no base 60, no `yes`.
_ALIKE = {
    "bool": re.compile(r"true|True|TRUE|false|False|FALSE"),
    "int": re.compile(r"[-+]?(0+|[1-9][0-9_]*|0b[01_]+|0x[0-9a-fA-F_]+)"),
    "float": re.compile(r"[^:]*"),
    "null": re.compile(r"~|null|Null|NULL|"),
    "merge": re.compile(r"<<"),
}
# What 1.1 takes for a text and 1.2 for a number: `0o10`, `08`, `1e3`, `-.5`.
_NUMBER = re.compile(r"[-+]?(0o[0-7_]+|([0-9][0-9_]*(\.[0-9_]*)?|\.[0-9_]+)([eE][-+]?[0-9]+)?)")
_INSTEAD = {
    "bool": "write `true` or `false`, or quote it",
    "int": "write a decimal number without a leading zero, or quote it",
    "float": "write a decimal number, or quote it",
    "str": "write a number in plain decimals (`8`, `0.5`, `1000`), or quote it",
}


def odd_break(text: str) -> int | None:
    """The first line (from 1) with a character that ends a line, and a comment, in YAML 1.1 and not in 1.2; or with a
    byte order mark that does not begin the text: at the start of a line some readers pass over it."""
    lines = text.removeprefix("\ufeff").split("\n")
    return next((number for number, line in enumerate(lines, 1) if _ODD & set(line)), None)


def objection(tag: str, text: str, *, plain: bool, implicit: str) -> str | None:
    """Why a scalar may be one value here and another to DVC, and what to write instead; None when both agree.

    Args:
        tag: what it was resolved to here.
        plain: it stands without quotes and is no block.
        implicit: what it would be resolved to without a tag of its own.
    """
    if tag != implicit:
        return f"`!{tag.removeprefix(_TAG)}` is a tag, which DVC may read in another way; write the plain value"
    kind = tag.removeprefix(_TAG)
    if not plain or (kind == "str" and not _NUMBER.fullmatch(text)):
        return None
    if kind in _ALIKE and _ALIKE[kind].fullmatch(text):
        return None
    instead = _INSTEAD.get(kind, "quote it")
    return f"`{text}` is one value in YAML 1.1, as it is read here, and another in YAML 1.2, as DVC reads it; {instead}"


def refusal(text: str) -> str | None:
    """Why DVC refuses a file with a plain scalar within `{}` or `[]`, and what to write instead; None: it does not.

    It reads by LibYAML where ruamel.yaml.clib is installed, as it is with some versions of ruamel.yaml and not with
    others. There a colon in such a scalar is an error, as YAML 1.1 has it: https://yaml.org/spec/1.1/#id907281.
    """
    if ":" not in text:
        return None
    return f'`{text}` has a colon and stands in braces or brackets, where many a DVC refuses it; quote it: `"{text}"`'
