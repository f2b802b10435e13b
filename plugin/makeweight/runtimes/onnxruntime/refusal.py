"""Why ONNX Runtime would not take a file, in terms of the user's file."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager
from pathlib import Path

from makeweight.artifact import kind
from makeweight.runtimes import environment
from makeweight_base.errors import UsageError

_WANTED = "an ONNX file"
_UNKNOWN = (
    "ONNX Runtime does not know the operator `{op}` that the model uses",
    "Export the model without it, or with an opset that this version of ONNX Runtime supports.",
)
# What an error says, what that means of the file (its `op` is what the first group of the pattern found, its `reason`
# the error in full), and what to do. The first that fits counts.
_MEANINGS = (
    (r"No Op registered for (\S+)", *_UNKNOWN),
    (r"(\S+?)\(-?\d+\) is not a registered function/op", *_UNKNOWN),
    (
        r"Could not find an implementation for (\w+)",
        "ONNX Runtime has no CPU implementation of the operator `{op}` for the types that the model uses",
        "Export the model in float32, or without the operator.",
    ),
    (
        r"(Opset \d+ is under development|Unsupported model IR version)",
        "the file is newer than this ONNX Runtime: {reason}",
        "Upgrade onnxruntime, or export the model with an older opset.",
    ),
    (
        "(external)",
        "the weights lie in another file, which cannot be read: {reason}",
        "Save the model as one file: onnx.save(onnx.load(path), path).",
    ),
)
_BOILERPLATE = re.compile(r"^\[ONNXRuntimeError\] : \d+ : \w+ : (Load model from .*? failed:)?\s*")


def translated(path: Path) -> AbstractContextManager[None]:
    """Turn what ONNX Runtime raises about a model file into a UsageError that names the file.

    Raises:
        UsageError: the file is missing, damaged, no ONNX at all, too new, or holds an operator it does not know.
        OSError, MemoryError: the machine failed, not the file.
    """
    return environment.translated(lambda error: _usage_error(error, path), UsageError)


def reason(error: BaseException) -> str:
    """What an error says, on one line and without ONNX Runtime's preamble."""
    text = _BOILERPLATE.sub("", str(error)).strip()
    # "/onnxruntime_src/…/model.cc:256 signature(…) Unsupported …": the file and signature are of no use to the reader
    text = re.sub(r"^/\S+\.(cc|h):\d+ .*\) (?=[A-Z])", "", text.replace("\n", " "))
    return text or type(error).__name__


def _usage_error(error: Exception, path: Path) -> UsageError:
    name, text = type(error).__name__, str(error)
    where = str(path)
    for pattern, what, do in _MEANINGS:
        if match := re.search(pattern, text):
            return UsageError(what.format(op=match[1], reason=reason(error)), where=where, do=do)
    if name in ("InvalidProtobuf", "DecodeError") or "No graph was found" in text:
        return not_onnx(path)
    return UsageError(f"ONNX Runtime cannot load the model: {reason(error)}", where=where)


def no_file(path: Path) -> UsageError:
    """The refusal of a path at which there is no file."""
    return kind.no_file(path, _WANTED)


def not_onnx(path: Path) -> UsageError:
    """The refusal of a file that does not parse, for what it is."""
    return kind.misread(path, "onnx", _WANTED)
