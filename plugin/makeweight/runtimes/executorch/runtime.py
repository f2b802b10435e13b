"""ExecuTorch as a runtime: each task is a file of its own, loaded when it is asked for: to read a configuration, what
it offers is enough."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from makeweight.artifact import kind
from makeweight.artifact.files import files_of
from makeweight.artifact.model import Model
from makeweight.artifact.ports import Port, Shapes, free_sizes
from makeweight.artifact.versions import versions_of
from makeweight.runtimes.executorch import offered, refusal
from makeweight.runtimes.format import Format, SourceKind
from makeweight.runtimes.integers import Integers
from makeweight.runtimes.runtime import Examples, GraphFacts, Program, Session
from makeweight_base.installed import installed


class Executorch:
    """ExecuTorch on the CPU, lowered to XNNPACK. A module is quantized while it is a graph of torch.export's; a program
    is finished, and cannot be lowered again."""

    name: ClassVar[str] = "executorch"
    suffix: ClassVar[str] = ".pte"
    # XNNPACK's kernels for this machine's AVX-512 compute 16 channels at once.
    channel_multiple: ClassVar[int] = 16
    packages: ClassVar[tuple[str, ...]] = ("executorch", "numpy")
    exporters: ClassVar[tuple[str, ...]] = ("torch", "torchao")

    def version(self) -> str | None:
        return installed("executorch")

    def objection(self, format: Format, source: SourceKind) -> str | None:
        return offered.objection(format, source)

    def read(self, path: Path) -> Model:
        from makeweight.runtimes.executorch import program

        if not path.is_file():
            raise kind.no_file(path, refusal.WANTED)
        with refusal.translated(path):
            plan = program.read(path)
            refusal.refuse_reordered(path, plan)
            return self._model(path, *program.ports(plan))

    def open(self, model: Model, threads: int = 1) -> Session:
        from makeweight.runtimes.executorch import program
        from makeweight_probe.sessions.executorch import open_session

        with refusal.translated(model.path):
            refusal.refuse_lacking(model.path, program.read(model.path))
            return open_session(str(model.path), threads)

    def lower(
        self,
        source: Program | Model,
        format: Format,
        calibration: Examples | None,
        target: Path,
        notes: dict[str, Any] | None = None,
    ) -> Model:
        if isinstance(source, Model):
            return source if source.path == target else source.copy(target)
        from makeweight.runtimes.executorch import lowering

        return self._model(target, *lowering.lower(source, format, calibration, target, {} if notes is None else notes))

    def integers(self, source: Program, format: Format, calibration: Examples) -> Integers:
        from makeweight.runtimes.executorch import lowering

        return lowering.integers(source, format, calibration)

    def reason(self, error: Exception) -> str:
        return refusal.reason(error)

    def inspect(self, model: Model, asked: Sequence[Shapes] = ()) -> GraphFacts:  # noqa: ARG002 - the batch alone is free
        from makeweight.runtimes.executorch import inspect

        with refusal.translated(model.path):
            return inspect.inspect(model.path, free=bool(free_sizes(model.inputs)))

    def _model(self, path: Path, inputs: tuple[Port, ...], outputs: tuple[Port, ...]) -> Model:
        return Model(
            folder=path.parent,
            runtime=self.name,
            files=files_of(path.parent, [path.name]),
            inputs=inputs,
            outputs=outputs,
            packages=versions_of(self.packages),
        )
