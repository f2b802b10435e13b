"""What a report is made of: the verdict, and what lies beside it for tables and pictures. Plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from makeweight.artifact.artifact import Manifest
from makeweight.decide.verdict import Verdict
from makeweight.measure.operators import Profile

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Flip:
    """One test example that the baseline has right and the variant wrong."""

    index: int
    """Its place in the test split."""
    truth: str
    baseline: str
    variant: str
    """Names of classes; an answer that was no number is named so."""
    confidence: float | None = None
    """The probability that the variant gave to its answer."""
    png: bytes | None = None
    """The input as a picture; None where inputs are no images."""


@dataclass(frozen=True)
class Flips:
    """The flipped examples of one variant. `examples` may hold fewer than there are."""

    total: int
    examples: tuple[Flip, ...] = ()


@dataclass(frozen=True)
class ClassFigure:
    """One class of the test split: the share of its examples that are right, its F1, its average precision or its
    intersection over union; `examples`: how many have it."""

    name: str
    examples: int
    baseline: float
    variant: float

    @property
    def drop(self) -> float:
        return self.baseline - self.variant


@dataclass(frozen=True)
class Timing:
    """One benchmark: wall seconds of the inferences of its blocks, shape [runs]."""

    device: str
    variant: str
    baseline_seconds: NDArray[Any]
    variant_seconds: NDArray[Any]
    processes: int
    """Fresh processes that the blocks come from."""
    rounds: int
    """Blocks of each model."""
    where: str
    """How the models lived: `in one process`, or each in its own."""


@dataclass(frozen=True)
class OperatorTimes:
    """What the operators of a variant and of the baseline beside it take on a device."""

    device: str
    variant: str
    baseline_profile: Profile
    variant_profile: Profile


@dataclass(frozen=True)
class Machine:
    """A declared device as it was found, or why it was not."""

    name: str
    kind: str = "local"
    identity: Mapping[str, Any] = field(default_factory=dict)
    conditions: Mapping[str, Any] = field(default_factory=dict)
    threads: int | None = None
    reason: str | None = None
    """Why it could not be reached; None when it could."""


@dataclass(frozen=True)
class Content:
    """All that any form of the report shows."""

    verdict: Verdict
    manifests: Mapping[str, Manifest] = field(default_factory=dict)
    """By variant, `baseline` among them."""
    machines: tuple[Machine, ...] = ()
    """In the order in which they are declared."""
    timings: tuple[Timing, ...] = ()
    operators: tuple[OperatorTimes, ...] = ()
    """In the order of the variants."""
    flips: Mapping[str, Flips] = field(default_factory=dict)
    classes: Mapping[str, tuple[ClassFigure, ...]] = field(default_factory=dict)
    """By variant, in the order of the model's outputs."""
    class_figure: str = "accuracy"
    """What is told of each class."""
    better: Literal["higher", "lower"] | None = None
    """Which way a custom metric is better; None: as the catalogue says."""
    html: str = "reports/report.html"
    """Where report.html will lie, as a reader of the terminal would open it."""
    remarks: tuple[str, ...] = ()
    """Small print, such as `2 benchmarks skipped: artifacts unchanged`."""
    links: Mapping[str, str] = field(default_factory=dict)
    """Where to read on: a URL by its label, such as `report`. What is no http address is shown as a label alone."""
