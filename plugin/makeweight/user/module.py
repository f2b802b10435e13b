"""The user's reference model as a PyTorch module with its weights, and as the program that it is lowered as."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from makeweight import registry
from makeweight.artifact.ports import Feeds, shown
from makeweight.layout import CONFIG
from makeweight.runtimes.runtime import Program
from makeweight.user import callables, data
from makeweight.user.declared import Declared
from makeweight_base.errors import UsageError, at, first_line
from makeweight_base.quiet import quiet

# How many keys of a state dict an error names of each kind.
_NAMED = 3
_SAVE = "Save the weights alone: torch.save(module.state_dict(), path)."


def load_module(declared: Declared) -> Any:
    """The reference model as a torch.nn.Module in eval mode, with its weights.

    Raises:
        UsageError: `build` fails or gives no module; the weights are missing, no state dict, or do not fit.
        MissingExtra: PyTorch is not installed.
    """
    registry.require_extra("a PyTorch module", "torch")
    with quiet():
        import torch

    build, weights = declared.model.build, declared.model.weights
    if build is None or weights is None:
        raise UsageError(
            "this model is a file without a PyTorch module",
            where=CONFIG,
            do="Declare `model.build` and `model.weights`.",
        )
    module = callables.call(
        callables.find(build, declared.root, where=f"{CONFIG}: model.build"), name=build, root=declared.root
    )
    if not isinstance(module, torch.nn.Module):
        raise UsageError(
            f"`{build}` gave {type(module).__name__}, not a torch.nn.Module",
            where=f"{CONFIG}: model.build",
            do="Return the module itself; its weights are loaded from `model.weights`.",
        )
    with at(weights):
        _load_weights(module, declared.root / weights)
    return module.eval()


def program(declared: Declared, module: Any, left: Mapping[str, Any] | None = None) -> Program:
    """A module of the declared inputs, to be lowered.

    Raises:
        UsageError: see `example`.
    """
    return Program(module, shapes(declared), example(declared), left or {})


def shapes(declared: Declared) -> dict[str, tuple[int | str, ...]]:
    """The declared inputs, in order."""
    return {name: tuple(shape) for name, shape in declared.model.inputs.items()}


def example(declared: Declared) -> Feeds:
    """Real examples to trace the module on: as many as its batch, two where that is free.

    Raises:
        UsageError: the data do not have the declared inputs or shapes, or too few examples.
    """
    sizes = [shape[0] for shape in shapes(declared).values() if shape and isinstance(shape[0], int)]
    wanted = max(sizes, default=2)
    chosen = data.calibration(declared).take(slice(0, wanted))
    feeds: Feeds = {}
    for name, shape in shapes(declared).items():
        if name not in chosen.inputs:
            raise UsageError(
                f"the data have no input `{name}`; they have {', '.join(chosen.inputs)}",
                where=f"{CONFIG}: model.inputs",
            )
        values = chosen.inputs[name]
        if values.shape[1:] != shape[1:]:
            raise UsageError(
                f"input `{name}` is declared as {shown(shape)}, and one example of the data has shape "
                f"{shown(values.shape[1:])}",
                where=f"{CONFIG}: model.inputs",
                do="Mend the declaration, or the loader; the first size is the batch.",
            )
        if len(values) < wanted and sizes:
            raise UsageError(
                f"input `{name}` is declared with a batch of {wanted}, and there are {len(values)} examples",
                where=f"{CONFIG}: data.calibration",
                do="Give more examples, or declare the batch as a letter.",
            )
        feeds[name] = values.astype(np.float32) if values.dtype.kind == "f" else values
    return feeds


def _load_weights(module: Any, path: Path) -> None:
    import torch

    try:
        with quiet():
            state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise UsageError("there is no weights file", do="Train the model first, or mend `model.weights`.") from error
    except IsADirectoryError as error:
        raise UsageError("this is a folder, not a weights file") from error
    except pickle.UnpicklingError as error:
        raise UsageError(
            "the file holds more than tensors (or is no PyTorch file), and is not loaded: it could run any code",
            do=_SAVE,
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError) as error:
        if "allocate memory" in str(error):
            raise MemoryError(str(error)) from error
        raise UsageError(
            f"the weights cannot be read: {first_line(error) or type(error).__name__}",
            do="The file may be cut short; save it again.",
        ) from error
    if not isinstance(state, Mapping) or not state or not all(isinstance(v, torch.Tensor) for v in state.values()):
        raise UsageError(f"this is no state dict but {_kind(state)}", do=_SAVE)
    wrong = _mismatches(module.state_dict(), state)
    if wrong:
        hint = "Rebuild the module as it was trained, or save its state dict again."
        if all(str(key).startswith("module.") for key in state):
            hint = "They were saved from DataParallel: save wrapper.module.state_dict() instead."
        raise UsageError(f"the weights do not fit the module: {'; '.join(wrong)}", do=hint)
    module.load_state_dict(state)
    bad = [name for name, value in state.items() if value.is_floating_point() and not bool(torch.isfinite(value).all())]
    if bad:
        raise UsageError(f"the weights hold NaN or infinity: {_some(bad)}", do="Train the model again.")


def _mismatches(wanted: Mapping[str, Any], given: Mapping[str, Any]) -> list[str]:
    shaped = [
        f"{name} is {shown(given[name].shape)} for {shown(wanted[name].shape)}"
        for name in wanted
        if name in given and given[name].shape != wanted[name].shape
    ]
    differences = {
        "missing": [name for name in wanted if name not in given],
        "unexpected": [name for name in given if name not in wanted],
        "of another shape": shaped,
    }
    return [f"{len(names)} {what} ({_some(names)})" for what, names in differences.items() if names]


def _some(names: list[str]) -> str:
    return ", ".join(names[:_NAMED]) + (", …" if len(names) > _NAMED else "")


def _kind(state: object) -> str:
    if isinstance(state, Mapping):
        return f"a mapping of {_some([str(key) for key in state])}" if state else "an empty mapping"
    return f"a {type(state).__name__}"
