"""What would settle an open question: the command to run, or that none would."""

from __future__ import annotations

import math

from makeweight.decide.terms import Terms


def time_factor(value: float, interval: tuple[float, float], limit: float) -> float:
    """How much longer to measure so that the interval would end before the limit: its width goes with 1/sqrt(time)."""
    distance = abs(value - limit)
    half = interval[1] - value if limit > value else value - interval[0]
    widths = math.inf if distance == 0 else half / distance
    return widths * widths


def longer(variant: str, device: str | None, factor: float, terms: Terms) -> str | None:
    """The command that measures long enough; none when that would take over an hour."""
    seconds = needed(device, factor, terms)
    if seconds is None:
        return None
    stage = f"benchmark@{device}-{variant}"
    return f"makeweight benchmark {variant} --device {device} --seconds {seconds} && dvc commit -f {stage} && dvc repro"


def needed(device: str | None, factor: float, terms: Terms) -> int | None:
    """Seconds of measuring that are long enough; None when that is over an hour, or no clock is involved."""
    if device is None:
        return None
    seconds = terms.devices.get(device, 10.0) * max(2.0, 1.5 * factor)
    return None if seconds > 3600 else math.ceil(seconds)


def again(variant: str, device: str | None) -> str:
    """The command that measures anew what is missing or stale."""
    stage = f"benchmark@{device}-{variant}" if device else f"evaluate@{variant}"
    return f"dvc repro -f -s {stage} && dvc repro"
