"""The user's reference model as a PyTorch module with its weights, and as the program that it is lowered as."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from makeweight import registry
from makeweight.artifact.feeds import fit
from makeweight.artifact.ports import Feeds, Port, Shape, batch_size, of_examples, shown
from makeweight.layout import CONFIG
from makeweight.runtimes.runtime import Program
from makeweight.user import anew, callables, exported, lazy, weights
from makeweight.user.declared import Declared
from makeweight.user.ports import of_module
from makeweight.user.single import in_single
from makeweight.user.split import Split
from makeweight.user.unwrapped import unwrapped
from makeweight_base.errors import UsageError, at
from makeweight_base.progress import Progress
from makeweight_base.quiet import quiet

# Examples that a module is traced on where its batch is free.
_FEW = 4


def load_module(declared: Declared, progress: Progress | None = None) -> Any:
    """The reference model as a torch.nn.Module in eval mode, with its weights: built, or a torch.export program.

    Args:
        progress: hears which part of the file the weights are, where that is not all of it, and what was converted.

    Raises:
        UsageError: `build` fails, or gives no module, or the same one again; the weights are missing, something else,
            or do not fit; the program is none, or not as declared.
        MissingExtra: PyTorch is not installed.
    """
    registry.require_extra("a PyTorch module", "torch")
    build, file, program = declared.model.build, declared.model.weights, declared.model.pt2
    if program is not None:
        with at(program):
            return exported.load(declared.root / program, _shapes(of_module(declared.model)))
    if build is None or file is None:
        raise UsageError(
            "this model is a file without a PyTorch module",
            where=CONFIG,
            do="Declare `model.build` and `model.weights`.",
        )
    where = f"{CONFIG}: model.build"
    module = built(build, declared.root, where=where, progress=progress)
    anew.have_its_own(module, build, where)
    with at(file):
        part = weights.load(module, declared.root / file, declared.model.weights_key)
    if part and progress is not None:
        progress.say(f"the weights are `{part}` of {file}")
    return module.eval()


def built(build: str, root: Path, *, where: str, progress: Progress | None = None) -> Any:
    """The torch.nn.Module that `module:callable` returns: without what makes it train or run faster, and in float32, so
    that weights of more digits than it was built in lose none when they are loaded.

    Args:
        progress: hears what was converted.

    Raises:
        UsageError: it fails, or gives no module, or one that has no code of Python's.
        MissingExtra: PyTorch is not installed.
    """
    registry.require_extra("a PyTorch module", "torch")
    with quiet():
        import torch

    module = callables.call(callables.find(build, root, where=where), name=build, root=root)
    if not isinstance(module, torch.nn.Module):
        raise UsageError(
            f"`{build}` gave {type(module).__name__}, not a torch.nn.Module",
            where=where,
            do="Return the module itself; its weights are loaded from their file.",
        )
    module = unwrapped(module)
    if isinstance(module, torch.jit.ScriptModule):
        raise UsageError(
            f"`{build}` gave a TorchScript module, which can neither be exported nor changed",
            where=where,
            do="Return the module that was scripted or traced; its weights have the same names.",
        )
    if (was := in_single(module)) and progress is not None:
        progress.say(f"`{build}` is built in {was}, and is converted to float32: lower numbers are the recipes' affair")
    lazy.settle(module)  # one whose code loads weights itself
    return module


def program(declared: Declared, module: Any, examples: Split, left: Mapping[str, Any] | None = None) -> Program:
    """A module of the declared inputs, to be lowered.

    Args:
        examples: what it is traced on, see `data.undrawn`.

    Raises:
        UsageError: see `example`.
    """
    ports = of_module(declared.model)
    return Program(module, _shapes(ports), example(examples, ports), left or {}, declared.model.largest)


def _shapes(ports: Sequence[Port]) -> dict[str, Shape]:
    return {port.name: port.shape for port in ports}


def example(examples: Split, ports: Sequence[Port]) -> Feeds:
    """Real examples to trace the module on: as many as its batch, a few where that is free.

    Raises:
        UsageError: the data do not have the declared inputs or shapes, or too few examples.
    """
    asked = of_examples(ports)
    batch = batch_size(ports)
    wanted = batch or _FEW
    drawn = examples.first(wanted)
    chosen = drawn.inputs
    for port in asked:
        if port.name not in chosen:
            raise UsageError(
                f"the data have no input `{port.name}`; they have {', '.join(chosen)}", where=f"{CONFIG}: model.inputs"
            )
        values = chosen[port.name]
        if not replace(port, shape=port.shape[1:]).takes(values.shape[1:]):
            raise UsageError(
                f"input `{port.name}` is declared as {shown(port.shape)}, and one example of the data has shape "
                f"{shown(values.shape[1:])}",
                where=f"{CONFIG}: model.inputs",
                do="Mend the declaration, or the loader; the first size is the batch.",
            )
        if batch is not None and len(values) < batch:
            raise UsageError(
                f"input `{port.name}` is declared with a batch of {batch}, and there are {len(values)} examples",
                where=f"{CONFIG}: data.calibration",
                do="Give more examples, or declare the batch as a letter.",
            )
    return taken(ports, {port.name: chosen[port.name] for port in asked}, int(drawn.numbers[0]))


def taken(ports: Sequence[Port], examples: Feeds, first: int | None = None) -> Feeds:
    """Examples as a module takes them: with what it is always fed with besides, and in single precision.

    Args:
        first: the number of the first example, for errors.

    Raises:
        UsageError: see `fit`.
    """
    feeds = fit(ports, examples, first)
    return {name: values.astype(np.float32) if values.dtype.kind == "f" else values for name, values in feeds.items()}
