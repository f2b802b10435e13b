"""A module lowered in a number format: what each format takes before its program is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from makeweight.artifact.ports import Feeds, Port
from makeweight.runtimes.batches import batches
from makeweight.runtimes.executorch import learned, offered, quantize
from makeweight.runtimes.executorch.export import Ports, export, with_one_free
from makeweight.runtimes.format import FLOAT32, Format
from makeweight.runtimes.integers import Integers
from makeweight.runtimes.runtime import Examples, Program


def lower(
    source: Program, format: Format, calibration: Examples | None, target: Path, notes: dict[str, Any]
) -> tuple[Ports, Ports]:
    """See `Runtime.lower`; inputs and outputs of what was written."""
    source = with_one_free(source)
    if format == FLOAT32:
        return export(source, target)
    if offered.four_bits(format):
        return export(quantize.four_bits(source, format, notes), target, lambda captured: captured.graph)
    fed = examples(source, calibration) if calibration is not None and format.calibrates else []
    if format.ranges == "learned":
        captured, ranges = learned.captured(source)
        return export(source, target, quantize.changed(format, fed, notes, ranges), captured)
    return export(source, target, quantize.changed(format, fed, notes))


def integers(source: Program, format: Format, calibration: Examples) -> Integers:
    """See `Runtime.integers`."""
    source = with_one_free(source)
    return learned.integers(source, format, examples(source, calibration))


def examples(source: Program, calibration: Examples) -> list[Feeds]:
    """Calibration examples in batches that the module takes."""
    ports = tuple(Port(name, shape, source.example[name].dtype.name) for name, shape in source.inputs.items())
    return batches(ports, calibration)
