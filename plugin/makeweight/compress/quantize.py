"""quantize: integers instead of floating point, after training. How stands here; the runtime does it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from makeweight.artifact.model import Model
from makeweight.artifact.ports import Feeds, fit
from makeweight.compress import technique
from makeweight.compress.technique import Accepts, Context
from makeweight.runtimes.runtime import Quantization
from makeweight_base.errors import UsageError

# Examples that a calibration run takes at once, where the model lets it choose.
BATCH = 32


def _eight(bits: object) -> object:
    if bits != 8:
        message = "{bits} bits are not out yet, only 8; 4-bit weights are to come"
        raise PydanticCustomError("bits", message, {"bits": bits})
    return bits


class Quantize:
    """8-bit weights and, for `static`, 8-bit activations whose ranges are taken from calibration examples."""

    name: ClassVar[str] = "quantize"
    accepts: ClassVar[Accepts] = "graph"
    sets_number_format: ClassVar[bool] = True
    trains: ClassVar[bool] = False

    class Options(technique.Options):
        """How to quantize."""

        method: Literal["static", "dynamic"] = Field(
            "static",
            description="`static` fixes the ranges of activations from calibration examples; `dynamic` finds them at "
            "run time and reaches products only, no convolutions.",
        )
        bits: Annotated[Literal[8], BeforeValidator(_eight)] = Field(8, description="Bits of a weight.")
        calibrate: Literal["minmax", "entropy", "percentile"] = Field(
            "minmax",
            description="How `static` finds a range: all that was seen, the range that loses least information, or all "
            "but outliers.",
        )
        per_channel: bool = Field(True, description="A scale for each output channel instead of one for the tensor.")

    def apply(self, subject: Path, options: Options, context: Context) -> Path:
        how = Quantization(options.method, options.calibrate, options.per_channel)
        target = context.workdir / f"quantize{context.runtime.suffix}"
        batches = _batches(context.runtime.read(subject), context) if options.method == "static" else []
        context.runtime.quantize(subject, target, how, batches)
        return target

    def training(self, options: Any) -> None:  # noqa: ARG002
        return None


def _batches(model: Model, context: Context) -> list[Feeds]:
    """Calibration examples in batches that the model takes; a last batch that a fixed size leaves over is dropped."""
    examples = context.calibration()
    size = model.batch
    if size is not None and len(examples) < size:
        raise UsageError(
            f"the model takes batches of {size}, and there are only {len(examples)} calibration examples",
            where="makeweight.yaml: data.calibration",
            do="Give more examples, or export the model with a free batch size.",
        )
    return [
        fit(model.inputs, feeds)
        for feeds in examples.batches(size or BATCH)
        if size is None or len(next(iter(feeds.values()))) == size
    ]
