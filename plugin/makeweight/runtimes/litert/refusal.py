"""Why LiteRT would not take a file, in terms of the user's file."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager
from pathlib import Path

from makeweight.artifact import kind
from makeweight.runtimes import environment
from makeweight_base.errors import UsageError
from makeweight_probe.flatbuffer import Damaged

WANTED = "a LiteRT file"
# What an error says, what that means of the file (its `op` is what the first group of the pattern found), and what to
# do. The first that fits counts.
_MEANINGS = (
    (
        r"Didn't find op for builtin opcode '(\w+)'",
        "the file is newer than this LiteRT, which does not know its operator `{op}` in that version",
        "Upgrade ai-edge-litert, or convert the model with an older exporter.",
    ),
    (
        r"Encountered unresolved custom op: (\w+)",
        "LiteRT does not know the operator `{op}` that the model uses",
        "Convert the model without TensorFlow's own operators (no SELECT_TF_OPS) and without custom ones.",
    ),
)


def translated(path: Path) -> AbstractContextManager[None]:
    """Turn what LiteRT raises about a model file into a UsageError that names the file.

    Raises:
        UsageError: the file is missing, damaged, no LiteRT file at all, too new, or holds an operator it does not know.
        OSError, MemoryError: the machine failed, not the file.
    """
    return environment.translated(lambda error: _usage_error(error, path), UsageError)


def reason(error: BaseException) -> str:
    """What an error says, on one line."""
    return " ".join(str(error).split()) or type(error).__name__


def _usage_error(error: Exception, path: Path) -> UsageError:
    text, where = str(error), str(path)
    for pattern, what, do in _MEANINGS:
        if match := re.search(pattern, text):
            return UsageError(what.format(op=match[1]), where=where, do=do)
    if isinstance(error, Damaged) or "not a valid Flatbuffer" in text or "mmap of size" in text:
        return kind.misread(path, "tflite", WANTED)
    return UsageError(f"LiteRT cannot load the model: {reason(error)}", where=where)
