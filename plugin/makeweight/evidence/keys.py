"""The keys of what is measured: one place says what a figure depends on, for those who measure and those who check."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from makeweight.layout import BASELINE
from makeweight.measurement import key_of
from makeweight_probe.job import CPU, PROTOCOL, Setting

if TYPE_CHECKING:
    from makeweight.config.settings import PipelineSettings, TaskSettings
    from makeweight.measure.outcomes import Outcomes

EVALUATION = 1
"""Raise it when evaluations would no longer be comparable."""


def fingerprint(identity: Mapping[str, Any]) -> str:
    """One hash for a device's whole identity: two machines with the same one are the same to every benchmark."""
    return key_of(kind="device", identity=dict(identity))


def evaluation(
    *,
    baseline: str,
    variant: str,
    runtimes: Mapping[str, str],
    task: TaskSettings,
    output: str | None,
    inputs: str,
    batches: Sequence[int | None],
) -> str:
    """Key of a quality figure.

    Args:
        baseline, variant: sha256 of the models.
        runtimes: versions of those that answered for the two.
        output: which of the model's outputs was judged.
        inputs: digest of the examples.
        batches: how many examples the two were asked for at once; None: it makes no difference.
    """
    return key_of(
        kind="evaluation",
        protocol=EVALUATION,
        artifacts={"baseline": baseline, "variant": variant},
        runtimes=dict(runtimes),
        task=task.model_dump(mode="json"),
        output=output,
        inputs=inputs,
        batches=list(batches),
    )


def answered(before: Outcomes, own: Outcomes, task: TaskSettings, output: str | None) -> str:
    """Key of a quality figure of answers at hand: that of `evaluation`, of what was really paired.

    Args:
        before: the baseline's answers.
    """
    return evaluation(
        baseline=str(before.facts.get("sha256")),
        variant=str(own.facts.get("sha256")),
        runtimes={str(each.facts.get("runtime")): str(each.facts.get("version")) for each in (before, own)},
        task=task,
        output=output,
        inputs=own.digest,
        batches=[each.facts.get("batch") for each in (before, own)],
    )


def benchmark(
    *,
    baseline: str,
    variant: str,
    runtimes: Iterable[str],
    identity: Mapping[str, Any],
    threads: int,
    inputs: str,
    setting: Setting = Setting(),  # noqa: B008 - it is frozen
    execution_provider: str = CPU,
    pipeline: Mapping[str, Any] | None = None,
) -> str:
    """Key of a device's figure.

    Args:
        baseline, variant: sha256 of the models.
        runtimes: what the two run on; versions of others on the device are left out of the key.
        identity: the device's, with the versions of its runtimes.
        inputs: sha256 of the file of samples.
        setting: what was changed on the device meanwhile.
        execution_provider: what computed there.
        pipeline: what `pipeline` gave.
    """
    used = set(runtimes)
    versions = {name: version for name, version in identity.get("runtimes", {}).items() if name in used}
    changed: dict[str, Any] = {name: value for name, value in asdict(setting).items() if value is not None}
    if execution_provider != CPU:
        changed["execution_provider"] = execution_provider
    return key_of(
        kind="benchmark",
        protocol={"version": PROTOCOL, "threads": threads, **changed},
        artifacts={"baseline": baseline, "variant": variant},
        device={**identity, "runtimes": versions},
        inputs=inputs,
        **({} if pipeline is None else {"pipeline": dict(pipeline)}),
    )


def growth(*, before: str, own: str) -> str:
    """Key of a figure that compares a variant with what it was at the merge base.

    Args:
        before, own: sha256 of the models.
    """
    return key_of(kind="growth", protocol={"version": PROTOCOL}, artifacts={"before": before, "own": own})


def pipeline(
    settings: PipelineSettings | None, variant: str, sources: str | None, raw: str | None
) -> dict[str, Any] | None:
    """What of the pipelines around the baseline and a variant is part of a benchmark's key; None: there are none.

    Args:
        sources: digest of the user's code.
        raw: sha256 of the file of raw samples.
    """
    if settings is None:
        return None
    around = {name: list(settings.around(name)) for name in (BASELINE, variant)}
    return {"around": around, "sources": sources, "raw": raw}
