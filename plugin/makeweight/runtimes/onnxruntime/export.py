"""Write a PyTorch module as one self-contained ONNX file, and check that the file computes what the module does.

The exporter is `torch.onnx.export(dynamo=True)`, built on torch.export:
https://docs.pytorch.org/docs/stable/onnx_export.html
"""

from __future__ import annotations

import itertools
import re
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeweight.artifact.feeds import named_sizes
from makeweight.artifact.ports import Feeds, Shape
from makeweight.runtimes import outputs
from makeweight.runtimes.inputs import call, from_dict_to_dict
from makeweight.runtimes.onnxruntime import marks, refusal
from makeweight.runtimes.onnxruntime.lean import write
from makeweight_base.errors import UsageError, first_line
from makeweight_base.quiet import quiet
from makeweight_probe.sessions.onnxruntime import open_session

# One protobuf message, hence one ONNX file, holds at most this much.
LARGEST = 2**31 - 1
# The largest difference that still counts as rounding, as a part of the largest output. Both sides compute in
# float32; summing in another order moves a deep net's outputs by 1e-5 or so.
TOLERANCE = 1e-3
_SILENT = "it said nothing"
# The least of a free size, besides the batch, while a module is traced.
_SMALL = 5
_CONSTANT_SIZE = "forward() probably holds a constant size, such as view(2, -1); take it from the tensor's shape."


