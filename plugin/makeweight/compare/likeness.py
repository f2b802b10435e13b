"""Do two models answer alike? Both are asked on the device before they are timed, apart where runtimes would clash."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from makeweight.artifact.matching import counterparts, matched
from makeweight.artifact.model import Model
from makeweight.bench import probe
from makeweight.bench.probe import JobFailed, model_of
from makeweight.devices.device import Device, DeviceOptions
from makeweight.measure.elsewhere import beyond_rounding
from makeweight.runtimes.runtime import Runtime
from makeweight_base.errors import UsageError
from makeweight_probe.__main__ import REFUSED
from makeweight_probe.job import AnswersJob


@dataclass(frozen=True)
class Asked:
    """One of the two: the file, what opens it, and an .npz of samples as it takes them."""

    model: Model
    runtime: Runtime
    inputs: Path


@dataclass(frozen=True)
class Likeness:
    """How far B's answers are from A's."""

    decibels: Mapping[str, float | None]
    """Signal to noise by output, as A calls it; None where nothing could be compared."""
    broken: int
    """Numbers that are NaN or infinite in B's answers and not in A's."""
    told: list[str]
    """Which outputs are which, where names or layouts differ; which are none or tell nothing."""
    same: Mapping[str, float] = field(default_factory=dict)
    """Of outputs that are integers, the share of them that is the same."""


def ask(
    device: Device, a: Asked, b: Asked, options: DeviceOptions, tell: Callable[[str], None], *, made_up: bool
) -> Likeness:
    """Raises:
    UsageError: one of them does not open, or does not run on the samples.
    DeviceFailed: the device was lost, or lacks a runtime.
    """
    if not device.python:
        told = f"answers were not compared: `{device.name}` runs models in programs that tell none"
        return Likeness({port.name: None for port in a.model.outputs}, 0, [told])
    matches = matched(b.model.outputs, a.model.outputs)
    job = AnswersJob(
        model_of(b.model, options),
        model_of(a.model, options),
        str(b.inputs),
        None,
        None,
        str(a.inputs),
        counterparts(b.model.outputs, a.model.outputs),
    )
    try:
        facts = probe.run(device, job, tell).facts
    except JobFailed as failure:
        if failure.code == REFUSED:
            for each in (a, b):
                _refuse_what_does_not_run(device, each, options, tell, made_up=made_up)
        raise
    pairs = zip(b.model.outputs, matches, strict=True)
    names = [port.name if match is None else match.other.name for port, match in pairs]
    found = [match for match in matches if match is not None]
    lacking = [port.name for place, port in enumerate(a.model.outputs) if place not in {each.index for each in found}]
    notes = [line for match in found for line in match.told]
    notes += [f"no output of {b.model.path.name} is `{name}`, by name or by place" for name in lacking]
    notes += [
        f"`{name}` of {b.model.path.name} is another each time that the same is asked"
        for name, decibels, same in zip(names, facts["again"], facts["same_again"], strict=True)
        if beyond_rounding(decibels, same)
    ]
    return Likeness(
        {**dict(zip(names, facts["decibels"], strict=True)), **dict.fromkeys(lacking)},
        sum(facts["broken"]),
        notes,
        {name: each[0] / each[1] for name, each in zip(names, facts["same"], strict=True) if each is not None},
    )


def _refuse_what_does_not_run(
    device: Device, asked: Asked, options: DeviceOptions, tell: Callable[[str], None], *, made_up: bool
) -> None:
    """Raises:
    UsageError: this is the one, in its runtime's own words where it does not open.
    """
    try:
        own = model_of(asked.model, options)
        probe.run(device, AnswersJob(own, None, str(asked.inputs), None, None), tell)
    except JobFailed as failure:
        if failure.code != REFUSED:
            raise
        asked.runtime.open(asked.model, options.threads)
        reason = asked.runtime.reason(Exception(failure.last))
        raise UsageError(
            f"the model does not run on {'made-up' if made_up else 'the given'} inputs: {reason}",
            where=str(asked.model.path),
            do="Give real samples with `--inputs FILE.npz`." if made_up else "Mend the samples, or the model.",
        ) from failure
