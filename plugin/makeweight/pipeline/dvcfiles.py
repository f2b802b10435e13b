"""The DVC pipeline of a project: its stages, put into dvc.yaml beside the user's own and kept in step.

DVC itself reads variants and devices from makeweight.yaml (`vars`, `foreach`, `matrix`), so that adding one
needs no edit here. What it cannot template, the lists of dependencies, is written out: `merge` writes it,
`in_step` checks it.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from makeweight.layout import BASELINE, CONFIG, Layout
from makeweight.pipeline import yamledit
from makeweight_base.errors import ConfigError, UsageError
from makeweight_base.yamlfile import Document, parse

if TYPE_CHECKING:
    from makeweight.budget.rule import Rule
    from makeweight.config.settings import DataSettings, ModelSettings, TaskSettings

PIPELINE = "dvc.yaml"
# DVC reads these as parameters and template variables, and fails when one is absent, default or not.
REQUIRED_KEYS = ("name", "model", "sources", "data", "task", "seed", "variants", "devices")
# The keys of a stage that are written here; any other (desc, meta, frozen) is the user's to add and is kept.
_WRITTEN = frozenset({"cmd", "deps", "params", "outs", "metrics", "plots", "always_changed", "foreach", "matrix", "do"})
_TEMPLATED = ("variants", "devices")
_HEADER = (
    "The stages of makeweight, written by `makeweight init` from makeweight.yaml: what they depend on is set there",
    "(`sources`), and run it again to bring them up to date. `device` always runs: it says who measures.",
)

Stages = dict[str, dict[str, Any]]


class Declared(Protocol):
    """What the stages follow from: these parts of a Project."""

    @property
    def model(self) -> ModelSettings: ...
    @property
    def sources(self) -> tuple[str, ...]: ...
    @property
    def data(self) -> DataSettings: ...


class Judged(Protocol):
    """What the plots follow from."""

    @property
    def task(self) -> TaskSettings: ...
    @property
    def rules(self) -> tuple[Rule, ...]: ...


def stages(project: Declared) -> Stages:
    """The stages by name, as dvc.yaml holds them.

    Raises:
        UsageError: a source lies where the pipeline writes, or the other way round.
    """
    at = Layout(Path())
    sources = [_source(path) for path in project.sources]
    weights = [_path(path) for path in (project.model.weights,) if path]
    file = [_path(path) for path in (project.model.onnx, project.model.tflite, project.model.pte) if path]
    npz = {split: _path(path) for split, path in (project.data.npz or {}).items()}
    unseen = [path for split, path in npz.items() if split != "test"]
    test = [path for split, path in npz.items() if split == "test"]
    baseline, answers = _posix(at.artifact(BASELINE)), _posix(at.outcomes(BASELINE))
    key, device, variant = "${key}", "${item.device}", "${item.variant}"
    return {
        "baseline": {
            "cmd": "makeweight baseline",
            "deps": _unique(weights, file, sources, npz.values()),
            "params": _params("name", "model", "sources", "data", "task", "seed"),
            "outs": [baseline, answers, _uncached(at.reference(BASELINE))],
            "metrics": [_uncached(at.evaluation(BASELINE))],
        },
        "compress": {
            "foreach": "${variants}",
            "do": {
                "cmd": f"makeweight compress {key}",
                "deps": _unique([baseline], weights, sources, unseen),
                "params": _params("model", "data", "task", "seed", f"variants.{key}"),
                "outs": [_posix(at.artifact(key))],
            },
        },
        "evaluate": {
            "foreach": "${variants}",
            "do": {
                "cmd": f"makeweight evaluate {key}",
                "deps": _unique([baseline, answers, _posix(at.artifact(key))], sources, test),
                "params": _params("name", "model", "data", "task", "seed"),
                "outs": [_posix(at.outcomes(key)), _posix(at.flips(key)), _uncached(at.reference(key))],
                "metrics": [_uncached(at.evaluation(key))],
            },
        },
        "device": {
            "foreach": "${devices}",
            "do": {
                "cmd": f"makeweight device {key}",
                "params": _params(f"devices.{key}"),
                # Who measures is asked anew each time: DVC's run cache would hand out another machine's timings.
                "always_changed": True,
                "outs": [_uncached(at.device(key))],
            },
        },
        "benchmark": {
            "matrix": {"device": "${devices}", "variant": "${variants}"},
            "cmd": f"makeweight benchmark {variant} --device {device}",
            "deps": [baseline, _posix(at.artifact(variant)), _posix(at.device(device))],
            "params": _params(f"devices.{device}"),
            "outs": [_posix(at.timings(variant, device))],
            "metrics": [_uncached(at.benchmark(variant, device))],
        },
        "report": {
            "cmd": "makeweight report",
            # Folders, not files: they hold what every stage above writes, however many variants there are. And the
            # file, not params: budget, waivers and policy may be absent, and DVC cannot store the dates in them.
            "deps": [
                _posix(at.artifact("x").parent),
                _posix(at.outcomes("x").parent.parent),
                _posix(at.device("x").parent),
                CONFIG,
            ],
            "outs": [_uncached(path) for path in (at.verdict, at.markdown, at.html, at.plot("x").parent)],
        },
        "gate": {"cmd": "makeweight gate", "deps": [_posix(at.verdict)]},
    }


def plots(project: Judged) -> list[dict[str, Any]]:
    """The top-level plots, drawn of the metric that the report takes for this project's quality."""
    from makeweight.budget.metric import METRICS
    from makeweight.report.dvcplots import definitions
    from makeweight.report.figures import QUALITY

    measured = [name for name in QUALITY if project.task.kind in METRICS[name].tasks]
    limited = {rule.metric.name for rule in project.rules}
    return definitions(next((name for name in measured if name in limited), measured[0]))


