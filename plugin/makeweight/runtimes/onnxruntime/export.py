"""Write a PyTorch module as one self-contained ONNX file, and check that the file computes what the module does.

The exporter is `torch.onnx.export(dynamo=True)`, built on torch.export:
https://docs.pytorch.org/docs/stable/onnx_export.html
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeweight.artifact.ports import Feeds
from makeweight.runtimes import outputs
from makeweight.runtimes.inputs import call, from_dict_to_dict
from makeweight.runtimes.onnxruntime import refusal
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
_CONSTANT_BATCH = "forward() probably holds a constant batch size, such as view(2, -1); take it from x.shape[0]."


def export(module: Any, inputs: Mapping[str, tuple[int | str, ...]], example: Feeds, path: Path) -> None:
    """Write `module` to `path`. Two exports of one module give the same bytes.

    Args:
        module: a torch.nn.Module in eval mode, called with its inputs as `runtimes/inputs.py` says.
        inputs: shapes by input name; a letter in first place is a batch that stays free.
        example: real arrays by input name, batch first, on which the module is traced and the file checked.

    Raises:
        UsageError: the module fails on the example, cannot be traced, holds an operator that ONNX has not, or is
            larger than one file can be; or the file computes something else.
    """
    import torch

    size = sum(tensor.numel() * tensor.element_size() for tensor in module.state_dict().values())
    if size > LARGEST:
        raise UsageError(
            f"the weights take {size / 1e9:.1f} GB, and one ONNX file holds at most {LARGEST / 1e9:.1f} GB",
            do="Store the weights in fewer bits, or split the model.",
        )
    free = any(map(_free, inputs.values()))
    arrays = {name: _traceable(example[name], shape) for name, shape in inputs.items()}
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    expected = _outputs(module, tensors)
    if shared := set(inputs) & set(expected):
        raise UsageError(
            f"the module has an input and an output `{min(shared)}`, and in an ONNX file a name stands for one value",
            do="Return it by another name.",
        )
    with quiet():
        try:
            program = torch.onnx.export(
                from_dict_to_dict(module),
                kwargs={"inputs": tensors},
                dynamo=True,
                input_names=list(inputs),
                output_names=list(expected),
                dynamic_shapes={"inputs": _dynamic(inputs)} if free else None,
                verbose=False,
            )
            model = program.model_proto
        except Exception as error:
            refusal.reraise_environment(error)
            raise _cannot(error) from error
    write(model, path)
    _check(path, arrays, expected)
    if free:
        single = {name: array[:1] for name, array in arrays.items()}
        _check(path, single, _outputs(module, {name: tensor[:1] for name, tensor in tensors.items()}))


def _free(shape: tuple[int | str, ...]) -> bool:
    """Whether the batch is."""
    return bool(shape) and isinstance(shape[0], str)


def _traceable(array: NDArray[Any], shape: tuple[int | str, ...]) -> NDArray[Any]:
    """A batch of two where the batch is free: torch.export takes a size of one for a constant."""
    if _free(shape) and len(array) < 2:
        array = np.concatenate([array, array])
    return np.ascontiguousarray(array)


def _dynamic(inputs: Mapping[str, tuple[int | str, ...]]) -> dict[str, Any]:
    from torch.export import Dim

    letters = {shape[0]: Dim(str(shape[0])) for shape in inputs.values() if _free(shape)}
    return {name: {0: letters[shape[0]]} if _free(shape) else {} for name, shape in inputs.items()}


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


def _check(path: Path, feeds: Feeds, expected: Mapping[str, NDArray[Any]]) -> None:
    """Tracing records what happens to tensors; what a module does besides (numpy, `.item()`) is frozen, silently."""
    batch = next((len(array) for array in feeds.values() if array.ndim), 1)
    with refusal.translated(path):
        session = open_session(str(path), 1)
    try:
        answers = session.run(feeds)
    except Exception as error:
        refusal.reraise_environment(error)
        raise UsageError(
            f"the exported graph fails for a batch of {batch}: {refusal.reason(error)}", do=_CONSTANT_BATCH
        ) from error
    for name, answer in zip(session.outputs, answers, strict=True):
        wanted = expected[name]
        if answer.shape != wanted.shape:
            raise UsageError(
                f"the exported graph answers shape {list(answer.shape)} for a batch of {batch}, and the "
                f"module {list(wanted.shape)} (output `{name}`)",
                do=_CONSTANT_BATCH,
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


def _cannot(error: Exception) -> UsageError:
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
