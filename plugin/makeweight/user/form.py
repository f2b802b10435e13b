"""The form that examples must have: what the loader gives, made arrays by the model's input names, and checked."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeweight.budget.metric import TaskKind
from makeweight.user import callables, targets
from makeweight.user.digest import mark
from makeweight.user.split import Batch
from makeweight_base.errors import UsageError, at

GIVE = "Return (inputs, targets) arrays, or (input, target) pairs, one an example."
# What the column is usually called that holds the target of a row.
TARGETS = ("target", "targets", "label", "labels", "y")

Example = tuple[Mapping[str, NDArray[Any]], Any]
"""One example's inputs by name, and its target."""


@dataclass(frozen=True)
class Form:
    """What the examples of a split must be.

    `names`: the model's inputs, in order. `where`: begins errors. `called`: what the loader is called in errors that
    come out of it. `collate`: the user's own way from a list of examples to a batch. `numbers`: which examples of the
    split these are, for errors; None: all of them.
    """

    names: tuple[str, ...]
    task: TaskKind
    where: str
    called: str
    root: Path
    collate: Callable[[list[Any]], Any] | None = None
    numbers: NDArray[np.int64] | None = field(default=None, compare=False)

    def drawn(self, numbers: NDArray[np.int64]) -> Form:
        """That of some examples, which errors go on to call by their numbers in the split."""
        return replace(self, numbers=self._numbered(numbers))

    def call(self, function: Callable[..., Any], *arguments: Any, part: str = "") -> Any:
        """Call what is the user's; what it raises is told with file and line."""
        return callables.call(function, *arguments, name=f"{self.called}{part}", root=self.root)

    def batches(self, given: Sequence[Any], places: NDArray[np.int64]) -> list[Batch]:
        """Examples as the loader gave them, as one batch, or as several where shapes differ and nothing collates."""
        if self.collate is not None:
            return [self._collated(list(given), places)]
        with at(self.where):
            numbers = self._numbered(places).tolist()
            singles = [self._example(each, number) for each, number in zip(given, numbers, strict=True)]
            found, start = [], 0
            for _, run in itertools.groupby(singles, _shapes):
                alike = list(run)
                inputs = {name: np.stack([inputs[name] for inputs, _ in alike]) for name in self.names}
                some = places[start : start + len(alike)]
                found.append(self.batch(inputs, _listed([target for _, target in alike]), some))
                start += len(alike)
            return found

    def batch(
        self, inputs: Mapping[str, NDArray[Any]], wanted: Any, places: NDArray[np.int64], marks: bytes | None = None
    ) -> Batch:
        """Arrays, checked: in single precision where they are in a higher one, and finite.

        Args:
            wanted: the targets; None: there are none.
        """
        numbers = self._numbered(places)
        with at(self.where):
            made = Batch(
                places,
                {name: _single(values) for name, values in inputs.items()},
                None if wanted is None else targets.of_batch(wanted, self.task, numbers),
                marks,
            )
            for name, values in made.inputs.items():
                if values.ndim == 0 or len(values) != len(places):
                    counted = 0 if values.ndim == 0 else len(values)
                    raise UsageError(f"has {counted} examples of `{name}` where {len(places)} were read")
                _refuse_infinite(name, values, numbers)
            if made.targets is not None and len(made.targets) != len(places):
                raise UsageError(f"has {len(made.targets)} targets where {len(places)} examples were read")
            return made

    def arrays(self, inputs: Any) -> dict[str, NDArray[Any]]:
        """Whole arrays by input name, as they are: not copied and not read."""
        count = len(inputs) if isinstance(inputs, tuple | list) else 1
        wrong = f"gave {count} inputs, and the model has {len(self.names)}: {', '.join(self.names)}"
        return {name: _array(values, name) for name, values in self._by_name(inputs, wrong).items()}

    def _collated(self, given: list[Any], places: NDArray[np.int64]) -> Batch:
        made = self.together(given)
        with at(self.where):
            inputs, wanted = self._parted(made, f"collate_fn gave {_described(made)}")
            arrays = {name: _array(values, name) for name, values in inputs.items()}
            return self.batch(arrays, wanted, places, b"".join(self._mark(each) for each in given))

    def _numbered(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        return places if self.numbers is None else self.numbers[places]

    def _mark(self, given: Any) -> bytes:
        try:
            return mark(given)
        except TypeError:  # something of the user's own: what it becomes when it is alone
            inputs, wanted = self._parted(self.together([given]), "")
            return mark([[np.asarray(inputs[name]) for name in self.names], np.asarray(wanted)])

    def together(self, given: list[Any]) -> Any:
        """Examples as the user's `collate` makes them one."""
        return self.call(self.collate or list, given, part=".collate_fn")

    def _example(self, given: Any, number: int) -> Example:
        wrong = f"example {number} is no (input, target) pair but {_described(given)}"
        inputs, target = self._parted(given, wrong)
        return {name: _array(values, name) for name, values in inputs.items()}, target

    def _parted(self, given: Any, wrong: str) -> tuple[Mapping[str, Any], Any]:
        """Inputs by name and target, of a pair or a row with a column for each."""
        if isinstance(given, Mapping):
            return self._row(given)
        if not isinstance(given, tuple | list) or len(given) != 2:
            raise UsageError(wrong, do=GIVE)
        return self._one(given[0]), given[1]

    def _row(self, row: Mapping[str, Any]) -> tuple[Mapping[str, Any], Any]:
        others = [name for name in row if name not in self.names]
        target = others[0] if len(others) == 1 else next((name for name in TARGETS if name in others), None)
        single = [name for name in others if name != target]
        if len(self.names) == 1 and self.names[0] not in row and target is not None and len(single) == 1:
            return {self.names[0]: row[single[0]]}, row[target]
        missing = [name for name in self.names if name not in row]
        if missing or target is None:
            raise UsageError(
                f"a row has the columns {', '.join(map(str, row))}, and "
                + (f"no `{missing[0]}`, which the model takes" if missing else "none that is known for the target"),
                do=f"Name the columns as the model names its inputs, and the target `{TARGETS[0]}`.",
            )
        return {name: row[name] for name in self.names}, row[target]

    def _one(self, given: Any) -> Mapping[str, Any]:
        """One example's inputs by name."""
        wrong = (
            f"the model has {len(self.names)} inputs ({', '.join(self.names)}); each example's input is a mapping or a "
            f"tuple of as many arrays, not {type(given).__name__}"
        )
        return self._by_name(given, wrong)

    def _by_name(self, given: Any, wrong: str) -> Mapping[str, Any]:
        """Values by input name, of a mapping, a tuple in the order of the inputs, or, of a single input, the value."""
        if isinstance(given, Mapping):
            if set(given) != set(self.names):
                raise UsageError(
                    f"gave the inputs {', '.join(map(str, given)) or 'none'}, and the model's are "
                    f"{', '.join(self.names)}",
                    do="Name the arrays as the model names its inputs.",
                )
            return {name: given[name] for name in self.names}
        if len(self.names) == 1:
            return {self.names[0]: given}
        if not isinstance(given, tuple | list) or len(given) != len(self.names):
            raise UsageError(wrong)
        return dict(zip(self.names, given, strict=True))


def _described(given: Any) -> str:
    """`int`, `a tuple of 3`."""
    kind = type(given).__name__
    return f"a {kind} of {len(given)}" if isinstance(given, tuple | list) else kind


def _array(values: Any, name: str) -> NDArray[Any]:
    return targets.numbers(values, f"input `{name}`", "holds")


def _single(values: NDArray[Any]) -> NDArray[Any]:
    """In single precision where they are in a higher one, and in the byte order of this machine, as tensors are."""
    if values.dtype.kind == "f" and values.dtype.itemsize > 4:
        with np.errstate(over="ignore"):  # what becomes infinite is told afterwards
            return values.astype(np.float32)
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def _shapes(example: Example) -> tuple[Any, ...]:
    inputs, target = example
    return (*(values.shape for values in inputs.values()), getattr(target, "shape", ()))


def _listed(wanted: list[Any]) -> Any:
    """Targets as numpy stacks them: tensors one by one would be taken for sequences."""
    return [np.asarray(each) for each in wanted] if hasattr(wanted[0], "shape") else wanted


def _refuse_infinite(name: str, values: NDArray[Any], numbers: NDArray[np.int64]) -> None:
    if values.dtype.kind != "f":
        return
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(values.sum()):  # twice as fast as to look at each, and no finite sum has a NaN in it
            return
    finite = np.isfinite(values)
    if not finite.all():
        raise UsageError(
            f"example {int(numbers[np.argwhere(~finite)[0][0]])} of `{name}` holds NaN, infinity or a number beyond "
            f"{values.dtype}",
            do="Mend the loader: a model cannot be judged on such examples.",
        )
