"""bfloat16: weights stored in half the bytes and computed with in float32, where a runtime has no arithmetic of it."""

from __future__ import annotations

from typing import ClassVar

from makeweight.compress import technique
from makeweight.runtimes.format import Format, Numbers


class Bfloat16(technique.NumberFormat):
    """Weights stored in bfloat16: the range of float32 at 8 bits of precision."""

    name: ClassVar[str] = "bfloat16"

    class Options(technique.Options):
        """bfloat16 has nothing to set."""

    def format(self, options: Options) -> Format:  # noqa: ARG002
        return Format(Numbers("bfloat16"))
