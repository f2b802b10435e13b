"""What a stage of ours in somebody's dvc.yaml lacks, and what is not ours to touch."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

# The keys of a stage that are written here; any other (desc, meta, frozen) is the user's to add and is kept.
_WRITTEN = frozenset({"cmd", "deps", "params", "outs", "metrics", "plots", "always_changed", "foreach", "matrix", "do"})


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
