"""Hand steps what they declare that they need; each thing is loaded once, when the first step needs it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from makeweight.compress.technique import Given, Needs
from makeweight.runtimes.runtime import RecipeFailed, Runtime
from makeweight.user import data
from makeweight.user.dataset import Dataset
from makeweight.user.declared import Declared
from makeweight.user.module import load_module
from makeweight_base.errors import UsageError
from makeweight_base.progress import Progress


class Supply:
    """What the steps of one recipe are handed."""

    def __init__(
        self, declared: Declared, runtime: Runtime, scratch: Path, notes: dict[str, Any], progress: Progress
    ) -> None:
        self.declared, self.runtime, self.scratch = declared, runtime, scratch
        self.notes, self.progress = notes, progress
        self._splits: dict[str, Dataset] = {}
        self._absent: dict[str, str] = {}
        self._baseline: Any = None

    def given(self, needs: Needs) -> Given:
        """Raises:
        RecipeFailed: the test split is asked for, which is the gate's alone.
        UsageError: a split that is needed cannot be loaded, or the module cannot.
        """
        for split in needs.splits:
            self.split(split)
        for split in needs.wishes:
            try:
                self.split(split)
            except UsageError as error:
                self._absent[split] = error.what
        if needs.baseline and self._baseline is None:
            self._baseline = load_module(self.declared)
        named = (*needs.splits, *needs.wishes)
        return Given(
            root=self.declared.root,
            task=self.declared.task,
            output=self.declared.model.output,
            seed=self.declared.seed,
            channel_multiple=self.runtime.channel_multiple,
            scratch=self.scratch,
            progress=self.progress,
            splits={name: self._splits[name] for name in named if name in self._splits},
            absent={name: self._absent[name] for name in needs.wishes if name in self._absent},
            baseline=self._baseline if needs.baseline else None,
            notes=self.notes,
        )

    def split(self, name: str) -> Dataset:
        """One of the declared splits; `calibration` are the declared calibration examples."""
        if name == "test":
            raise RecipeFailed("a technique asked for the test split, which is the gate's alone")
        if name not in self._splits:
            load = data.calibration(self.declared) if name == "calibration" else data.load(self.declared, name)
            self._splits[name] = load
        return self._splits[name]
