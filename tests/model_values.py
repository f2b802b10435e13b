"""Model values for tests that have no runtime: of files that are there, or of bytes that never were."""

from __future__ import annotations

from pathlib import Path

from makeweight.artifact.files import File, files_of
from makeweight.artifact.model import Model
from makeweight.artifact.ports import Port

NOWHERE = Path("/no/such/folder")


def model_in(folder: Path, *names: str, inputs: tuple[Port, ...] = (), outputs: tuple[Port, ...] = ()) -> Model:
    """Of files in a folder (default: model.onnx)."""
    files = files_of(folder, names or ("model.onnx",))
    return Model(folder, "onnxruntime", files, inputs, outputs, {})


def invented_model(
    sha256: str = "",
    size: int = 0,
    name: str = "model.onnx",
    inputs: tuple[Port, ...] = (),
    outputs: tuple[Port, ...] = (),
) -> Model:
    """Of one file that is nowhere."""
    return Model(NOWHERE, "onnxruntime", (File(name, size, sha256),), inputs, outputs, {})
