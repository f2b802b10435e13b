"""What an ExecuTorch program (`.pte`) says of itself: its ports, the kernels it calls, what it hands to delegates.

Its format: https://docs.pytorch.org/executorch/stable/pte-file-format.html, and program.fbs there.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from makeweight.artifact.ports import Port, Shape
from makeweight_probe.flatbuffer import Damaged, Table, root
from makeweight_probe.sessions.executorch import DTYPES, METHOD

MAGIC = b"ET12"
# Of an EValue, an instruction and a delegate's data: which kind a union holds.
_TENSOR, _KERNEL, _DELEGATE = 5, 1, 2
_IN_SEGMENT = 1
_STATIC = 0


class Unfit(ValueError):
    """A sound program, which cannot be fed with arrays and asked for arrays."""


@dataclass(frozen=True)
class Tensor:
    """One of a program's tensors."""

    dtype: str
    sizes: tuple[int, ...]
    """The largest, where they are free."""
    free: bool
    """Whether it may be smaller."""
    order: tuple[int, ...]
    """Its axes as they lie in memory, the innermost last."""
    stored: int
    """Which buffer its numbers lie in; 0: none, they are computed."""


@dataclass(frozen=True)
class Delegate:
    """A part of the graph that a backend has, in its own form."""

    backend: str
    data: bytes


@dataclass(frozen=True)
class Plan:
    """A program's method."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    constants: tuple[Tensor, ...]
    """Those that lie in the program, and in no delegate."""
    kernels: tuple[str, ...]
    """The operators that are called, such as `aten::argmax.out`, once for each call."""
    delegates: tuple[Delegate, ...]
    """Once for each call."""


def ports(plan: Plan) -> tuple[tuple[Port, ...], tuple[Port, ...]]:
    """Inputs and outputs: a program knows them by their places, and of a free size the largest."""
    taken = zip(_ports("input", plan.inputs), plan.inputs, strict=True)
    inputs = tuple(replace(port, bounded=tensor.free) for port, tensor in taken)
    return inputs, tuple(_ports("output", plan.outputs))


def _ports(name: str, tensors: Sequence[Tensor]) -> Iterator[Port]:
    for place, tensor in enumerate(tensors):
        # of a tensor with a free size nothing tells which it is: it is the batch, where nobody says otherwise
        shape: Shape = (None, *tensor.sizes[1:]) if tensor.free and tensor.sizes else tensor.sizes
        yield Port(f"{name}_{place}" if place else name, shape, tensor.dtype)


def read(path: Path) -> Plan:
    """Raises:
    Damaged: it is no program, or cut short.
    Unfit: it has no method that is asked, or one that takes or gives what is no tensor.
    """
    data = path.read_bytes()
    if data[4:8] != MAGIC:
        raise Damaged("it does not begin as a program does")
    whole = root(data)
    segments = _Segments(data, whole)
    plans = {each.text(0): each for each in whole.tables(1)}
    if not plans:
        raise Damaged("it has no method")
    if METHOD not in plans:
        raise Unfit(f"the program has no method `{METHOD}`; it has {', '.join(f'`{name}`' for name in plans)}")
    return _plan(plans[METHOD], whole, segments)


class _Segments:
    """What lies behind the program in its file, as its header says: https://docs.pytorch.org/executorch/stable/pte-file-format.html#header"""

    def __init__(self, data: bytes, whole: Table) -> None:
        self._data, self._places = data, [(each.number(0, "Q"), each.number(1, "Q")) for each in whole.tables(4)]
        self._base = int.from_bytes(data[24:32], "little") if data[8:12] == b"eh00" else 0
        if any(self._base + at + size > len(data) for at, size in self._places):
            raise Damaged("it is cut short")

    def __getitem__(self, index: int) -> bytes:
        at, size = self._places[index]
        return self._data[self._base + at : self._base + at + size]


def _plan(plan: Table, whole: Table, segments: _Segments) -> Plan:
    values = [_tensor(each) for each in plan.tables(2)]

    def tensors(field: int, called: str) -> tuple[Tensor, ...]:
        found = [values[index] for index in plan.numbers(field, "i")]
        if None in found:
            raise Unfit(f"{called} {found.index(None)} of the program is no tensor")
        return tuple(tensor for tensor in found if tensor is not None)

    names = [".".join(filter(None, (each.text(0), each.text(1)))) for each in plan.tables(6)]

    @functools.cache
    def delegate(index: int) -> Delegate:
        each = plan.tables(7)[index]
        held = each.table(1)
        place = 0 if held is None else held.number(1, "I")
        if held is not None and held.number(0, "b") == _IN_SEGMENT:
            return Delegate(each.text(0), segments[place])
        return Delegate(each.text(0), whole.tables(3)[place].span(0))

    kernels, delegates = [], []
    try:
        for instruction in (each for chain in plan.tables(5) for each in chain.tables(2)):
            kind, call = instruction.number(0, "B"), instruction.table(1)
            if call is not None and kind == _KERNEL:
                kernels.append(names[call.number(0, "i")])
            elif call is not None and kind == _DELEGATE:
                delegates.append(delegate(call.number(0, "i")))
        inputs, outputs = tensors(3, "input"), tensors(4, "output")
    except IndexError as error:
        raise Damaged("it names what it does not hold") from error
    stored = tuple(tensor for tensor in values if tensor is not None and tensor.stored)
    return Plan(inputs, outputs, stored, tuple(kernels), tuple(delegates))


def _tensor(value: Table) -> Tensor | None:
    held = value.table(1)
    if held is None or value.number(0, "B") != _TENSOR:
        return None
    sizes = tuple(held.numbers(2, "i"))
    dtype = DTYPES.get(held.number(0, "b"), "")
    return Tensor(dtype, sizes, held.number(8, "b") != _STATIC, tuple(held.numbers(3, "B")), held.number(5, "I"))
