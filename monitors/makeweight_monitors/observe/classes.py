"""The classes of a model as label values: a closed set, or one that is learnt up to the cap."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from makeweight_base.errors import UsageError
from makeweight_monitors.metrics import MOST_CLASSES, Metric
from makeweight_monitors.observe.arena import Block
from makeweight_monitors.observe.counters import Counters, cut

OTHER = "other"
UNKNOWN = -1
"""The row of a class that there is not."""


class Classes:
    """Which row of a block counts which class.

    Declared classes are known by index or by name, and any other is unknown; beyond the cap they share the row `other`.
    Without a declaration they are learnt as they come, and an index is its own name.
    """

    def __init__(self, counters: Counters, declared: Sequence[str] | None) -> None:
        if declared is not None and len(set(declared)) != len(declared):
            raise UsageError(f"a class is named twice in {list(declared)[:20]}", do="Give each class its own name.")
        self._counters = counters
        self._blocks: list[Block] = []
        self.declared = None if declared is None else tuple(declared)
        self.rows = [OTHER] if declared is None else list(declared[:MOST_CLASSES])
        if declared is not None and len(declared) > MOST_CLASSES and OTHER not in self.rows:
            self.rows.append(OTHER)
        self._row = {name: row for row, name in enumerate(self.rows)}
        self._other = self._row.get(OTHER, UNKNOWN)
        for name in (declared or ())[MOST_CLASSES:]:
            self._row.setdefault(name, self._other)
        self.straight = False
        """Whether the row of every class is its index."""
        self._set_indices([self._row[name] for name in declared or ()])

    def at(self, metric: Metric, labels: Mapping[str, str], axes: Mapping[str, Sequence[str]]) -> int:
        """Where the cells of a metric by class begin; their rows are kept in step with what is learnt."""
        room = None if self.declared is not None else MOST_CLASSES + 1
        block = self._counters.block(metric, labels, {"class": self.rows, **axes}, room)
        with self._counters.lock:
            if block not in self._blocks:
                for name in self.rows[len(block.axes["class"]) :]:
                    self._counters.extend([block], name)
                self._blocks.append(block)
        return block.at

    def name(self, answer: object) -> str | None:
        """What a class is called, given its index or its name; None where it is unknown."""
        if isinstance(answer, str):
            return cut(answer) if self.declared is None else answer if answer in self._row else None
        try:
            index = operator.index(answer)  # type: ignore[arg-type]
        except TypeError:
            # a float that is whole comes from JSON, or from a framework whose labels are floats
            if not isinstance(answer, float | np.floating) or not float(answer).is_integer():
                return None
            index = int(answer)
        if index < 0:
            return None
        if self.declared is None:
            return str(index)
        return self.declared[index] if index < len(self.declared) else None

    def row(self, name: str) -> int:
        """The row of a name; one that was not met before is learnt."""
        row = self._row.get(name)
        return self._learn(name) if row is None else row

    def rows_of(self, indices: NDArray[np.intp]) -> NDArray[np.intp]:
        """The row of each index, shape [n]; `UNKNOWN` where there is no such class."""
        low, high = int(np.minimum.reduce(indices)), int(np.maximum.reduce(indices))
        if self.declared is None:
            self._learn_indices(high)
        if low >= 0 and high < len(self._by_index):
            return indices if self.straight else self._by_index[indices]
        rows = np.full(len(indices), UNKNOWN if self.declared is not None else self._other, np.intp)
        within = (indices >= 0) & (indices < len(self._by_index))
        rows[within] = self._by_index[indices[within]]
        rows[indices < 0] = UNKNOWN
        return rows

    def row_of(self, index: int) -> int:
        """The same for one index."""
        if self.declared is None:
            self._learn_indices(index)
        if 0 <= index < len(self._rows):
            return self._rows[index]
        return UNKNOWN if index < 0 or self.declared is not None else self._other

    def rows_of_all(self) -> list[int]:
        """The row of each declared class."""
        return list(self._rows)

    def _learn_indices(self, highest: int) -> None:
        highest = min(highest, MOST_CLASSES - 1)
        if highest >= len(self._rows):
            self._set_indices([self.row(str(index)) for index in range(highest + 1)])

    def _set_indices(self, rows: list[int]) -> None:
        self._by_index = np.array(rows, np.intp)
        self.straight = self.declared is not None and rows == list(range(len(rows)))
        self._rows = rows

    def _learn(self, name: str) -> int:
        with self._counters.lock:
            if name in self._row:
                return self._row[name]
            if len(self.rows) > MOST_CLASSES or not self._counters.extend(self._blocks, name):
                return self._other
            self.rows.append(name)
            self._row[name] = len(self.rows) - 1
            return self._row[name]
