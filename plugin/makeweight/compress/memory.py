"""Memory that ran out: told with what was at work, how much it asked for, and what to lower."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from makeweight.measure.inference import BATCH
from makeweight.runtimes.environment import out_of_memory
from makeweight.runtimes.runtime import RecipeFailed
from makeweight_base.errors import MakeweightError, OutOfMemory

if TYPE_CHECKING:
    from makeweight.compress.technique import Options

_ASKED = re.compile(r"allocate ([\d.]+) (bytes|[KMGTPE]iB)")
_MACHINE = "Close something, or use a smaller model"
OF_ASKING = f"{_MACHINE}; up to {BATCH} examples are asked for at once."
"""What to do where a pass without training does not fit."""


@contextmanager
def enough(doing: str, do: str) -> Iterator[None]:
    """What runs out of memory within this is told so; what is told already stays as it is.

    Args:
        doing: what is at work.
        do: what to lower.

    Raises:
        OutOfMemory: an allocator of the processor's or of an accelerator's had not what was asked for.
    """
    try:
        yield
    except (MakeweightError, RecipeFailed):
        raise
    except Exception as error:
        if not out_of_memory(error):
            raise
        raise OutOfMemory(f"{doing} ran out of memory{asked_for(error)}", do=do) from error


def asked_for(error: BaseException) -> str:
    """How much was asked for at once, where the error says it, as the end of a sentence."""
    if (found := _ASKED.search(str(error))) is None:
        return ""
    number, unit = found.groups()
    return (
        f": {int(number):,} bytes more were asked for" if unit == "bytes" else f": {number} {unit} more were asked for"
    )


def of_batch(batch: int, on: str) -> str:
    """What to lower where a step of a training does not fit."""
    elsewhere = "" if on == "cpu" else " `accelerator: none` trains in main memory."
    if batch == 1:
        return f"{_MACHINE}: a step has a single example already.{elsewhere}"
    return f"Lower `batch`, which is {batch}, and `lr` with it, or use a smaller model.{elsewhere}"


def of_step(options: Options, *, calibrates: bool = False) -> str:
    """What to lower of a step, where it is not known what it was at."""
    told = []
    if batch := getattr(options, "batch", None):
        told.append(f"lower `batch` (it is {batch})")
    if calibrates:
        told.append("lower `data.calibration.samples`")
    if "exclude" in type(options).model_fields:
        told.append("name the largest layers in `exclude`")
    return f"{_MACHINE}{''.join(f'; or {each}' for each in told)}."
