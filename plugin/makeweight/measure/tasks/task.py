"""What a kind of task does: keep of the answers what its figures need, and make the figures of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from makeweight.config.settings import TaskSettings
from makeweight.measure.outcomes import Outcomes, ScoreKind
from makeweight.measurement import Measurement
from makeweight_base.errors import UsageError

Outputs = Mapping[str, NDArray[Any]]
"""What a model answers to a batch: every output by its name, in the model's order."""
Figures = Iterator[Measurement]


@dataclass(frozen=True)
class Asked:
    """What the answers are kept for."""

    task: TaskSettings
    output: str | None
    """The output that is judged, where one is; None: the first."""
    root: Path
    """The project's folder, where the user's own callables are."""
    scores: ScoreKind | None = None
    """How the baseline's scores are read, and therefore a variant's; None: it is the baseline."""

    def judged(self, outputs: Outputs, examples: int) -> NDArray[Any]:
        """The one output that is judged, shape [examples, ...].

        Raises:
            UsageError: there is no such output, it does not begin with the batch, or it holds no numbers.
        """
        name = next(iter(outputs)) if self.output is None else self.output
        answer = named(outputs, name, "makeweight.yaml: model.output")
        if answer.dtype.kind not in "fiub":
            raise UsageError(
                f"the output `{name}` holds {answer.dtype}, not numbers",
                do="Name the output that holds numbers with `model.output`.",
            )
        if answer.ndim == 0 or answer.size == 0 or len(answer) != examples:
            raise UsageError(
                f"the output has shape {answer.shape} for {examples} examples: its first size must be the batch",
                do="Name another output with `model.output`, or export the model with a batch dimension.",
            )
        return answer


@dataclass(frozen=True)
class Kept:
    """What was kept of all answers."""

    arrays: Mapping[str, NDArray[Any]]
    classes: int = 0
    scores: ScoreKind = "none"


class Keeper(Protocol):
    """Gathers what a task keeps, a batch at a time."""

    def add(self, outputs: Outputs, targets: NDArray[Any]) -> NDArray[np.bool_]:
        """Keep of one batch's answers what the figures need.

        Returns:
            for each example whether every number of its answer is finite.

        Raises:
            UsageError: the outputs or the targets do not fit the task.
        """

    def kept(self) -> Kept:
        """All that was kept; at least one batch was added."""


@dataclass(frozen=True)
class ByClass:
    """A figure that each class has by itself.

    `names`: of the classes that the test split has. `examples`, shape [classes]: how many have each. `values`, shape
    [classes].
    """

    names: Sequence[str]
    examples: NDArray[np.int64]
    values: NDArray[np.float64]


class Task(Protocol):
    """One kind of task."""

    class_figure: ClassVar[str | None]
    """What each class has by itself, in words; None for a task without classes."""

    def keeper(self, asked: Asked) -> Keeper: ...

    def figures(self, task: TaskSettings, variant: str, own: Outcomes, baseline: Outcomes | None) -> Figures:
        """Every quality figure of one model; with `baseline`, also how far it fell."""

    def by_class(self, task: TaskSettings, outcomes: Outcomes) -> ByClass | None:
        """What each class has by itself; None for a task without classes."""

    def check(self, task: TaskSettings, outcomes: Outcomes) -> None:
        """Refuse a test split that cannot judge the model.

        Args:
            outcomes: the baseline's.

        Raises:
            UsageError: such as a class without an example.
        """


@dataclass
class Gathered:
    """Arrays by name, a batch at a time."""

    _parts: dict[str, list[NDArray[Any]]] = field(default_factory=dict)

    def add(self, **arrays: NDArray[Any]) -> None:
        for name, values in arrays.items():
            self._parts.setdefault(name, []).append(np.asarray(values))

    def all(self) -> dict[str, NDArray[Any]]:
        return {name: np.concatenate(parts) for name, parts in self._parts.items()}


def named(outputs: Outputs, name: str, where: str) -> NDArray[Any]:
    """An output by its name.

    Raises:
        UsageError: the model has none of that name.
    """
    if name not in outputs:
        raise UsageError(f"the model has no output `{name}`; it has {', '.join(outputs)}", where=where)
    return np.asarray(outputs[name])


def finite(answers: NDArray[Any]) -> NDArray[np.bool_]:
    """Of each example, whether every number of its answer is finite; shape [examples, ...] to [examples]."""
    return np.asarray(np.isfinite(answers.reshape(len(answers), -1)).all(axis=1))


def by_class(task: TaskSettings, examples: NDArray[np.int64], values: NDArray[np.float64]) -> ByClass:
    """Of all classes that a model tells apart, those that an example has; arguments of shape [classes]."""
    there = np.flatnonzero(examples)
    return ByClass([class_name(task, int(index)) for index in there], examples[there], values[there])


def class_names(task: TaskSettings, outcomes: Outcomes) -> list[str]:
    """Of all classes that a model tells apart."""
    return [class_name(task, index) for index in range(outcomes.classes)]


def class_name(task: TaskSettings, index: int) -> str:
    return task.classes[index] if task.classes and index < len(task.classes) else str(index)


def check_classes(task: TaskSettings, classes: int, seen: NDArray[np.bool_], called: str = "class") -> None:
    """Refuse names that do not match a model's classes, and classes of which there is no example.

    Args:
        seen: of each class, whether the test split has it.

    Raises:
        UsageError: see above.
    """
    plural = "classes" if called == "class" else f"{called}s"
    if task.classes is not None and len(task.classes) != classes:
        raise UsageError(
            f"{len(task.classes)} class names are declared, and the model tells {classes} {plural} apart",
            where="makeweight.yaml: task.classes",
            do="Name as many classes as the model has outputs.",
        )
    absent = np.flatnonzero(~seen).tolist()
    if absent and task.absent_classes == "refuse":
        names = ", ".join(class_name(task, index) for index in absent[:10])
        raise UsageError(
            f"no example of {called} {names}{' and others' if len(absent) > 10 else ''} ({len(absent)} of "
            f"{classes} {plural} are absent): how compression treats them would go unseen",
            where="the test split",
            do=f"Add examples of them, or accept it with `task: {{kind: {task.kind}, absent_classes: allow}}`.",
        )
