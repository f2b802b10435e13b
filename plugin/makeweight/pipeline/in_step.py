"""Whether dvc.yaml still says what makeweight.yaml asks for, and what a stage of ours lacks. Pure."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from makeweight.layout import CONFIG
from makeweight.pipeline import dvcyaml
from makeweight.pipeline.dvcyaml import leaves
from makeweight.pipeline.stages import SHIP, stages

if TYPE_CHECKING:
    from makeweight.project.project import Project

# The keys of a stage that are written here; any other (desc, meta, frozen) is the user's to add and is kept.
_WRITTEN = frozenset({"cmd", "deps", "params", "outs", "metrics", "plots", "always_changed", "foreach", "matrix", "do"})


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
        if name == SHIP and name not in there:
            continue
        if name not in there or not is_ours(name, there[name]):
            found.append(f"stage `{name}` is missing")
            continue
        for path, value in updates(body, there[name]):
            own = functools.reduce(lambda below, part: below.get(part), path, there[name])
            found += _differences(name, path, value, own)
    return found


def _commands(stage: Any) -> list[str]:
    body = stage.get("do", stage) if isinstance(stage, dict) else {}
    command = body.get("cmd") if isinstance(body, dict) else None
    return [str(line) for line in command] if isinstance(command, list) else [str(command or "")]


def is_ours(name: str, stage: Any) -> bool:
    """Whether the stage of this name runs makeweight's verb of the same name, directly or through something."""
    return any(re.search(rf"\bmakeweight(\.exe)? {name}\b", line) for line in _commands(stage))


def updates(wanted: Mapping[str, Any], there: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """What to put where (below the stage) so that a stage of ours says what it should."""
    if any(key in _WRITTEN and key not in wanted for key in there):
        yield (), {**wanted, **{key: value for key, value in there.items() if key not in _WRITTEN}}
        return
    for key, value in wanted.items():
        if key == "do":
            if not isinstance(there.get("do"), dict):
                yield ("do",), value
            else:
                yield from ((("do", *path), update) for path, update in updates(value, there["do"]))
        elif key == "cmd":
            # somebody may run it through something (`uv run makeweight baseline`): that is kept
            ours = re.compile(rf"(^|\s){re.escape(value)}($|\s)")
            if not any(ours.search(line) for line in _commands({"cmd": there.get("cmd")})):
                yield ("cmd",), value
        elif there.get(key) != value:
            yield (key,), value


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
