"""What each section of makeweight.yaml allows and the whole does not."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import TYPE_CHECKING

from makeweight.budget.metric import of_role
from makeweight.budget.quantity import FRACTION
from makeweight.budget.rule import Rule, rules_of
from makeweight.compress import losses
from makeweight.compress.recipe import Variant
from makeweight.config.problems import Problems, near
from makeweight.config.settings import Settings
from makeweight.devices.entry import DeviceEntry, chosen
from makeweight.user.ran import undeclared
from makeweight_base.errors import UsageError
from makeweight_base.yamlfile import Path
from makeweight_probe.job import CPU

if TYPE_CHECKING:
    from makeweight.compress.training_options import TrainingOptions


def note(
    settings: Settings, variants: Mapping[str, Variant], devices: Mapping[str, DeviceEntry], problems: Problems
) -> None:
    """Note each; `variants` are those whose steps hold together, `devices` those whose options do."""
    if settings.ship != "best" and settings.ship not in settings.variants:
        problems.note(("ship",), f"no variant `{settings.ship}`; {near(settings.ship, [*settings.variants, 'best'])}")
    rules = rules_of(settings.budget)
    if not rules:
        problems.note(("budget",), "no rule is declared: nothing could ever fail; give at least one limit")
    seen: set[str] = set()
    for rule in rules:
        if rule.id in seen:
            problems.note(_place(rule), f"`{rule.id}` is limited twice")
        seen.add(rule.id)
        _of_rule(rule, settings, devices, problems)
    _of_training(settings, variants, problems)
    _of_names(settings, problems)
    _of_calibration(settings, variants, problems)
    _of_validation(settings, variants, problems)
    _of_timing(variants, devices, problems)
    _of_matrices(settings, devices, problems)
    _of_pipeline(settings, problems)
    _of_providers(settings, devices, problems)


def _of_providers(settings: Settings, devices: Mapping[str, DeviceEntry], problems: Problems) -> None:
    """What computes on a device. Every figure there is beside the baseline's; a variant of another runtime is only not
    measured there."""
    for name, entry in devices.items():
        place = ("devices", name, "execution_provider")
        if entry.options.execution_provider == CPU:
            continue
        if not entry.options.runs_probe:
            problems.note(place, "programs of your own run the models there, and what computes is their affair")
        elif (lacking := entry.options.unserved(settings.model.runtime)) is not None:
            problems.note(
                place,
                f"{lacking}, and all that is measured there is beside the baseline, which runs on it; leave the device "
                "out, or have the baseline run on `onnxruntime`",
            )


def _of_pipeline(settings: Settings, problems: Problems) -> None:
    pipeline = settings.pipeline
    if pipeline is None:
        return
    if pipeline.samples is None and settings.data.images is None:
        problems.note(
            ("pipeline",),
            "`samples` is missing: a folder of files, or a `module:callable` that returns what `preprocess` begins "
            "with; only of `data.images` it is known",
        )
    for name in pipeline.variants:
        if name not in settings.variants:
            problems.note(("pipeline", "variants", name), f"no variant `{name}`; {near(name, list(settings.variants))}")


def _place(rule: Rule) -> Path:
    return ("budget", rule.metric.name, rule.operator.name)


def _of_rule(rule: Rule, settings: Settings, devices: Mapping[str, DeviceEntry], problems: Problems) -> None:
    name, task = rule.metric.name, settings.task
    if task.kind not in rule.metric.tasks:
        problems.note(_place(rule), f"`{name}` goes with {', '.join(rule.metric.tasks)}, and the task is {task.kind}")
    elif not task.has(rule.metric):
        problems.note(_place(rule), f"`{name}` is of two classes: name both in `task.classes`")
    if rule.metric.meter == "end_to_end" and settings.pipeline is None:
        problems.note(_place(rule), f"`{name}` is of a pipeline, and none is declared: give `pipeline`")
    if rule.metric.meter == "gpu" and any(
        entry.options.execution_provider == CPU for device, entry in devices.items() if rule.device in (None, device)
    ):
        problems.note(
            _place(rule), f"`{name}` is of devices with `execution_provider: cuda`; name one in `budget.{name}.device`"
        )
    if rule.metric.better == "declared" and rule.operator.comparison is None:
        fitting = "max" if task.better == "lower" else "min"
        if rule.operator.name != fitting:
            problems.note(_place(rule), f"`task.better` is {task.better}; use `{fitting}`")
    if rule.device is not None and rule.device not in settings.devices:
        problems.note(
            ("budget", name, "device"), f"no device `{rule.device}`; {near(rule.device, list(settings.devices))}"
        )
    if rule.slice is not None and settings.data.slices is None:
        problems.note(("budget", name, "slice"), "slices are named, but `data.slices` is not declared")


def _of_training(settings: Settings, variants: Mapping[str, Variant], problems: Problems) -> None:
    kind = settings.task.kind
    for name, variant in variants.items():
        for index, step in enumerate(variant.plan.steps):
            options = step.transformation.training(step.options)
            if options is None:
                continue
            place: Path = ("variants", name, "steps", index, step.name)
            _of_teacher(options, kind, settings, place, problems)
            if options.train is not None:
                continue
            if options.labels and options.loss is None and kind not in losses.OWN:
                problems.note(place, f"{losses.none_of_its_own(kind)}. {losses.GIVE}")
            elif kind == "detection" and options.teacher != "none":
                problems.note(
                    (*place, "teacher"),
                    "what stands at one place in two detectors' answers may be two things, so there is no distance "
                    "from a teacher; learn from it in a `train: module:callable(module, training)`, as "
                    "`training.teacher`",
                )


def _of_teacher(options: TrainingOptions, kind: str, settings: Settings, place: Path, problems: Problems) -> None:
    for path in options.teacher_files:
        if undeclared((*settings.sources, *settings.model.files), [posixpath.normpath(path)]):
            problems.note(
                place,
                f"`{path}` is read, and nothing under `sources` covers it: add it, so that what learnt "
                "of it is made again when it changes",
            )
    if options.label_smoothing and kind not in losses.SMOOTHED:
        problems.note(place, f"`label_smoothing` is of cross entropy, and the task is {kind}")
    if not options.labels and kind == "segmentation":
        problems.note(place, "`labels: false`: where the classes of a segmentation are is told by its targets")


def _of_timing(variants: Mapping[str, Variant], devices: Mapping[str, DeviceEntry], problems: Problems) -> None:
    for name, variant in variants.items():
        for index, step in enumerate(variant.plan.steps):
            if (asked := step.transformation.needs(step.options).timed_on) is None:
                continue
            place: Path = ("variants", name, "steps", index, step.name)
            try:
                entry = chosen(devices, asked.device)
            except UsageError as error:
                problems.note(place, f"{error.what}. {error.do}")
                continue
            if entry.options.runner is not None:
                problems.note(
                    place,
                    f"`{entry.name}` is measured by a `runner` of its own, and a recipe is carried out where that is "
                    "not; name a device that is reached from there",
                )
            if (lacking := entry.options.unserved(variant.runtime)) is not None:
                problems.note(place, f"{lacking}, by which `{entry.name}` computes; name another device")


def _of_matrices(settings: Settings, devices: Mapping[str, DeviceEntry], problems: Problems) -> None:
    """What is known of a model's batch before there is a file of it; what only the file tells is unavailable then."""
    model = settings.model
    fixed, told = model.batch, "`model.batch`"
    if fixed is None and model.file is None:
        asked = (shape for name, shape in model.inputs.items() if name not in (*model.states, *model.constants))
        first = next((shape[0] for shape in asked), None)
        fixed, told = (first if isinstance(first, int) else None), "`model.inputs`"
    for name, entry in devices.items():
        matrix = entry.options.matrix
        if fixed is not None and matrix is not None and set(matrix.batch or [fixed]) != {fixed}:
            problems.note(
                ("devices", name, "matrix", "batch"),
                f"by {told} the model is asked for {fixed} at once, and for nothing else; leave `batch` out of the "
                "matrix, or that number out there",
            )