def merge(existing: str | None, project: Declared, drawn: Sequence[Any]) -> tuple[str, list[str]]:
    """The text of dvc.yaml with the stages and the plots `drawn` in it, and what was done, in words.

    With nothing to do the text comes back as it was. Everything of the user's own is kept to the byte.

    Raises:
        ConfigError: the file is no YAML.
        UsageError: a stage of the user has one of our names, or the file has a shape that cannot be edited safely.
    """
    document = _read(existing or "")
    wanted = stages(project)
    data: dict[str, Any] = document.data or {}
    there = data.get("stages") or {}
    _refuse_strangers(document, wanted)
    text = existing or ""
    changes: list[str] = []
    header: tuple[str, ...] = () if any(name in there for name in wanted) else _HEADER
    missing = _untemplated(data)
    if missing:
        entry = f"{CONFIG}:{','.join(missing)}"
        above = () if data else header
        text = _put(text, ("vars", len(data.get("vars") or [])), entry, above)
        header = header if data else ()
        changes.append(f"added {entry} to the vars")
    added = []
    for name, body in wanted.items():
        if name not in there:
            text = _put(text, ("stages", name), body, ("", *header))
            added.append(name)
            header = ()
            continue
        updates = dict(_updates(body, there[name]))
        for path, value in updates.items():
            text = _put(text, ("stages", name, *path), value)
        if updates:
            changed = sorted({path[-1] for path in updates if path}) or ["rewritten"]
            changes.append(f"brought stage {name} up to date ({', '.join(changed)})")
    if added:
        changes.append(f"added the stage{'s' * (len(added) > 1)} {', '.join(added)}")
    text, done = _merge_plots(text, data.get("plots"), drawn)
    return text, changes + done


def in_step(existing: str, project: Declared) -> list[str]:
    """How dvc.yaml falls short of what makeweight.yaml says now, a sentence each; empty when they agree.

    A pipeline without any of these stages is somebody's own and is left alone.

    Raises:
        ConfigError: the file is no YAML.
    """
    document = _read(existing)
    data: dict[str, Any] = document.data or {}
    there = data.get("stages") or {}
    wanted = stages(project)
    if not any(name in there and _is_ours(name, there[name]) for name in wanted):
        return []
    found = [f"{CONFIG}:{key} is not among its `vars`" for key in _untemplated(data)]
    for name, body in wanted.items():
        if name not in there or not _is_ours(name, there[name]):
            found.append(f"stage `{name}` is missing")
            continue
        for path, value in _updates(body, there[name]):
            found += _differences(name, path, value, _at(there[name], path))
    return found


def add_missing(text: str, defaults: Mapping[str, Any]) -> tuple[str, list[str]]:
    """The text of makeweight.yaml with every key that DVC needs, and the keys that were added with their defaults.

    Raises:
        UsageError: the file has a shape that cannot be edited safely.
    """
    data = parse(text, CONFIG).data or {}
    added = [key for key in REQUIRED_KEYS if key not in data and key in defaults]
    for index, key in enumerate(added):
        above = ("", "Written out because DVC wants to find them here.") if index == 0 else ()
        text = yamledit.put(text, (key,), defaults[key], source=CONFIG, above=above)
    return text, added


