"""float16: half the bytes, at the price of little accuracy; on most CPUs no faster."""

from __future__ import annotations

from typing import ClassVar

from makeweight.compress import technique
from makeweight.runtimes.format import FLOAT16, Format


class Float16(technique.NumberFormat):
    """Weights and arithmetic in half precision; inputs and outputs keep their type."""

    name: ClassVar[str] = "float16"

    class Options(technique.Options):
        """float16 has nothing to set."""

    def format(self, options: Options) -> Format:  # noqa: ARG002
        return FLOAT16
