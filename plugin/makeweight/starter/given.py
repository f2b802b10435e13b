"""What a call of `makeweight init` says."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse


@dataclass(frozen=True)
class Given:
    """What the call says of the model; everything else is looked for."""

    build: str | None = None
    weights: str | None = None
    onnx: str | None = None
    inputs: tuple[str, ...] = ()
    """Each `NAME=N,1,8,8`."""
    data: str | None = None
    npz_test: str | None = None
    npz_calibration: str | None = None
    task: str | None = None
    name: str | None = None


def given(options: argparse.Namespace) -> Given:
    """What `arguments` read."""
    said = {field.name: getattr(options, field.name) for field in fields(Given)}
    return Given(**{**said, "inputs": tuple(options.inputs)})
