"""What advice is given on: plain facts of the model, its data, its devices and its budget. What could not be had is
None or empty, and the reason stands in `absent`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from makeweight.budget.metric import TaskKind, of_role
from makeweight.budget.quantity import FRACTION
from makeweight.runtimes.format import SourceKind
from makeweight.runtimes.runtime import LayerFacts, LayerKind
from makeweight_probe.job import CPU

Figure = Literal["size", "size_compressed", "parameters", "macs", "latency", "peak_memory", "drop"]
"""What a rule promises something of: a ratio to the baseline, or (`drop`) what is lost of the quality, a fraction."""


def loses_shares(task: TaskKind) -> bool:
    """Whether what is lost of a task's first figure is a share, as rules promise it: an error, and a metric of the
    user's own, are in units of their own."""
    return of_role("quality", task)[0].dimension is FRACTION


@dataclass(frozen=True)
class ModelFacts:
    """The baseline, as it is exported."""

    source: SourceKind
    runtime: str
    size: int
    """Bytes of all its files."""
    size_compressed: int | None = None
    parameters: int | None = None
    macs: int | None = None
    layers: tuple[LayerFacts, ...] = ()
    attends: bool = False
    """Whether it weighs by a softmax, as transformers do."""
    integers: bool = False
    """Whether it computes on integers already."""
    finished: bool = False
    """Whether it is a file that its runtime has in no other numbers."""
    free: tuple[str, ...] = ()
    """Sizes besides the batch that differ between examples."""

    def bytes_of(self, *kinds: LayerKind) -> int:
        return sum(layer.bytes for layer in self.layers if layer.kind in kinds)

    @property
    def suits(self) -> Literal["static", "dynamic"]:
        """How ranges of integer activations are best had: transformers, recurrences and tables by looking at each
        input, whatever convolves or is a plain perceptron from examples
        (https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html, "Method selection")."""
        if not self.layers:
            return "dynamic" if self.attends else "static"
        # one layer of attention on top of convolutions, or a small recurrence, does not carry the model
        moving = self.bytes_of("recurrence", "table", *(("product",) if self.attends else ()))
        return "dynamic" if moving > self.bytes_of("convolution") else "static"

    def share(self, *kinds: LayerKind) -> float | None:
        """The part of the file that lies in layers of these kinds; None where nobody tells."""
        return min(1.0, self.bytes_of(*kinds) / self.size) if self.layers and self.size else None

    def work(self, *kinds: LayerKind) -> float | None:
        """The part of the multiply-accumulates that layers of these kinds do; None where nobody tells."""
        known = [layer for layer in self.layers if layer.macs is not None]
        if not known or len(known) < len(self.layers):
            return None
        total = sum(layer.macs or 0 for layer in known)
        return sum(layer.macs or 0 for layer in known if layer.kind in kinds) / total if total else 0.0


@dataclass(frozen=True)
class DataFacts:
    """Which examples there are; None: none of that split."""

    train: int | None = None
    """How many; 0: a stream, whose number nobody knows."""
    labelled: bool = False
    """Whether those to train on have targets."""
    validation: int | None = None
    calibration: int | None = None


@dataclass(frozen=True)
class DeviceFacts:
    """A declared device."""

    name: str
    isa: tuple[str, ...] | None = None
    """None: it did not tell."""
    latency: float | None = None
    """Seconds of one inference of the baseline; the median."""
    peak_memory: float | None = None
    """Bytes, of the baseline."""
    operators: Mapping[str, float] = field(default_factory=dict)
    """The part of the time by operator, as the runtime calls it; empty: they were not timed."""
    kinds: Mapping[LayerKind, float] = field(default_factory=dict)
    """The same by kind of layer."""
    beside: tuple[str, float] | None = None
    """Of the operators that belong to no layer of weights, the one that takes most, and its part of the time."""
    by: str = CPU
    """What computes there; rules promise times of processors alone."""

    def has(self, instructions: frozenset[str]) -> bool:
        return bool(instructions & set(self.isa or ()))


@dataclass(frozen=True)
class SensitivityFacts:
    """The model in 8 bits after training, tried on examples that no gate looks at."""

    method: str
    """Of `quantize`: `static` or `dynamic`."""
    split: str
    decibels: float | None
    """Signal to noise of the output that suffers most; None: it answers nothing usable."""
    alone: Mapping[str, float] = field(default_factory=dict)
    """By layer, how many decibels are won by leaving it, or the group that it is in, in float."""
    untried: str | None = None
    """Why the layers after those were not left in float; None: all were that were to be."""


@dataclass(frozen=True)
class TriedFacts:
    """What a recipe without training came to when it was carried out."""

    reason: str | None = None
    """Why it cannot be carried out on this model; the rest is None then."""
    size: int | None = None
    size_compressed: int | None = None
    drop: float | None = None
    """What of the task's first figure is lost on the validation split, a fraction; None: that has no targets, or is not
    there."""
    examples: int = 0
    """How many of that split were asked."""


@dataclass(frozen=True)
class PruningFacts:
    """What is left of the model where half of every layer's channels are asked to go: the structure decides, and the
    multiples that the runtime is fast at."""

    asked: float
    """The part of the channels that was to go."""
    size: float
    """The file in float32, as a part of the baseline's."""
    macs: float | None
    """The multiply-accumulates, likewise; None: not known."""


@dataclass(frozen=True)
class Goal:
    """One rule of the budget, as what a recipe has to do to the baseline."""

    rule: str
    """`size.max_ratio`."""
    text: str
    """`size at most 0.30x`."""
    figure: Figure | None
    """None: nothing here promises anything of it."""
    needed: float | None
    """The ratio to the baseline, or the drop, that is still allowed; None: not known, as the baseline's figure is
    not."""
    device: str | None = None
    blocking: bool = True
    reason: str = ""
    """Why it is not known, or not promised."""
    pressing: bool = True
    """Of one without a figure, whether it may take a smaller or faster model: not what is about quality or growth."""

    @property
    def met(self) -> bool | None:
        """Whether the baseline itself meets it; a drop is none of it. None: not known."""
        if self.figure is None or self.needed is None:
            return None
        return self.needed >= (0 if self.figure == "drop" else 1)


@dataclass(frozen=True)
class Facts:
    """All of it."""

    model: ModelFacts
    data: DataFacts
    devices: tuple[DeviceFacts, ...]
    goals: tuple[Goal, ...]
    prefer: Literal["size", "latency", "accuracy"] = "latency"
    task: TaskKind = "classification"
    sensitivity: SensitivityFacts | None = None
    pruning: PruningFacts | None = None
    tried: Mapping[str, TriedFacts] = field(default_factory=dict)
    """By rule of advice."""
    runtimes: tuple[str, ...] = ()
    """Those that are installed here, besides the baseline's."""
    passing: str | None = None
    """The variant that the last verdict ships, where its figures are still those of this model."""
    broken: Mapping[str, str] = field(default_factory=dict)
    """By variant that was measured already, the rules of the budget that it breaks."""
    absent: Mapping[str, str] = field(default_factory=dict)
    """What could not be measured, and why."""

    @property
    def open(self) -> tuple[Goal, ...]:
        """What the budget asks for and the baseline is not."""
        return tuple(goal for goal in self.goals if goal.met is False)
