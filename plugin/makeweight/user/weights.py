"""Weights for a module, from whatever they were saved in: which of the tensors of a file are the module's.

A file of weights is a tree of names: the keys of a checkpoint, and within a state dict the dotted names. A module's
weights are the place of that tree below which the names and shapes are its own, so what a wrapper or a trainer puts in
front (`module.`, `_orig_mod.`, `state_dict`, `ema.module.`) is no case of its own. PyTorch's strict `load_state_dict`
has the last word: https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.load_state_dict
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from makeweight.artifact.kind import STATE
from makeweight.layout import CONFIG
from makeweight.runtimes import environment
from makeweight.user import lazy, saved
from makeweight.user.saved import EXTRA, bare, some
from makeweight_base.errors import UsageError, first_line
from makeweight_base.quiet import quiet

_KEY = f"{CONFIG}: model.weights_key"
_COUNTS = "num_batches_tracked"
_SHAPES = r"size mismatch for (\S+): .* torch\.Size\(\[(.*?)\]\).*torch\.Size\(\[(.*?)\]\)"


class Place(NamedTuple):
    """A part of a file: all tensors below one name."""

    name: str
    """`ema.module`; "" for the whole file."""
    state: dict[str, Any]
    """Tensors by the rest of their names."""


def load(module: Any, path: Path, key: str | None) -> str:
    """Load a file's weights into a torch.nn.Module, and tell where in the file they lay; "" for all of it.

    Args:
        key: the part of the file that is meant, such as `ema`; None: the one that fits.

    Raises:
        UsageError: the file cannot be read or is something else; several parts of it fit, or none does; or the weights
            hold NaN or infinity.
    """
    content = saved.read(path)
    try:
        tensors = dict(saved.tensors(content))
    except RecursionError as error:
        raise UsageError("what the file holds is nested too deeply, or in itself", do=STATE) from error
    if not tensors:
        raise UsageError(f"this is no state dict but {_described(content)}", do=STATE)
    places = _places(tensors)
    if key is not None and key not in places:
        held = some(list(dict.fromkeys(name.partition(".")[0] for name in tensors)))
        raise UsageError(f"the file has no weights under `{key}`; it has {held}", where=_KEY)
    within = [place for place in places.values() if key in (None, place.name) or place.name.startswith(f"{key}.")]
    own = {bare(name): (name, value) for name, value in module.state_dict().items()}
    place = _chosen(within, {name: value for name, (_, value) in own.items()}, shared(module))
    state = OrderedDict((own[name][0] if name in own else name, value) for name, value in place.state.items())
    _refuse_other_numbers(state, own)
    above = f"{place.name}." if place.name else ""
    # by module, for those that read what older versions of themselves saved
    state._metadata = {  # type: ignore[attr-defined]
        f"{name}."[len(above) :].rstrip("."): value
        for name, value in saved.versions(content)
        if f"{name}.".startswith(above)
    }
    try:
        with quiet():
            module.load_state_dict(state)
    except Exception as error:  # modules may load in ways of their own
        environment.reraise(error)
        raise _explained(error, place, places) from error
    lazy.settle(module)
    if bad := not_finite(module):
        raise UsageError(f"the weights hold NaN or infinity: {some(bad)}", do="Train the model again.")
    return place.name


def counted(module: Any) -> int:
    """How many numbers a module learns; those that several layers share are counted once."""
    return sum(parameter.numel() for parameter in module.parameters())


def not_finite(module: Any) -> list[str]:
    """The names of what a module keeps that holds NaN or infinity. A buffer may hold infinity, as masks do, which shut
    places out by it; the statistics of a normalization may not."""
    import torch

    buffers = {
        f"{name}.{own}".lstrip(".")
        for name, part in module.named_modules(remove_duplicate=False)
        if not isinstance(part, torch.nn.modules.batchnorm._NormBase)
        for own in part._buffers
    }
    return [
        name
        for name, value in module.state_dict().items()
        if isinstance(value, torch.Tensor)
        and (value.is_floating_point() or value.is_complex())
        and bool((value.isnan() if name in buffers else ~value.isfinite()).any())
    ]


def _places(tensors: Mapping[str, Any]) -> dict[str, Place]:
    """Every name with tensors below it; first the whole."""
    places = {"": Place("", {})}
    for full, value in tensors.items():
        parts = full.split(".")
        for depth in range(len(parts)):
            name = ".".join(parts[:depth])
            places.setdefault(name, Place(name, {})).state[".".join(parts[depth:])] = value
    return places


def tied(module: Any) -> list[list[str]]:
    """The names of each parameter that has several."""
    names: dict[int, list[str]] = {}
    for name, parameter in module.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).append(name)
    return [group for group in names.values() if len(group) > 1]


def shared(module: Any) -> list[list[str]]:
    """The same without what PyTorch puts in between: files leave out all but one of them (safetensors must)."""
    return [[bare(name) for name in group] for group in tied(module)]


def _chosen(places: Sequence[Place], own: Mapping[str, Any], shared: Sequence[Sequence[str]]) -> Place:
    """The one place that fits; where none does, the one that PyTorch's refusal is told of: the likest."""
    completed = [Place(place.name, _completed(place.state, shared)) for place in places]
    fitting = [place for place in completed if _fits(place.state, own)]
    if not fitting:
        renamed = [Place(place.name, _completed(_out_of_parallel(place.state, own), shared)) for place in places]
        fitting = [place for place in renamed if _fits(place.state, own)]
    if len(fitting) > 1:
        names = [place.name for place in fitting]
        raise UsageError(
            f"several parts of the file fit the module: {some([f'`{name}`' for name in names])}",
            where=_KEY,
            do=f"Say which, such as `weights_key: {names[-1]}`.",
        )
    return fitting[0] if fitting else max(completed, key=lambda place: len(place.state.keys() & own.keys()))


