"""Counters in one stretch of memory: integers, and beside them what each of them counts, so that another process can
read it (`prefork.py`) without knowing the code that wrote it.

What is counted lies in *blocks*: the series of one metric that share all labels but one or two.
"""

from __future__ import annotations

import json
import mmap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeweight_monitors.metrics import CATALOGUE, EXPORTER_CATALOGUE, SERVING_CATALOGUE, Metric

KEYS = 1 << 20
"""Bytes for what the cells count."""
CELLS = 1 << 17
"""How many cells: enough for hundreds of models, and no memory before it is used."""
SIZE = 64 + KEYS + 8 * CELLS
_MAGIC = int.from_bytes(b"makewgt1", "little")
METRICS = {metric.name: metric for metric in (*CATALOGUE, *EXPORTER_CATALOGUE, *SERVING_CATALOGUE)}
Labels = tuple[tuple[str, str], ...]
Key = tuple[str, Labels]
"""The name of a metric, and the labels of one of its series, in order."""


@dataclass
class Block:
    """Series of one metric, side by side."""

    metric: Metric
    labels: Mapping[str, str]
    """What they share, `boot` apart."""
    axes: dict[str, list[str]]
    """The labels in which they differ, with the values of each; the first may get more."""
    at: int
    """Where its cells begin: row by row, the last axis fastest."""
    room: int
    """How many values the first axis may come to have."""
    _series: list[tuple[Key, dict[str, str]]] = field(default_factory=list, repr=False)

    def series(self) -> list[tuple[Key, dict[str, str]]]:
        """For each cell that is in use, in order: what identifies its series, and the series' labels."""
        count = prod(map(len, self.axes.values()))
        if len(self._series) != count:
            cells = (dict(zip(self.axes, values, strict=True)) for values in product(*self.axes.values()))
            named = ({**self.labels, **own} for own in cells)
            self._series = [((self.metric.name, tuple(sorted(labels.items()))), labels) for labels in named]
        return self._series

    @property
    def width(self) -> int:
        """Cells for one value of the first axis."""
        return prod(len(values) for values in list(self.axes.values())[1:])


class Arena:
    """The memory itself: a header, what each cell counts (JSON, a line for each block), and the cells."""

    def __init__(self, memory: mmap.mmap, *, blank: bool = False) -> None:
        self._memory = memory
        self._header = memoryview(memory)[:64].cast("Q")
        if blank:
            self._header[0] = _MAGIC
        elif self._header[0] != _MAGIC:
            raise ValueError("these are no counters of makeweight")
        self.cells = memoryview(memory)[64 + KEYS : SIZE].cast("q")
        self.array: NDArray[np.int64] = np.frombuffer(memory, np.int64, CELLS, 64 + KEYS)
        self.blocks: list[Block] = []
        self._by_start: dict[int, Block] = {}
        self._parsed = 0

    @classmethod
    def private(cls) -> Arena:
        return cls(mmap.mmap(-1, SIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS), blank=True)

    def allot(self, metric: Metric, labels: Mapping[str, str], axes: dict[str, list[str]], room: int) -> Block | None:
        """A new block, its cells at zero, right behind the one before; None where the memory is full."""
        at = int(self._header[2])
        cells = room * Block(metric, labels, axes, at, room).width
        line = {"metric": metric.name, "labels": dict(labels), "axes": axes, "at": at, "room": room}
        if at + cells > CELLS or not self._write(line):
            return None
        self._header[2] = at + cells
        return self.blocks[-1]

    def extend(self, blocks: Sequence[Block], value: str) -> bool:
        """One more value of the first axis of all these blocks; False, for all, where there is no room for it."""
        room = all(len(next(iter(block.axes.values()))) < block.room for block in blocks)
        return room and self._write({"of": [block.at for block in blocks], "more": value})

    def copy_keys(self, other: Arena) -> None:
        """Count the same as another does, from zero."""
        used = int(other._header[1])
        self._memory[64 : 64 + used] = other._memory[64 : 64 + used]
        self._header[2] = other._header[2]
        self._header[1] = used
        self.read()

    def read(self) -> list[Block]:
        """What the cells count, as of now."""
        used = int(self._header[1])
        for line in self._memory[64 + self._parsed : 64 + used].splitlines():
            entry = json.loads(line)
            if "metric" in entry:
                block = Block(METRICS[entry["metric"]], entry["labels"], entry["axes"], entry["at"], entry["room"])
                self.blocks.append(block)
                self._by_start[block.at] = block
            elif "of" in entry:
                for at in entry["of"]:
                    next(iter(self._by_start[at].axes.values())).append(entry["more"])
        self._parsed = used
        return self.blocks

    def add(self, other: Arena) -> bool:
        """Add up what another counts; False, and half done, where it does not fit."""
        mine = {(block.metric.name, tuple(sorted(block.labels.items()))): block for block in self.blocks}
        for block in other.read():
            own = mine.get((block.metric.name, tuple(sorted(block.labels.items()))))
            if own is None:
                own = self.allot(block.metric, block.labels, block.axes, block.room)
            if own is None or own.axes.keys() != block.axes.keys():
                return False
            if block.axes:
                first = next(iter(block.axes))
                lacking = [value for value in block.axes[first] if value not in set(own.axes[first])]
                if not all(self.extend([own], value) for value in lacking):
                    return False
            cells = {key: own.at + offset for offset, (key, _) in enumerate(own.series())}
            series = block.series()
            counts = other.array[block.at : block.at + len(series)].tolist()
            if not all(key in cells for key, _ in series):
                return False
            for (key, _), count in zip(series, counts, strict=True):
                self.cells[cells[key]] += count
        return True

    def remark(self, remark: Mapping[str, Any]) -> bool:
        """Keep a line that is no block."""
        return self._write(remark)

    def remarks(self) -> list[dict[str, Any]]:
        lines = self._memory[64 : 64 + int(self._header[1])].splitlines()
        return [entry for entry in map(json.loads, lines) if "metric" not in entry and "of" not in entry]

    def _write(self, entry: Mapping[str, Any]) -> bool:
        line = json.dumps(entry, separators=(",", ":")).encode() + b"\n"
        used = int(self._header[1])
        if used + len(line) > KEYS:
            return False
        self._memory[64 + used : 64 + used + len(line)] = line
        # only now is it there: a reader never sees half a line
        self._header[1] = used + len(line)
        self.read()
        return True


def added_up(arenas: Iterable[Arena]) -> dict[Key, tuple[dict[str, str], int]]:
    """The labels and the count of each series, over all of them."""
    total: dict[Key, tuple[dict[str, str], int]] = {}
    for arena in arenas:
        for block in list(arena.read()):
            series = block.series()
            counts = arena.array[block.at : block.at + len(series)].tolist()
            for (key, labels), count in zip(series, counts, strict=True):
                before = total.get(key)
                total[key] = (labels, count if before is None else before[1] + count)
    return total
