"""The numbers that a model stores and computes in, as data that every runtime reads alike.

The terms are the field's: Nagel et al., "A White Paper on Neural Network Quantization", 2021,
https://arxiv.org/abs/2106.08295
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SourceKind = Literal["module", "graph"]
"""What a lowering begins with: a PyTorch module, or a model file."""
Ranges = Literal["static", "dynamic", "learned"]
"""Where the ranges of integer activations come from: from calibration examples, found anew at each inference, or
learned in training, so that the module brings them (calibration has what training did not see)."""
Observer = Literal["minmax", "entropy", "percentile", "mse"]
"""How a static range is chosen: all that was seen, what loses least information, all but outliers, or what has the
least squared error."""
Rounding = Literal["nearest", "gptq"]
"""To the nearest integer, or so that what is lost in a weight is made up for in others, by calibration examples."""


@dataclass(frozen=True)
class Numbers:
    """One kind of number. Of integers the width counts here; whether they have a sign and a zero point is the runtime's
    choice."""

    type: str
    """`float32`, `float16`, `bfloat16`, `int8`, `int7` (in bytes of 8 bits), `int4`."""
    scales: Literal["tensor", "channel", "group"] = "tensor"
    """Of integers: what shares one scale."""
    group: int | None = None
    """Of scales by group: how many neighbouring weights make one."""

    def __str__(self) -> str:
        return f"{self.type} by group of {self.group}" if self.scales == "group" else self.type


FLOATING = Numbers("float32")


@dataclass(frozen=True)
class Hashed:
    """Weights that are tied by a hash of their place; see `hashing.py`."""

    part: float
    """How many values there are, as a part of the weights."""


@dataclass(frozen=True)
class Format:
    """The number format of a lowering. Integer weights with activations in floating point are weight-only."""

    weights: Numbers = FLOATING
    activations: Numbers = FLOATING
    ranges: Ranges | None = None
    """None: activations are no integers."""
    observer: Observer | None = None
    """Of static ranges, and of those that learning begins with."""
    exceptions: tuple[tuple[str, Format], ...] = ()
    """By name or pattern, layers in another format; the first that fits counts."""
    operators: tuple[str, ...] = ()
    """Of integers: the kinds of operator that become some, in the runtime's own words; none: all that it reaches."""
    rounding: Rounding = "nearest"
    """Of weights alone: how each becomes an integer."""
    equalized: bool = False
    """Whether neighbouring layers are first rescaled until their weights have like ranges (Nagel et al. 2019)."""
    biases_corrected: bool = False
    """Whether what static quantization shifts a channel's mean by is taken off its bias (the same)."""
    codebook: int | Hashed | None = None
    """Weights of few values are stored as indices of so many bits into a table of them, or as what a hash finds; None:
    as they are."""

    @property
    def calibrates(self) -> bool:
        """Whether calibration examples are read."""
        read = self.ranges in ("static", "learned") or self.rounding == "gptq"
        return read or any(other.calibrates for _, other in self.exceptions)

    def __str__(self) -> str:
        text = str(self.weights)
        if self.ranges is not None:
            text += f", {self.ranges}"
        elif self.weights != self.activations:
            text += " weights alone"
        if self.rounding != "nearest":
            text += f", rounded by {self.rounding}"
        if self.equalized:
            text += ", equalized"
        if self.biases_corrected:
            text += ", biases corrected"
        if self.operators:
            text += f", of {', '.join(self.operators)} alone"
        if isinstance(self.codebook, Hashed):
            text += ", stored as values that a hash finds"
        elif self.codebook is not None:
            text += f", stored as indices of {self.codebook} bits"
        return f"{text}, with exceptions by layer" if self.exceptions else text


FLOAT32 = Format()
FLOAT16 = Format(Numbers("float16"), Numbers("float16"))
