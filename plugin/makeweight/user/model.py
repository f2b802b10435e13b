"""The user's reference model: loaded as a PyTorch module, and written as the baseline's model file."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from makeweight import registry
from makeweight.artifact.artifact import Manifest
from makeweight.artifact.model import Model
from makeweight.artifact.ports import Feeds, shown
from makeweight.artifact.versions import versions
from makeweight.layout import BASELINE, CONFIG
from makeweight.runtimes.runtime import Runtime
from makeweight.user import callables, data
from makeweight_base.errors import UsageError
from makeweight_base.progress import Progress
from makeweight_base.quiet import quiet

if TYPE_CHECKING:
    from makeweight.project.project import Project

# What a file made from a module, or from a file, depends on.
MODULE_PACKAGES = ("torch", "onnxscript", "onnx", "onnxruntime", "numpy")
GRAPH_PACKAGES = ("onnx", "onnxruntime", "numpy")

# How many keys of a state dict an error names of each kind.
_NAMED = 3


def load_module(project: Project) -> Any:
    """The reference model as a torch.nn.Module in eval mode, with its weights.

    Raises:
        UsageError: `build` fails or gives no module; the weights are missing, no state dict, or do not fit.
        MissingExtra: PyTorch is not installed.
    """
    registry.require("technique", "finetune")
    with quiet():
        import torch

    build, weights = project.model.build, project.model.weights
    if build is None or weights is None:
        raise UsageError(
            "this model is a file without a PyTorch module",
            where=CONFIG,
            do="Declare `model.build` and `model.weights`.",
        )
    module = callables.call(
        callables.find(build, project.root, where=f"{CONFIG}: model.build"), name=build, root=project.root
    )
    if not isinstance(module, torch.nn.Module):
        raise UsageError(
            f"`{build}` gave {type(module).__name__}, not a torch.nn.Module",
            where=f"{CONFIG}: model.build",
            do="Return the module itself; its weights are loaded from `model.weights`.",
        )
    _load_weights(module, project.root / weights, weights)
    return module.eval()


def write_baseline(project: Project, folder: Path, progress: Progress) -> Manifest:
    """Put the reference model into `folder` as a model file of its runtime: exported, or copied byte by byte.

    Raises:
        UsageError: the module cannot be loaded or exported, or the file cannot be opened or is not as declared.
    """
    name = project.model.runtime
    runtime: Runtime = registry.ready("runtime", name)()
    path = folder / f"model{runtime.suffix}"
    if project.model.build is not None:
        module = load_module(project)
        progress.say("baseline: exporting the module")
        runtime.export(module, shapes(project), example(project), path)
        made = runtime.read(path)
        packages: tuple[str, ...] = MODULE_PACKAGES
    else:
        given = runtime.read(project.root / str(project.model.onnx))
        runtime.open(given)
        made = given.copy(path)
        packages = GRAPH_PACKAGES
    _as_declared(project, made)
    return Manifest(
        variant=BASELINE,
        status="ready",
        runtime=name,
        recipe=[],
        seed=project.seed,
        parent=None,
        versions=versions(packages),
        model=made,
        size_compressed=made.compressed_size(),
        **asdict(runtime.inspect(made)),
    )


def shapes(project: Project) -> dict[str, tuple[int | str, ...]]:
    """The declared inputs, in order."""
    return {name: tuple(shape) for name, shape in project.model.inputs.items()}


def example(project: Project) -> Feeds:
    """Real examples to trace the module on: as many as its batch, two where that is free.

    Raises:
        UsageError: the data do not have the declared inputs or shapes, or too few examples.
    """
    sizes = {shape[0] for shape in shapes(project).values() if shape and isinstance(shape[0], int)}
    wanted = max((size for size in sizes if isinstance(size, int)), default=2)
    chosen = data.calibration(project).take(slice(0, wanted))
    feeds: Feeds = {}
    for name, shape in shapes(project).items():
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


def _load_weights(module: Any, path: Path, declared: str) -> None:
    import torch

    try:
        with quiet():
            state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise UsageError(
            "there is no weights file", where=declared, do="Train the model first, or mend `model.weights`."
        ) from error
    except IsADirectoryError as error:
        raise UsageError("this is a folder, not a weights file", where=declared) from error
    except pickle.UnpicklingError as error:
        raise UsageError(
            "the file holds more than tensors (or is no PyTorch file), and is not loaded: it could run any code",
            where=declared,
            do="Save the weights alone: torch.save(module.state_dict(), path).",
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError) as error:
        if "allocate memory" in str(error):
            raise MemoryError(str(error)) from error
        raise UsageError(
            f"the weights cannot be read: {_first_line(error)}",
            where=declared,
            do="The file may be cut short; save it again.",
        ) from error
    if not isinstance(state, Mapping) or not state or not all(isinstance(v, torch.Tensor) for v in state.values()):
        raise UsageError(
            f"this is no state dict but {_kind(state)}",
            where=declared,
            do="Save the weights alone: torch.save(module.state_dict(), path).",
        )
    wrong = _mismatches(module.state_dict(), state)
    if wrong:
        hint = "Rebuild the module as it was trained, or save its state dict again."
        if all(str(key).startswith("module.") for key in state):
            hint = "They were saved from DataParallel: save wrapper.module.state_dict() instead."
        raise UsageError(
            f"the weights do not fit the module: {'; '.join(wrong)}",
            where=declared,
            do=hint,
        )
    module.load_state_dict(state)
    bad = [name for name, value in state.items() if value.is_floating_point() and not bool(torch.isfinite(value).all())]
    if bad:
        raise UsageError(f"the weights hold NaN or infinity: {_some(bad)}", where=declared, do="Train the model again.")


def _mismatches(wanted: Mapping[str, Any], given: Mapping[str, Any]) -> list[str]:
    found = []
    if missing := [name for name in wanted if name not in given]:
        found.append(f"{len(missing)} missing ({_some(missing)})")
    if unexpected := [name for name in given if name not in wanted]:
        found.append(f"{len(unexpected)} unexpected ({_some(unexpected)})")
    shaped = [
        f"{name} is {shown(given[name].shape)} for {shown(wanted[name].shape)}"
        for name in wanted
        if name in given and given[name].shape != wanted[name].shape
    ]
    if shaped:
        found.append(f"{len(shaped)} of another shape ({_some(shaped)})")
    return found


def _as_declared(project: Project, model: Model) -> None:
    """The declared inputs and output against those of the file."""
    where = str(project.model.onnx or CONFIG)
    outputs = [port.name for port in model.outputs]
    if project.model.output is not None and project.model.output not in outputs:
        raise UsageError(
            f"the model has no output `{project.model.output}`; it has {', '.join(outputs)}",
            where=f"{CONFIG}: model.output",
        )
    declared = shapes(project)
    if not declared:
        return
    ports = {port.name: port.shape for port in model.inputs}
    if set(declared) != set(ports):
        raise UsageError(
            f"the model's inputs are {', '.join(ports)}, and {', '.join(declared)} are declared",
            where=where,
            do=f"Mend `model.inputs` in {CONFIG}.",
        )
    for name, shape in declared.items():
        have = ports[name]
        if len(have) != len(shape) or any(
            isinstance(size, int) and size != want for size, want in zip(have, shape, strict=True)
        ):
            raise UsageError(
                f"input `{name}` has shape {shown(have)}, and is declared as {shown(shape)}",
                where=where,
                do=f"Mend `model.inputs` in {CONFIG}.",
            )


def _some(names: list[str]) -> str:
    return ", ".join(names[:_NAMED]) + (", …" if len(names) > _NAMED else "")


def _kind(state: object) -> str:
    if isinstance(state, Mapping):
        return f"a mapping of {_some([str(key) for key in state])}" if state else "an empty mapping"
    return f"a {type(state).__name__}"


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
