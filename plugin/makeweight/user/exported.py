"""A `torch.export` program (`.pt2`) as a PyTorch module: it brings its code as operators, so nobody's is imported.

https://docs.pytorch.org/docs/stable/export.html
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from makeweight.artifact.kind import absent, kind_of
from makeweight.artifact.ports import Port, Shape, shown
from makeweight.layout import CONFIG
from makeweight.runtimes import environment
from makeweight.user.single import OTHER
from makeweight_base.errors import UsageError, first_line
from makeweight_base.quiet import quiet

_AGAIN = "Export it again: torch.export.save(torch.export.export(module.eval(), …), path)."


def load(path: Path, inputs: Mapping[str, Shape]) -> Any:
    """The program as a torch.nn.Module that takes its inputs by name.

    Args:
        inputs: the declared shapes by input name.

    Raises:
        UsageError: see `read`; or the program has other inputs, takes other numbers than float32, or was exported in
            training mode.
    """
    from torch import nn
    from torch.utils import _pytree

    program = read(path)
    _refuse_undeclared(ports(program), inputs)
    _refuse_training(program)
    leaves = program.graph_signature.user_inputs

    class Exported(nn.Module):  # type: ignore[misc]
        """Its mode is part of the program, so it has no other."""

        def __init__(self) -> None:
            super().__init__()
            self.program = program.module()

        def forward(self, **given: Any) -> Any:
            # what is no name is a constant of the program
            values = [given[leaf] if isinstance(leaf, str) else leaf for leaf in leaves]
            args, kwargs = _pytree.tree_unflatten(values, program.call_spec.in_spec)
            return self.program(*args, **kwargs)

        def train(self, mode: bool = True) -> Exported:
            self.training = mode
            return self

    return Exported()


def read(path: Path) -> Any:
    """The torch.export.ExportedProgram in a file.

    Raises:
        UsageError: there is no such file, or it is another kind, damaged, of another version of PyTorch, or holds what
            could run code when it is opened.
    """
    import torch

    if not path.exists():
        what, do = absent(path)
        raise UsageError(what, do=do or "Export the model first, or mend `model.pt2`.")
    kind = kind_of(path)
    if kind is None or kind.format != "pt2":
        what = "no torch.export program" if kind is None else kind.what
        raise UsageError(f"this is {what}", do=_AGAIN if kind is None else kind.do)

    def unread(error: Exception) -> UsageError:
        told = first_line(error) or type(error).__name__
        return UsageError(f"torch {torch.__version__} cannot read the program: {told}", do=_AGAIN)

    with environment.translated(unread, UsageError):
        if unsafe := next(_runs_code(path), None):
            raise UsageError(f"the program could run any code when it is opened: it holds {unsafe}", do=_AGAIN)
        with quiet():
            return torch.export.load(path)


def ports(program: Any) -> list[Port]:
    """A program's inputs in the order in which it takes them.

    Raises:
        UsageError: one is no tensor.
    """
    import torch

    held = {node.name: node.meta.get("val") for node in program.graph.nodes if node.op == "placeholder"}
    found = []
    for name in program.graph_signature.user_inputs:
        if not isinstance(name, str):
            continue
        value = held[name]
        if not isinstance(value, torch.Tensor):
            raise UsageError(f"input `{name}` of the program is a number, and only tensors can be fed", do=_AGAIN)
        shape = tuple(size if isinstance(size, int) else str(size) for size in value.shape)
        found.append(Port(name, shape, str(value.dtype).removeprefix("torch.")))
    return found


def _runs_code(path: Path) -> Iterator[str]:
    """What in the archive is unpickled without restraint, or loaded as machine code, when PyTorch opens it."""
    import torch

    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if "/aotinductor/" in name:
                yield "compiled code"
            elif name.endswith("_config.json"):
                parts = json.loads(archive.read(name)).get("config", {})
                yield from (f"`{part}` pickled" for part, about in parts.items() if about.get("use_pickle"))
            elif name.endswith(".pt"):
                try:
                    with quiet():
                        torch.load(io.BytesIO(archive.read(name)), weights_only=True)
                except Exception:  # noqa: BLE001 - PyTorch would try again, and unpickle it
                    yield f"`{name.partition('/')[2] or name}`, which is more than tensors"


def _refuse_undeclared(has: list[Port], declared: Mapping[str, Shape]) -> None:
    where, mend = f"{CONFIG}: model.inputs", "Mend the declaration, or export the program with `dynamic_shapes`."
    names = [port.name for port in has]
    if set(names) != set(declared):
        raise UsageError(
            f"the program's inputs are {', '.join(names) or 'none'}, and {', '.join(declared)} are declared",
            where=where,
            do=mend,
        )
    for port in has:
        if not port.takes(declared[port.name]):
            raise UsageError(
                f"input `{port.name}` has shape {shown(port.shape)} in the program, and is declared as "
                f"{shown(declared[port.name])}",
                where=where,
                do=mend,
            )
        if port.dtype in OTHER:
            raise UsageError(
                f"input `{port.name}` of the program is {port.dtype}, and all that is measured, trained and lowered "
                "begins in float32",
                do=f"Export it in float32, with `module.float()` and such inputs. {_AGAIN}",
            )


def _refuse_training(program: Any) -> None:
    """In training mode dropout draws, and batch normalization takes the batch for the world."""
    for node in program.graph.nodes:
        schema = getattr(node.target, "_schema", None)
        if schema is None:
            continue
        given = {argument.name: argument.default_value for argument in schema.arguments}
        given |= dict(zip((argument.name for argument in schema.arguments), node.args, strict=False)) | node.kwargs
        draws = given.get("train") and (given.get("p") or given.get("dropout"))
        normalizes = given.get("training") and given.get("running_mean") is not None
        if draws or normalizes:
            raise UsageError(
                f"the program was exported in training mode (`{schema.name.removeprefix('aten::')}`), so it answers "
                f"{'at random' if draws else 'for a batch, not for an example'}",
                do=_AGAIN,
            )
