"""What ships, as a model of DVC's: `dvc artifacts get` brings it by its name, and tags of GTO version it."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from makeweight.layout import PIPELINE, Layout
from makeweight.pipeline import yamledit

_DESCRIPTION = "what the verdict chose, with its manifest, reference, card and verdict"


def put(text: str, there: Any, project: str) -> tuple[str, list[str]]:
    """The text of dvc.yaml with the shipped folder among its `artifacts`, and what was done.

    Args:
        there: what its `artifacts` holds. An entry for that folder, whatever its name, is the user's to word.
        project: the project's name, from which a new entry takes its own.

    Raises:
        UsageError: the file has a shape that cannot be edited safely.
    """
    entries: Mapping[str, Any] = there if isinstance(there, dict) else {}
    path = Layout(Path()).shipped.as_posix()
    if any(isinstance(each, dict) and _is(each.get("path"), path) for each in entries.values()):
        return text, []
    name = named(project)
    while name in entries:
        name += "-shipped"
    entry = {"path": path, "type": "model", "desc": _DESCRIPTION}
    above = () if entries else ("",)
    put = yamledit.put(text, ("artifacts", name), entry, source=PIPELINE, above=above)
    return put, [f"added the artifact {name}"]


def named(project: str) -> str:
    """A name as GTO takes it (letters, digits, hyphens within), near to a project's."""
    return re.sub("[^a-z0-9]+", "-", project.lower()).strip("-") or "model"


def _is(path: Any, other: str) -> bool:
    return isinstance(path, str) and posixpath.normpath(path) == other
