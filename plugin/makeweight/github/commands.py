"""Lines of a log that the runner takes for commands, and lines that it must not take for any.

Source: docs.github.com, "Workflow commands for GitHub Actions"; the escapes are those that the runner undoes.
"""

from __future__ import annotations

import re

from makeweight.forge.annotation import Annotation, Level

_DATA = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_PROPERTY = {**_DATA, ":": "%3A", ",": "%2C"}
_LEVELS: dict[Level, str] = {"failure": "error", "warning": "warning", "notice": "notice"}
# A command stands at the start of a line after any white space; in its older form, anywhere.
_COMMAND = re.compile(r"^(\s*):(?=:)|##(?=\[)", re.MULTILINE)
_APART = "\N{ZERO WIDTH SPACE}"


def annotation(told: Annotation) -> str:
    """An annotation as a command. A runner shows at most ten of each level in a step, and fifty in a job."""
    place = {"file": told.path, "line": str(max(1, told.line)), "title": told.title}
    given = ",".join(f"{key}={_escape(value, _PROPERTY)}" for key, value in place.items() if value)
    return f"::{_LEVELS[told.level]} {given}::{_escape(told.message, _DATA)}"


def inert(text: str) -> str:
    """`text`, of any number of lines, such that none of them is a command; it reads the same."""
    return _COMMAND.sub(lambda found: f"{found[0]}{_APART}", "\n".join(re.split(r"\r\n|\r|\n", text)))


def _escape(text: str, escapes: dict[str, str]) -> str:
    return "".join(escapes.get(c, c) for c in text)
