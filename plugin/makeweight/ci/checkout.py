"""The checkout that a change is re-run in: the base's reports, and the lock joined of both."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from makeweight.ci import lock
from makeweight.ci.base import Base
from makeweight.ci.git import Git
from makeweight.ci.state import remove
from makeweight.layout import LOCK, Layout
from makeweight_base import atomic


def lay(root: Path, base: Base | None, git: Git) -> Mapping[str, object]:
    """Put the base's reports where the head's are, and write the joined lock. What was there is git's to keep.

    Returns the entries of the head's own lock.

    Raises:
        UsageError: a lock cannot be read.
    """
    layout, path = Layout(root), root / LOCK
    own = path.read_bytes().decode(errors="replace") if path.exists() else None
    theirs = base.lock if base is not None else None
    head = lock.stages(own, LOCK)
    lock.stages(theirs, f"{LOCK} of the base")
    for folder in (layout.reports, layout.artifact("x").parent, layout.outcomes("x").parent.parent):
        remove(folder)
    if base is not None:
        for name in git.files(base.sha, layout.reports.relative_to(root).as_posix()):
            content = git.read(base.sha, name)
            if content is not None:
                atomic.write_bytes(root / name, content)
    entries = lock.joined(own, theirs)
    if entries != own:
        atomic.write_text(path, entries)
    return head
