"""The inputs of an ONNX file, read without running it."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from makeweight.starter.draft import Shape
from makeweight_base.errors import MissingExtra, UsageError


@dataclass(frozen=True)
class Signature:
    """What an ONNX file takes: shapes by name, None where a size is free; and files that hold its weights."""

    inputs: dict[str, list[int | None]]
    external: tuple[str, ...] = ()
    """Names of the files, beside the model, that its weights lie in (empty: all within)."""


def read(path: Path) -> Signature:
    """Read a file with `onnx`, else with ONNX Runtime.

    Raises:
        UsageError: no such file, or not one that can be read.
        MissingExtra: neither package is installed.
    """
    if not path.is_file():
        raise UsageError("no such file", where=str(path), do="Mend `--onnx`.")
    if importlib.util.find_spec("onnx") is not None:
        return _by_onnx(path)
    if importlib.util.find_spec("onnxruntime") is not None:
        return _by_onnxruntime(path)
    raise MissingExtra("reading an ONNX file", "onnx")


def _by_onnx(path: Path) -> Signature:
    import onnx

    try:
        graph = onnx.load(str(path), load_external_data=False).graph
    except Exception as error:
        raise _unreadable(path, error) from error
    if not graph.node:
        raise _unreadable(path, ValueError("it holds no operator"))
    stored = {tensor.name for tensor in graph.initializer}
    external = {
        entry.value
        for tensor in graph.initializer
        if tensor.data_location == onnx.TensorProto.EXTERNAL
        for entry in tensor.external_data
        if entry.key == "location"
    }
    inputs = {
        value.name: [
            size.dim_value if size.HasField("dim_value") and size.dim_value > 0 else None
            for size in value.type.tensor_type.shape.dim
        ]
        for value in graph.input
        if value.name not in stored
    }
    return Signature(inputs, tuple(sorted(external)))


def _by_onnxruntime(path: Path) -> Signature:
    from makeweight_probe.sessions.onnxruntime import open_session

    try:
        session = open_session(str(path), 1)
    except Exception as error:
        raise _unreadable(path, error) from error
    return Signature({port.name: list(port.shape) for port in session.inputs})


def _unreadable(path: Path, error: Exception) -> UsageError:
    return UsageError(
        f"this is no ONNX model that can be read: {str(error).strip() or type(error).__name__}",
        where=str(path),
        do="Export or download it anew; it may be truncated.",
    )


def declare(signature: Signature, where: str) -> dict[str, Shape]:
    """The inputs as makeweight.yaml declares them: N for a free batch.

    Raises:
        UsageError: another size than the batch is free, so there is no one shape to measure.
    """
    if not signature.inputs:
        raise UsageError("the model has no input", where=where, do="Export it with its inputs.")
    free = [name for name, shape in signature.inputs.items() if None in shape[1:]]
    if free:
        shown = ", ".join(f"`{name}` {_written(signature.inputs[name], '?')}" for name in free)
        options = " ".join(f"{name}=N,{_written(signature.inputs[name][1:], '224')}" for name in free)
        raise UsageError(
            f"sizes besides the batch are free: {shown}",
            where=where,
            do=f"Say what to measure with, such as --inputs {options}.",
        )
    return {name: ["N" if size is None else size for size in shape] for name, shape in signature.inputs.items()}


def _written(shape: list[int | None], free: str) -> str:
    return ",".join(free if size is None else str(size) for size in shape)
