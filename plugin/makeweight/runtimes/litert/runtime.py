"""LiteRT as a runtime: each task is a file of its own, loaded when it is asked for: to read a configuration, what a
runtime offers is enough."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from makeweight.artifact.model import Model
from makeweight.artifact.ports import Shapes
from makeweight.runtimes import environment
from makeweight.runtimes.format import FLOAT32, Format, SourceKind
from makeweight.runtimes.litert import offered, refusal
from makeweight.runtimes.runtime import Examples, GraphFacts, Program, Session, read_made
from makeweight_base.installed import installed


class LiteRt:
    """LiteRT on the CPU, by XNNPACK. Formats go from file to file, so a module is converted in float32 first."""

    name: ClassVar[str] = "litert"
    suffix: ClassVar[str] = ".tflite"
    # What XNNPACK's kernels compute at once.
    channel_multiple: ClassVar[int] = 8
    packages: ClassVar[tuple[str, ...]] = ("ai-edge-litert", "ai-edge-quantizer", "numpy")
    exporters: ClassVar[tuple[str, ...]] = ("torch", "litert-torch")

    def version(self) -> str | None:
        return installed("ai-edge-litert")

    def objection(self, format: Format, source: SourceKind) -> str | None:
        return offered.objection(format, source)

    def read(self, path: Path) -> Model:
        from makeweight.runtimes.litert import files

        return files.read(path, self.name, self.packages)

    def open(self, model: Model, threads: int = 1) -> Session:
        from makeweight_probe.sessions.litert import open_session

        with refusal.translated(model.path):
            return open_session(str(model.path), threads)

    def lower(
        self,
        source: Program | Model,
        format: Format,
        calibration: Examples | None,
        target: Path,
        notes: dict[str, Any] | None = None,
    ) -> Model:
        with tempfile.TemporaryDirectory(prefix="makeweight-lower-") as scratch:
            if isinstance(source, Program):
                from makeweight.runtimes.litert import convert

                converted = target if format == FLOAT32 else Path(scratch, "converted.tflite")
                convert.convert(source.module, source.inputs, source.example, converted, source.largest)
                source = self.read(converted)
            if format == FLOAT32:
                return source if source.path == target else source.copy(target)
            from makeweight.runtimes.litert import quantize

            quantize.quantize(source, target, format, calibration, notes)
        return read_made(self.read, target)

    def reason(self, error: Exception) -> str:
        environment.reraise(error)
        return refusal.reason(error)

    def inspect(self, model: Model, asked: Sequence[Shapes] = ()) -> GraphFacts:
        from makeweight.runtimes.litert import inspect

        with refusal.translated(model.path):
            return inspect.inspect(model, asked)
