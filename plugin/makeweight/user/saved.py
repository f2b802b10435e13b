"""What was saved of a model: a file's content without running any code of it, and the tensors in it by their names."""

from __future__ import annotations

import argparse
import pickle
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from makeweight.artifact.kind import STATE, Kind, absent, kind_of
from makeweight.runtimes import environment
from makeweight_base.errors import UsageError, first_line
from makeweight_base.quiet import quiet

EXTRA = "_extra_state"
"""How the names end of what a module keeps of its own in a state dict; it need not be a tensor."""
# What PyTorch itself puts between the names of a module that it wraps.
_WRAPPING = frozenset({"_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"})
_CUT = "The file may be cut short; save it again."
# How many names an error gives.
_NAMED = 3


def read(path: Path) -> Any:
    """What a file of PyTorch's or of safetensors holds: tensors, and mappings and lists of them.

    Raises:
        UsageError: there is no such file, it is damaged or of another kind, or only unpickling could read it.
    """
    if not path.exists():
        what, do = absent(path)
        if do is None:
            what, do = "there is no weights file", "Train the model first, or mend `model.weights`."
        raise UsageError(what, do=do)
    kind = kind_of(path)
    if kind is not None and kind.format == "safetensors":
        return _of_safetensors(path)
    if kind is not None and kind.format == "torch":
        return _of_torch(path)
    if kind is None:
        kind = Kind("a folder, not a weights file" if path.is_dir() else "no file of weights", STATE)
    raise UsageError(f"this is {kind.what}", do=kind.do)


def _of_safetensors(path: Path) -> Any:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise UsageError(f"the weights cannot be read: {first_line(error)}", do=_CUT) from error


def _of_torch(path: Path) -> Any:
    import torch

    try:
        with quiet(), torch.serialization.safe_globals(_harmless()):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise _more_than_tensors(path, error) from error
    except (RuntimeError, EOFError, ValueError, KeyError) as error:
        environment.reraise(error)
        raise UsageError(f"the weights cannot be read: {first_line(error) or type(error).__name__}", do=_CUT) from error


def _harmless() -> list[Any]:
    """What trainers keep beside weights, and what runs no code when it is loaded: options, paths, numpy's numbers."""
    makers: list[Any] = [each.__reduce__()[0] for each in (np.float64(0), np.zeros(0))]
    # numpy 2 moved them, and files bear the names that they had
    named = [(make, f"numpy.{core}.multiarray.{make.__name__}") for make in makers for core in ("core", "_core")]
    types = {type(np.dtype(code)) for code in "?bhilqBHILQefd"}
    return [argparse.Namespace, type(Path()), np.ndarray, np.dtype, *named, *types]


def _more_than_tensors(path: Path, error: Exception) -> UsageError:
    """The refusal of a file that only unpickling could read, with the classes that it holds."""
    import torch

    try:
        with torch.serialization.safe_globals(_harmless()):
            held = sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path))
    except (ValueError, RuntimeError):  # the format before PyTorch 1.6
        held = re.findall(r"GLOBAL (\S+) was not an allowed", str(error))
    layers = [name for name in held if name.startswith("torch.nn.modules.")]
    own = [name for name in held if name not in layers]
    if layers or "state_dict" in own:
        return UsageError(
            f"this is a pickled module ({some(own or layers)}), and is not loaded: it could run any code",
            do="Where its code is, save its weights alone: "
            "torch.save(torch.load(path, weights_only=False).state_dict(), 'weights.pt').",
        )
    more = f" ({some(held)})" if held else ""
    return UsageError(f"the file holds more than tensors{more}, and is not loaded: it could run any code", do=STATE)


def _children(content: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(content, Mapping):
        yield from ((str(key), value) for key, value in content.items())
    elif isinstance(content, list | tuple):
        yield from ((str(index), value) for index, value in enumerate(content))


def tensors(content: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    """Every tensor of a file by its full name, and the state that modules add of their own."""
    import torch

    for name, value in _children(content):
        full = f"{above}.{name}" if above else name
        if isinstance(value, torch.Tensor) or name.endswith(EXTRA):
            yield bare(full), value
        else:
            yield from tensors(value, full)


def versions(content: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    """What state dicts note of each module, by its full name."""
    for name, value in getattr(content, "_metadata", {}).items():
        yield bare(".".join(filter(None, (above, name)))), value
    for name, value in _children(content):
        yield from versions(value, f"{above}.{name}" if above else name)


def bare(name: str) -> str:
    """A name without what PyTorch puts in between."""
    return ".".join(part for part in name.split(".") if part not in _WRAPPING)


def some(names: list[str]) -> str:
    """The first few names."""
    return ", ".join(names[:_NAMED]) + (", …" if len(names) > _NAMED else "")
