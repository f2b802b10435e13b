"""The cells of a device's `matrix` for two models: what is measured of them, and what the models rule out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from makeweight.artifact.artifact import Manifest
from makeweight.devices.device import DeviceOptions
from makeweight_probe.job import Result

ROUNDS = 20
"""Turns of each arm in a process: the processes together have more pairs than an interval needs."""


@dataclass(frozen=True)
class Grid:
    """Batch sizes and numbers of threads, each with each."""

    batches: tuple[int, ...]
    """All that were asked for, the smallest first."""
    lacking: Mapping[int, str]
    """Why some of them cannot be had, by batch."""
    threads: tuple[int, ...]
    examples: int
    """How many a stored sample holds."""

    @property
    def feasible(self) -> tuple[int, ...]:
        return tuple(batch for batch in self.batches if batch not in self.lacking)

    def __str__(self) -> str:
        return f"batches of {_listed(self.feasible)} on {_listed(self.threads)} thread{'s' * (self.threads != (1,))}"

    def told(self, threads: int, result: Result) -> Result:
        """A result with what was asked for, so that its figures can be made from it alone."""
        lacking = {**{f"{batch}": reason for batch, reason in self.lacking.items()}, **result.facts.get("lacking", {})}
        return replace(
            result, facts={**result.facts, "threads": threads, "batches": list(self.batches), "lacking": lacking}
        )


def of(options: DeviceOptions, baseline: Manifest, variant: Manifest, served: int | None) -> Grid | None:
    """What is asked for on a device; None: nothing.

    Args:
        served: how many examples a model is asked for at once where it is served; None: one.
    """
    if options.matrix is None:
        return None
    examples = (baseline.model and baseline.model.batch) or served or 1
    wanted = tuple(sorted(options.matrix.batch or [examples]))
    objections = {batch: _objection(batch, examples, (baseline, variant), served) for batch in wanted}
    lacking = {batch: reason for batch, reason in objections.items() if reason is not None}
    return Grid(wanted, lacking, tuple(sorted(options.matrix.threads or [options.threads])), examples)


def _objection(batch: int, examples: int, models: tuple[Manifest, Manifest], served: int | None) -> str | None:
    """Why a batch cannot be asked for."""
    for each in models:
        fixed = each.model and each.model.batch
        if fixed not in (None, batch):
            return f"`{each.variant}` takes batches of {fixed} alone"
        asked = each.batch(served)
        if asked not in (None, batch):
            beside = f"answers of `{each.variant}` depend on the examples beside them"
            return f"{beside}, so it is asked for {asked} at a time"
    return f"the samples hold {examples} examples each" if batch % examples else None


def _listed(numbers: tuple[int, ...]) -> str:
    return ", ".join(map(str, numbers))