def _of_names(settings: Settings, problems: Problems) -> None:
    """Names are folders and files, and DVC joins those of a device and a variant to that of a stage."""
    for section, names in (("variants", settings.variants), ("devices", settings.devices)):
        alike: dict[str, str] = {}
        for name in names:
            if (other := alike.setdefault(name.casefold(), name)) != name:
                told = f"only capitals tell it from `{other}`, which not every disk tells apart; rename one"
                problems.note((section, name), told)
    pairs: dict[str, tuple[str, str]] = {}
    for device in settings.devices:
        for variant in settings.variants:
            joined = f"{device}-{variant}"
            if joined in pairs:
                problems.note(
                    ("variants", variant),
                    f"device `{device}` with variant `{variant}` and device `{pairs[joined][0]}` with variant "
                    f"`{pairs[joined][1]}` would share the stage benchmark@{joined}; rename one",
                )
            pairs[joined] = (device, variant)


def _of_calibration(settings: Settings, variants: Mapping[str, Variant], problems: Problems) -> None:
    places, split = settings.data.places, settings.data.calibration.split
    if not places or "calibration" in places or split in places:
        return
    if any(variant.plan.format.calibrates for variant in variants.values()):
        problems.note(
            ("data", "images" if settings.data.images else "npz"),
            f"quantization calibrates on `{split}`, and no such file is given; add `calibration:`",
        )


def _of_validation(settings: Settings, variants: Mapping[str, Variant], problems: Problems) -> None:
    places, kind = settings.data.places, settings.task.kind
    for name, variant in variants.items():
        lowering = variant.plan.lowering
        goal = None if lowering is None else lowering.goal
        if goal is None:
            continue
        if places and "validation" not in places:
            problems.note(
                ("variants", name),
                f"`{goal.option}` is measured on the validation split, and no such file is given; add `validation:`",
            )
        if goal.option == "max_drop" and (metric := of_role("quality", kind)[0]).dimension is not FRACTION:
            problems.note(
                ("variants", name),
                f"`max_drop` is in percentage points, and `{metric.name}`, which tells how good a {kind} is, is no "
                "share; use `signal_to_noise`",
            )
