"""The user's examples: loaded from a callable or .npz files, checked, and kept as arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeweight import registry
from makeweight.user import callables
from makeweight.user.dataset import Dataset
from makeweight.user.declared import Declared
from makeweight_base.errors import UsageError, at

_MOST_CLASSES = 2**31
_GIVE = "Return (inputs, targets) arrays, or an iterable of (input, target) pairs."
_CHECK = "Check the loader; every split needs at least one."


def load(declared: Declared, split: str) -> Dataset:
    """One split of the project's examples, checked.

    Raises:
        UsageError: the loader fails, or yields nothing, NaN, arrays of different lengths, or targets that do not
            fit the task; or there is no such split.
    """
    inputs, targets = _from_callable(declared, split) if declared.data.load else _from_npz(declared, split)
    with at(_origin(declared, split)):
        dataset = Dataset(split, inputs, _targets(targets, declared.task.kind))
        _check(dataset)
    return replace(dataset, slices=_slices(declared, split, len(dataset)))


def calibration(declared: Declared) -> Dataset:
    """The declared calibration examples: a file of their own, or a sample of a split, drawn with the seed."""
    if declared.data.npz is not None and "calibration" in declared.data.npz:
        inputs, _ = _from_npz(declared, "calibration")
        first = next(iter(inputs.values()))
        # what is not measured on needs no targets
        dataset = Dataset("calibration", inputs, np.zeros(len(first) if first.ndim else 0))
        with at(_origin(declared, "calibration")):
            _check(dataset)
    else:
        dataset = load(declared, declared.data.calibration.split)
    wanted = declared.data.calibration.samples
    if len(dataset) <= wanted:
        return dataset
    drawn = np.random.default_rng(declared.seed).choice(len(dataset), wanted, replace=False)
    return dataset.take(np.sort(drawn))


def input_names(declared: Declared) -> tuple[str, ...]:
    """The model's inputs in order: as declared, else as its file has them."""
    if declared.model.inputs or declared.model.file is None:
        return tuple(declared.model.inputs)
    runtime = registry.ready("runtime", declared.model.runtime)()
    names = tuple(port.name for port in runtime.read(declared.root / declared.model.file).inputs)
    if not names:
        raise UsageError("the model has no input, so there is nothing to feed it with", where=declared.model.file)
    return names


def _origin(declared: Declared, split: str) -> str:
    return f"data.load({split!r})" if declared.data.load else str((declared.data.npz or {}).get(split))  # type: ignore[call-overload]


def _from_callable(declared: Declared, split: str) -> tuple[dict[str, NDArray[Any]], Any]:
    dotted = declared.data.load or ""
    loader = callables.find(dotted, declared.root, where="makeweight.yaml: data.load")
    given = callables.call(loader, split, name=f"{dotted}({split!r})", root=declared.root)
    names = input_names(declared)
    where = _origin(declared, split)
    whole = isinstance(given, tuple) and len(given) == 2
    if whole and hasattr(given[1], "__len__") and not isinstance(given[1], tuple):
        with at(where):
            return _named(given[0], names), given[1]
    if isinstance(given, Mapping) or not (hasattr(given, "__iter__") or hasattr(given, "__getitem__")):
        raise UsageError(f"gave {type(given).__name__}, not examples", where=where, do=_GIVE)
    pairs = callables.call(lambda: list(_pairs(given, where)), name=f"{dotted}({split!r})", root=declared.root)
    if not pairs:
        raise UsageError("gave no examples", where=where, do=_CHECK)
    with at(where):
        singles = [_one(entry, names) for entry, _ in pairs]
        return {name: _stack([single[name] for single in singles], name) for name in names}, [t for _, t in pairs]


def _pairs(given: Any, where: str) -> Iterator[tuple[Any, Any]]:
    # A torch-style dataset has __getitem__ and __len__, and iterating it by the old protocol may never end.
    entries = (
        (given[i] for i in range(len(given))) if hasattr(given, "__getitem__") and hasattr(given, "__len__") else given
    )
    for index, entry in enumerate(entries):
        if not isinstance(entry, tuple | list) or len(entry) != 2:
            raise UsageError(
                f"example {index} is no (input, target) pair but {type(entry).__name__}", where=where, do=_GIVE
            )
        yield entry[0], entry[1]


