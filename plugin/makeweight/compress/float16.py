"""float16: half the bytes, at the price of little accuracy; on most CPUs no faster."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from makeweight.compress import technique
from makeweight.compress.technique import Accepts, Context


class Float16:
    """Weights and arithmetic in half precision; inputs and outputs keep their type."""

    name: ClassVar[str] = "float16"
    accepts: ClassVar[Accepts] = "graph"
    sets_number_format: ClassVar[bool] = True
    trains: ClassVar[bool] = False

    class Options(technique.Options):
        """float16 has nothing to set."""

    def apply(self, subject: Path, options: Options, context: Context) -> Path:  # noqa: ARG002
        target = context.workdir / f"float16{context.runtime.suffix}"
        context.runtime.to_float16(subject, target)
        return target

    def training(self, options: Any) -> None:  # noqa: ARG002
        return None
