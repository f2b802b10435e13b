"""A module while it is traced and a file beside it: in which sizes, on which arrays, what the module itself answers,
and whether the file answers that."""

from __future__ import annotations

import itertools
import re
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from makeweight.artifact.feeds import named_sizes
from makeweight.artifact.ports import Feeds, Shape
from makeweight.runtimes import environment, outputs
from makeweight.runtimes.inputs import call
from makeweight_base.errors import UsageError, first_line

# One file holds at most this much: a protobuf message, or a flatbuffer, whose offsets have 32 bits and a sign.
LARGEST = 2**31 - 1
# The largest difference that still counts as rounding, as a part of the largest output. Both sides compute in
# float32; summing in another order moves a deep net's outputs by 1e-5 or so.
TOLERANCE = 1e-3
# The least of a free size, besides the batch, while a module is traced.
_SMALL = 5
# Of an output that is integers, fewer that are the same are another function's.
LEAST_SAME = 0.5
_OUTSIDE = (
    "Something in forward() happens outside tensors (numpy, .item(), float(), random numbers); write it with torch "
    "operations."
)
_CONSTANT_SIZE = "forward() probably holds a constant size, such as view(2, -1); take it from the tensor's shape."


class Named(Protocol):
    """A session that knows the names of what it answers."""

    outputs: tuple[str, ...]

    def run(self, feeds: Feeds) -> list[NDArray[Any]]: ...


def refuse_large(module: Any, format: str, do: str) -> None:
    """Raises:
    UsageError: the module's weights are more than one file of the format holds.
    """
    size = sum(tensor.numel() * tensor.element_size() for tensor in module.state_dict().values())
    if size > LARGEST:
        raise UsageError(
            f"the weights take {size / 1e9:.1f} GB, and one {format} file holds at most {LARGEST / 1e9:.1f} GB", do=do
        )


def batches(inputs: Mapping[str, Shape]) -> set[str]:
    """The letters in first place."""
    return {shape[0] for shape in inputs.values() if shape and isinstance(shape[0], str)}