def export(module: Any, inputs: Mapping[str, Shape], example: Feeds, path: Path) -> dict[int, str]:
    """Write `module` to `path`. Two exports of one module give the same bytes.

    Args:
        module: a torch.nn.Module in eval mode, called with its inputs as `runtimes/inputs.py` says.
        inputs: shapes by input name; a letter is a size that stays free, one in first place the batch.
        example: real arrays by input name, on which the module is traced and the file checked.

    Returns:
        where the marks are that the module's calls have, see `marks.py`.

    Raises:
        UsageError: the module fails on the example, cannot be traced, holds an operator that ONNX has not, or is
            larger than one file can be; or a size is not free in it; or the file computes something else.
    """
    import torch

    size = sum(tensor.numel() * tensor.element_size() for tensor in module.state_dict().values())
    if size > LARGEST:
        raise UsageError(
            f"the weights take {size / 1e9:.1f} GB, and one ONNX file holds at most {LARGEST / 1e9:.1f} GB",
            do="Store the weights in fewer bits, or split the model.",
        )
    sizes = _traceable(inputs, example)
    arrays = _resized(inputs, example, sizes)
    tensors = _tensors(arrays)
    expected = _outputs(module, tensors)
    if shared := set(inputs) & set(expected):
        raise UsageError(
            f"the module has an input and an output `{min(shared)}`, and in an ONNX file a name stands for one value",
            do="Return it by another name.",
        )
    _forget_recurrences()
    with quiet():
        try:
            program = torch.onnx.export(
                from_dict_to_dict(module),
                kwargs={"inputs": tensors},
                dynamo=True,
                input_names=list(inputs),
                output_names=list(expected),
                dynamic_shapes={"inputs": _free(inputs)} if sizes else None,
                custom_translation_table=marks.translation(),
                verbose=False,
            )
            model = program.model_proto
        except Exception as error:
            refusal.reraise_environment(error)
            raise _cannot(error, inputs) from error
    marked = marks.taken_out(model)
    write(model, path)
    _refuse_fixed(model, inputs)
    _check(path, arrays, expected, sizes)
    for letter, size in sizes.items():
        other = 1 if letter in _batches(inputs) else max(size // 2, 1)
        smaller = _resized(inputs, arrays, {letter: other})
        try:
            wanted = _outputs(module, _tensors(smaller))
        except UsageError:
            if letter in _batches(inputs):
                raise
            continue  # it may have a smallest size, or take multiples alone
        _check(path, smaller, wanted, {letter: other})
    return marked


def _batches(inputs: Mapping[str, Shape]) -> set[str]:
    """The letters in first place."""
    return {shape[0] for shape in inputs.values() if shape and isinstance(shape[0], str)}


def _traceable(inputs: Mapping[str, Shape], example: Feeds) -> dict[str, int]:
    """What free sizes are while the module is traced, which takes a size of one, and sizes that happen to be equal to
    another or to a number in the module, for constants: the small ones are made larger."""
    sizes = named_sizes({name: (shape, example[name].shape) for name, shape in inputs.items()})
    batches = _batches(inputs)
    found = {letter: size * -(-_SMALL // size) for letter, size in sizes.items() if letter not in batches}
    taken = {*found.values(), *(size for shape in inputs.values() for size in shape if isinstance(size, int))}
    free = next(size for size in itertools.count(2) if size not in taken)
    return {letter: found.get(letter, free) for letter in sizes}


def _resized(inputs: Mapping[str, Shape], arrays: Feeds, sizes: Mapping[str, int]) -> Feeds:
    """Arrays cut, or begun anew at their end, so that the named sizes are these."""
    resized: Feeds = {}
    for name, shape in inputs.items():
        array = arrays[name]
        for axis, letter in enumerate(shape):
            if letter in sizes:
                array = np.take(array, np.arange(sizes[str(letter)]) % array.shape[axis], axis)
        resized[name] = np.asarray(array, order="C")
    return resized


def _tensors(arrays: Feeds) -> dict[str, Any]:
    import torch

    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def _free(inputs: Mapping[str, Shape]) -> dict[str, dict[int, str]]:
    """Which sizes are, by input and axis."""
    return {
        name: {axis: size for axis, size in enumerate(shape) if isinstance(size, str)} for name, shape in inputs.items()
    }


def _forget_recurrences() -> None:
    """torch.onnx keeps LSTM and GRU whole while it exports, for sizes that are free; but torch remembers how it took
    them apart before, and would unroll them over the example's steps in every export but the first of a process."""
    import torch

    for operator in (torch.ops.aten.lstm.input, torch.ops.aten.gru.input):
        operator._dispatch_cache.clear()


def _refuse_fixed(model: Any, inputs: Mapping[str, Shape]) -> None:
    """Refuse a graph in which a size that is declared free has become a number."""
    for value in model.graph.input:
        for axis, letter in _free(inputs)[value.name].items():
            dim = value.type.tensor_type.shape.dim[axis]
            if dim.HasField("dim_value"):
                raise _fixed(letter, value.name, dim.dim_value)


def _fixed(letter: str, name: str, size: int | str) -> UsageError:
    return UsageError(
        f"`{letter}` of input `{name}` cannot be free: forward() works with {size} alone",
        where="makeweight.yaml: model.inputs",
        do=f"Declare it as {size}, or let nothing in forward() (a loop, a list, a layer's width) depend on that size.",
    )


def _outputs(module: Any, tensors: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """What the module itself answers, by the names that the file's outputs will have."""
    import torch

    try:
        with torch.no_grad():
            answer = call(module, tensors)
    except UsageError:
        raise
    except Exception as error:
        refusal.reraise_environment(error)
        raise UsageError(
            f"the module fails on an example: {type(error).__name__}: {first_line(error) or _SILENT}",
            where=_users_line(error),
            do="Check `model.inputs` against what forward() takes.",
        ) from error
    return {name: tensor.numpy() for name, tensor in outputs.named(answer).items()}


def _check(path: Path, feeds: Feeds, expected: Mapping[str, NDArray[Any]], sizes: Mapping[str, int]) -> None:
    """Tracing records what happens to tensors; what a module does besides (numpy, `.item()`) is frozen, silently."""
    sized = " and ".join(f"{letter} = {size}" for letter, size in sizes.items()) or "an example"
    with refusal.translated(path):
        session = open_session(str(path), 1)
    try:
        answers = session.run(feeds)
    except Exception as error:
        refusal.reraise_environment(error)
        raise UsageError(f"the exported graph fails for {sized}: {refusal.reason(error)}", do=_CONSTANT_SIZE) from error
    for name, answer in zip(session.outputs, answers, strict=True):
        wanted = expected[name]
        if answer.shape != wanted.shape:
            raise UsageError(
                f"the exported graph answers shape {list(answer.shape)} for {sized}, and the "
                f"module {list(wanted.shape)} (output `{name}`)",
                do=_CONSTANT_SIZE,
            )
        if wanted.dtype.kind != "f" or not wanted.size:
            continue
        scale = float(np.nanmax(np.abs(wanted), initial=1e-6))
        if not np.allclose(answer, wanted, rtol=0, atol=TOLERANCE * scale, equal_nan=True):
            off = float(np.nanmax(np.abs(answer - wanted)))
            raise UsageError(
                f"the exported graph does not compute what the module does: output `{name}` is off by up to "
                f"{off:.2g}, of at most {scale:.2g}",
                do="Something in forward() happens outside tensors (numpy, .item(), float(), random numbers); "
                "write it with torch operations.",
            )


def _cannot(error: Exception, inputs: Mapping[str, Shape]) -> UsageError:
    """The exporter's error in one sentence: the operator that ONNX has not, or the line that cannot be traced."""
    chain: list[BaseException] = [error]
    while (cause := chain[-1].__cause__) is not None:
        chain.append(cause)
    text = "\n".join(str(link) for link in chain)
    where = next((line for link in chain if (line := _users_line(link))), None)
    if match := re.search(r"No ONNX function found for <OpOverload\(op='([^']+)'", text):
        return UsageError(
            f"ONNX has no counterpart of the operator `{match[1]}`",
            where=where,
            do="Write it in forward() with operators that ONNX has, or leave it out of the module.",
        )
    # the user's line as the exporter's message quotes it
    quoted = re.findall(r'File "([^"]+)", line (\d+)', text)
    where = next((f"{file}:{line}" for file, line in quoted if _is_users(file)), where)
    if match := re.search(
        r"inferred a static shape of (\d+) for dimension inputs\['inputs'\]\['(.+?)'\].shape\[(\d+)\]", text
    ):
        return _fixed(str(inputs[match[2]][int(match[3])]), match[2], match[1])
    if "data-dependent" in text:
        return UsageError(
            "the module cannot be traced: what it does depends on the values of its input",
            where=where,
            do="Replace `if` and loops over tensor values by torch.where, torch.cond or a fixed number of steps.",
        )
    cause = chain[-1]
    return UsageError(
        f"the module cannot be exported: {type(cause).__name__}: {first_line(cause) or _SILENT}",
        where=where,
        do="torch.export must be able to trace it: https://docs.pytorch.org/docs/stable/export.html",
    )


def _users_line(error: BaseException) -> str | None:
    """`file:line` of the innermost frame that is neither installed nor ours."""
    frames = reversed(traceback.extract_tb(error.__traceback__))
    return next((f"{frame.filename}:{frame.lineno}" for frame in frames if _is_users(frame.filename)), None)


def _is_users(file: str) -> bool:
    import torch

    ours, theirs = Path(__file__).parents[2], Path(torch.__file__).parents[1]
    path = Path(file)
    return path.is_file() and not path.is_relative_to(ours) and not path.is_relative_to(theirs)
