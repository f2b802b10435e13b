"""makeweight.yaml made sense of: one load gives a typed Project, or every problem of the file at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from makeweight import registry
from makeweight.budget.rule import Rule, rules_of
from makeweight.compress import recipe
from makeweight.config.problems import dotted, near, problems
from makeweight.config.settings import (
    CanarySettings,
    DataSettings,
    ModelSettings,
    Settings,
    TaskSettings,
    WaiverSettings,
)
from makeweight.devices.device import DeviceOptions
from makeweight.layout import CONFIG, Layout
from makeweight_base.errors import ConfigError, UsageError
from makeweight_base.yamlfile import Document, parse
from makeweight_base.yamlfile import Path as YamlPath

Task = TaskSettings


@dataclass(frozen=True)
class Variant:
    """A declared recipe, checked and ordered."""

    name: str
    runtime: str
    plan: recipe.Plan
    recipe: list[dict[str, Any]]
    """The steps as plain data with every default filled in, for the manifest."""


@dataclass(frozen=True)
class DeviceEntry:
    """A declared device: its kind and options."""

    name: str
    kind: str
    options: DeviceOptions


@dataclass(frozen=True)
class Project:
    """All that makeweight.yaml says, with every reference resolved."""

    name: str
    root: Path
    model: ModelSettings
    sources: tuple[str, ...]
    data: DataSettings
    task: Task
    seed: int
    variants: Mapping[str, Variant]
    ship: str
    prefer: str
    devices: Mapping[str, DeviceEntry]
    rules: tuple[Rule, ...]
    waivers: tuple[WaiverSettings, ...]
    canary: CanarySettings | None

    @property
    def layout(self) -> Layout:
        return Layout(self.root)

    def variant(self, name: str) -> Variant:
        if name not in self.variants:
            raise UsageError(f"no variant `{name}` in {CONFIG}; {near(name, list(self.variants))}")
        return self.variants[name]

    def device(self, name: str) -> DeviceEntry:
        if name not in self.devices:
            raise UsageError(f"no device `{name}` in {CONFIG}; {near(name, list(self.devices))}")
        return self.devices[name]


def load(root: Path) -> Project:
    """Read the makeweight.yaml of a project's folder.

    Raises:
        ConfigError: with every problem of the file, each with its line.
        UsageError: there is no such file.
    """
    path = root / CONFIG
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise UsageError(
            f"no {CONFIG} in {root.resolve()}",
            do="Run `makeweight init` there, or name the folder with `--project`.",
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot be read: {error}", where=str(path)) from error
    return understand(text, CONFIG, root)


def understand(text: str, source: str, root: Path) -> Project:
    """The Project that a text describes. Reads no file: `source` is only named in errors."""
    document = parse(text, source)
    if document.data is None:
        raise ConfigError([f"{source}:1: the file is empty; `makeweight init` writes one to start from"])
    if not isinstance(document.data, dict):
        raise ConfigError([document.problem((), "a mapping (`model:`, `data:`, `variants:` and so on) is wanted here")])
    found: list[tuple[int, str]] = []
    for path in document.unquoted:
        _note(found, document, path, f"a key is text, and YAML reads `{path[-1]}` as something else; quote it")
    settings: Settings | None = None
    try:
        settings = Settings.model_validate(document.data)
    except ValidationError as error:
        found += problems(error, Settings, document)
    variants = dict(_variants(document, found))
    devices = dict(_devices(document, settings, found))
    if settings is not None:
        found += _contradictions(settings, variants, document)
    if found or settings is None:
        raise ConfigError([text for _, text in sorted(found, key=lambda item: item[0])])
    return Project(
        name=settings.name or root.resolve().name or "model",
        root=root,
        model=settings.model,
        sources=tuple(settings.sources),
        data=settings.data,
        task=settings.task,
        seed=settings.seed,
        variants=variants,
        ship=settings.ship,
        prefer=settings.prefer,
        devices=devices,
        rules=tuple(rules_of(settings.budget)),
        waivers=tuple(settings.waivers),
        canary=settings.canary,
    )


Found = list[tuple[int, str]]


def _note(found: Found, document: Document, path: YamlPath, message: str) -> None:
    found.append((document.line(path), document.problem(path, f"{dotted(path)}: {message}")))


def _variants(document: Document, found: Found) -> Iterator[tuple[str, Variant]]:
    """Each variant whose steps hold together. Reads the raw file, so that its problems are told beside all others."""
    model = document.data.get("model")
    model = model if isinstance(model, dict) else {}
    source: recipe.Source = "module" if model.get("build") else "graph"
    default_runtime = model.get("runtime", "onnxruntime")
    _runtime_exists(default_runtime, ("model", "runtime"), document, found)
    for extra, key in (("litert", "tflite"), ("executorch", "pte")):
        if model.get(key):
            _note(
                found,
                document,
                ("model", key),
                f"`{key}` models come with the extra makeweight[{extra}], which is not out yet; use `onnx` for now",
            )
    variants = document.data.get("variants")
    for name, settings in variants.items() if isinstance(variants, dict) else ():
        if not isinstance(settings, dict) or not isinstance(settings.get("steps"), list):
            continue  # the schema has told
        path: YamlPath = ("variants", str(name))
        runtime = settings.get("runtime") or default_runtime
        if settings.get("runtime"):
            _runtime_exists(runtime, (*path, "runtime"), document, found)
        before = len(found)
        steps = [
            _step(entry, (*path, "steps", index), document, found) for index, entry in enumerate(settings["steps"])
        ]
        if len(found) > before:
            continue
        ready = [step for step in steps if step is not None]
        try:
            ordered = recipe.plan(source, ready)
        except recipe.Nonsense as error:
            at = (*path, "steps") if error.step is None else (*path, "steps", error.step)
            _note(found, document, at, str(error))
            continue
        plain = [{step.name: step.options.model_dump(mode="json")} for step in ready]
        yield str(name), Variant(str(name), str(runtime), ordered, plain)


def _runtime_exists(name: object, path: YamlPath, document: Document, found: Found) -> None:
    try:
        registry.load("runtime", str(name))
    except UsageError as error:
        _note(found, document, path, error.what)


def _step(entry: object, path: YamlPath, document: Document, found: Found) -> recipe.Step | None:
    if isinstance(entry, str):
        entry = {entry: {}}
    if not isinstance(entry, dict) or len(entry) != 1:
        _note(found, document, path, "a step is one technique, `name` or `name: {options}`")
        return None
    ((name, options),) = entry.items()
    try:
        technique = registry.load("technique", str(name))()
    except UsageError as error:
        _note(found, document, (*path, str(name)), error.what)
        return None
    checked = _checked(technique.Options, {} if options is None else options, (*path, str(name)), document, found)
    return None if checked is None else recipe.Step(technique, checked)


def _devices(document: Document, settings: Settings | None, found: Found) -> Iterator[tuple[str, DeviceEntry]]:
    declared = settings.devices if settings is not None else document.data.get("devices")
    for name, entry in declared.items() if isinstance(declared, dict) else ():
        if not isinstance(entry, dict):
            continue  # the schema has told
        path: YamlPath = ("devices", str(name))
        kind = str(entry.get("kind", "local"))
        try:
            device = registry.load("device", kind)
        except UsageError as error:
            _note(found, document, (*path, "kind"), error.what)
            continue
        options = {key: value for key, value in entry.items() if key != "kind"}
        checked = _checked(device.Options, options, path, document, found, beside=("kind",))
        if checked is not None:
            yield str(name), DeviceEntry(str(name), kind, checked)


def _checked(
    model: type[BaseModel],
    data: object,
    path: YamlPath,
    document: Document,
    found: Found,
    beside: tuple[str, ...] = (),
) -> Any:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        found += problems(error, model, document, path, beside)
        return None


def _contradictions(settings: Settings, variants: Mapping[str, Variant], document: Document) -> Found:
    """What each section allows and the whole does not."""
    found: Found = []
    if settings.ship != "best" and settings.ship not in settings.variants:
        _note(
            found,
            document,
            ("ship",),
            f"no variant `{settings.ship}`; {near(settings.ship, [*settings.variants, 'best'])}",
        )
    rules = rules_of(settings.budget)
    if not rules:
        _note(
            found,
            document,
            ("budget",),
            "no rule is declared: nothing could ever fail; give at least one limit",
        )
    seen: set[str] = set()
    for rule in rules:
        path: YamlPath = ("budget", rule.metric.name, rule.operator.name)
        if rule.id in seen:
            _note(found, document, path, f"`{rule.id}` is limited twice")
        seen.add(rule.id)
        if settings.task.kind not in rule.metric.tasks:
            fitting = ", ".join(rule.metric.tasks)
            _note(
                found,
                document,
                path,
                f"`{rule.metric.name}` goes with {fitting}, and the task is {settings.task.kind}",
            )
        if rule.metric.better == "declared" and rule.operator.name in ("max", "min"):
            fitting = "max" if settings.task.better == "lower" else "min"
            if rule.operator.name != fitting:
                _note(found, document, path, f"`task.better` is {settings.task.better}; use `{fitting}`")
        if rule.device is not None and rule.device not in settings.devices:
            _note(
                found,
                document,
                ("budget", rule.metric.name, "device"),
                f"no device `{rule.device}`; {near(rule.device, list(settings.devices))}",
            )
        if rule.slice is not None and settings.data.slices is None:
            _note(
                found,
                document,
                ("budget", rule.metric.name, "slice"),
                "slices are named, but `data.slices` is not declared",
            )
    pairs: dict[str, tuple[str, str]] = {}
    for device in settings.devices:
        for variant in settings.variants:
            joined = f"{device}-{variant}"
            if joined in pairs:
                _note(
                    found,
                    document,
                    ("variants", variant),
                    f"device `{device}` with variant `{variant}` and device `{pairs[joined][0]}` with variant "
                    f"`{pairs[joined][1]}` would share the stage benchmark@{joined}; rename one",
                )
            pairs[joined] = (device, variant)
    if settings.data.npz is not None:
        split = settings.data.calibration.split
        wants = "calibration" if "calibration" in settings.data.npz else split
        steps = [step for variant in variants.values() for step in variant.plan.on_graph]
        needs_calibration = any(
            step.name == "quantize" and getattr(step.options, "method", None) == "static" for step in steps
        )
        if needs_calibration and wants not in settings.data.npz:
            _note(
                found,
                document,
                ("data", "npz"),
                f"quantization calibrates on `{split}`, and no such file is given; add `calibration:`",
            )
    return found
