"""The answer, for people and as plain data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from makeweight.artifact.model import Model
from makeweight.bench.sitting import Ratio
from makeweight.compare.answer import Answer
from makeweight.compare.likeness import Likeness


def plain(
    answer: Answer,
    models: Mapping[str, Model],
    inputs: str,
    identity: Mapping[str, Any],
    alike: Likeness,
    matched: Sequence[str],
) -> dict[str, Any]:
    """One JSON object.

    Args:
        models: `a` and `b`.
        identity: of the device.
        matched: which inputs are which, where names or layouts differ.
    """
    return {
        "verdict": answer.verdict,
        "max_ratio": answer.max_ratio,
        **_figures(answer.ratio),
        "reason": answer.reason,
        "pairs": answer.taken.rounds,
        "processes": len(answer.taken.processes),
        "arms": answer.taken.where,
        "seconds": round(answer.taken.seconds, 3),
        "seconds_needed": answer.seconds_needed,
        **{arm: _described(model, answer.seconds_of.get(arm)) for arm, model in models.items()},
        "device": dict(identity),
        "inputs": inputs,
        "matched": [*matched, *alike.told],
        "signal_to_noise": dict(alike.decibels),
        "same": dict(alike.same),
        "broken": alike.broken,
        "sizes": answer.taken.sizes,
    }


def _figures(ratio: Ratio | None) -> dict[str, Any]:
    if ratio is None:
        return {"ratio": None, "interval": None, "noise_floor": None}
    low, high = ratio.interval
    return {
        "ratio": ratio.value,
        "interval": [low, high if math.isfinite(high) else None],
        "noise_floor": ratio.noise_floor,
    }


def text(answer: Answer, models: Mapping[str, Model], inputs: str, alike: Likeness, matched: Sequence[str]) -> str:
    a, b = _names(models["a"].path, models["b"].path)
    lines = [
        *_times(answer, a, b, inputs),
        f"  its answers beside those of {a}, signal to noise: {_alike(alike)}",
        *(f"  {line}" for line in (*matched, *alike.told)),
    ]
    if answer.verdict == "inconclusive" and answer.ratio is not None:
        lines.append("  " + _settle(answer))
    return "\n".join(lines)


def _times(answer: Answer, a: str, b: str, inputs: str) -> list[str]:
    if answer.ratio is None:
        return [f"{answer.verdict}: what {b} takes beside {a} is not known: {answer.reason}"]
    low, high = answer.ratio.interval
    times = " against ".join(f"{answer.seconds_of[name] * 1e6:.0f} us" for name in "ba")
    return [
        f"{answer.verdict}: {b} takes {answer.ratio.value:.3f}x the time of {a} "
        f"[{low:.3f}, {'?' if math.isinf(high) else format(high, '.3f')}]; "
        f"at most {answer.max_ratio:g}x was asked for",
        f"  {times} (median), {answer.taken.rounds} rounds of blocks in {answer.taken.seconds:.1f} s, "
        f"{len(answer.taken.processes)} times afresh, {answer.taken.where}, "
        f"identical models differed by {answer.ratio.noise_floor:.1%}, inputs {inputs}: {_sizes(answer)}",
    ]


def _names(a: Path, b: Path) -> tuple[str, str]:
    """Of two files, with their folders where they would be told as one."""
    return (str(a), str(b)) if a.name == b.name else (a.name, b.name)


def _sizes(answer: Answer) -> str:
    return ", ".join(
        f"{name} {each[0]}" + (f" to {each[-1]}" if len(each) > 1 else "") for name, each in answer.taken.sizes.items()
    )


def _alike(alike: Likeness) -> str:
    shown = {name: "not to be compared" if each is None else f"{each:.1f} dB" for name, each in alike.decibels.items()}
    shown |= {name: f"{share:.1%} the same integers" for name, share in alike.same.items()}
    told = ", ".join(f"`{name}` {each}" for name, each in shown.items())
    return told + (f"; NaN or infinity in {alike.broken:,} places" if alike.broken else "")


def _settle(answer: Answer) -> str:
    if answer.seconds_needed is not None:
        return f"`--seconds {answer.seconds_needed:g}` would likely settle it."
    if answer.within_the_floor:
        return "More time will not settle it: the limit lies within what identical models differ by here."
    return "It would take over an hour to settle it; ask for another `--max-ratio`."


def _described(model: Model, seconds: float | None) -> dict[str, Any]:
    return {"path": str(model.path), "sha256": model.sha256, "size": model.size, "latency_p50": seconds}
