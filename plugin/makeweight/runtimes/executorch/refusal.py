"""Why ExecuTorch would not take a file, in terms of the user's file."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

from makeweight.artifact.kind import absent, kind_of
from makeweight.runtimes import environment
from makeweight.runtimes.executorch.flatbuffer import Damaged
from makeweight.runtimes.executorch.program import Plan
from makeweight_base.errors import UsageError

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


@contextlib.contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn what ExecuTorch raises about a program into a UsageError that names the file.

    Raises:
        UsageError: the file is damaged, or made for another version.
        OSError, MemoryError: the machine failed, not the file.
    """
    try:
        yield
    except (UsageError, OSError, MemoryError):
        raise
    except Damaged as error:
        raise _not_program(path, error) from error
    except Exception as error:
        raise UsageError(f"ExecuTorch cannot load the program: {reason(error)}", where=str(path)) from error


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


def no_file(path: Path) -> UsageError:
    """The refusal of a path at which there is no file."""
    if path.is_dir():
        return UsageError("this is a folder, not an ExecuTorch file", where=str(path))
    what, do = absent(path)
    return UsageError(what, where=str(path), do=do)


def _not_program(path: Path, error: Damaged) -> UsageError:
    """The refusal of a file that does not parse, for what it is."""
    found = kind_of(path)
    if found is not None and "ExecuTorch" not in found.what:
        return UsageError(f"this is {found.what}", where=str(path), do=found.do)
    what = "this is no ExecuTorch file" if found is None else f"the ExecuTorch file is cut short or damaged: {error}"
    return UsageError(what, where=str(path), do="Fetch it or export it again.")
