"""The measurand: what a figure is a figure of. A rule asks for one, and every measurement is of one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from makeweight.budget.metric import Role, TaskKind, of_role

Comparison = Literal["ratio", "drop", "regression"]
"""`ratio`: variant / baseline. `drop`: by how much it is worse than the baseline, positive when it is. `regression`: by
what fraction it grew since the merge base."""


@dataclass(frozen=True)
class Measurand:
    """A metric, alone or compared, of all examples or of one slice."""

    metric: str
    comparison: Comparison | None = None
    slice: str | None = None
    control: bool = False
    """Of the control (the baseline, trained equally and not compressed) instead of the variant; of a comparison, with
    the control instead of the baseline."""
    batch: int | None = None
    threads: int | None = None
    """Of a cell of a device's matrix: how many examples it is asked for at once, and the threads of an inference. None:
    as every figure of that device is measured."""

    @property
    def is_cell(self) -> bool:
        """Whether it is of a cell of a matrix."""
        return self.batch is not None

    @property
    def name(self) -> str:
        """In one word, for files and people: `size`, `latency_p50_ratio`, `accuracy_drop[night]`,
        `throughput[batch=8,threads=2]`."""
        parts = (self.metric, self.comparison, "control" if self.control else None)
        of = self.slice or (f"batch={self.batch},threads={self.threads}" if self.is_cell else "")
        return "_".join(part for part in parts if part) + (f"[{of}]" if of else "")

    def compared(self, comparison: Comparison) -> Measurand:
        """The same, compared."""
        return replace(self, comparison=comparison)


def headline(role: Role, task: TaskKind | None = None) -> Measurand:
    """What stands for size, quality or latency where the budget names nothing else."""
    return Measurand(of_role(role, task)[0].name)
