"""Whether dvc.yaml still says what makeweight.yaml asks for: a pure comparison, in sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from makeweight.layout import CONFIG
from makeweight.pipeline import dvcyaml
from makeweight.pipeline.dvcyaml import leaves
from makeweight.pipeline.stages import stages
from makeweight.pipeline.updates import is_ours, updates

if TYPE_CHECKING:
    from makeweight.project.project import Project


def in_step(existing: str, project: Project) -> list[str]:
    """How dvc.yaml falls short of what makeweight.yaml says now, a sentence each; empty when they agree.

    A pipeline without any of these stages is somebody's own and is left alone.

    Raises:
        ConfigError: the file is no YAML.
    """
    document = dvcyaml.read(existing)
    data: dict[str, Any] = document.data or {}
    there = data.get("stages") or {}
    wanted = stages(project)
    if not any(name in there and is_ours(name, there[name]) for name in wanted):
        return []
    found = [f"{CONFIG}:{key} is not among its `vars`" for key in dvcyaml.untemplated(data)]
    for name, body in wanted.items():
        if name not in there or not is_ours(name, there[name]):
            found.append(f"stage `{name}` is missing")
            continue
        for path, value in updates(body, there[name]):
            found += _differences(name, path, value, _at(there[name], path))
    return found


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
    missing, extra = leaves(wanted) - leaves(there), leaves(there) - leaves(wanted)
    kind = path[-1]
    return [
        *(f"stage `{name}`: {kind} lack `{leaf}`" for leaf in sorted(missing)),
        *(f"stage `{name}`: {kind} hold `{leaf}`, which {CONFIG} does not name" for leaf in sorted(extra)),
    ]
