"""Measure what the base's figures do not tell: on one device, the pairs that changed, and growth against the base."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from makeweight import measurement
from makeweight.artifact import artifact
from makeweight.artifact.artifact import Manifest
from makeweight.artifact.model import Model
from makeweight.bench.sitting import Pair, model_of
from makeweight.ci import base_artifacts, regression
from makeweight.ci.base import Base
from makeweight.ci.renaming import earlier
from makeweight.ci.state import REGRESSIONS, State
from makeweight.ci.unmeasured import unmeasured
from makeweight.devices import record
from makeweight.devices.device import DeviceFailed
from makeweight.evidence import disk
from makeweight.layout import BASELINE, OWN
from makeweight.measure import samples, timings
from makeweight.measurement import Measurement
from makeweight.project.project import Project
from makeweight_base import atomic
from makeweight_base.errors import UsageError
from makeweight_base.progress import Progress

Ask = Callable[[Project, str, Progress], object]
"""`makeweight device`: write down which device this is."""
Benchmark = Callable[[Project, str, str, Progress], object]
"""`makeweight benchmark`: measure one variant beside the baseline."""


def run(
    project: Project,
    base: Base | None,
    state: State,
    device: str,
    ask: Ask,
    benchmark: Benchmark,
    progress: Progress,
    *,
    anew: bool,
) -> State:
    """Bring a device's figures up to date; those of the base that belong to what is at hand stay, if not `anew`."""
    due = [*project.variants] if anew else _due(project, device)
    if due or anew:
        ask(project, device, progress)
        if not anew:
            due = _due(project, device)  # on another machine than the base's, or with another runtime, there are more
        for name in due:
            benchmark(project, name, device, progress)
    grown = [] if base is None else _regressions(project, base, device, ask, progress)
    atomic.write_text(regressions_file(project.root, device), measurement.dumps(grown))
    return replace(state, skipped=state.skipped + len(project.variants) - len(due))


def regressions_file(root: Path, device: str) -> Path:
    return root / OWN / REGRESSIONS / f"{device}.json"


def regression_samples(root: Path, variant: str, device: str) -> Path:
    """The raw samples of a comparison with the merge base."""
    return root / OWN / REGRESSIONS / f"{device}-{variant}.npz"


def _due(project: Project, device: str) -> list[str]:
    """The variants without all figures on this device that belong to what is at hand."""
    gathered = disk.collect(project)
    return unmeasured(project, device, gathered.measurements, gathered.failed)


def _regressions(project: Project, base: Base, name: str, ask: Ask, progress: Progress) -> list[Measurement]:
    rules = regression.wanted((*project.rules, *base.rules), name)
    grown: list[Measurement] = []
    entry, place = project.device(name), project.layout.device(name)
    manifests = {variant: _manifest(project.layout.artifact(variant)) for variant in project.variants}
    made = {variant: None if told is None else told.sha256 for variant, told in manifests.items()}
    for variant, was in earlier(project, base, made).items() if rules else ():
        own = manifests[variant]
        if own is None or own.status == "failed":
            continue  # its own rule tells that
        if own.sha256 == base.artifacts.get(was):
            grown += regression.same_artifact(rules, variant, name)
            continue
        before = _manifest(base_artifacts.place(project.root, variant))
        if before is None or before.model is None:
            grown += regression.not_possible(
                rules, variant, name, f"the merge base's `{was}` is neither stored nor could it be made again here"
            )
            continue
        if not place.exists():
            ask(project, name, progress)
        machine = record.read(place)
        if machine.status != "ok":
            grown += regression.not_possible(rules, variant, name, f"unreachable: {machine.reason}", "unreachable")
            continue
        progress.say(f"{variant} beside the merge base's {was} on {name}")
        device, a, b = entry.connect(), before.made(), own.made()
        with tempfile.TemporaryDirectory(prefix="makeweight-regression-") as folder:
            try:
                pair = _pair(project, a, b, entry.options.threads, Path(folder))
                taken = regression.measure(device, entry.options, pair, rules, project.seed, progress)
            except (DeviceFailed, UsageError) as error:
                # also where the merge base's model does not take the inputs of today's
                grown += regression.not_possible(rules, variant, name, error.what)
                continue
        timings.write(regression_samples(project.root, variant, name), taken)
        grown += regression.of_timings(taken, rules, variant, name, entry.options.threads)
    return grown


def _pair(project: Project, a: Model, b: Model, threads: int, folder: Path) -> Pair:
    """Both with the samples in the types that they take; at hand they are in those of the baseline.

    Args:
        folder: for files of samples.

    Raises:
        UsageError: one of them takes other inputs.
    """
    stored, baseline = project.layout.inputs, artifact.read(project.layout.artifact(BASELINE)).made()
    of_a, of_b = (
        samples.in_types_of(model, baseline, stored, folder / f"{arm}.npz") or str(stored)
        for arm, model in (("a", a), ("b", b))
    )
    return Pair(
        model_of(a, threads), model_of(b, threads), of_a, free_batch=False, inputs_b=None if of_b == of_a else of_b
    )


def _manifest(folder: Path) -> Manifest | None:
    return artifact.read(folder) if (folder / artifact.MANIFEST).exists() else None
