"""A project: all that its makeweight.yaml says, as typed data."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from makeweight.artifact import artifact
from makeweight.artifact.model import Model
from makeweight.budget.rule import Rule
from makeweight.compress.recipe import Variant
from makeweight.compress.space import OpenRecipe
from makeweight.config.problems import near
from makeweight.config.settings import (
    CanarySettings,
    DataSettings,
    ModelSettings,
    PipelineSettings,
    SearchSettings,
    TaskSettings,
    WaiverSettings,
)
from makeweight.devices.entry import DeviceEntry
from makeweight.layout import BASELINE, CONFIG, Layout
from makeweight.user.declared import Declared
from makeweight.user.sources import Sources
from makeweight_base.errors import UsageError


@dataclass(frozen=True)
class Project:
    """All that makeweight.yaml says, with every reference resolved."""

    name: str
    root: Path
    model: ModelSettings
    sources: tuple[str, ...]
    data: DataSettings
    task: TaskSettings
    seed: int
    variants: Mapping[str, Variant]
    ship: str
    prefer: str
    devices: Mapping[str, DeviceEntry]
    rules: tuple[Rule, ...]
    waivers: tuple[WaiverSettings, ...]
    review: Literal["required"] | None
    canary: CanarySettings | None
    search: SearchSettings
    spaces: Mapping[str, OpenRecipe]
    """The recipes of `search` that leave something open; none: nothing is said."""
    pipeline: PipelineSettings | None = None

    @property
    def layout(self) -> Layout:
        return Layout(self.root)

    @property
    def declared(self) -> Declared:
        """What it takes to load model and data."""
        return Declared(self.root, self.model, self.data, self.task, self.seed, self.named)

    @property
    def named(self) -> tuple[str, ...]:
        """What makeweight.yaml names: code, model, data and raw samples, by paths from the project's folder."""
        return (*self.sources, *self._without_code)

    @property
    def _without_code(self) -> tuple[str, ...]:
        raw = () if self.pipeline is None or self.pipeline.place is None else (self.pipeline.place,)
        return (*self.model.files, *self.data.places.values(), *raw)

    @property
    def code(self) -> Sources:
        """What of the sources goes to a device with a pipeline."""
        try:
            beside = self.weights_beside(artifact.read(self.layout.artifact(BASELINE)).model)
        except UsageError:  # no baseline was made yet
            beside = []
        return Sources(self.root, self.sources, (*self._without_code, *beside))

    def weights_beside(self, baseline: Model | None) -> list[str]:
        """The files that the model's own file names, by their paths from the project's folder; `baseline`: what was
        made of it."""
        if self.model.file is None or baseline is None:
            return []
        folder = posixpath.dirname(self.model.file)
        return [posixpath.normpath(posixpath.join(folder, each.name)) for each in baseline.files[1:]]

    def variant(self, name: str) -> Variant:
        if name not in self.variants:
            raise UsageError(f"no variant `{name}` in {CONFIG}; {near(name, list(self.variants))}")
        return self.variants[name]

    def device(self, name: str) -> DeviceEntry:
        if name not in self.devices:
            raise UsageError(f"no device `{name}` in {CONFIG}; {near(name, list(self.devices))}")
        return self.devices[name]
