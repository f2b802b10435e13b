"""The inputs that a first makeweight.yaml declares: as the call gives them, or as the model file has them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from makeweight.artifact.ports import Port
from makeweight.starter.draft import Shape
from makeweight_base.errors import UsageError


def given(texts: Sequence[str]) -> dict[str, Shape]:
    """Of texts such as `NAME=N,1,8,8`.

    Raises:
        UsageError: one is none, or names an input again.
    """
    found: dict[str, Shape] = {}
    for text in texts:
        name, _, sizes = text.partition("=")
        first, *others = (part.strip() for part in sizes.split(","))
        fits = re.fullmatch(r"[1-9]\d*|[A-Za-z]\w*", first) and all(re.fullmatch(r"[1-9]\d*", part) for part in others)
        if not name.strip() or not fits:
            raise UsageError(
                f"`{text}` is no input; write NAME=N,1,8,8 (N: the batch, whose size is free)", where="--inputs"
            )
        if name.strip() in found:
            raise UsageError(f"`{name.strip()}` is given twice", where="--inputs")
        found[name.strip()] = [int(part) if part.isdigit() else part for part in (first, *others)]
    return found


def of_model(ports: Sequence[Port], where: str) -> dict[str, Shape]:
    """As a model file has them: N for a free batch.

    Raises:
        UsageError: another size than the batch is free, so there is no one shape to measure.
    """
    if not ports:
        raise UsageError("the model has no input", where=where, do="Export it with its inputs.")
    free = [port for port in ports if not all(isinstance(size, int) for size in port.shape[1:])]
    if free:
        shown = ", ".join(f"`{port.name}` {_written(port.shape, '?')}" for port in free)
        options = " ".join(f"{port.name}=N,{_written(port.shape[1:], '224')}" for port in free)
        raise UsageError(
            f"sizes besides the batch are free: {shown}",
            where=where,
            do=f"Say what to measure with, such as --inputs {options}.",
        )
    return {port.name: [size if isinstance(size, int) else "N" for size in port.shape] for port in ports}


def must_fit(declared: dict[str, Shape], ports: Sequence[Port], where: str) -> None:
    """Raises:
    UsageError: the model's inputs have other names or sizes.
    """
    has = {port.name: port.shape for port in ports}
    if set(declared) != set(has):
        raise UsageError(
            f"the model's inputs are {', '.join(has) or 'none'}, and {', '.join(declared)} were given",
            where=where,
            do="Give each of its inputs by the name it has there.",
        )
    for name, shape in declared.items():
        sizes = zip(has[name], shape, strict=False)
        if len(has[name]) != len(shape) or any(isinstance(size, int) and size != own for size, own in sizes):
            raise UsageError(
                f"`{name}` is {_written(has[name], '?')} there, and {','.join(map(str, shape))} was given",
                where=where,
                do="Mend `--inputs`.",
            )


def _written(shape: Sequence[int | str | None], free: str) -> str:
    return ",".join(str(size) if isinstance(size, int) else free for size in shape)
