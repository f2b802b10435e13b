"""Read tables of a FlatBuffer by the number of a field, in plain Python: a program is looked into without its runtime,
and what is cut short raises here instead of there.

https://flatbuffers.dev/internals/
"""

from __future__ import annotations

import struct
from dataclasses import dataclass


class Damaged(ValueError):
    """The bytes are no such table."""


@dataclass(frozen=True)
class Table:
    """A table at a place in its buffer. Fields have the numbers that they have in the schema, from zero; a union takes
    two, that of its kind and that of its value."""

    data: bytes
    at: int

    def number(self, field: int, kind: str) -> int:
        """An integer, by default 0; `kind` is a character of the struct module."""
        place = self._field(field)
        return 0 if place is None else _unpacked(self.data, place, kind)

    def text(self, field: int) -> str:
        place = self._field(field)
        return "" if place is None else self._block(place, 1)[1].decode(errors="replace")

    def numbers(self, field: int, kind: str) -> list[int]:
        place = self._field(field)
        if place is None:
            return []
        count, block = self._block(place, struct.calcsize(f"<{kind}"))
        return list(struct.unpack(f"<{count}{kind}", block))

    def table(self, field: int) -> Table | None:
        place = self._field(field)
        return None if place is None else Table(self.data, self._followed(place))

    def tables(self, field: int) -> list[Table]:
        place = self._field(field)
        if place is None:
            return []
        start = self._followed(place)
        count, _ = self._block(place, 4)
        return [Table(self.data, self._followed(start + 4 + 4 * index)) for index in range(count)]

    def span(self, field: int) -> bytes:
        """A vector of bytes."""
        place = self._field(field)
        return b"" if place is None else self._block(place, 1)[1]

    def _field(self, field: int) -> int | None:
        """Where a field lies; None: it has its default."""
        names = self.at - _unpacked(self.data, self.at, "i")
        entry = 4 + 2 * field
        if entry + 2 > _unpacked(self.data, names, "H"):
            return None
        offset = _unpacked(self.data, names + entry, "H")
        return self.at + offset if offset else None

    def _followed(self, place: int) -> int:
        return place + _unpacked(self.data, place, "I")

    def _block(self, place: int, size: int) -> tuple[int, bytes]:
        """How many a vector has, and its bytes."""
        start = self._followed(place)
        count = _unpacked(self.data, start, "I")
        block = self.data[start + 4 : start + 4 + count * size]
        if len(block) != count * size:
            raise Damaged("a vector reaches beyond the end")
        return count, block


def root(data: bytes, at: int = 0) -> Table:
    """The table that a buffer begins with, which begins at `at`."""
    return Table(data, at + _unpacked(data, at, "I"))


def _unpacked(data: bytes, at: int, kind: str) -> int:
    if not 0 <= at <= len(data) - struct.calcsize(f"<{kind}"):
        raise Damaged("a table reaches beyond the end")
    return int(struct.unpack_from(f"<{kind}", data, at)[0])
