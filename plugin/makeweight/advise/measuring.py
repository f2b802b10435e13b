"""The facts of a project, measured as far as that is cheap: the baseline is exported and looked into, timed for a
moment on each device, and made once in 8 bits. What cannot be had leaves its reason, and the others go on."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from makeweight import publish, registry
from makeweight.advise import sensitivity, structure, timing, trying
from makeweight.advise.facts import DataFacts, DeviceFacts, Facts, ModelFacts
from makeweight.advise.goals import goals
from makeweight.artifact.artifact import Manifest
from makeweight.artifact.model import Model
from makeweight.artifact.ports import free_sizes
from makeweight.compress.baseline import write_baseline
from makeweight.compress.checkpoints import Checkpoints
from makeweight.compress.curves import Curves
from makeweight.compress.quantize import Quantize
from makeweight.compress.recipe import Variant
from makeweight.compress.supply import Supply
from makeweight.decide import decide
from makeweight.devices.entry import DeviceEntry
from makeweight.evidence import disk
from makeweight.layout import BASELINE
from makeweight.measure import samples
from makeweight.project.project import Project
from makeweight.report.prose import listed
from makeweight.runtimes.format import FLOAT16, Format, SourceKind
from makeweight.runtimes.runtime import GraphFacts, LayerFacts, RecipeFailed, Runtime
from makeweight.user import data
from makeweight.user.module import load_module
from makeweight.user.split import Split
from makeweight_base.errors import EnvironmentFailed, MissingExtra, UsageError
from makeweight_base.progress import Progress

# How runtimes call products of two things that are computed: of queries with keys, as attention has them.
_ATTENTION = re.compile(r"Attention|BATCH_MATMUL|BatchMatrixMultiply|bmm|scaled_dot", re.IGNORECASE)
_Had = TypeVar("_Had")


Variants = Callable[[Facts], Mapping[str, Variant]]
"""Of facts, the recipes without training that are worth trying, by rule of advice."""


@dataclass(frozen=True)
class _Gathering:
    """What is at hand while facts are gathered."""

    project: Project
    runtime: Runtime
    folder: Path
    progress: Progress
    seconds: float
    absent: dict[str, str] = field(default_factory=dict)

    def had(self, name: str, get: Callable[[], _Had]) -> _Had | None:
        """What can be had; else None, and the reason is kept. What the machine fails at is no reason to stop: advice is
        given on the rest."""
        try:
            return get()
        except (RecipeFailed, MissingExtra, UsageError, EnvironmentFailed) as error:
            self.absent[name] = " ".join(str(getattr(error, "head", error)).split())
            return None

    @property
    def source(self) -> SourceKind:
        return "module" if self.project.model.file is None else "graph"


def facts(project: Project, progress: Progress, seconds: float, worth_trying: Variants) -> Facts:
    """Args:
        seconds: the most that trying layers one by one may take, and trying recipes.

    Raises:
        UsageError: the model or the data cannot be used at all.
        OSError, MemoryError: the machine failed.
    """
    runtime: Runtime = registry.ready("runtime", project.model.runtime)()
    with tempfile.TemporaryDirectory(prefix="makeweight-advise-") as scratch:
        at_hand = _Gathering(project, runtime, Path(scratch), progress, seconds)
        return _facts(at_hand, worth_trying)


def _facts(at_hand: _Gathering, worth_trying: Variants) -> Facts:
    project, progress, runtime = at_hand.project, at_hand.progress, at_hand.runtime
    folder = at_hand.folder / BASELINE
    folder.mkdir()
    manifest = write_baseline(project.declared, folder, progress)
    made = manifest.made()
    supply = _supply(at_hand, made)
    splits = _splits(at_hand, supply)
    inputs = folder / project.layout.inputs.name
    fed = at_hand.had("inputs", lambda: _write_inputs(at_hand, made, splits, inputs))
    asked = samples.shapes(inputs)
    counted = runtime.inspect(made, asked)
    layers = counted.weighed or at_hand.had("layers", lambda: _layers(at_hand, supply)) or ()
    model = _model(at_hand, manifest, counted, layers)
    devices = tuple(_device(at_hand, entry, made, inputs, fed is not None) for entry in project.devices.values())
    sensitive = None
    if not model.integers:
        sensitive = at_hand.had("sensitivity", lambda: sensitivity.tried(supply, made, model, splits, at_hand.seconds))
    if sensitive is not None and sensitive.untried is not None:
        at_hand.absent["layers left in float"] = sensitive.untried
    trained, labelled = splits.get("train"), False
    if trained is not None:
        labelled = bool(at_hand.had("train", lambda: trained.first(1).targets is not None))
    pruned = None
    if at_hand.source == "module" and labelled:
        progress.say("advise: removing channels, to see how many can go")
        pruned = at_hand.had("pruning", lambda: structure.pruned(supply, made, counted.macs, asked))
    known, passing, broken = _evidence(at_hand)
    found = Facts(
        model=model,
        data=DataFacts(
            train=_count(trained) if "train" not in at_hand.absent else None,
            labelled=labelled,
            validation=_count(splits.get("validation")),
            calibration=_count(splits.get("calibration")),
        ),
        devices=devices,
        goals=goals(project.rules, model, devices, known, project.task.kind),
        prefer=project.prefer,  # type: ignore[arg-type]
        task=project.task.kind,
        sensitivity=sensitive,
        pruning=pruned,
        runtimes=tuple(_others(project.model.runtime)),
        passing=passing,
        broken=broken,
        absent=at_hand.absent,
    )
    variants = worth_trying(found)
    tried = trying.tried(project, manifest, runtime, variants, splits.get("validation"), at_hand.seconds, progress)
    if left := [name for name in variants if name not in tried]:
        at_hand.absent["size and loss"] = f"the time was up before {listed(left)} could be tried; give more `--seconds`"
    return replace(found, tried=tried)


def _splits(at_hand: _Gathering, supply: Supply) -> Mapping[str, Split]:
    """Those that there are, by name; never the test split."""
    # the split that calibration examples are drawn from comes first, to be loaded once
    had = {name: at_hand.had(name, partial(supply.split, name)) for name in ("train", "validation", "calibration")}
    return {name: split for name, split in had.items() if split is not None}


def _count(split: Split | None) -> int | None:
    return None if split is None else split.count or 0


def _write_inputs(at_hand: _Gathering, made: Model, splits: Mapping[str, Split], inputs: Path) -> bool:
    """Samples to time the baseline with: where there are no others, those that benchmarks are fed with."""
    project = at_hand.project
    some = splits.get("calibration")
    split = some if some is not None else data.load(project.declared, "test")
    samples.write(inputs, made.inputs, split, project.seed, project.model.batch)
    return True


def _supply(at_hand: _Gathering, made: Model) -> Supply:
    declared, scratch = at_hand.project.declared, at_hand.folder / "scratch"
    scratch.mkdir()
    return Supply(declared, at_hand.runtime, scratch, {}, at_hand.progress, Checkpoints(), Curves(), made.outputs)


def _layers(at_hand: _Gathering, supply: Supply) -> tuple[LayerFacts, ...]:
    """Of a module, where its runtime does not tell them of the file."""
    if at_hand.source != "module":
        raise RecipeFailed(f"{at_hand.runtime.name} does not tell which layers of a file have how many bytes")
    return structure.layers(load_module(at_hand.project.declared), supply)


def _model(at_hand: _Gathering, manifest: Manifest, counted: GraphFacts, layers: tuple[LayerFacts, ...]) -> ModelFacts:
    multiplies = any(layer.kind == "product" and not layer.bytes and layer.macs for layer in layers)
    return ModelFacts(
        source=at_hand.source,
        runtime=at_hand.runtime.name,
        size=manifest.size or 0,
        size_compressed=manifest.size_compressed,
        parameters=counted.parameters,
        macs=counted.macs,
        layers=tuple(layer for layer in layers if layer.bytes or layer.macs),
        attends=multiplies or any(_ATTENTION.search(name) for name in counted.operators),
        integers=(counted.quantized or 0) > (counted.floating or 0),
        finished=at_hand.source == "graph" and all(at_hand.runtime.objection(each, "graph") for each in _formats()),
        free=tuple(free_sizes(manifest.made().inputs)),
    )


def _formats() -> list[Format]:
    """The numbers that techniques give a model after training."""
    methods = (Quantize.Options(method=method) for method in ("static", "dynamic", "weights"))
    return [FLOAT16, *map(Quantize().format, methods)]


def _device(at_hand: _Gathering, entry: DeviceEntry, made: Model, inputs: Path, fed: bool) -> DeviceFacts:
    """The baseline beside itself for a moment."""
    named, untold = f"latency on {entry.name}", DeviceFacts(entry.name, by=entry.options.execution_provider)
    if not fed:
        at_hand.absent[named] = at_hand.absent["inputs"]
        return untold
    at_hand.progress.say(f"advise: timing the baseline on {entry.name}")
    memory = any(rule.metric.meter == "memory" for rule in at_hand.project.rules)
    told = at_hand.had(named, lambda: timing.timed(entry, made, inputs, memory, at_hand.project.seed))
    return told if told is not None else untold


def _evidence(at_hand: _Gathering) -> tuple[dict[str, float], str | None, dict[str, str]]:
    """The baseline's quality, what ships by what is measured already, and what variants break, all as far as they are
    of this model."""
    project = at_hand.project
    known = at_hand.had("evidence", lambda: disk.collect(project))
    if known is None:
        return {}, None, {}
    own = {
        each.metric: each.value
        for each in known.measurements
        if each.variant == BASELINE and each.comparison is None and each.slice is None and each.value is not None
    }
    if not project.variants:
        return own, None, {}
    decided = decide(publish.terms(project), known.measurements, known.failed)
    broken: dict[str, list[str]] = {}
    for rule in decided.rules:
        if rule.verdict == "fail" and rule.level == "error" and rule.variant in project.variants:
            broken.setdefault(rule.variant, []).append(rule.metric)
    told = {name: " and ".join(dict.fromkeys(rules)) for name, rules in broken.items()}
    return own, decided.ship if decided.verdict == "pass" else None, told


def _others(own: str) -> list[str]:
    """The other runtimes that are installed here."""
    found = []
    for name in registry.names("runtime"):
        if name == own:
            continue
        try:
            if registry.ready("runtime", name)().version() is not None:
                found.append(name)
        except UsageError:
            continue
    return found
