"""What came of trying a model on examples, before anything is measured of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Trial:
    """A model that ran. One that could not is no model: its recipe failed."""

    examples: int
    against: str | None
    """What its answers were compared with: `float32`, the same model before its numbers were lowered; `baseline`; or
    None, of the baseline itself."""
    decibels: Mapping[str, float | None]
    """Signal to noise by output; None where nothing could be compared. Of integers, against their spread."""
    agreement: float | None = None
    """Of a classifier, the share of examples that have the same top class."""
    mixing: float | None = None
    """Signal to noise of answers had together against those had one by one; None where only one way can be had."""
    dependent: bool = False
    """Whether an answer depends on the examples beside it, or cannot be had beside others."""
    same: Mapping[str, float] = field(default_factory=dict)
    """Of outputs that are integers, the share of them that is the same."""