def _named(inputs: Any, names: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    """Whole arrays by input name."""
    count = len(inputs) if isinstance(inputs, tuple | list) else 1
    wrong = f"gave {count} inputs, and the model has {len(names)}: {', '.join(names)}"
    return {name: _array(values, name) for name, values in _by_name(inputs, names, wrong).items()}


def _one(entry: Any, names: tuple[str, ...]) -> Mapping[str, Any]:
    """One example's inputs by name."""
    wrong = (
        f"the model has {len(names)} inputs ({', '.join(names)}); each example's input is a mapping or a tuple of as "
        f"many arrays, not {type(entry).__name__}"
    )
    return _by_name(entry, names, wrong)


def _by_name(given: Any, names: tuple[str, ...], wrong: str) -> Mapping[str, Any]:
    """Values by input name, of a mapping, a tuple in the order of the inputs, or, of a single input, the value."""
    if isinstance(given, Mapping):
        if set(given) != set(names):
            raise UsageError(
                f"gave the inputs {', '.join(map(str, given)) or 'none'}, and the model's are {', '.join(names)}",
                do="Name the arrays as the model names its inputs.",
            )
        return {name: given[name] for name in names}
    if len(names) == 1:
        return {names[0]: given}
    if not isinstance(given, tuple | list) or len(given) != len(names):
        raise UsageError(wrong)
    return dict(zip(names, given, strict=True))


def _stack(values: list[Any], name: str) -> NDArray[Any]:
    arrays = [_array(value, name) for value in values]
    shapes = {array.shape for array in arrays}
    if len(shapes) > 1:
        first, second = sorted(shapes, key=str)[:2]
        raise UsageError(f"examples of input `{name}` have different shapes, such as {first} and {second}")
    return _array(np.stack(arrays), name)


def _array(values: Any, name: str) -> NDArray[Any]:
    array = _numbers(values, f"input `{name}`", "holds")
    with np.errstate(over="ignore"):  # what becomes infinite is told by the check of all examples
        return array.astype(np.float32) if array.dtype == np.float64 else array


def _from_npz(declared: Declared, split: str) -> tuple[dict[str, NDArray[Any]], Any]:
    files: Mapping[str, str] = dict(declared.data.npz or {})  # type: ignore[arg-type]
    if split not in files:
        raise UsageError(
            f"there is no `{split}` split: data.npz has {', '.join(files)}", where="makeweight.yaml: data.npz"
        )
    path = declared.root / files[split]
    try:
        with np.load(path, allow_pickle=False) as data:
            arrays = {name: data[name] for name in data.files}
    except FileNotFoundError as error:
        raise UsageError("no such file", where=files[split], do="Mend data.npz in makeweight.yaml.") from error
    except Exception as error:
        raise UsageError(
            "cannot be read as .npz: it is none, damaged, or holds Python objects",
            where=files[split],
            do="Write plain arrays with numpy.savez.",
        ) from error
    target = arrays.pop("target", None)
    if target is None and split != "calibration":
        raise UsageError(f"has no array `target`; it has {', '.join(arrays) or 'none'}", where=files[split])
    names = input_names(declared)
    if len(names) == 1 and len(arrays) == 1:
        arrays = {names[0]: next(iter(arrays.values()))}
    with at(files[split]):
        return _named(arrays, names), target


def _numbers(given: Any, what: str, holds: str) -> NDArray[Any]:
    try:
        array = np.asarray(given)
    except (ValueError, TypeError, RuntimeError) as error:
        raise UsageError(f"{what} cannot be made an array: {error}") from error
    if array.dtype.kind not in "fiub":
        raise UsageError(f"{what} {holds} {array.dtype}, not numbers")
    return array


def _targets(targets: Any, kind: str) -> NDArray[Any]:
    array = _numbers(targets, "targets", "hold")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise UsageError(f"the target of example {_first_bad(array)} is not finite")
    if array.ndim == 0:
        raise UsageError("gave one target for all examples; each needs its own")
    if kind != "classification":
        return array
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise UsageError(f"targets of a classification are one class index an example, not of shape {array.shape[1:]}")
    if array.dtype.kind == "f" and not (array == np.round(array)).all():
        raise UsageError("targets of a classification are class indices, and these are not whole")
    odd = np.nonzero((array < 0) | (array > _MOST_CLASSES))[0]
    if len(odd):
        raise UsageError(f"the target of example {int(odd[0])} is {array[odd[0]]:g}, and class indices begin at 0")
    return array.astype(np.int64)


def _check(dataset: Dataset) -> None:
    if len(dataset) == 0:
        raise UsageError("gave no examples", do=_CHECK)
    for name, values in dataset.inputs.items():
        if values.ndim == 0 or len(values) != len(dataset):
            count = 0 if values.ndim == 0 else len(values)
            raise UsageError(f"has {count} examples of `{name}` and {len(dataset)} targets")
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise UsageError(
                f"example {_first_bad(values)} of `{name}` holds NaN, infinity or a number beyond {values.dtype}",
                do="Mend the loader: a model cannot be judged on such examples.",
            )


def _first_bad(array: NDArray[Any]) -> int:
    return int(np.argwhere(~np.isfinite(array))[0][0])


def _slices(declared: Declared, split: str, count: int) -> NDArray[np.str_] | None:
    if declared.data.slices is None:
        return None
    dotted = declared.data.slices
    function = callables.find(dotted, declared.root, where="makeweight.yaml: data.slices")
    where = f"{dotted}({split!r})"
    given = callables.call(function, split, name=where, root=declared.root)
    if isinstance(given, str) or not hasattr(given, "__iter__"):
        raise UsageError(f"gave {type(given).__name__}, not a name for each example", where=where)
    names = callables.call(lambda: list(given), name=where, root=declared.root)
    listed = ["" if name is None else str(name) for name in names]
    if len(listed) != count:
        raise UsageError(f"named {len(listed)} examples, and the split has {count}", where=where)
    return np.array(listed, dtype=np.str_)