def sizes(inputs: Mapping[str, Shape], example: Feeds) -> dict[str, int]:
    """What free sizes are while the module is traced, which takes a size of one, and sizes that happen to be equal to
    another or to a number in the module, for constants: the small ones are made larger."""
    given = named_sizes({name: (shape, example[name].shape) for name, shape in inputs.items()})
    first = batches(inputs)
    found = {letter: size * -(-_SMALL // size) for letter, size in given.items() if letter not in first}
    taken = {*found.values(), *(size for shape in inputs.values() for size in shape if isinstance(size, int))}
    other = next(size for size in itertools.count(2) if size not in taken)
    return {letter: found.get(letter, other) for letter in given}


def resized(inputs: Mapping[str, Shape], arrays: Feeds, named: Mapping[str, int]) -> Feeds:
    """Arrays cut, or begun anew at their end, so that the named sizes are these."""
    made: Feeds = {}
    for name, shape in inputs.items():
        array = arrays[name]
        for axis, letter in enumerate(shape):
            if letter in named:
                array = np.take(array, np.arange(named[str(letter)]) % array.shape[axis], axis)
        made[name] = np.asarray(array, order="C")
    return made


def tensors(arrays: Feeds) -> dict[str, Any]:
    import torch

    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def free(inputs: Mapping[str, Shape]) -> dict[str, dict[int, str]]:
    """Which sizes are, by input and axis."""
    return {
        name: {axis: size for axis, size in enumerate(shape) if isinstance(size, str)} for name, shape in inputs.items()
    }


def fixed(letter: str, name: str, size: int | str) -> UsageError:
    """The refusal of a size that is declared free, and that the module or the runtime has one number for."""
    return UsageError(
        f"`{letter}` of input `{name}` cannot be free: forward() works with {size} alone",
        where="makeweight.yaml: model.inputs",
        do=f"Declare it as {size}, or let nothing in forward() (a loop, a list, a layer's width) depend on that size.",
    )


def answers(module: Any, inputs: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """What the module itself answers, by the names that the file's outputs will have.

    Raises:
        UsageError: it fails (the message names the user's line), or answers what numpy has no array for.
    """
    import torch

    with torch.no_grad(), environment.translated(_fails, UsageError):
        answer = call(module, inputs)
    return {name: _array(name, tensor) for name, tensor in outputs.named(answer).items()}


def _array(name: str, tensor: Any) -> NDArray[Any]:
    def cannot(error: Exception) -> UsageError:
        return UsageError(
            f"output `{name}` of the module cannot be compared with anything: {said(error)}",
            do="Return a dense tensor of numbers that numpy has too; bfloat16 as `.float()`.",
        )

    with environment.translated(cannot):
        array: NDArray[Any] = tensor.detach().numpy()
        return array


def _fails(error: Exception) -> UsageError:
    return UsageError(
        f"the module fails on an example: {said(error)}",
        where=users_line(error),
        do="Check `model.inputs` against what forward() takes.",
    )


def check(
    session: Named,
    feeds: Feeds,
    expected: Mapping[str, NDArray[Any]],
    named: Mapping[str, int],
    reason: Callable[[BaseException], str],
) -> None:
    """Tracing records what happens to tensors; what a module does besides (numpy, `.item()`) is frozen, silently.

    Args:
        named: the free sizes that `feeds` have.
        reason: what an error of this runtime says.

    Raises:
        UsageError: the file fails, or answers something else than the module.
    """
    sized = " and ".join(f"{letter} = {size}" for letter, size in named.items()) or "an example"
    with environment.translated(
        lambda error: UsageError(f"the exported graph fails for {sized}: {reason(error)}", do=_CONSTANT_SIZE)
    ):
        given = session.run(feeds)
    for name, answer in zip(session.outputs, given, strict=True):
        wanted = expected[name]
        if answer.shape != wanted.shape:
            raise UsageError(
                f"the exported graph answers shape {list(answer.shape)} for {sized}, and the "
                f"module {list(wanted.shape)} (output `{name}`)",
                do=_CONSTANT_SIZE,
            )
        if wanted.dtype.kind in "iub" and wanted.size:
            _refuse_other_integers(name, answer, wanted)
        if wanted.dtype.kind != "f" or not wanted.size:
            continue
        # an answer may say of some things that they are shut out, by infinity: within that, anything would be alike
        scale = float(np.abs(wanted[np.isfinite(wanted)]).max(initial=1e-6))
        if not np.allclose(answer, wanted, rtol=0, atol=TOLERANCE * scale, equal_nan=True):
            with np.errstate(invalid="ignore"):
                off = float(np.nanmax(np.abs(answer - wanted), initial=0))
            raise UsageError(
                f"the exported graph does not compute what the module does: output `{name}` is off by up to "
                f"{off:.2g}, of at most {scale:.2g}",
                do=_OUTSIDE,
            )


def _refuse_other_integers(name: str, answer: NDArray[Any], wanted: NDArray[Any]) -> None:
    """Rounding turns those that were nearly others, such as a class whose score is as good as another's, and which of
    equal ones comes first is up to the runtime: most are the same all the same."""
    same = np.count_nonzero(answer == wanted)
    if same < LEAST_SAME * wanted.size:
        same = max(same, np.count_nonzero(_in_order(answer) == _in_order(wanted)))
    if same < LEAST_SAME * wanted.size:
        raise UsageError(
            f"the exported graph does not compute what the module does: of output `{name}`, {same:,} of "
            f"{wanted.size:,} integers are the same",
            do=_OUTSIDE,
        )


def _in_order(values: NDArray[Any]) -> NDArray[Any]:
    return np.sort(values, axis=-1) if values.ndim else values


def said(error: BaseException) -> str:
    return f"{type(error).__name__}: {first_line(error) or 'it said nothing'}"


def users_line(error: BaseException) -> str | None:
    """`file:line` of the innermost frame that is neither installed nor ours."""
    frames = reversed(traceback.extract_tb(error.__traceback__))
    return next((f"{frame.filename}:{frame.lineno}" for frame in frames if is_users(frame.filename)), None)


def is_users(file: str) -> bool:
    import torch

    ours, theirs = Path(__file__).parents[1], Path(torch.__file__).parents[1]
    path = Path(file)
    return path.is_file() and not path.is_relative_to(ours) and not path.is_relative_to(theirs)


def untraceable(error: BaseException, inputs: Mapping[str, Shape]) -> UsageError:
    """What torch.export says of a module from a dict to a dict (`inputs.py`), in one sentence."""
    chain: list[BaseException] = [error]
    while (cause := chain[-1].__cause__) is not None:
        chain.append(cause)
    text = "\n".join(str(link) for link in chain)
    where = next((line for link in chain if (line := users_line(link))), None)
    # the user's line as the exporter's message quotes it
    quoted = re.findall(r'File "([^"]+)", line (\d+)', text)
    where = next((f"{file}:{line}" for file, line in quoted if is_users(file)), where)
    if match := re.search(
        r"inferred a static shape of (\d+) for dimension inputs\['inputs'\]\['(.+?)'\].shape\[(\d+)\]", text
    ):
        return fixed(str(inputs[match[2]][int(match[3])]), match[2], match[1])
    if "data-dependent" in text:
        return UsageError(
            "the module cannot be traced: what it does depends on the values of its input",
            where=where,
            do="Replace `if` and loops over tensor values by torch.where, torch.cond or a fixed number of steps.",
        )
    cause = chain[-1]
    return UsageError(
        f"the module cannot be exported: {said(cause)}",
        where=where,
        do="torch.export must be able to trace it: https://docs.pytorch.org/docs/stable/export.html",
    )
