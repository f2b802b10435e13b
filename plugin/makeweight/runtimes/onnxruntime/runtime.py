"""ONNX Runtime as a runtime: each task is a file of its own, loaded when it is asked for: to read a configuration, what
a runtime offers is enough."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from makeweight.artifact.model import Model
from makeweight.artifact.ports import Shapes
from makeweight.runtimes import environment
from makeweight.runtimes.format import FLOAT16, FLOAT32, Format, Hashed, SourceKind
from makeweight.runtimes.integers import Integers
from makeweight.runtimes.onnxruntime import offered, refusal
from makeweight.runtimes.runtime import Examples, GraphFacts, Program, Session, read_made
from makeweight.runtimes.weights import Weights
from makeweight_base.errors import UsageError
from makeweight_base.installed import installed


class OnnxRuntime:
    """ONNX Runtime on the CPU. Formats go from file to file, so a module is exported in float32 first."""

    name: ClassVar[str] = "onnxruntime"
    suffix: ClassVar[str] = ".onnx"
    # Measured: 7.97 M MACs in widths of 16 ran in 110 µs, 4.96 M in widths of 8 took 133 µs.
    channel_multiple: ClassVar[int] = 16
    packages: ClassVar[tuple[str, ...]] = ("onnx", "onnxruntime", "numpy")
    exporters: ClassVar[tuple[str, ...]] = ("torch", "onnxscript")

    def version(self) -> str | None:
        return installed("onnxruntime")

    def objection(self, format: Format, source: SourceKind) -> str | None:
        return offered.objection(format, source)

    def read(self, path: Path) -> Model:
        from makeweight.runtimes.onnxruntime import files

        with refusal.translated(path):
            if not path.is_file():
                raise refusal.no_file(path)
            return files.read(path, self.name, self.packages)

    def open(self, model: Model, threads: int = 1) -> Session:
        from makeweight_probe.sessions.onnxruntime import open_session

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
        numbers = replace(format, codebook=None)
        made = self._in_numbers(source, numbers, calibration, target, notes)
        if format == FLOAT32:
            return made
        from makeweight.runtimes.onnxruntime import brief, lean

        names = {} if numbers == FLOAT32 else brief.brief_file(made.path)
        if format.codebook is not None:
            packed = self._packed(made.path, format.codebook)
            brief.brief_file(made.path)
            if notes is not None:
                notes["codebooks"] = {
                    "weights": [names.get(name, name) for name in packed["weights"]],
                    "bytes": [packed["bytes"][0], lean.size_of(made.path)],
                }
        return self.read(made.path)

    def _packed(self, path: Path, codebook: int | Hashed) -> dict[str, Any]:
        from makeweight.runtimes.onnxruntime import codebooks, hashes

        return hashes.pack(path, codebook.part) if isinstance(codebook, Hashed) else codebooks.pack(path, codebook)

    def _in_numbers(
        self,
        source: Program | Model,
        format: Format,
        calibration: Examples | None,
        target: Path,
        notes: dict[str, Any] | None,
    ) -> Model:
        from makeweight.runtimes.onnxruntime import bfloat16, float16, learned, quantize

        ranges = quantize.NONE
        with tempfile.TemporaryDirectory(prefix="makeweight-lower-") as scratch:
            if isinstance(source, Program):
                exported = target if format == FLOAT32 else Path(scratch, "exported.onnx")
                ranges = learned.export(source, exported, format)
                source = self.read(exported)
            if format == FLOAT32:
                return source if source.path == target else self._taken_over(source, target, notes)
            if format == FLOAT16:
                float16.to_float16(source.path, target)
            elif format == offered.BFLOAT16:
                bfloat16.to_bfloat16(source.path, target)
            else:
                quantize.quantize(source, target, learned.static(format), calibration, notes, ranges)
        return read_made(self.read, target)

    def integers(self, source: Program, format: Format, calibration: Examples) -> Integers:
        from makeweight.runtimes.onnxruntime import learned

        with tempfile.TemporaryDirectory(prefix="makeweight-integers-") as scratch:
            return learned.integers(self, source, format, calibration, Path(scratch))

    def weights(self, model: Model) -> Weights:
        from makeweight.runtimes.onnxruntime.weights import OnnxWeights

        with refusal.translated(model.path):
            return OnnxWeights(model, self.read)

    def reason(self, error: Exception) -> str:
        environment.reraise(error)
        return refusal.reason(error)

    def inspect(self, model: Model, asked: Sequence[Shapes] = ()) -> GraphFacts:
        from makeweight.runtimes.onnxruntime import inspect

        with refusal.translated(model.path):
            return inspect.inspect(model, asked)

    def _taken_over(self, source: Model, target: Path, notes: dict[str, Any] | None) -> Model:
        from makeweight.runtimes.onnxruntime import lean

        if any(file.name == target.name for file in source.files[1:]):
            raise UsageError(
                f"the weights lie in `{target.name}`, which is what the model itself is to be called",
                where=str(source.path),
                do="Save them under another name: onnx.save(…, save_as_external_data=True, location=NAME).",
            )
        zipped = lean.lean_copy(source, target)
        if zipped and notes is not None:
            notes["taken apart"] = (
                f"{', '.join(zipped)}: of dictionaries (ZipMap) the scores, in the order of the classes"
            )
        return self.read(target)
