"""The baseline on a device for a moment: how long an inference takes, and which operators it goes to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from makeweight.advise.facts import DeviceFacts
from makeweight.artifact.model import Model
from makeweight.bench import sitting
from makeweight.bench.aim import Aim
from makeweight.bench.probe import model_of
from makeweight.bench.sitting import Pair
from makeweight.devices.device import DeviceFailed
from makeweight.devices.entry import DeviceEntry
from makeweight.measure import latency, operators
from makeweight.measure.operators import Profile
from makeweight.runtimes.runtime import LayerKind
from makeweight_base.progress import Silent

# How runtimes call the operators of each kind of layer; the first that fits counts.
_CALLED: dict[LayerKind, re.Pattern[str]] = {
    "convolution": re.compile(r"conv", re.IGNORECASE),
    "recurrence": re.compile(r"lstm|gru\b|rnn", re.IGNORECASE),
    "product": re.compile(r"gemm|mat_?mul|fully.?connected|linear|attention|bmm|addmm", re.IGNORECASE),
    "table": re.compile(r"gather|embedding", re.IGNORECASE),
}
# What a delegate takes beside its operators, or with them where it does not tell of them.
_HIDES = re.compile(r"delegate", re.IGNORECASE)
# Enough for a median, not for a decision.
_SECONDS = 2.0


def timed(entry: DeviceEntry, made: Model, inputs: Path, memory: bool, seed: int) -> DeviceFacts:
    """The baseline beside itself.

    Raises:
        DeviceFailed: the device failed, or is emulated and so tells no times.
    """
    options = entry.options.model_copy(update={"seconds": _SECONDS, "processes": 1})
    own = model_of(made, options)
    aim = Aim((), memory=memory, profile=True)
    taken = sitting.carry_out(
        entry.connect(), options, Pair(own, own, str(inputs), free_batch=False), aim, seed, Silent()
    )
    identity = taken.identity
    if taken.emulated is not None:
        raise DeviceFailed(taken.emulated, where=f"device `{entry.name}`")
    told = operators.profiles(taken)
    usual = latency.medians(taken)["a"]
    shares = {} if told is None else _shares(told[0], usual)
    peaks = [max(each["load"], each["run"]) for each in taken.memory["a"] if "unavailable" not in each]
    return DeviceFacts(
        entry.name,
        tuple(identity.get("isa") or ()),
        usual,
        float(peaks[0]) if peaks and peaks[0] > 0 else None,
        shares,
        _by_kind_of_layer(shares),
        _beside(shares),
        options.execution_provider,
    )


def _shares(profile: Profile, usual: float) -> dict[str, float]:
    """The part of an inference that each type of operator takes; the rest is the runtime's own. Empty where the runtime
    has no profiler.

    Args:
        usual: seconds of an inference on which no profiler looks.
    """
    whole = max(usual, profile.seconds)
    return {name: seconds / whole for name, seconds in profile.kinds().items()} if whole else {}


def _kind_of(operator: str) -> LayerKind:
    return next((kind for kind, words in _CALLED.items() if words.search(operator)), "other")


def _beside(shares: Mapping[str, float]) -> tuple[str, float] | None:
    """See `DeviceFacts.beside`."""
    own = [each for each in shares.items() if _kind_of(each[0]) == "other" and not _HIDES.search(each[0])]
    return max(own, key=lambda each: each[1], default=None)


def _by_kind_of_layer(shares: Mapping[str, float]) -> dict[LayerKind, float]:
    found: dict[LayerKind, float] = {}
    for name, share in shares.items():
        kind = _kind_of(name)
        found[kind] = found.get(kind, 0.0) + share
    return found
