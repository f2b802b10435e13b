"""quantize: integers instead of floating point, after training. What is wanted stands here; the runtime does it."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from makeweight.compress import technique
from makeweight.runtimes.format import FLOAT32, Format, Numbers, Observer


def _eight(bits: object) -> object:
    if bits != 8:
        message = "{bits} bits are not out yet, only 8; 4-bit weights are to come"
        raise PydanticCustomError("bits", message, {"bits": bits})
    return bits


class Quantize(technique.NumberFormat):
    """8-bit weights and, for `static`, 8-bit activations whose ranges are taken from calibration examples."""

    name: ClassVar[str] = "quantize"

    class Options(technique.Options):
        """How to quantize."""

        method: Literal["static", "dynamic"] = Field(
            "static",
            description="`static` fixes the ranges of activations from calibration examples; `dynamic` finds them at "
            "run time and reaches products, LSTMs and tables of vectors (`Gather`), no convolutions.",
        )
        bits: Annotated[Literal[8], BeforeValidator(_eight)] = Field(8, description="Bits of a weight.")
        calibrate: Observer = Field(
            "minmax",
            description="How `static` finds a range: all that was seen, the range that loses least information, or all "
            "but outliers.",
        )
        per_channel: bool = Field(True, description="A scale for each output channel instead of one for the tensor.")
        operators: tuple[str, ...] = Field(
            (),
            description="The kinds of operator to quantize, as the runtime calls them (`Conv`, `MatMul`; `MatMul` and "
            "`Gemm` go together); none: all that it reaches.",
        )
        exclude: tuple[str, ...] = Field(
            (),
            description="Layers that stay in floating point: names of modules or of the graph's nodes, parts of the "
            "model that hold them (`blocks.0`), or patterns (`*.attention`).",
        )

    def format(self, options: Options) -> Format:
        return Format(
            weights=Numbers(f"int{options.bits}", "channel" if options.per_channel else "tensor"),
            activations=Numbers("int8"),
            ranges=options.method,
            observer=options.calibrate if options.method == "static" else None,
            exceptions=tuple((name, FLOAT32) for name in options.exclude),
            operators=options.operators,
        )
