"""What a library raises becomes what it means; what the machine or makeweight itself says stays."""

from __future__ import annotations

import errno

import pytest

from makeweight.runtimes.environment import translated
from makeweight.runtimes.runtime import RecipeFailed
from makeweight_base.errors import UsageError


def refused(error: Exception) -> UsageError:
    return UsageError(f"it does not load: {error}")


def test_an_error_of_a_library_is_told_with_its_cause() -> None:
    cause = RuntimeError("bad magic")
    with pytest.raises(UsageError, match="it does not load: bad magic") as told, translated(refused):
        raise cause
    assert told.value.__cause__ is cause


@pytest.mark.parametrize(
    ("own", "error"),
    [
        ((), OSError(errno.ENOSPC, "No space left on device")),
        ((), MemoryError()),
        (RecipeFailed, RecipeFailed("it changes nothing")),
    ],
    ids=["disk", "memory", "own"],
)
def test_what_is_no_librarys_stays(own: type[Exception] | tuple[()], error: Exception) -> None:
    with pytest.raises(type(error)) as told, translated(refused, own):
        raise error
    assert told.value is error


@pytest.mark.parametrize(
    ("says", "kind"),
    [("std::bad_alloc", MemoryError), ("WriteFile: system error number 28", OSError)],
    ids=["memory", "disk"],
)
def test_a_machine_that_failed_is_known_by_what_is_said(says: str, kind: type[Exception]) -> None:
    with pytest.raises(kind), translated(refused):
        raise RuntimeError(says)
