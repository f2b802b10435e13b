"""quantize: integers instead of floating point, after training. What is wanted stands here; the runtime does it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    WithJsonSchema,
    model_serializer,
    model_validator,
)
from pydantic_core import PydanticCustomError

from makeweight.budget.quantity import POINTS, parse, pattern
from makeweight.compress import technique
from makeweight.runtimes.format import FLOAT32, Format, Numbers, Observer, Rounding

# What says how some of the methods work, and nothing of the others.
_OF_SOME = {
    "calibrate": ("static",),
    "per_channel": ("static", "dynamic"),
    "equalize": ("static",),
    "correct_bias": ("static",),
    "group": ("weights",),
    "rounding": ("weights",),
    "signal_to_noise": ("static", "weights"),
    "max_drop": ("static", "weights"),
}


# Bits of a weight, and the methods that have them.
_WIDTHS = {8: ("static", "dynamic", "weights"), 7: ("static", "dynamic"), 4: ("weights", "dynamic")}


def _offered(bits: object, told: ValidationInfo) -> object:
    method = told.data.get("method", "static")
    methods = _WIDTHS.get(bits) if isinstance(bits, int) else None
    if methods is not None and method in methods:
        return bits
    if methods is not None:
        message = f"{bits} bits are of {' and '.join(f'`method: {each}`' for each in methods)}; `{{method}}` has 8"
    else:
        message = "{bits} bits are not offered, only 8, 7 with `method: static` or `dynamic`, and 4 with `weights` or "
        message += "`dynamic`"
    raise PydanticCustomError("bits", message, {"bits": bits, "method": method})


class Quantize(technique.NumberFormat):
    """8-bit weights and activations, or weights alone in 8 or 4 bits."""

    name: ClassVar[str] = "quantize"
    searched: ClassVar[Sequence[Mapping[str, Any]]] = (
        {"method": "static", "calibrate": ["minmax", "entropy", "percentile", "mse"]},
        {"method": "dynamic"},
        {"method": "weights", "bits": [8, 4]},
    )

    class Options(technique.Options):
        """How to quantize."""

        method: Literal["static", "dynamic", "weights"] = Field(
            "static",
            description="`static` fixes the ranges of activations from calibration examples; `dynamic` finds them at "
            "run time and reaches products, LSTMs and tables of vectors (`Gather`), no convolutions; `weights` stores "
            "the weights of products and tables in integers and leaves activations in floating point.",
        )
        bits: Annotated[Literal[8, 7, 4], BeforeValidator(_offered)] = Field(
            8,
            description="Bits of a weight; 4 with `method: weights`, and with `dynamic` where a runtime has it; 7 (in "
            "bytes, on ONNX Runtime) for x86 processors without VNNI, where sums of products of 8 bits overflow.",
        )
        group: Annotated[int, Field(ge=2)] | Literal["channel"] = Field(
            32,
            description="Of `weights`, and of 4 bits: how many neighbouring weights share a scale; a power of two from "
            "16 (ExecuTorch: a multiple of 32; LiteRT: 32, 64, 128 or 256 with `dynamic`, and with `weights` no other "
            "than `channel`: all those of an output channel).",
        )
        rounding: Rounding = Field(
            "nearest",
            description="Of `weights`: `gptq` makes up for what is lost in one weight in others of its row, by "
            "calibration examples (Frantar 2022), where that is less of an error on examples held back.",
        )
        calibrate: Observer = Field(
            "minmax",
            description="How `static` finds a range: all that was seen, the range that loses least information, all "
            "but outliers, or the range with the least squared error.",
        )
        per_channel: bool = Field(True, description="A scale for each output channel instead of one for the tensor.")
        equalize: bool = Field(
            False,
            description="Rescale the channels between two layers until both layers' weights have like ranges, answers "
            "unchanged (cross-layer equalization; Nagel 2019): what `per_channel: false` wants.",
        )
        correct_bias: bool = Field(
            False,
            description="Take off each layer's bias what quantization shifts its channels' means by on the calibration "
            "examples (Nagel 2019); runs them once more for each layer.",
        )
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

        signal_to_noise: float | None = Field(
            None,
            gt=0,
            le=100,
            allow_inf_nan=False,
            description="Decibels that every output in floating point is to keep against float32 on the validation "
            "split: the layers that cost most of it, and as few as that takes, stay in floating point.",
        )
        max_drop: Annotated[
            float | None,
            BeforeValidator(lambda text: None if text is None else parse(text, POINTS)),
            WithJsonSchema({"type": "string", "pattern": pattern(POINTS), "examples": [POINTS.example]}),
        ] = Field(
            None,
            ge=0,
            description="Percentage points of accuracy (or what else stands first in the task) that quantizing may "
            "cost on the validation split: as few layers as that takes stay in floating point.",
        )

        @model_validator(mode="after")
        def _said_of_its_method(self) -> Self:
            for name, methods in _OF_SOME.items():
                if name in self.model_fields_set and not self._has(name):
                    of = " and ".join(f"`method: {method}`" for method in methods)
                    raise ValueError(f"`{name}` is of {of}, and says nothing of `{self.method}`; drop it")
            if self.signal_to_noise is not None and self.max_drop is not None:
                raise ValueError("`signal_to_noise` and `max_drop` both say which layers stay in float; keep one")
            return self

        @model_serializer(mode="wrap")
        def _told(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
            told: dict[str, Any] = handler(self)
            return {name: each for name, each in told.items() if self._has(name)}

        def _has(self, name: str) -> bool:
            """Whether an option says something of this method; 4 bits always come in groups."""
            return self.method in _OF_SOME.get(name, (self.method,)) or (name == "group" and self.bits == 4)

    def goal(self, options: Options) -> technique.Goal | None:
        if options.max_drop is not None:
            return technique.Goal("max_drop", options.max_drop)
        if options.signal_to_noise is not None:
            return technique.Goal("signal_to_noise", options.signal_to_noise)
        return None

    def format(self, options: Options) -> Format:
        kind = f"int{options.bits}"
        shared = Numbers(kind, "channel") if options.group == "channel" else Numbers(kind, "group", options.group)
        if options.method == "weights":
            return Format(
                weights=shared,
                rounding=options.rounding,
                exceptions=tuple((name, FLOAT32) for name in options.exclude),
                operators=options.operators,
            )
        by_row = Numbers(kind, "channel" if options.per_channel else "tensor")
        return Format(
            weights=shared if options.bits == 4 else by_row,
            activations=Numbers("int8"),
            ranges=options.method,
            observer=options.calibrate if options.method == "static" else None,
            exceptions=tuple((name, FLOAT32) for name in options.exclude),
            operators=options.operators,
            equalized=options.equalize,
            biases_corrected=options.correct_bias,
        )
