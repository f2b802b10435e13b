"""The reference model as an artifact: the module lowered, or the given file with all that belongs to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from makeweight import registry
from makeweight.artifact.artifact import Manifest
from makeweight.artifact.files import sha256_of
from makeweight.artifact.model import Model
from makeweight.artifact.versions import versions
from makeweight.layout import BASELINE, CONFIG
from makeweight.runtimes.format import FLOAT32
from makeweight.runtimes.runtime import Program, Runtime
from makeweight.user import data
from makeweight.user.declared import Declared
from makeweight.user.module import load_module, program
from makeweight.user.opened import opened
from makeweight.user.ports import as_declared
from makeweight.user.ran import ran
from makeweight_base.errors import UsageError
from makeweight_base.progress import Progress


def write_baseline(declared: Declared, folder: Path, progress: Progress) -> Manifest:
    """Put the reference model into `folder` as a model of its runtime.

    Raises:
        UsageError: the module cannot be loaded or lowered, or the file cannot be opened or is not as declared.
    """
    runtime: Runtime = registry.ready("runtime", declared.model.runtime)()
    source: Program | Model
    if declared.model.file is None:
        source = program(declared, load_module(declared, progress), data.undrawn(declared))
        progress.say("baseline: exporting the module")
    else:
        source = runtime.read(declared.root / declared.model.file)
        runtime.open(source)
    notes: dict[str, Any] = {}
    lowered = runtime.lower(source, FLOAT32, None, folder / f"model{runtime.suffix}", notes)
    model = as_declared(lowered, declared.model)
    _refuse_undeclared(declared, model)
    exporters = runtime.exporters if isinstance(source, Program) else ()
    left_out = source.size - model.size if isinstance(source, Model) and not notes else 0
    if left_out:
        notes["left out"] = f"{left_out:,} bytes of notes by its exporter"
        progress.say(f"baseline: {left_out:,} bytes of notes by its exporter, which no inference reads, are left out")
    code = ran(declared.root)
    return Manifest(
        variant=BASELINE,
        status="ready",
        runtime=runtime.name,
        recipe=[],
        seed=declared.seed,
        parent=None,
        versions=versions((*exporters, *runtime.packages)),
        model=model,
        size_compressed=model.compressed_size(),
        notes=notes,
        code=code,
        read=opened(declared, code),
        made_of=_hashes(declared),
        **runtime.inspect(model).figures(),
    )


def _hashes(declared: Declared) -> dict[str, str]:
    """sha256 of what the model is read from, by path. A folder, as runtimes of others may open, has none."""
    files = {path: declared.root / path for path in declared.model.files}
    return {path: sha256_of(file) for path, file in files.items() if file.is_file()}


def _refuse_undeclared(declared: Declared, model: Model) -> None:
    """The declared output against those of the file."""
    outputs = [port.name for port in model.outputs]
    if declared.model.output is not None and declared.model.output not in outputs:
        raise UsageError(
            f"the model has no output `{declared.model.output}`; it has {', '.join(outputs)}",
            where=f"{CONFIG}: model.output",
        )
