"""What came of trying a model before it was measured, in words."""

from __future__ import annotations

from makeweight.artifact.artifact import Manifest
from makeweight.artifact.trial import Trial
from makeweight_probe.answers import MOST_DECIBELS


def closeness(trial: Trial | None) -> str:
    """How near its answers are to those that it was compared with: `signal to noise scores 38.1 dB; top class the same
    for 98.4 %`."""
    if trial is None or trial.against is None:
        return ""
    noise = [f"{name} {_decibels(value)}" for name, value in trial.decibels.items() if name not in trial.same]
    parts = [f"signal to noise {'; '.join(noise)}"] if noise else []
    parts += [f"{name} the same for {share * 100:.1f} %" for name, share in trial.same.items()]
    if trial.agreement is not None:
        parts.append(f"top class the same for {trial.agreement * 100:.1f} %")
    return f"{'; '.join(parts)} ({trial.examples} examples, against {trial.against})"


def asked(manifest: Manifest, served: int | None) -> str | None:
    """How it is asked where that makes a difference; None where it makes none.

    Args:
        served: how many examples it is asked for at once where it is served; None: one.
    """
    batch = manifest.batch(served)
    if batch is None:
        return None
    return f"{manifest.variant} is asked for {batch} at a time: its answers depend on the examples beside them"


def _decibels(value: float | None) -> str:
    return "not comparable" if value is None else "exact" if value >= MOST_DECIBELS else f"{value:.1f} dB"