def collisions(existing: str | None, read: Callable[[str], str | None]) -> list[str]:
    """What else fills the template names `variants` and `devices`: DVC would mix it into ours, or refuse.

    `read` gives the text of a file of the project, or None when there is none. DVC always loads params.yaml.
    """
    document = _read(existing or "")
    entries = (document.data or {}).get("vars") or []
    found = []
    files = {
        "params.yaml": "",
        **{entry.partition(":")[0]: "" for entry in entries if isinstance(entry, str)},
    }
    for index, entry in enumerate(entries):
        if isinstance(entry, dict):
            taken = [name for name in _TEMPLATED if name in entry]
            found += [document.problem(("vars", index, name), _COLLISION.format(name=name)) for name in taken]
    for file in files:
        if file == CONFIG or not file.endswith((".yaml", ".yml", ".json")) or (text := read(file)) is None:
            continue
        other = parse(text, file)
        if isinstance(other.data, dict):
            taken = [name for name in _TEMPLATED if name in other.data]
            found += [other.problem((name,), _COLLISION.format(name=name)) for name in taken]
    return found


def writes(existing: str, path: str) -> bool:
    """Whether a stage of this pipeline has `path` among its outputs (a template in an output may stand for anything).

    Raises:
        ConfigError: the file is no YAML.
    """
    stages = (_read(existing).data or {}).get("stages") or {}
    for stage in stages.values():
        body = stage.get("do", stage) if isinstance(stage, dict) else {}
        folder = str(body.get("wdir", "."))
        for key in ("outs", "metrics", "plots"):
            for out in _leaves(body.get(key)):
                parts = re.split(r"\$\{[^}]*\}", posixpath.normpath(posixpath.join(folder, out)))
                if re.fullmatch(".+".join(map(re.escape, parts)), posixpath.normpath(path)):
                    return True
    return False


_COLLISION = (
    "`{name}` would be mixed with the `{name}` of makeweight.yaml, because DVC pours all `vars` into one pot; "
    "rename it here"
)


def _source(path: str) -> str:
    plain = _path(path)
    contains = set(plain.split("/")) <= {".", ".."}
    if contains or plain.split("/")[0] in ("artifacts", "samples", "reports"):
        raise UsageError(
            f"sources: `{path}` {'holds' if contains else 'is'} what the pipeline itself writes, so every run would "
            "call for the next",
            where=CONFIG,
            do="Name the folders and files of your code, data and toolchain lock one by one.",
        )
    return plain


def _path(path: str) -> str:
    """As DVC compares them; `${` would read as a template."""
    return posixpath.normpath(path).replace("${", "\\${")


def _posix(path: Path) -> str:
    return path.as_posix()


def _uncached(path: Path) -> dict[str, Any]:
    """In git, not in DVC's cache: readable in every checkout, with no remote."""
    return {_posix(path): {"cache": False}}


def _params(*keys: str) -> list[dict[str, list[str]]]:
    return [{CONFIG: list(keys)}]


def _unique(*groups: Any) -> list[str]:
    return list(dict.fromkeys(path for group in groups for path in group))


def _put(text: str, path: yamledit.Path, value: Any, above: Sequence[str] = ()) -> str:
    return yamledit.put(text, path, value, source=PIPELINE, above=above)


def _read(text: str) -> Document:
    document = parse(text, PIPELINE)
    if document.data is not None and not isinstance(document.data, dict):
        raise ConfigError([document.problem((), "a mapping (`stages:` and the like) is wanted here")])
    for key, kinds in (("stages", dict), ("vars", list), ("plots", (list, dict))):
        value = (document.data or {}).get(key)
        if value is not None and not isinstance(value, kinds):
            raise ConfigError([document.problem((key,), f"{key}: this is no `{key}` that DVC could read")])
    return document


def _untemplated(data: Mapping[str, Any]) -> list[str]:
    """Which of `variants` and `devices` the file does not load from makeweight.yaml yet."""
    loaded: set[str] = set()
    for entry in data.get("vars") or []:
        file, colon, keys = str(entry).partition(":")
        if posixpath.normpath(file) == CONFIG:
            loaded |= set(keys.split(",")) if colon else set(_TEMPLATED)
    return [name for name in _TEMPLATED if name not in {key.strip() for key in loaded}]


def _commands(stage: Any) -> list[str]:
    body = stage.get("do", stage) if isinstance(stage, dict) else {}
    command = body.get("cmd") if isinstance(body, dict) else None
    return [str(line) for line in command] if isinstance(command, list) else [str(command or "")]


def _is_ours(name: str, stage: Any) -> bool:
    return any(re.search(rf"\bmakeweight(\.exe)? {name}\b", line) for line in _commands(stage))


