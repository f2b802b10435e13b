"""Why ExecuTorch would not take a file, in terms of the user's file."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager
from pathlib import Path

from makeweight.artifact import kind
from makeweight.runtimes import environment
from makeweight.runtimes.executorch.program import Plan, Unfit
from makeweight_base.errors import UsageError
from makeweight_probe.flatbuffer import Damaged

WANTED = "an ExecuTorch file"
# What the codes of its errors mean: runtime/core/error.h of ExecuTorch.
_CODES = {
    0x01: "an internal error",
    0x02: "a state that it cannot be in",
    0x10: "something that it does not support, such as another size than the program takes",
    0x11: "something that it does not have yet",
    0x12: "an input that does not fit",
    0x13: "a value of another type",
    0x14: "an operator that it lacks",
    0x20: "something that is not there",
    0x22: "a file that cannot be read",
    0x23: "a program that is damaged",
    0x24: "weights outside the program that do not fit it",
    0x25: "too much for what it has",
    0x30: "a delegate that does not fit this version",
    0x31: "a delegate that is damaged",
    0x32: "a delegate that is not there",
}
_NO_MEMORY = 0x21
_CODE = re.compile(r"error: 0x([0-9a-fA-F]+)")


def translated(path: Path) -> AbstractContextManager[None]:
    """Turn what ExecuTorch raises about a program into a UsageError that names the file.

    Raises:
        UsageError: the file is damaged, made for another version, or not to be fed with arrays.
        OSError, MemoryError: the machine failed, not the file.
    """
    return environment.translated(lambda error: _usage_error(error, path), UsageError)


def reason(error: BaseException) -> str:
    """What an error says, on one line, with what its code means.

    Raises:
        OSError, MemoryError: that is what it means.
    """
    environment.reraise(error)
    text = " ".join(str(error).split())
    if (match := _CODE.search(text)) is not None:
        code = int(match[1], 16)
        if code == _NO_MEMORY:
            raise MemoryError(text) from error
        if code in _CODES:
            return f"{text} ({_CODES[code]})"
    return text or type(error).__name__


def _usage_error(error: Exception, path: Path) -> UsageError:
    if isinstance(error, Damaged):
        return kind.misread(path, "pte", WANTED)
    if isinstance(error, Unfit):
        return UsageError(
            str(error),
            where=str(path),
            do="Export what is served as its `forward`, from tensors to tensors; a number that never changes is part "
            "of the module.",
        )
    return UsageError(f"ExecuTorch cannot load the program: {reason(error)}", where=str(path))


def refuse_reordered(path: Path, plan: Plan) -> None:
    """Raises:
    UsageError: an input lies otherwise in memory than it is fed, which the runtime takes without a word.
    """
    for place, tensor in enumerate(plan.inputs):
        # an axis of one place lies anywhere
        moved = [axis for axis in tensor.order if tensor.sizes[axis : axis + 1] != (1,)]
        if moved != sorted(moved):
            raise UsageError(
                f"input {place} was traced with its axes in the order {list(tensor.order)} in memory, such as channels "
                "last, and is fed with the last axis innermost",
                where=str(path),
                do="Export it once more on `example.contiguous()`.",
            )


def refuse_lacking(path: Path, plan: Plan) -> None:
    """Raises:
    UsageError: the program calls what the installed ExecuTorch does not have.
    """
    from makeweight_probe.sessions.executorch import runtime_module

    bindings = runtime_module()
    lost = {each.backend for each in plan.delegates} - set(bindings._get_registered_backend_names())
    lost |= set(plan.kernels) - set(bindings._get_operator_names())
    if lost:
        raise UsageError(
            f"the program is of another version of ExecuTorch, or for another device: this one has no {min(lost)}",
            where=str(path),
            do="Install the version that it was made with, or export it with this one, for XNNPACK.",
        )
