"""Write a PyTorch module as one self-contained ONNX file, and check that the file computes what the module does.

The exporter is `torch.onnx.export(dynamo=True)`, built on torch.export:
https://docs.pytorch.org/docs/stable/onnx_export.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from makeweight.artifact.ports import Feeds, Shape
from makeweight.runtimes import composites, environment, traced
from makeweight.runtimes.inputs import from_dict_to_dict
from makeweight.runtimes.onnxruntime import marks, refusal, torchlib
from makeweight.runtimes.onnxruntime.lean import write
from makeweight_base.errors import UsageError
from makeweight_base.quiet import quiet
from makeweight_probe.sessions.onnxruntime import open_session


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

    traced.refuse_large(module, "ONNX", "Store the weights in fewer bits, or split the model.")
    sizes = traced.sizes(inputs, example)
    arrays = traced.resized(inputs, example, sizes)
    tensors = traced.tensors(arrays)
    expected = traced.answers(module, tensors)
    if shared := set(inputs) & set(expected):
        raise UsageError(
            f"the module has an input and an output `{min(shared)}`, and in an ONNX file a name stands for one value",
            do="Return it by another name.",
        )
    _forget_recurrences()
    cannot = environment.translated(lambda error: _cannot(error, inputs))
    with quiet(), torchlib.read_once(), composites.known_once(), cannot:
        program = torch.onnx.export(
            from_dict_to_dict(module),
            kwargs={"inputs": tensors},
            dynamo=True,
            input_names=list(inputs),
            output_names=list(expected),
            dynamic_shapes={"inputs": traced.free(inputs)} if sizes else None,
            custom_translation_table=marks.translation(),
            verbose=False,
        )
        model = program.model_proto
    marked = marks.taken_out(model)
    write(model, path)
    _refuse_fixed(model, inputs)
    _check(path, arrays, expected, sizes)
    freed = False
    for letter, size in sizes.items():
        other = 1 if letter in traced.batches(inputs) else max(size // 2, 1)
        smaller = traced.resized(inputs, arrays, {letter: other})
        try:
            wanted = traced.answers(module, traced.tensors(smaller))
        except UsageError:
            if letter in traced.batches(inputs):
                raise
            continue  # it may have a smallest size, or take multiples alone
        _check(path, smaller, wanted, {letter: other})
        freed |= _freed(model, letter, expected, wanted, (size, other))
    if freed:
        write(model, path)
    return marked


def _forget_recurrences() -> None:
    """torch.onnx keeps LSTM and GRU whole while it exports, for sizes that are free; but torch remembers how it took
    them apart before, and would unroll them over the example's steps in every export but the first of a process."""
    import torch

    for operator in (torch.ops.aten.lstm.input, torch.ops.aten.gru.input):
        operator._dispatch_cache.clear()


def _refuse_fixed(model: Any, inputs: Mapping[str, Shape]) -> None:
    """Refuse a graph in which a size that is declared free has become a number."""
    for value in model.graph.input:
        for axis, letter in traced.free(inputs)[value.name].items():
            dim = value.type.tensor_type.shape.dim[axis]
            if dim.HasField("dim_value"):
                raise traced.fixed(letter, value.name, dim.dim_value)


def _freed(
    model: Any,
    letter: str,
    answers: Mapping[str, NDArray[Any]],
    others: Mapping[str, NDArray[Any]],
    sizes: tuple[int, int],
) -> bool:
    """Have the sizes of outputs be free that differ with one of the inputs': behind a recurrence, the exporter
    declares the number that was traced.

    Args:
        answers, others: the module's own, where that size is the first and the second of `sizes`.
    """
    freed = False
    for value in model.graph.output:
        pairs = zip(answers[value.name].shape, others[value.name].shape, strict=False)
        # of an output without a declared shape there are none
        for dim, (own, other) in zip(value.type.tensor_type.shape.dim, pairs, strict=False):
            if dim.HasField("dim_value") and own != other:
                dim.ClearField("dim_value")
                if (own, other) == sizes:
                    dim.dim_param = letter
                freed = True
    return freed


def _check(path: Path, feeds: Feeds, expected: Mapping[str, NDArray[Any]], sizes: Mapping[str, int]) -> None:
    with refusal.translated(path):
        session = open_session(str(path), 1)
    traced.check(session, feeds, expected, sizes, refusal.reason)


def _cannot(error: Exception, inputs: Mapping[str, Shape]) -> UsageError:
    """The exporter's error in one sentence: the operator that ONNX has not, or what cannot be traced."""
    refused = traced.untraceable(error, inputs)
    if match := re.search(r"No ONNX function found for <OpOverload\(op='([^']+)'", str(error)):
        return UsageError(
            f"ONNX has no counterpart of the operator `{match[1]}`",
            where=refused.where,
            do="Write it in forward() with operators that ONNX has, or leave it out of the module.",
        )
    return refused