def _out_of_parallel(state: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Weights by the names that they have without the `module` of a part that was in `DataParallel`, which is taken off
    what is built."""
    named = dict[str, Any]()
    for name, value in state.items():
        first, *rest = name.split(".")
        alone = ".".join([first, *(part for part in rest if part != "module")])
        named[alone if name not in own and alone in own and alone not in state else name] = value
    return named


def _completed(state: dict[str, Any], shared: Sequence[Sequence[str]]) -> dict[str, Any]:
    missing = {
        name: state[given]
        for group in shared
        for name in group
        if name not in state and (given := next((each for each in group if each in state), None)) is not None
    }
    return {**state, **missing}


def _fits(state: Mapping[str, Any], own: Mapping[str, Any]) -> bool:
    """Whether names and shapes are the module's. Counts of batches need not be there: old files have none."""
    from torch.nn.parameter import is_lazy

    if any(name not in own for name in state):
        return False
    if any(name not in state for name in own if not name.endswith(_COUNTS)):
        return False
    return all(
        name.endswith(EXTRA) or is_lazy(own[name]) or own[name].shape == value.shape for name, value in state.items()
    )


def _refuse_other_numbers(state: Mapping[str, Any], own: Mapping[str, tuple[str, Any]]) -> None:
    """PyTorch would copy integers into a floating-point weight without a word."""
    import torch

    for name, ours in own.values():
        given = state.get(name)
        if not isinstance(given, torch.Tensor) or not isinstance(ours, torch.Tensor):
            continue
        if (given.is_floating_point(), given.is_complex()) != (ours.is_floating_point(), ours.is_complex()):
            raise UsageError(
                f"the weights do not fit the module: {name} holds {_dtype(given)} for {_dtype(ours)}",
                do="Quantized weights are not taken; save those that they were made from.",
            )


def _explained(error: Exception, place: Place, places: Mapping[str, Place]) -> UsageError:
    """What strict `load_state_dict` found, the first few names of each kind."""
    text = str(error)
    found = {
        what: re.findall(r'"([^"]+)"', line[1])
        if (line := re.search(rf"{label} key\(s\) in state_dict: (.*)", text))
        else []
        for what, label in (("missing", "Missing"), ("unexpected", "Unexpected"))
    }
    found["of another shape"] = [
        f"{name} is [{given}] for [{wanted}]" for name, given, wanted in re.findall(_SHAPES, text)
    ]
    wrong = [f"{len(names)} {what} ({some(names)})" for what, names in found.items() if names]
    if not wrong:
        wrong = [" ".join(line.strip() for line in text.splitlines()[1:]) or first_line(error)]
    do = "Rebuild the module as it was trained, or save its state dict again."
    if not found["missing"] and not found["unexpected"] and found["of another shape"]:
        do = "Build the module with the sizes that it was trained with, such as its number of classes."
    others = [f"`{name}`" for name in places if name and "." not in name and name != place.name.partition(".")[0]]
    if place.name and others:
        do += f" Other parts of the file have weights too ({some(others)}): `weights_key` says which is meant."
    which = f"`{place.name}` of the file does" if place.name else "the weights do"
    return UsageError(f"{which} not fit the module: {'; '.join(wrong)}", do=do)


def _dtype(tensor: Any) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _described(content: object) -> str:
    if isinstance(content, Mapping):
        return f"a mapping of {some([str(key) for key in content])}" if content else "an empty mapping"
    return f"a {type(content).__name__}"
