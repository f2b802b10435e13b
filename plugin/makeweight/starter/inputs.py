"""The inputs that a first makeweight.yaml declares, as the call gives them, the model file has them or examples show
them; what else feeds them: constants and states; and which output is judged."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

from makeweight.artifact.ports import Port, batch_elsewhere, unknown_rank
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
        parts = [part.strip() for part in sizes.split(",")]
        if not name.strip() or not all(re.fullmatch(r"[1-9]\d*|[A-Za-z]\w*", part) for part in parts):
            raise UsageError(
                f"`{text}` is no input; write NAME=N,1,8,8 (N: the batch; a letter is a free size)", where="--inputs"
            )
        if name.strip() in found:
            raise UsageError(f"`{name.strip()}` is given twice", where="--inputs")
        found[name.strip()] = [int(part) if part.isdigit() else part for part in parts]
    return found


def constants(texts: Sequence[str]) -> dict[str, int | float]:
    """Of texts such as `NAME=16000`.

    Raises:
        UsageError: one is none.
    """
    found: dict[str, int | float] = {}
    for text in texts:
        name, _, value = text.partition("=")
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not name.strip() or not math.isfinite(number):
            raise UsageError(f"`{text}` is no constant; write NAME=16000", where="--constants")
        found[name.strip()] = int(value) if value.strip().lstrip("-").isdecimal() else number
    return found


def states(inputs: Sequence[Port], outputs: Sequence[Port]) -> list[str]:
    """Inputs, besides the first, that one of the later outputs hands on: of the same type and sizes, and a name that
    holds theirs (`state` and `stateN`, `h0` and `hn`)."""
    return [
        port.name
        for port in inputs[1:]
        if any(
            (later.dtype, *_fixed(later)) == (port.dtype, *_fixed(port))
            and port.name.lower().rstrip("0123456789_") in later.name.lower()
            for later in outputs[1:]
        )
    ]


def scores(outputs: Sequence[Port]) -> str | None:
    """The output that has a number for each class, where the first is the class itself (classifiers of scikit-learn);
    None: the first is."""
    if not outputs or outputs[0].dtype.startswith("float") or len(outputs[0].shape) > 1:
        return None
    later = [port.name for port in outputs[1:] if port.dtype.startswith("float") and len(port.shape) == 2]
    return later[0] if len(later) == 1 else None


def of_model(ports: Sequence[Port], where: str) -> dict[str, Shape]:
    """Of the inputs that examples feed, as a model file has them: N for a free batch, and a letter for every other size
    that is free.

    Raises:
        UsageError: there is none, or one has no batch, or has it elsewhere, or no shape at all.
    """
    if not ports:
        raise UsageError("the model has no input", where=where, do="Export it with its inputs.")
    free = not isinstance(next(iter(ports[0].shape), None), int)
    for port in ports:
        if not port.ranked:
            raise UsageError(
                unknown_rank(port),
                where=where,
                do=f"Say it, as in `--inputs {port.name}=N,3,224,224` (N: the batch; a letter is a free size).",
            )
        if (told := batch_elsewhere(port)) is not None:
            sizes = ",".join(["N", *(str(size) if isinstance(size, int) else "T" for size in port.shape[1:])])
            raise UsageError(
                told,
                where=where,
                do="Export it with the batch first. If the first size is the batch all the same, say so, as in "
                f"`--inputs {port.name}={sizes}`.",
            )
        if not port.shape or (free and isinstance(port.shape[0], int)):
            raise UsageError(
                f"input `{port.name}` [{_written(port.shape)}] does not begin with the batch, so it is the same "
                "for all examples",
                where=where,
                do=f"Say what it is fed with, as in `--constants {port.name}=16000`; a state that begins with zeros "
                "stands under `model.states`.",
            )
    letters = (letter for letter in "TSUVXYZABCDE")
    named: dict[str, str] = {}

    def letter(port: Port, axis: int, size: int | str | None) -> int | str:
        if isinstance(size, int):
            return size
        if axis == 0:
            return "N"
        own = "HW"[axis - 2] if len(port.shape) == 4 and axis > 1 else None
        if size is None:
            return own or next(letters)
        if size not in named:
            named[size] = own or next(letters)
        return named[size]

    return {port.name: [letter(port, axis, size) for axis, size in enumerate(port.shape)] for port in ports}


def of_examples(shapes: Mapping[str, Sequence[tuple[int, ...]]], where: str) -> dict[str, Shape]:
    """Of the shapes that single examples have, without a batch, by input: a size in which they differ is free, and the
    same as another one that differs alike.

    Raises:
        UsageError: examples of one input have no elements, or not as many dimensions.
    """
    for name, each in shapes.items():
        ranks = sorted({len(shape) for shape in each})
        if len(ranks) > 1:
            raise UsageError(f"examples of `{name}` have {ranks[0]} and {ranks[1]} dimensions", where=where)
        if any(not any(sizes) for sizes in zip(*each, strict=True)):
            raise UsageError(f"examples of `{name}` are empty: {list(each[0])}", where=where)
    ports = [Port(name, (None, *map(_common, zip(*each, strict=True))), "") for name, each in shapes.items()]
    return of_model(ports, where)


def _common(sizes: tuple[int, ...]) -> int | str:
    """A size that is the same in all examples; else a name that only the very same sizes have."""
    return sizes[0] if len(set(sizes)) == 1 else ",".join(map(str, sizes))


def _fixed(port: Port) -> list[int | None]:
    return [size if isinstance(size, int) else None for size in port.shape]


def must_fit(declared: dict[str, Shape], ports: Sequence[Port], where: str) -> None:
    """Raises:
    UsageError: the model's inputs have other names or sizes.
    """
    has = {port.name: port for port in ports}
    if set(declared) != set(has):
        raise UsageError(
            f"the model's inputs are {', '.join(has) or 'none'}, and {', '.join(declared)} were given",
            where=where,
            do="Give each of its inputs by the name it has there.",
        )
    for name, shape in declared.items():
        if not has[name].takes(shape):
            raise UsageError(
                f"`{name}` is {_written(has[name].shape)} there, and {','.join(map(str, shape))} was given",
                where=where,
                do="Mend `--inputs`.",
            )


def _written(shape: Sequence[int | str | None]) -> str:
    return ",".join(str(size) if isinstance(size, int) else "?" for size in shape)
