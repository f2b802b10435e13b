"""Stages, artifact and plots of a project put into somebody's dvc.yaml, beside their own and kept up to date."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from makeweight.layout import CONFIG, PIPELINE
from makeweight.pipeline import artifacts, dvcyaml, plots, yamledit
from makeweight.pipeline.in_step import is_ours, updates
from makeweight.pipeline.stages import stages
from makeweight_base.errors import ConfigError
from makeweight_base.yamlfile import Path

if TYPE_CHECKING:
    from makeweight.project.project import Project

_HEADER = (
    "The stages of makeweight, written by `makeweight init` from makeweight.yaml: what they depend on is set there",
    "(`sources`), and run it again to bring them up to date. `device` always runs: it says who measures.",
)
_STRANGER = (
    "a stage of yours has the name `{name}`, which makeweight needs; rename it here and in dvc.lock (to "
    "`{name}-model`, say), or give ours a folder, which stands before their names: `mkdir compression`, then "
    "`makeweight init --project compression …`"
)


def merge(existing: str | None, project: Project, drawn: Sequence[Any]) -> tuple[str, list[str]]:
    """The text of dvc.yaml with the stages and the plots `drawn` in it, and what was done, in words.

    With nothing to do the text comes back as it was. Everything of the user's own is kept to the byte.

    Raises:
        ConfigError: the file is no YAML, or none that every DVC reads.
        UsageError: a stage of the user has one of our names, or the file has a shape that cannot be edited safely.
    """
    document = dvcyaml.read(existing or "")
    if document.refused:
        raise ConfigError([document.problem(path, message) for path, message in document.refused])
    wanted = stages(project)
    data: dict[str, Any] = document.data or {}
    there = data.get("stages") or {}
    strangers = [name for name in wanted if name in there and not is_ours(name, there[name])]
    if strangers:
        raise ConfigError([document.problem(("stages", name), _STRANGER.format(name=name)) for name in strangers])
    text = existing or ""
    changes: list[str] = []
    header: tuple[str, ...] = () if any(name in there for name in wanted) else _HEADER
    missing = dvcyaml.untemplated(data)
    if missing:
        entry = f"{CONFIG}:{','.join(missing)}"
        above = () if data else header
        text = _put(text, ("vars", len(data.get("vars") or [])), entry, above)
        header = header if data else ()
        changes.append(f"added {entry} to the vars")
    added = {name: body for name, body in wanted.items() if name not in there}
    if added:
        text = yamledit.put_each(text, ("stages",), added, source=PIPELINE, above=("", *header))
    for name, body in wanted.items():
        if name in added:
            continue
        due = dict(updates(body, there[name]))
        for path, value in due.items():
            text = _put(text, ("stages", name, *path), value)
        if due:
            changed = sorted({path[-1] for path in due if path}) or ["rewritten"]
            changes.append(f"brought stage {name} up to date ({', '.join(changed)})")
    if added:
        changes.append(f"added the stage{'s' * (len(added) > 1)} {', '.join(added)}")
    text, listed = artifacts.put(text, data.get("artifacts"), project.name)
    text, done = plots.put(text, data.get("plots"), drawn)
    return text, changes + listed + done


def _put(text: str, path: Path, value: Any, above: Sequence[str] = ()) -> str:
    return yamledit.put(text, path, value, source=PIPELINE, above=above)
