"""Latency and memory of what trials made, on the declared devices: one job at a time on each."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from makeweight.artifact.artifact import Manifest
from makeweight.bench import probe
from makeweight.bench.aim import Aim, from_rules
from makeweight.bench.probe import JobFailed
from makeweight.budget.metric import Meter
from makeweight.budget.rule import Rule
from makeweight.devices.device import DeviceFailed, GivenUp
from makeweight.devices.entry import DeviceEntry
from makeweight.evidence import benchmark
from makeweight.measure.memory import Facts
from makeweight.measurement import Measurement, unavailable
from makeweight.project.project import Project
from makeweight_base.progress import Silent
from makeweight_probe.__main__ import NO_RUNTIME

# What a device says that it lacks, where a meter has nothing to read there.
_LACKED: Mapping[Meter | None, str] = {
    "energy": "energy",
    "memory": "peak memory",
    "cold": "cold latency",
    "cpu": "cpu time",
    "end_to_end": "end-to-end latency",
    "start": "cold starts",
}
_TIMED = "latency"
"""The same where it tells no times at all, and so nothing of what is measured beside them."""
_Given = ParamSpec("_Given")
_Found = TypeVar("_Found")


@dataclass(frozen=True)
class Measured:
    """Of one model on all devices."""

    figures: Sequence[Measurement]
    seconds: float
    """Without those of waiting for a device."""


class Measuring:
    """Asks devices in threads of their own; what measures are processes."""

    def __init__(
        self, project: Project, devices: Mapping[str, DeviceEntry], rules: Sequence[Rule], baseline: Manifest
    ) -> None:
        """Args:
        devices: those that are asked.
        rules: of the budget.
        """
        self._project, self._devices, self._rules, self._baseline = project, devices, rules, baseline
        self._locks = {name: threading.Lock() for name in devices}
        self._memory: dict[str, Facts] = {}
        """Of the baseline, by device: no trial changes that."""
        self._closed = threading.Event()

    def reach(self) -> Future[None]:
        """Ask whether all are there. What it raises is a DeviceFailed: one cannot be reached, or has nothing to measure
        what a rule requires."""
        return _begun(self._reach)

    def submit(self, manifest: Manifest, name: str) -> Future[Measured]:
        """All figures of a model on all devices; what it raises is what `benchmark.carry_out` does."""
        return _begun(self._measure, manifest, name)

    def close(self) -> None:
        """Nothing is begun any more; what is measured just now ends with this program at the latest."""
        self._closed.set()

    def _reach(self) -> None:
        for name, entry in self._devices.items():
            lacking = probe.facts_in_full(entry.connect(), Silent().say, entry.options).lacking
            for rule in self._of(name):
                lack = lacking.get(_LACKED.get(rule.metric.meter, rule.metric.name)) or lacking.get(_TIMED)
                if lack is not None and _required(rule):
                    reason, do = lack
                    raise DeviceFailed(
                        f"`{rule.id}` cannot be measured there, whatever the recipe: {reason}",
                        where=f"device `{name}`",
                        do=f"{do} Or have the rule let that go: `when_unmeasured: warn`.",
                    )

    def _measure(self, manifest: Manifest, name: str) -> Measured:
        figures: list[Measurement] = []
        seconds = 0.0
        for device, entry in self._devices.items():
            with self._locks[device]:
                if self._closed.is_set():
                    raise CancelledError
                began = time.monotonic()
                figures += self._on(device, entry, manifest, name)
                seconds += time.monotonic() - began
        return Measured(figures, seconds)

    def _on(self, device: str, entry: DeviceEntry, manifest: Manifest, name: str) -> list[Measurement]:
        if (lacking := entry.options.unserved(manifest.runtime)) is not None:
            asked = dict.fromkeys(rule.measurand for rule in self._of(device))
            return [unavailable(of, name, "", lacking, device=device) for of in asked]
        done = benchmark.carry_out(
            self._project,
            entry,
            name,
            self._baseline,
            manifest,
            self._aim(device),
            Silent(),
            batches=self._throughput(device),
            around=self._end_to_end(device),
            memory=self._memory.get(device, ()),
        )
        self._memory[device] = done.taken.memory["a"]
        return done.figures

    def _aim(self, device: str) -> Aim:
        rules = self._of(device)
        memory = any(rule.metric.meter in ("memory", "gpu") for rule in rules)
        return from_rules(
            rules, lambda rule: rule.limit if rule.operator.comparison == "ratio" else None, memory=memory
        )

    def _throughput(self, device: str) -> bool:
        return any(rule.metric.name == "throughput" for rule in self._of(device))

    def _end_to_end(self, device: str) -> bool:
        return any(rule.metric.meter == "end_to_end" for rule in self._of(device))

    def _of(self, device: str) -> list[Rule]:
        return [rule for rule in self._rules if rule.device in (None, device) and rule.metric.per_device]


def _begun(work: Callable[_Given, _Found], *given: _Given.args, **named: _Given.kwargs) -> Future[_Found]:
    """Have it done in a thread that this program does not wait for when it is interrupted: a measurement may last for
    half an hour, and ends by itself when this program does."""
    future: Future[_Found] = Future()

    def done() -> None:
        try:
            future.set_result(work(*given, **named))
        except BaseException as error:  # noqa: BLE001 - told where the result is asked for
            future.set_exception(error)

    threading.Thread(target=done, daemon=True).start()
    return future


def _required(rule: Rule) -> bool:
    """Whether nothing passes that it was not measured of."""
    return (rule.level, rule.when_unmeasured) == ("error", "fail") and rule.operator.against != "merge base"


def unmeasurable(failure: DeviceFailed) -> tuple[str, bool] | None:
    """Why a model cannot be measured on a device, in words, and whether it may be another time. None: the device itself
    failed, as it would at any model. What was `killed` is begun again before that is asked."""
    if isinstance(failure, GivenUp):
        another_time = True  # it may have waited for another measurement
    elif isinstance(failure, JobFailed) and not failure.of_device:
        another_time = failure.code == NO_RUNTIME
    else:
        return None
    return f"it cannot be measured on {failure.where}: {failure.what}", another_time
