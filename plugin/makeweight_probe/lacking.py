"""What of this machine cannot be measured or is not told: why, and what helps."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping
from typing import Any

from makeweight_probe import ProbeFailed, facts, kinds, memory, meters, room, sessions, slowing
from makeweight_probe.alone import alone
from makeweight_probe.job import FactsJob, LackingJob, Model, Result

Lack = tuple[str, str]
"""The reason, and what to do."""
_EMULATED = (
    "the processor is emulated, so nothing that is timed says anything about a real one",
    "Measure on the machine itself; size and accuracy hold here.",
)


def ask(job: LackingJob) -> Result:
    """Raises:
    NoSession, NoProvider, ModuleNotFoundError: see `facts.ask`.
    """
    found = facts.ask(FactsJob(job.execution_provider)).facts
    lacks = told(found["identity"], found["conditions"], job.meter, job.cpus)
    return Result({}, {**found, "lacking": {what: lack for what, lack in lacks.items() if lack is not None}})


def told(
    identity: Mapping[str, Any],
    conditions: Mapping[str, Any],
    meter: meters.Asked | None = None,
    cpus: Collection[int] | None = None,
) -> dict[str, Lack | None]:
    """Of all that can be measured what is lacking here; None: nothing is.

    Args:
        identity, conditions: as `facts` has them.
        meter: what is to read energy; None: the first that can be read here.
        cpus: the processors that measuring is to run on; None: all that it may.
    """
    timed: dict[str, Lack | None]
    if identity["emulated"]:
        timed = dict.fromkeys(("latency", "peak memory", "energy", "cold latency"), _EMULATED)
    else:
        timed = {
            "latency": None if identity["runtimes"] else _RUNTIMES,
            "peak memory": _of_memory(),
            "energy": _of_energy(meter),
            "cold latency": None if facts.last_level_cache() else _CACHES,
        }
    return {
        **timed,
        "load": None if conditions["load"] is not None else _LOAD,
        "temperature": None if conditions["temperature_millicelsius"] is not None else _TEMPERATURE,
        "frequency": None if conditions["frequency_khz"] is not None else _FREQUENCY,
        "throttling": _of_throttling(conditions),
        **_of_kinds(conditions, cpus),
        **{f"operators, {name}": _of_operators(name) for name in identity["runtimes"]},
    }


_RUNTIMES = (
    "no runtime is installed",
    "Install the one that the models are for: `pip install onnxruntime`, say.",
)
_LOAD = ("this system does not tell it", "See by other means that nothing else runs while it measures.")
_TEMPERATURE = (
    "no thermal zone tells it (/sys/class/thermal), nor does a sensor of the processor (/sys/class/hwmon)",
    "On a machine of your own load the sensor's driver: `sudo modprobe coretemp`, for AMD's processors `k10temp`. A "
    "virtual machine has none.",
)
_FREQUENCY = (
    "this machine shows no cpufreq, as most virtual machines do; so its governor cannot be set either",
    "Measure on the machine itself where its clock matters; a ratio holds here too, since both models have their turns "
    "at the same clock.",
)
_THROTTLING = (
    "this machine tells of no heat: no counters of throttling, no cooling devices, no firmware of a Raspberry Pi",
    "Let it cool between benchmarks: what slows it down shows in the noise floor alone.",
)
_CACHES = (
    "this system does not tell how large its caches are",
    "Have rules on `latency_p50` or `cold_start` in place of `latency_cold_p50`.",
)


def _of_memory() -> Lack | None:
    try:
        memory.peak_bytes()
        memory.reset_peak()
    except memory.NoHighWaterMark as error:
        return str(error), "Measure it on Linux, outside a sandbox that hides /proc; `size` can be had here."
    return None


def _of_energy(meter: meters.Asked | None) -> Lack | None:
    try:
        # what one reads of a port, a pipe or a meter on USB another does not: who measures there now needs it
        with alone() if meter is not None else contextlib.nullcontext():
            meters.find(meter).close()
    except meters.NoMeter as error:
        what = "Measure where one of these can be read, or have a meter beside the machine read: "
        return str(error), f"{what}`meter: {{kind: stream, path: …}}` of the device."
    except ProbeFailed as error:
        return str(error), "Mend `meter:` of the device."
    return None


def _of_throttling(conditions: Mapping[str, Any]) -> Lack | None:
    # Android tells by a service of its own
    told_so = slowing.is_told() or conditions.get("thermal_status") is not None
    return None if told_so else _THROTTLING


def _of_kinds(conditions: Mapping[str, Any], cpus: Collection[int] | None) -> dict[str, Lack | None]:
    """Where there are several alone: elsewhere nobody looks for it."""
    several = room.of_kinds(kinds.within(conditions.get("kinds") or (), cpus))
    return {} if several is None else {"times of one kind of processor": (several, room.NAME_SOME)}


def _of_operators(runtime: str) -> Lack | None:
    profiling = sessions.profiling(Model(runtime, "", 1))
    what = "Latency can be measured all the same; what takes it is told on another runtime."
    return (profiling, what) if isinstance(profiling, str) else None
