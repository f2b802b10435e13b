"""Latency and memory of what trials made, on the declared devices: one job at a time on each."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from makeweight import measurement
from makeweight.artifact.artifact import Manifest
from makeweight.artifact.files import sha256_of
from makeweight.bench import pipelines, probe, sitting
from makeweight.bench.aim import Aim, from_rules
from makeweight.bench.probe import model_of
from makeweight.bench.sitting import Pair
from makeweight.budget.rule import Rule
from makeweight.devices.entry import DeviceEntry
from makeweight.evidence import keys
from makeweight.evidence.provenance import hash_of
from makeweight.layout import BASELINE
from makeweight.measure import samples
from makeweight.measurement import Measurement
from makeweight.project.project import Project
from makeweight_base.progress import Silent


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
        self._threads = ThreadPoolExecutor(max(1, len(devices)))

    def reach(self) -> Future[None]:
        """Ask whether all are there. What it raises is a DeviceFailed: one cannot be reached."""
        return self._threads.submit(self._reach)

    def submit(self, manifest: Manifest, name: str) -> Future[Measured]:
        """All figures of a model on all devices; what it raises is what `sitting.carry_out` does."""
        return self._threads.submit(self._measure, manifest, name)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _reach(self) -> None:
        for entry in self._devices.values():
            probe.facts(entry.connect(), Silent().say, entry.options.execution_provider)

    def _measure(self, manifest: Manifest, name: str) -> Measured:
        figures: list[Measurement] = []
        seconds = 0.0
        for device, entry in self._devices.items():
            with self._locks[device]:
                began = time.monotonic()
                figures += self._on(device, entry, manifest, name)
                seconds += time.monotonic() - began
        return Measured(figures, seconds)

    def _on(self, device: str, entry: DeviceEntry, manifest: Manifest, name: str) -> list[Measurement]:
        project, inputs, options = self._project, self._project.layout.inputs, entry.options
        a, b = self._baseline.made(), manifest.made()
        free = project.model.batch is None and self._baseline.free_batch and manifest.free_batch
        with tempfile.TemporaryDirectory(prefix="makeweight-search-") as folder:
            own = samples.in_types_of(b, a, inputs, Path(folder, "inputs.npz"))
            before, after = (model_of(each, options.threads, options.execution_provider) for each in (a, b))
            pair = Pair(before, after, str(inputs), free_batch=free and self._throughput(device), inputs_b=own)
            if project.pipeline is not None and self._end_to_end(device):
                made, raw = {BASELINE: a, name: b}, project.layout.raw
                around = pipelines.packed(project.pipeline, project.code, raw, made, Path(folder))
                pair = replace(pair, around=(around[BASELINE], around[name]))
            taken = sitting.carry_out(entry.connect(), options, pair, self._aim(device), project.seed, Silent())
        whole = None
        if pair.around is not None:
            whole = keys.pipeline(project.pipeline, name, project.code.digest(), hash_of(project.layout.raw))
        key = keys.benchmark(
            baseline=a.sha256,
            variant=b.sha256,
            runtimes=[a.runtime, b.runtime],
            identity=taken.identity,
            threads=options.threads,
            inputs=sha256_of(inputs),
            setting=options.setting,
            execution_provider=options.execution_provider,
            pipeline=whole,
        )
        return measurement.keyed(sitting.measurements(taken, name, device, options.threads), key)

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
