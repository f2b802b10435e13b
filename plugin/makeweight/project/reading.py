"""makeweight.yaml made sense of: one load gives a Project, or every problem of the file at once."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from makeweight import registry
from makeweight.artifact.kind import named
from makeweight.budget.rule import rules_of
from makeweight.compress import recipe
from makeweight.compress.recipe import Variant
from makeweight.config.problems import Problems, near
from makeweight.config.settings import PARAMETERS, Beginning, ModelSettings, Settings
from makeweight.devices.entry import DeviceEntry
from makeweight.layout import CONFIG
from makeweight.project import contradictions, place
from makeweight.project.offered import default_runtime, plugged
from makeweight.project.open_recipes import is_open, open_recipes, refuse_hopeless
from makeweight.project.project import Project
from makeweight.runtimes.format import SourceKind
from makeweight.runtimes.runtime import Runtime
from makeweight_base.errors import ConfigError, Problem, UsageError, reason
from makeweight_base.yamlfile import Document, Path, parse
from makeweight_base.yamlversions import ODD, odd_break

_CHOICES = "a variant says one of each; what `makeweight search` is to choose from stands under `search.recipes`"


def load(root: pathlib.Path, *, beginning: bool = False) -> Project:
    """Read the makeweight.yaml of a project's folder.

    Args:
        beginning: whether it may have no variants yet.

    Raises:
        ConfigError: with every problem of the file, each with its line.
        UsageError: there is no such file.
    """
    path = root / CONFIG
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise place.none_in(root) from error
    except NotADirectoryError as error:
        raise place.none_in(root) from error
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot be read: {reason(error)}", where=str(path)) from error
    return understand(text, CONFIG, root, beginning=beginning)


def understand(text: str, source: str, root: pathlib.Path, *, beginning: bool = False, by_dvc: bool = True) -> Project:
    """The Project that a text describes. Reads no file: `source` is only named in errors.

    Args:
        by_dvc: whether DVC reads it too, as it does not that of another commit, or of a verdict that is checked.
    """
    document = parsed(text, source)
    return understood(document if by_dvc else replace(document, refused=()), root, beginning=beginning)


def parsed(text: str, source: str) -> Document:
    """The file of a project, as plain data with lines; what that means is another thing.

    Raises:
        ConfigError: it is no YAML of one mapping.
    """
    if (odd := odd_break(text)) is not None:
        raise ConfigError([Problem(source, odd, ODD)])
    document = parse(text, source)
    if document.data is None:
        raise ConfigError([Problem(source, 1, "the file is empty; `makeweight init --force` writes one to start from")])
    if not isinstance(document.data, dict):
        raise ConfigError([document.problem((), "a mapping (`model:`, `data:`, `variants:` and so on) is wanted here")])
    return document


def with_recipe(document: Document, root: pathlib.Path, settings: Mapping[str, Any]) -> Variant:
    """A recipe, checked as if it alone stood under `variants:` of a project's file that has no problems.

    Args:
        settings: as a variant's: `runtime` and `steps`.

    Raises:
        ConfigError: it makes no sense here.
    """
    name = "recipe"
    rest = {key: value for key, value in document.data.items() if key not in ("search", "ship")}
    if isinstance(around := rest.get("pipeline"), dict):  # what it says of other variants is not about this recipe
        rest["pipeline"] = {key: value for key, value in around.items() if key != "variants"}
    alone = replace(document, data={**rest, "variants": {name: dict(settings)}})
    return understood(alone, root).variants[name]


def understood(document: Document, root: pathlib.Path, *, beginning: bool = False) -> Project:
    """See `understand`."""
    problems = Problems(document)
    for path in document.unquoted:
        problems.note(path, f"a key is text, and YAML reads `{path[-1]}` as something else; quote it")
    for path, message in document.ambiguous:
        if path and path[0] in PARAMETERS:
            problems.note(path, message)
    for path, message in document.refused:
        problems.note(path, message)
    settings = problems.validated(Beginning if beginning else Settings, document.data)
    variants = dict(_variants(document.data, problems))
    devices = dict(_devices(document.data if settings is None else {"devices": settings.devices}, problems))
    _target(document.data, problems)
    if settings is not None:
        contradictions.note(settings, variants, devices, problems)
    spaces = open_recipes(document.data, problems)
    if spaces and not problems:
        for name, space in spaces.items():
            refuse_hopeless(name, space, lambda recipe: with_recipe(document, root, recipe), problems)
    if problems or settings is None:
        raise ConfigError(problems.told())
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
        review=settings.review,
        canary=settings.canary,
        search=settings.search,
        spaces=spaces,
        pipeline=settings.pipeline,
    )


def _variants(data: dict[str, Any], problems: Problems) -> Iterator[tuple[str, Variant]]:
    """Each variant whose steps hold together. Reads the raw file, so that its problems are told beside all others."""
    model = data.get("model")
    model = model if isinstance(model, dict) else {}
    # where no source is named, the schema tells that, and no step is out of place for it
    of_module = bool(model.get("build") or model.get("pt2")) or not ModelSettings.file_keys(model)
    source: SourceKind = "module" if of_module else "graph"
    _refuse_other_files(model, problems)
    of_model = default_runtime(data)
    # where nothing is said, the file says it
    said_by = "runtime" if model.get("runtime") else next(iter(ModelSettings.file_keys(model)), "runtime")
    default = _runtime(of_model, ("model", said_by), problems)
    variants = data.get("variants")
    for name, settings in variants.items() if isinstance(variants, dict) else ():
        if not isinstance(settings, dict) or not isinstance(settings.get("steps"), list):
            continue  # the schema has told
        path: Path = ("variants", str(name))
        name_of_runtime, runtime = of_model, default
        if settings.get("runtime"):
            name_of_runtime = str(settings["runtime"])
            runtime = _runtime(name_of_runtime, (*path, "runtime"), problems)
        before = len(problems)
        steps = [_step(entry, (*path, "steps", index), problems) for index, entry in enumerate(settings["steps"])]
        if len(problems) > before:
            continue
        if source == "graph" and name_of_runtime != of_model:
            problems.note(
                (*path, "runtime"),
                f"the model is a file of {of_model}, and only a PyTorch module can be lowered to "
                f"{name_of_runtime}; declare `model.build` and `model.weights`, or leave the runtime",
            )
        ready = [step for step in steps if step is not None]
        try:
            objection = _no_objection if runtime is None else runtime.objection
            ordered = recipe.plan(source, ready, objection, elsewhere=name_of_runtime != of_model)
        except recipe.Nonsense as error:
            problems.note((*path, "steps") if error.step is None else (*path, "steps", error.step), str(error))
            continue
        plain = [{step.name: step.options.model_dump(mode="json")} for step in ordered.in_order]
        yield str(name), Variant(str(name), name_of_runtime, ordered, plain)


def _refuse_other_files(model: Mapping[Any, Any], problems: Problems) -> None:
    """Note files that nothing opens, and one that something else than the declared runtime does."""
    files = ModelSettings.file_keys(model)
    for key in ModelSettings.other_keys(model):
        if key not in files:
            known = [*ModelSettings.model_fields, *(suffix.removeprefix(".") for suffix in registry.suffixes())]
            foreign = named(key)
            told = f"unknown key; {near(key, known)}" if foreign is None else f"this is {foreign.what}. {foreign.do}"
            problems.note(("model", key), told)
    declared = str(model.get("runtime") or "")
    if files and declared and registry.offers("runtime", declared):
        suffix = registry.load("runtime", declared).suffix
        if suffix != f".{files[0]}":
            problems.note(
                ("model", "runtime"),
                f"`{files[0]}` files are opened by {registry.runtime_of(f'.{files[0]}')}, and {declared} opens those "
                f"that end in {suffix}; leave `runtime` out",
            )


def _runtime(name: str, path: Path, problems: Problems) -> Runtime | None:
    offered = plugged("runtime", name, path, problems)
    return None if offered is None else offered()


def _no_objection(*_: object) -> None:
    """That the runtime is not there is told already."""


def _step(entry: object, path: Path, problems: Problems) -> recipe.Step | None:
    if isinstance(entry, str):
        entry = {entry: {}}
    if not isinstance(entry, dict) or len(entry) != 1:
        told = f"; {_CHOICES}" if isinstance(entry, list) else ""
        problems.note(path, f"a step is one technique, `name` or `name: {{options}}`{told}")
        return None
    ((name, options),) = entry.items()
    place = (*path, str(name))
    offered = plugged("technique", str(name), place, problems)
    if offered is None:
        return None
    technique = offered()
    checked = problems.validated(technique.Options, {} if options is None else options, place)
    if checked is None and isinstance(options, dict):
        for key, value in options.items():
            if key in technique.Options.model_fields and is_open(str(name), str(key), value):
                problems.note((*place, str(key)), _CHOICES)
    return None if checked is None else recipe.Step(technique, checked)


def _devices(data: Mapping[str, Any], problems: Problems) -> Iterator[tuple[str, DeviceEntry]]:
    declared = data.get("devices")
    for name, entry in declared.items() if isinstance(declared, dict) else ():
        if not isinstance(entry, dict):
            continue  # the schema has told
        path: Path = ("devices", str(name))
        kind = str(entry.get("kind", "local"))
        checked = _options("device", kind, entry, path, problems)
        if checked is not None:
            yield str(name), DeviceEntry(str(name), kind, checked)


def _target(data: Mapping[str, Any], problems: Problems) -> None:
    """What moves the canary's traffic: the monitors make it, and here it is told what is wrong with it."""
    canary = data.get("canary")
    entry = canary.get("target") if isinstance(canary, dict) else None
    if not isinstance(entry, dict):
        return  # there is none, or the schema has told
    path: Path = ("canary", "target")
    if "kind" not in entry:
        problems.note(path, f"`kind` is missing, one of {', '.join(registry.names('target'))}")
        return
    _options("target", str(entry["kind"]), entry, path, problems)


def _options(part: registry.Kind, kind: str, entry: Mapping[str, Any], path: Path, problems: Problems) -> Any:
    """What an entry sets of a device or target of that kind; None where something is wrong with it."""
    offered = plugged(part, kind, (*path, "kind"), problems)
    if offered is None:
        return None
    options = {key: value for key, value in entry.items() if key != "kind"}
    return problems.validated(offered.Options, options, path, beside=("kind",))
