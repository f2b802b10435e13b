"""Which sizes made-up inputs have: those that the models fix, a batch of one, and else what is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from makeweight.artifact.ports import Port, Shape, unknown_rank
from makeweight_base.errors import UsageError

Asked = Mapping[str, tuple[int, ...]]
"""By the name of a size its one number, or by that of an input its whole shape."""


def asked(texts: Sequence[str]) -> Asked:
    """Of texts such as `T=128` or `image=1,3,224,224`.

    Raises:
        UsageError: one is neither, or names something again.
    """
    found: dict[str, tuple[int, ...]] = {}
    for text in texts:
        name, _, sizes = text.partition("=")
        parts = [part.strip() for part in sizes.split(",")]
        if not name.strip() or not all(part.isdecimal() and int(part) for part in parts):
            raise UsageError(f"`{text}` is no size; write T=128, or INPUT=1,3,224,224", where="--shape")
        if name.strip() in found:
            raise UsageError(f"`{name.strip()}` is given twice", where="--shape")
        found[name.strip()] = tuple(map(int, parts))
    return found


def sized(ports: Sequence[Port], wanted: Asked) -> list[Port]:
    """The inputs with a number for every size.

    Raises:
        UsageError: a size is free besides the batch, or all of an input are, and nobody says what they are; or what is
            said fits no input.
    """
    batch = next((port.shape[0] for port in ports if port.shape), None)
    names = {size for port in ports for size in port.shape if isinstance(size, str)}
    for name, numbers in wanted.items():
        whole = next((port for port in ports if port.name == name), None)
        if not (whole.takes(numbers) if whole else name in names and len(numbers) == 1):
            raise UsageError(
                f"`{name}={','.join(map(str, numbers))}` fits no input: there is {', '.join(map(str, ports))}",
                where="--shape",
            )
    for port in ports:
        if not port.ranked and port.name not in wanted:
            raise UsageError(
                unknown_rank(port),
                do=f"Say which to feed, as in `--shape {port.name}=1,3,224,224`, or give real samples with `--inputs "
                "FILE.npz`.",
            )
    found = [replace(port, shape=_shape(port, batch, wanted), ranked=True) for port in ports]
    open_sizes = [port for port in found if not all(isinstance(size, int) for size in port.shape)]
    if open_sizes:
        letter = next((size for port in open_sizes for size in port.shape if isinstance(size, str)), None)
        first = open_sizes[0]
        example = f"{letter}=128" if letter else f"{first.name}={','.join(str(size or 128) for size in first.shape)}"
        raise UsageError(
            f"sizes besides the batch are free: {', '.join(map(_with_names, open_sizes))}",
            do=f"Say which to feed, as in `--shape {example}`, or give real samples with `--inputs FILE.npz`: the "
            "answer depends on it.",
        )
    return found


def _shape(port: Port, batch: int | str | None, wanted: Asked) -> Shape:
    if port.name in wanted:
        return wanted[port.name]
    free = [axis for axis, size in enumerate(port.shape) if size is None]
    # what does not begin with the batch, though that is free, has it in the only place that is left
    only = free[0] if len(free) == 1 and isinstance(port.shape[0], int) and not isinstance(batch, int) else 0

    def size_of(axis: int, size: int | str | None) -> int | str | None:
        if size is None:
            return 1 if axis == only else None
        if isinstance(size, int):
            return size
        return wanted[size][0] if size in wanted else 1 if size == batch else size

    return tuple(size_of(axis, size) for axis, size in enumerate(port.shape))


def _with_names(port: Port) -> str:
    return f"`{port.name}` [{', '.join('?' if size is None else str(size) for size in port.shape)}]"
