"""One hash for all examples of a split, whatever batches they come in."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from makeweight_base.errors import UsageError

if TYPE_CHECKING:
    from makeweight.user.split import Batch


class Digest:
    """Adds up batches. The bytes of neighbours follow each other, and what is said of their shapes is said where it
    changes: so the cut does not show."""

    def __init__(self) -> None:
        self._hashes: dict[str, Any] = {}
        self._layouts: dict[str, list[tuple[int, str]]] = {}
        self._count = 0

    def add(self, batches: Sequence[Batch]) -> None:
        for batch in batches:
            if batch.marks is not None:
                self._hash("marks").update(batch.marks)
            else:
                for name, values in batch.inputs.items():
                    self._array(f"input:{name}", values)
                if batch.targets is not None:
                    self._array("target", batch.targets)
            self._count += len(batch)

    def value(self, slices: NDArray[np.str_] | None) -> str:
        total = hashlib.sha256(f"{self._count} {sorted(self._layouts.items())}".encode())
        for name, each in sorted(self._hashes.items()):
            total.update(f"{name} {each.hexdigest()}".encode())
        if slices is not None:
            total.update("\n".join(slices.tolist()).encode())
        return total.hexdigest()

    def _hash(self, name: str) -> Any:
        return self._hashes.setdefault(name, hashlib.sha256())

    def _array(self, name: str, values: NDArray[Any]) -> None:
        layout, known = f"{values.dtype} {values.shape[1:]}", self._layouts.setdefault(name, [])
        if not known or known[-1][1] != layout:
            known.append((self._count, layout))
        if values.dtype.hasobject:
            self._hash(name).update(b"".join(map(_of_target, values)))
        else:
            self._hash(name).update(np.ascontiguousarray(values).data)


def mark(given: Any) -> bytes:
    """A hash of one example or a part of one: numbers, arrays, text, and sequences and mappings of them.

    Raises:
        TypeError: there is something else in it.
    """
    if isinstance(given, bytes | str | bool | int | float) or given is None:
        return _of(type(given).__name__, repr(given).encode())
    if isinstance(given, Mapping):
        return _of("mapping", *(mark(part) for pair in given.items() for part in pair))
    if isinstance(given, list | tuple):
        return _of("sequence", *map(mark, given))
    array = np.asarray(given)
    if array.dtype.hasobject:
        raise TypeError(type(given).__name__)
    return _of(f"{array.dtype} {array.shape}", array.tobytes())


def _of_target(given: Any) -> bytes:
    try:
        return mark(given)
    except TypeError as error:
        raise UsageError(
            f"a target holds {error}, of which nobody knows whether it is the same another time",
            do="Give numbers, texts and arrays, or sequences and mappings of them.",
        ) from error


def _of(kind: str, *parts: bytes) -> bytes:
    return hashlib.sha256(b"\0".join((kind.encode(), *parts))).digest()