def _refuse_strangers(document: Document, wanted: Stages) -> None:
    there = (document.data or {}).get("stages") or {}
    strangers = [name for name in wanted if name in there and not _is_ours(name, there[name])]
    if strangers:
        raise ConfigError(
            [
                document.problem(
                    ("stages", name),
                    f"a stage of yours has the name `{name}`, which makeweight needs; rename it here and in dvc.lock "
                    f"(to `{name}-model`, say), then run `makeweight init` again",
                )
                for name in strangers
            ]
        )


def _updates(wanted: Mapping[str, Any], there: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """What to put where (below the stage) so that a stage of ours says what it should."""
    if any(key in _WRITTEN and key not in wanted for key in there):
        yield (), {**wanted, **{key: value for key, value in there.items() if key not in _WRITTEN}}
        return
    for key, value in wanted.items():
        if key == "do":
            if not isinstance(there.get("do"), dict):
                yield ("do",), value
            else:
                yield from ((("do", *path), update) for path, update in _updates(value, there["do"]))
        elif key == "cmd":
            # somebody may run it through something (`uv run makeweight baseline`): that is kept
            ours = re.compile(rf"(^|\s){re.escape(value)}($|\s)")
            if not any(ours.search(line) for line in _commands({"cmd": there.get("cmd")})):
                yield ("cmd",), value
        elif there.get(key) != value:
            yield (key,), value


def _at(stage: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    value: Any = stage
    for part in path:
        value = value.get(part)
    return value


def _differences(name: str, path: tuple[str, ...], wanted: Any, there: Any) -> list[str]:
    """Sentences; nothing for what is only written another way (order, options of an output)."""
    if not path or path[-1] not in ("deps", "params", "outs", "metrics"):
        what = f"`{path[-1]}`" if path else "its shape"
        return [f"stage `{name}`: {what} is not what this version of makeweight needs"]
    missing, extra = _leaves(wanted) - _leaves(there), _leaves(there) - _leaves(wanted)
    kind = path[-1]
    return [
        *(f"stage `{name}`: {kind} lack `{leaf}`" for leaf in sorted(missing)),
        *(f"stage `{name}`: {kind} hold `{leaf}`, which {CONFIG} does not name" for leaf in sorted(extra)),
    ]


def _leaves(value: Any) -> set[str]:
    """The paths or parameters of a stage's list, whatever options they carry."""
    found: set[str] = set()
    for item in value if isinstance(value, list) else []:
        if isinstance(item, dict):
            for key, below in item.items():
                path = posixpath.normpath(str(key))
                found |= {f"{path}:{leaf}" for leaf in below} if isinstance(below, list) else {path}
        else:
            found.add(posixpath.normpath(str(item)))
    return found


def _merge_plots(text: str, there: Any, drawn: Sequence[Any]) -> tuple[str, list[str]]:
    entries = list(there.items()) if isinstance(there, dict) else [_plot(item) for item in there or []]
    names = [_plot(wanted)[0] for wanted in drawn]
    # of a plot that is no longer drawn of our files (the quality metric changed) the place is used again
    stale = (
        []
        if isinstance(there, dict)
        else [i for i, (name, _) in enumerate(entries) if name not in names and _ours(entries[i])]
    )
    added, updated = [], []
    for wanted in drawn:
        name, options = _plot(wanted)
        index = next((i for i, entry in enumerate(entries) if entry[0] == name), None)
        if index is not None and entries[index][1] == options:
            continue
        if index is None and stale:
            index = stale.pop(0)
        if isinstance(there, dict):
            text = _put(text, ("plots", name), options)
        else:
            text = _put(text, ("plots", len(entries) if index is None else index), wanted, () if entries else ("",))
        if index is None:
            entries.append((name, options))
            added.append(name)
        else:
            entries[index] = (name, options)
            updated.append(name)
    changes = [f"added the plot{'s' * (len(added) > 1)} {', '.join(added)}"] if added else []
    return text, changes + [f"brought plot {name} up to date" for name in updated]


def _ours(plot: tuple[str, Any]) -> bool:
    """Whether a plot draws a file that the report writes."""
    name, options = plot
    axes = [options.get(axis) for axis in ("x", "y")] if isinstance(options, dict) else []
    paths = [name, *(path for axis in axes if isinstance(axis, dict) for path in axis)]
    return any(str(path).startswith(f"{Layout(Path()).plot('x').parent.as_posix()}/") for path in paths)


def _plot(item: Any) -> tuple[str, Any]:
    if isinstance(item, dict):
        ((name, options),) = item.items()
        return str(name), options
    return str(item), None
