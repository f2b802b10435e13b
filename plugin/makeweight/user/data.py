"""The user's examples: from what the project declares to a split that is read as it is needed."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeweight import registry
from makeweight.config.settings import SPLITS, ImageSettings
from makeweight.user import callables, npz, opened, pictures, streamed, targets
from makeweight.user.arrays import Arrays
from makeweight.user.declared import Declared
from makeweight.user.form import GIVE, Form
from makeweight.user.indexed import Indexed
from makeweight.user.ports import fed_names
from makeweight.user.split import Source, Split
from makeweight.user.streamed import Stream
from makeweight_base.errors import UsageError, at

_NONE: Mapping[str, Split] = {}
_CHECK = "Check the loader; every split needs at least one."


def load(declared: Declared, split: str) -> Split:
    """One split of the project's examples, of which no more is read than it takes to know what it is.

    Raises:
        UsageError: the loader fails, or gives no examples or arrays of different lengths; or there is no such split.
            What is wrong with an example is told when it is read.
    """
    opened.watch()
    examples = _source(declared, split)
    return Split(split, examples, _slices(declared, split, examples.count))


def calibration(declared: Declared, loaded: Mapping[str, Split] = _NONE) -> Split:
    """The declared calibration examples: a file of their own, or a sample of a split, drawn with the seed.

    Args:
        loaded: see `undrawn`.
    """
    return undrawn(declared, loaded).draw(declared.data.calibration.samples, declared.seed)


def undrawn(declared: Declared, loaded: Mapping[str, Split] = _NONE) -> Split:
    """What the calibration examples are drawn from.

    Args:
        loaded: splits that are at hand, by name, so that they need not be loaded again.
    """
    if "calibration" in declared.data.places:
        return Split("calibration", _source(declared, "calibration"))
    name = declared.data.calibration.split
    return loaded[name] if name in loaded else load(declared, name)


def input_names(declared: Declared) -> tuple[str, ...]:
    """The inputs that examples feed, in order: as declared, else as the model's file has them."""
    if declared.model.inputs or declared.model.file is None:
        return fed_names(tuple(declared.model.inputs), declared.model)
    runtime = registry.ready("runtime", declared.model.runtime)()
    names = tuple(port.name for port in runtime.read(declared.root / declared.model.file).inputs)
    if not names:
        raise UsageError("the model has no input, so there is nothing to feed it with", where=declared.model.file)
    return fed_names(names, declared.model)


def _source(declared: Declared, split: str) -> Source:
    if declared.data.images is not None:
        return _from_images(declared, declared.data.images, split)
    return _from_callable(declared, split) if declared.data.load else _from_npz(declared, split)


def _from_callable(declared: Declared, split: str) -> Source:
    dotted = declared.data.load or ""
    loader = callables.find(dotted, declared.root, where="makeweight.yaml: data.load")
    called = f"{dotted}({split!r})"
    form = Form(input_names(declared), declared.task.kind, f"data.load({split!r})", called, declared.root)
    with at(form.where):
        given = form.call(loader, split)
        return source(given, lambda: form.call(loader, split), form, declared.data.workers, _most(declared, split))


def _most(declared: Declared, split: str) -> int | None:
    examples: Mapping[str, int] = dict(declared.data.examples)  # type: ignore[arg-type]
    return examples.get(split)


def source(given: Any, again: Callable[[], Any], form: Form, workers: int = 0, most: int | None = None) -> Source:
    """What a loader gave, to be read.

    Args:
        again: gives it anew, where one pass uses it up.
        most: so many of its examples are read, the first ones; None: all.

    Raises:
        UsageError: it holds no examples.
    """
    if isinstance(given, tuple) and len(given) == 2 and given[1] is None:
        raise UsageError("gave None for the targets", do=GIVE)
    if are_arrays(given):
        whole = _checked(Arrays(form.arrays(given[0]), targets.whole(given[1], form.task), form))
        return whole if most is None else whole.first(most)
    if _is_loader(given):
        return _of_loader(given, form, workers, most)
    if isinstance(given, Mapping) or not (hasattr(given, "__iter__") or hasattr(given, "__getitem__")):
        all_splits = isinstance(given, Mapping) and not given.keys().isdisjoint(SPLITS)
        do = "It has the splits by name: return the split that is asked for." if all_splits else GIVE
        raise UsageError(f"gave {type(given).__name__}, not examples", do=do)
    if _is_indexed(given):
        return _indexed(given, np.arange(form.call(len, given))[:most], form, workers)
    return _stream(given, again, form, most)


def are_arrays(given: Any) -> bool:
    """Whether a loader gave `(inputs, targets)`, and not two examples."""
    pair = isinstance(given, tuple) and len(given) == 2
    return pair and hasattr(given[1], "__len__") and not isinstance(given[1], tuple)


def _checked(whole: Arrays) -> Arrays:
    counts = {name: len(values) if values.ndim else 0 for name, values in whole.inputs.items()}
    first = next(iter(counts))
    wanted, what = (counts[first], f"of `{first}`") if whole.targets is None else (len(whole.targets), "targets")
    for name, count in counts.items():
        if count != wanted:
            raise UsageError(f"has {count} examples of `{name}` and {wanted} {what}")
    if wanted == 0:
        raise UsageError("gave no examples", do=_CHECK)
    return whole


