"""Measure what the base's figures do not tell: on one device, the pairs that changed, and growth against the base."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Collection, Iterable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from makeweight import measurement
from makeweight.artifact import artifact
from makeweight.artifact.model import Model
from makeweight.bench import pipelines
from makeweight.bench.probe import model_of
from makeweight.bench.sitting import Pair
from makeweight.ci import base_artifacts, contained, handover, regression
from makeweight.ci.base import Base
from makeweight.ci.renaming import earlier
from makeweight.ci.state import REGRESSIONS, State
from makeweight.ci.unmeasured import unmeasured
from makeweight.devices import record
from makeweight.devices.device import DeviceFailed, DeviceOptions
from makeweight.evidence import disk, keys
from makeweight.evidence.benchmark import Held
from makeweight.evidence.provenance import hash_of
from makeweight.layout import BASELINE, OWN, Layout
from makeweight.measure import samples, timings
from makeweight.measure.memory import Facts
from makeweight.measurement import Measurement
from makeweight.project.project import Project
from makeweight_base import atomic
from makeweight_base.errors import UsageError
from makeweight_base.progress import Progress

_OTHER_CODE = (
    "the code around the model, or its raw samples, is not what the merge base's figures were taken with, so growth "
    "would be of both; `max_ratio` holds it against the baseline"
)
Ask = Callable[[Project, str, Progress], object]
"""`makeweight device`: write down which device this is."""


class Benchmark(Protocol):
    """`makeweight benchmark`: measure one variant beside the baseline."""

    def __call__(
        self,
        project: Project,
        name: str,
        device_name: str,
        progress: Progress,
        *,
        held: Held,
        memory: dict[str, Facts],
    ) -> object: ...


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
    remade: Collection[str],
) -> State:
    """Bring a device's figures up to date; those of the base that belong to what is at hand stay, if not `anew`.

    Args:
        remade: the variants whose models are made from something else than the base's.
    """
    due = [*project.variants] if anew else _due(project, device)
    at, asks = Layout(Path()), project.device(device).options.runs_here
    own = asks or project.pipeline is not None
    if due or anew:
        before = _told_of(project, device)
        with _alone(asks, project, [at.device(device)]), _held(asks)():
            ask(project, device, progress)
        if not anew and _told_of(project, device) != before:
            due = _due(project, device)  # on another machine than the base's, or with another runtime, there are more
        memory: dict[str, Facts] = {}  # the baseline is the same beside all of them
        for name in due:
            with _alone(own, project, [at.benchmark(name, device), at.timings(name, device)]):
                benchmark(project, name, device, progress, held=_held(own), memory=memory)
    beside = [regression_samples(Path(), name, device) for name in project.variants]
    with _alone(own, project, [at.device(device), *beside]):
        grown = [] if base is None else _regressions(project, base, device, ask, progress, remade, held=_held(own))
    atomic.write_text(regressions_file(project.root, device), measurement.dumps(grown))
    return replace(state, skipped=state.skipped + len(project.variants) - len(due))


def _held(own: bool) -> Held:
    """Where code of the change's own runs, around the model or as what times it, nothing that it starts outlives the
    measuring."""
    return contained.nothing_left if own else contextlib.nullcontext


def _alone(own: bool, project: Project, written: Iterable[Path]) -> AbstractContextManager[None]:
    """The same code may write nothing else that the gate goes by."""
    return handover.only(project.root, map(str, written)) if own else contextlib.nullcontext()


def regressions_file(root: Path, device: str) -> Path:
    return root / OWN / REGRESSIONS / f"{device}.json"


def regression_samples(root: Path, variant: str, device: str) -> Path:
    """The raw samples of a comparison with the merge base."""
    return root / OWN / REGRESSIONS / f"{device}-{variant}.npz"


def _told_of(project: Project, device: str) -> bytes | None:
    """The record of a device; None: it was never asked."""
    place = project.layout.device(device)
    return place.read_bytes() if place.is_file() else None


def _due(project: Project, device: str) -> list[str]:
    """The variants without all figures on this device that belong to what is at hand."""
    gathered = disk.collect(project)
    return unmeasured(project, device, gathered.measurements, gathered.failed)


def _regressions(
    project: Project,
    base: Base,
    name: str,
    ask: Ask,
    progress: Progress,
    remade: Collection[str],
    *,
    held: Held,
) -> list[Measurement]:
    rules = regression.wanted((*project.rules, *base.rules), name)
    grown: list[Measurement] = []
    entry, place = project.device(name), project.layout.device(name)
    around = _same_around(project, base)
    lost = [] if around else regression.of_pipelines(rules)
    rules = [rule for rule in rules if rule not in lost]
    manifests = {variant: artifact.found(project.layout.artifact(variant)) for variant in project.variants}
    made = {variant: None if told is None else told.sha256 for variant, told in manifests.items()}
    for variant, was in earlier(project, base, made).items() if rules or lost else ():
        own = manifests[variant]
        if own is None or own.status == "failed":
            continue  # its own rule tells that
        grown += regression.not_possible(lost, variant, name, _OTHER_CODE)
        before = artifact.found(base_artifacts.place(project.root, variant))
        beside = None if before is None else before.sha256
        if regression.is_same(own.sha256, base.artifacts.get(was), beside, remade=variant in remade):
            grown += regression.same_artifact(rules, variant, name)
            continue
        if (lacking := entry.options.unserved(own.runtime)) is not None:
            grown += regression.not_possible(rules, variant, name, lacking)
            continue
        if before is None or before.model is None:
            grown += regression.not_possible(
                rules, variant, name, f"the merge base's `{was}` is neither stored nor could it be made again here"
            )
            continue
        if not place.exists():
            with held():
                ask(project, name, progress)
        machine = record.read(place)
        if machine.status != "ok":
            grown += regression.not_possible(rules, variant, name, f"unreachable: {machine.reason}", "unreachable")
            continue
        progress.say(f"{variant} beside the merge base's {was} on {name}")
        device, a, b = entry.connect(), before.made(), own.made()
        with tempfile.TemporaryDirectory(prefix="makeweight-regression-") as folder:
            try:
                pair = _pair(project, a, b, entry.options, Path(folder))
                if project.pipeline is not None and regression.of_pipelines(rules):
                    both = {variant: b, BASELINE: a}
                    sent = pipelines.packed(project.pipeline, project.code, project.layout.raw, both, Path(folder))
                    own_code = sent[variant]
                    pair = replace(pair, around=(replace(own_code, inputs=sent[BASELINE].inputs), own_code))
                with held():
                    taken = regression.measure(device, entry.options, pair, rules, project.seed, progress)
            except (DeviceFailed, UsageError) as error:
                # also where the merge base's model does not take the inputs of today's
                grown += regression.not_possible(rules, variant, name, error.what)
                continue
        timings.write(regression_samples(project.root, variant, name), taken)
        figures = regression.of_timings(taken, rules, variant, name, entry.options.threads)
        grown += measurement.keyed(figures, keys.growth(before=a.sha256, own=b.sha256))
    return grown


def _same_around(project: Project, base: Base) -> bool:
    """Whether the user's code around the models is the merge base's, to the byte, and so are the raw samples."""
    if project.pipeline is None or base.project is None or base.project.pipeline != project.pipeline:
        return False
    own = {"sources": project.code.digest(), "raw": hash_of(project.layout.raw)}
    return base.provenance.get("pipeline") == own


def _pair(project: Project, a: Model, b: Model, options: DeviceOptions, folder: Path) -> Pair:
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
    one, other = (model_of(each, options) for each in (a, b))
    return Pair(one, other, of_a, free_batch=False, inputs_b=None if of_b == of_a else of_b)
