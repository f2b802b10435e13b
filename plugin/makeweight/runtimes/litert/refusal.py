"""Why LiteRT would not take a file, in terms of the user's file."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

from makeweight.artifact.kind import absent, kind_of
from makeweight.runtimes import environment
from makeweight_base.errors import UsageError

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


@contextlib.contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn what LiteRT raises about a model file into a UsageError that names the file.

    Raises:
        UsageError: the file is missing, damaged, no LiteRT file at all, too new, or holds an operator it does not know.
        OSError, MemoryError: the machine failed, not the file.
    """
    try:
        yield
    except UsageError:
        raise
    except Exception as error:
        environment.reraise(error)
        raise _usage_error(error, path) from error


def reason(error: BaseException) -> str:
    """What an error says, on one line."""
    return " ".join(str(error).split()) or type(error).__name__


def _usage_error(error: Exception, path: Path) -> UsageError:
    text, where = str(error), str(path)
    for pattern, what, do in _MEANINGS:
        if match := re.search(pattern, text):
            return UsageError(what.format(op=match[1]), where=where, do=do)
    if "not a valid Flatbuffer" in text or "mmap of size" in text:
        return not_litert(path)
    return UsageError(f"LiteRT cannot load the model: {reason(error)}", where=where)


def no_file(path: Path) -> UsageError:
    """The refusal of a path at which there is no file."""
    if not path.is_dir():
        what, do = absent(path)
        return UsageError(what, where=str(path), do=do)
    found = kind_of(path)
    if found is None:
        return UsageError("this is a folder, not a LiteRT file", where=str(path))
    return UsageError(f"this is {found.what}, not a LiteRT file", where=str(path), do=found.do)


def not_litert(path: Path) -> UsageError:
    """The refusal of a file that does not parse, for what it is."""
    found = kind_of(path)
    if found is not None and path.read_bytes()[4:8] != b"TFL3":
        return UsageError(f"this is {found.what}, not a LiteRT file", where=str(path), do=found.do)
    what = "this is no LiteRT file" if found is None else "the LiteRT file is cut short or damaged"
    return UsageError(what, where=str(path), do="Download or convert it again.")
