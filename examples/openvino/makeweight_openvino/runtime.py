"""The runtime at home. Group `makeweight.runtimes`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from makeweight.artifact.files import files_of
from makeweight.artifact.kind import no_file
from makeweight.artifact.model import Model
from makeweight.artifact.ports import Port, Shape, Shapes
from makeweight.artifact.versions import versions_of
from makeweight.runtimes.batches import batches
from makeweight.runtimes.format import FLOAT16, FLOAT32, Format, Numbers, SourceKind
from makeweight.runtimes.runtime import Examples, GraphFacts, Program, Session
from makeweight_base.errors import UsageError, first_line
from makeweight_base.installed import installed
from makeweight_openvino import convert
from makeweight_openvino.session import core, open_session

_INT8 = Format(Numbers("int8", "channel"), Numbers("int8"), "static", "minmax")
# What computes: layers of the compiled model, and those of it that stand for no work.
_COMPUTE = frozenset({"Convolution", "Deconvolution", "FullyConnected", "MatMul"})
_IDLE = frozenset({"Const", "Input", "Output"})


class OpenVino:
    """OpenVINO on the CPU. A module is converted in float32; int8 is NNCF's, float16 OpenVINO's own compression of the
    weights, which the CPU computes with in float32."""

    name: ClassVar[str] = "openvino"
    suffix: ClassVar[str] = ".xml"
    channel_multiple: ClassVar[int] = 16
    packages: ClassVar[tuple[str, ...]] = ("makeweight-openvino", "openvino", "nncf", "numpy")
    exporters: ClassVar[tuple[str, ...]] = ("torch",)

    def version(self) -> str | None:
        return installed("openvino")

    def objection(self, format: Format, source: SourceKind) -> str | None:
        del source
        if format in (FLOAT32, FLOAT16) or replace(format, biases_corrected=False) == _INT8:
            return None
        return f"openvino offers float32, float16 and int8 (static by channel, ranges by minmax), and not {format}"

    def read(self, path: Path) -> Model:
        if not path.is_file():
            raise no_file(path, "an OpenVINO model")
        weights = path.with_suffix(".bin")
        if not weights.is_file():
            raise UsageError(f"its weights, `{weights.name}`, are not beside it", where=str(path))
        try:
            held = core().read_model(path)
        except Exception as error:
            raise UsageError(f"OpenVINO cannot read it: {first_line(error)}", where=str(path)) from error
        return Model(
            folder=path.parent,
            runtime=self.name,
            files=files_of(path.parent, [path.name, weights.name]),
            inputs=tuple(map(_port, held.inputs)),
            outputs=tuple(map(_port, held.outputs)),
            packages=versions_of(self.packages),
        )

    def open(self, model: Model, threads: int = 1) -> Session:
        try:
            return open_session(str(model.path), threads)
        except Exception as error:
            raise UsageError(f"OpenVINO cannot open it: {first_line(error)}", where=str(model.path)) from error

    def lower(
        self,
        source: Program | Model,
        format: Format,
        calibration: Examples | None,
        target: Path,
        notes: dict[str, Any] | None = None,
    ) -> Model:
        del notes
        import openvino

        held = core().read_model(source.path) if isinstance(source, Model) else convert.of_module(source)
        if format.ranges == "static" and calibration is not None:
            if not isinstance(source, Model):  # calibration examples come in the batches that a file takes
                openvino.save_model(held, target, compress_to_fp16=False)
                source = self.read(target)
            held = convert.quantized(held, format, batches(source.inputs, calibration))
        # a file is written over by what was read from it, and not before
        openvino.save_model(held, target, compress_to_fp16=format == FLOAT16)
        return self.read(target)

    def reason(self, error: Exception) -> str:
        if isinstance(error, OSError | MemoryError):
            raise error
        return " ".join(f"{error}".split()) or type(error).__name__

    def inspect(self, model: Model, asked: Sequence[Shapes] = ()) -> GraphFacts:
        """What the CPU plugin made of it; parameters and multiply-accumulates are not counted."""
        del asked
        compiled = core().compile_model(str(model.path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        layers = [op.get_rt_info() for op in compiled.get_runtime_model().get_ops()]
        told = [(info["layerType"].value, info["runtimePrecision"].value) for info in layers if "layerType" in info]
        compute = [number in ("i8", "u8") for kind, number in told if kind in _COMPUTE]
        return GraphFacts(
            operators=dict(sorted(Counter(kind for kind, _ in told if kind not in _IDLE).items())),
            quantized=sum(compute),
            floating=len(compute) - sum(compute),
        )


def _port(port: Any) -> Port:
    shape: Shape = tuple(size.get_length() if size.is_static else None for size in port.get_partial_shape())
    return Port(port.get_any_name(), shape, port.get_element_type().to_dtype().name)