def _is_indexed(given: Any) -> bool:
    """Whether its examples can be read by number. PyTorch's IterableDataset has __getitem__ and answers nothing."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(given, torch.utils.data.IterableDataset):
        return False
    # by its length, because iterating by the old protocol may never end
    return hasattr(given, "__getitem__") and hasattr(given, "__len__")


def _indexed(entries: Any, numbers: NDArray[np.int64], form: Form, workers: int) -> Indexed:
    if not len(numbers):
        raise UsageError("gave no examples", do=_CHECK)
    return Indexed(entries, numbers, form, workers)


def _stream(given: Any, again: Callable[[], Any], form: Form, most: int | None) -> Stream:
    """Of an iterator that is used up by a pass, the loader is asked for another."""
    left = [given]

    def opened() -> Iterable[Any]:
        once: Iterable[Any] = left.pop() if left else again()
        if not hasattr(once, "__next__"):
            left.append(once)
        return once

    return Stream(opened, form, most)


def _is_loader(given: Any) -> bool:
    """Whether it is a torch DataLoader, or looks like one."""
    return hasattr(given, "dataset") and hasattr(given, "collate_fn")


def _of_loader(loader: Any, form: Form, workers: int, most: int | None) -> Source:
    """What a DataLoader loads: the examples that its sampler chooses, in the order of the data, with its collate_fn. It
    is decided here how many there are in a batch, and in what order they are trained on."""
    from torch.utils.data import default_collate

    # without batches of its own, a loader's function converts one example
    if loader.batch_sampler is not None and loader.collate_fn is not default_collate:
        form = replace(form, collate=loader.collate_fn)
    if not _is_indexed(loader.dataset):
        return _stream(loader.dataset, lambda: loader.dataset, form, most)
    limit = streamed.ENDLESS + form.call(len, loader.dataset)
    numbers = form.call(lambda: np.sort(np.fromiter(itertools.islice(_chosen(loader), limit), dtype=np.int64)))
    if len(numbers) == limit:
        raise UsageError(f"has a sampler that chose {limit} examples, and goes on", do="Give it one that ends.")
    return _indexed(loader.dataset, numbers[:most], form, workers or loader.num_workers)


def _chosen(loader: Any) -> Iterable[int]:
    from torch.utils.data import BatchSampler

    if loader.batch_sampler is None or type(loader.batch_sampler) is BatchSampler:
        yield from loader.sampler
    else:
        for batch in loader.batch_sampler:
            yield from batch


def _from_npz(declared: Declared, split: str) -> Arrays:
    files: Mapping[str, str] = dict(declared.data.npz or {})  # type: ignore[arg-type]
    if split not in files:
        raise UsageError(
            f"there is no `{split}` split: data.npz has {', '.join(files)}", where="makeweight.yaml: data.npz"
        )
    path = declared.root / files[split]
    form = Form(input_names(declared), declared.task.kind, files[split], files[split], declared.root)
    with at(files[split]):
        arrays = npz.mapped(path)
        target = arrays.pop("target", None)
        if split == "calibration":
            target = None  # what is not measured on needs none
        elif target is None:
            raise UsageError(f"has no array `target`; it has {', '.join(arrays) or 'none'}")
        if len(form.names) == 1 and len(arrays) == 1:
            arrays = {form.names[0]: next(iter(arrays.values()))}
        inputs = form.arrays(arrays)
        return _checked(Arrays(inputs, None if target is None else targets.whole(target, form.task), form))


def _from_images(declared: Declared, settings: ImageSettings, split: str) -> Indexed:
    found = pictures.pictures(settings, split, declared.root, declared.task.classes)
    where = settings.splits[split]
    form = Form(input_names(declared), declared.task.kind, where, where, declared.root)
    if len(form.names) != 1:
        raise UsageError(
            f"the model has {len(form.names)} inputs ({', '.join(form.names)}), and pictures are one",
            where="makeweight.yaml: data.images",
            do="Load the examples with `data.load`.",
        )
    return Indexed(found, np.arange(len(found)), form, declared.data.workers)


def _slices(declared: Declared, split: str, count: int | None) -> NDArray[np.str_] | None:
    if declared.data.slices is None:
        return None
    dotted = declared.data.slices
    function = callables.find(dotted, declared.root, where="makeweight.yaml: data.slices")
    where = f"{dotted}({split!r})"
    given = callables.call(function, split, name=where, root=declared.root)
    if isinstance(given, str) or not hasattr(given, "__iter__"):
        raise UsageError(f"gave {type(given).__name__}, not a name for each example", where=where)
    most = _most(declared, split)
    beyond = None if hasattr(given, "__len__") else streamed.ENDLESS + (count or 0) + 1
    some = beyond if most is None else most
    names = callables.call(lambda: list(itertools.islice(given, some)), name=where, root=declared.root)
    if most is None and len(names) == beyond:
        raise UsageError(f"named {len(names)} examples, and goes on", where=where, do="Name each example once.")
    listed = ["" if name is None else str(name) for name in names]
    if count is not None and len(listed) != count:
        raise UsageError(f"named {len(listed)} examples, and the split has {count}", where=where)
    return np.array(listed, dtype=np.str_)
