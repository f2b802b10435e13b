"""The runtime at home. Group `makeweight.runtimes`."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from makeweight.artifact.files import files_of
from makeweight.artifact.model import Model
from makeweight.artifact.ports import Port, Shapes
from makeweight.runtimes.format import FLOAT32, Format, Numbers, SourceKind
from makeweight.runtimes.runtime import Examples, GraphFacts, Program, RecipeFailed
from makeweight_base.errors import UsageError
from makeweight_base.installed import installed
from makeweight_pocket import chain
from makeweight_pocket.session import Session, open_session, version

_FLOAT16_WEIGHTS = Format(Numbers("float16"), Numbers("float16"))


class Pocket:
    """Chains of torch.nn.Linear with ReLU between them."""

    name: ClassVar[str] = "pocket"
    suffix: ClassVar[str] = ".pocket"
    channel_multiple: ClassVar[int] = 1
    packages: ClassVar[tuple[str, ...]] = ("makeweight-pocket", "numpy")
    exporters: ClassVar[tuple[str, ...]] = ("torch",)

    def version(self) -> str:
        return version()

    def objection(self, format: Format, source: SourceKind) -> str | None:
        del source
        if format in (FLOAT32, _FLOAT16_WEIGHTS):
            return None
        return f"pocket offers float32 and float16, and not {format}"

    def read(self, path: Path) -> Model:
        loaded = _loaded(path)
        features, classes = loaded.layers[0].weight.shape[1], loaded.layers[-1].weight.shape[0]
        return Model(
            folder=path.parent,
            runtime=self.name,
            files=files_of(path.parent, [path.name]),
            inputs=(Port(loaded.input, ("N", features), "float32"),),
            outputs=(Port("scores", ("N", classes), "float32"),),
            packages={package: found for package in self.packages if (found := installed(package)) is not None},
        )

    def open(self, model: Model, threads: int = 1) -> Session:
        _loaded(model.path)
        return open_session(str(model.path), threads)

    def lower(
        self,
        source: Program | Model,
        format: Format,
        calibration: Examples | None,
        target: Path,
        notes: dict[str, Any] | None = None,
    ) -> Model:
        del calibration, notes
        whole = _loaded(source.path) if isinstance(source, Model) else _traced(source)
        number = np.float32 if format == FLOAT32 else np.float16
        layers = tuple(chain.Layer(layer.weight.astype(number), layer.bias.astype(number)) for layer in whole.layers)
        chain.save(target, chain.Chain(whole.input, layers))
        return self.read(target)

    def reason(self, error: Exception) -> str:
        return str(error)

    def inspect(self, model: Model, asked: Sequence[Shapes] = ()) -> GraphFacts:
        del asked  # no size is free
        layers = _loaded(model.path).layers
        return GraphFacts(
            parameters=sum(layer.weight.size + layer.bias.size for layer in layers),
            macs=sum(layer.weight.size for layer in layers),
            operators={"Linear": len(layers)},
        )


def _loaded(path: Path) -> chain.Chain:
    try:
        return chain.load(path)
    except FileNotFoundError as error:
        raise UsageError("no such file", where=str(path)) from error
    except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise UsageError(f"this is no pocket file ({error})", where=str(path), do="Export it again.") from error


def _traced(program: Program) -> chain.Chain:
    from torch import nn

    steps = [step for step in program.module.modules() if not list(step.children())]
    odd = [type(step).__name__ for step in steps if not isinstance(step, nn.Linear | nn.ReLU)]
    if odd:
        raise RecipeFailed(f"pocket knows Linear and ReLU, and the module holds {', '.join(sorted(set(odd)))}")
    linear = [step for step in steps if isinstance(step, nn.Linear)]
    layers = tuple(chain.Layer(step.weight.detach().numpy(), step.bias.detach().numpy()) for step in linear)
    (name,) = program.inputs
    return chain.Chain(name, layers)
