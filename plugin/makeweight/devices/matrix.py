"""What a device's entry asks for beside its figures: throughput over batch sizes and threads."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

MOST = 8
"""Values of each: a table of more is read by nobody, and each number of threads takes its time."""
_Batch = Annotated[int, Field(ge=1, le=4096)]
_Threads = Annotated[int, Field(ge=1, le=1024)]


class MatrixOptions(BaseModel):
    """Batch sizes and numbers of threads; a cell for each of one with each of the other."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"minProperties": 1})

    batch: list[_Batch] | None = Field(
        None,
        min_length=1,
        max_length=MOST,
        json_schema_extra={"uniqueItems": True},
        description="How many examples to ask for at once, such as `[1, 8, 32]` (default: as many as latency is "
        "measured with).",
    )
    threads: list[_Threads] | None = Field(
        None,
        min_length=1,
        max_length=MOST,
        json_schema_extra={"uniqueItems": True},
        description="Threads within one inference, such as `[1, 2, 4]` (default: the device's `threads`).",
    )

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if self.batch is None and self.threads is None:
            raise ValueError("a matrix has `batch`, `threads` or both, such as `{batch: [1, 8, 32], threads: [1, 2]}`")
        for name, values in (("batch", self.batch), ("threads", self.threads)):
            if values is not None and len(set(values)) != len(values):
                raise ValueError(f"`{name}` has a number twice")
        return self

    def missing(self, threads: int, known: Collection[tuple[int, int]]) -> bool:
        """Whether a cell is asked for that is not known.

        Args:
            threads: the device's own.
            known: cells, each its batch and its threads.
        """
        batches = self.batch or [batch for batch, _ in known][:1] or [0]
        return any((batch, count) not in known for batch in batches for count in self.threads or [threads])
