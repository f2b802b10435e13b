"""Hand steps what they declare that they need; each thing is loaded once, when the first step needs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, count
from pathlib import Path
from typing import Any

from makeweight.artifact.matching import named_as
from makeweight.artifact.model import Model
from makeweight.artifact.ports import Feeds, Port, Shapes
from makeweight.compress.checkpoints import Checkpoints
from makeweight.compress.curves import Curves
from makeweight.compress.stopwatch import Stopwatch
from makeweight.compress.subject import Subject
from makeweight.compress.technique import Given, Needs
from makeweight.compress.trial import Answering
from makeweight.devices.entry import DeviceEntry, chosen
from makeweight.layout import Layout
from makeweight.measure import samples
from makeweight.runtimes.format import Format
from makeweight.runtimes.integers import Integers
from makeweight.runtimes.runtime import Program, RecipeFailed, Runtime
from makeweight.runtimes.weights import Editing, Weights
from makeweight.user import data
from makeweight.user.augment import change_of
from makeweight.user.declared import Declared
from makeweight.user.module import load_module, program, taken
from makeweight.user.ports import as_declared, of_module, of_steps
from makeweight.user.split import Split
from makeweight_base.errors import UsageError
from makeweight_base.progress import Progress

# Calibration examples of a model of which nothing but its time is asked.
_FEW = 8


@dataclass(frozen=True)
class Timing:
    """What it takes to time a model that a recipe is at work on."""

    devices: Mapping[str, DeviceEntry]
    baseline: Model
    format: Format
    """That of the recipe."""


class Supply:
    """What the steps of one recipe are handed."""

    def __init__(
        self,
        declared: Declared,
        runtime: Runtime,
        scratch: Path,
        notes: dict[str, Any],
        progress: Progress,
        checkpoints: Checkpoints,
        curves: Curves,
        outputs: Sequence[Port] = (),
        timing: Timing | None = None,
    ) -> None:
        """Args:
        outputs: the baseline's, whose names every model of the recipe bears.
        """
        self.declared, self.runtime, self.scratch = declared, runtime, scratch
        self.outputs = outputs
        self.notes, self.progress = notes, progress
        self.checkpoints, self.curves, self._timing = checkpoints, curves, timing
        self._loaded: dict[str, Split] = {}
        self._calibration: Split | None = None

    def given(self, needs: Needs) -> Given:
        """Raises:
        RecipeFailed: the test split is asked for, which is the gate's alone.
        UsageError: a split that is needed cannot be loaded, or the module cannot.
        """
        splits, absent = {name: self.split(name) for name in needs.splits}, {}
        for name in needs.wishes:
            try:
                splits[name] = self.split(name)
            except UsageError as error:
                absent[name] = error.what
        return Given(
            root=self.declared.root,
            task=self.declared.task,
            ports=of_steps(self.declared.model),
            output=self.declared.model.output,
            seed=self.declared.seed,
            channel_multiple=self.runtime.channel_multiple,
            scratch=self.scratch,
            progress=self.progress,
            splits=splits,
            change=change_of(self.declared),
            absent=absent,
            checkpoints=self.checkpoints,
            curves=self.curves,
            integers=self._integers,
            weights=self._weights,
            baseline=self._baseline if needs.baseline else None,
            stopwatch=None if needs.timed_on is None else self._stopwatch(needs.timed_on.device),
        )

    def _integers(self, subject: Subject, format: Format) -> Integers:
        return self.runtime.integers(self.program(subject), format, self.split("calibration"))

    def _weights(self, model: Model) -> Weights:
        if not isinstance(self.runtime, Editing):
            raise RecipeFailed(f"the weights of a file of {self.runtime.name} cannot be changed; declare `model.build`")
        return self.runtime.weights(model)

    def _stopwatch(self, device: str | None) -> Stopwatch:
        if self._timing is None:
            raise RecipeFailed("a technique wants to time models, and there is nothing to time them beside")
        entry, suffix = chosen(self._timing.devices, device), self.runtime.suffix
        inputs = Layout(self.declared.root).inputs
        if not inputs.is_file():
            inputs = self.scratch / inputs.name
            samples.write(inputs, of_module(self.declared.model), self.split("calibration"), self.declared.seed)
        return Stopwatch(
            entry.connect(),
            entry.options,
            self._timing.baseline,
            self._timing.format,
            inputs,
            lambda subject, format: self.lowered(subject, format, self.scratch / f"timed{suffix}", most=_FEW),
            self.declared.seed,
        )

    def lowered(
        self,
        subject: Subject,
        format: Format,
        target: Path,
        notes: dict[str, Any] | None = None,
        most: int | None = None,
    ) -> Model:
        """A subject as a model file of the runtime; see `Runtime.lower`.

        Args:
            most: how many calibration examples are read; None: all.
        """
        source = subject.source if subject.kind == "graph" else self.program(subject)
        calibration = self.split("calibration") if format.calibrates else None
        if calibration is not None and most is not None:
            calibration = calibration.draw(most, self.declared.seed)
        try:
            made = as_declared(self.runtime.lower(source, format, calibration, target, notes), self.declared.model)
        except UsageError as error:
            # the baseline's own runtime could lower it, so this one is what cannot
            if self._timing is None or self._timing.baseline.runtime == self.runtime.name:
                raise
            raise RecipeFailed(f"{self.runtime.name} cannot have this model: {error}") from error
        outputs = named_as(made.outputs, self.outputs)
        return made if outputs == made.outputs else replace(made, outputs=outputs)

    def answering(self, subject: Subject) -> Answering:
        """What a module answers to examples. It raises UsageError where it fails, or they do not fit it."""
        ports = of_module(self.declared.model)

        def answered(examples: Feeds) -> list[Any]:
            from makeweight.runtimes import traced

            given = traced.tensors(taken(ports, examples))
            return list(traced.answers(subject.source, given).values())

        return answered

    def keep(self, noted: Mapping[str, Any]) -> None:
        """Take over what a step noted; of a technique that comes again, by its name and a number."""
        for name, facts in noted.items():
            names = chain([name], (f"{name} {number}" for number in count(2)))
            self.notes[next(each for each in names if each not in self.notes)] = facts

    @cached_property
    def _baseline(self) -> Any:
        return load_module(self.declared)

    def trial_examples(self) -> Split:
        """What is made is tried on the calibration examples. Where no step needs them, on the benchmark's samples: a
        split is not read for that, and some projects have no other than the test split."""
        at_hand = Layout(self.declared.root).inputs
        if self._calibration is None and at_hand.is_file():
            return samples.read(at_hand, data.input_names(self.declared))
        return self.split("calibration")

    def asked(self) -> Sequence[Shapes]:
        """The shapes of the inferences that models are measured with; none where there is no baseline's folder."""
        return samples.shapes(Layout(self.declared.root).inputs)

    def split(self, name: str) -> Split:
        """One of the declared splits; `calibration` are the declared calibration examples."""
        if name == "test":
            raise RecipeFailed("a technique asked for the test split, which is the gate's alone")
        if name == "calibration":
            if self._calibration is None:
                self._calibration = data.calibration(self.declared, self._loaded)
            return self._calibration
        if name not in self._loaded:
            self._loaded[name] = data.load(self.declared, name)
        return self._loaded[name]

    def program(self, subject: Subject) -> Program:
        """A module as it is lowered."""
        examples = data.undrawn(self.declared, self._loaded)
        return program(self.declared, subject.source, examples, subject.left)
