"""The code that ran and what it read, declared or not: whether a commit could have Python run or read another than its
base did."""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Collection, Mapping

from makeweight.ci import inputs
from makeweight.ci.commit import LINK, SUBMODULE, Commit
from makeweight.ci.tracked import Tracked
from makeweight.nesting import upwards
from makeweight.project.project import Project

_COMPILED = re.compile(r".*\.py[co]")
_IMPORTABLE = re.compile(r".*\.(py|pyc|pyo|so|pyd)")
_WORD = re.compile(rb"[A-Za-z_]\w*")
_CALLABLE = re.compile(r"[^\W\d][\w.]*:[^\W\d][\w.]*")


def is_named(project: Project) -> bool:
    """Whether makeweight.yaml names a callable of the user's anywhere, so that code of the repository may run."""
    recipes = [variant.recipe for variant in project.variants.values()]
    parts = (project.model, project.data, project.task, *([] if project.pipeline is None else [project.pipeline]))
    said = [part.model_dump(mode="json") for part in parts]
    return any(map(_is_callable, (*recipes, *said)))


def _is_callable(value: object) -> bool:
    if isinstance(value, dict):
        return any(map(_is_callable, value.values()))
    if isinstance(value, list):
        return any(map(_is_callable, value))
    return isinstance(value, str) and _CALLABLE.fullmatch(value) is not None


def why(before: Tracked, now: Tracked, ran: Mapping[str, str | None] | None) -> str | None:
    """Why the code of a commit may be another than that of its base; None where it cannot be.

    Args:
        ran: of what the base was made with: path from the project's folder, and sha256 (None: of several contents).
            None where that was not recorded, so that all Python of the repository may have run.
    """
    base, head = before.commit, now.commit
    compiled = _differing(base, head, _COMPILED)
    if compiled is not None:
        return f"`{compiled}` is byte code, which may run in place of its source, and it is not as at the base"
    if ran is None:
        other = _differing(base, head, _IMPORTABLE)
        told = "and what the base was made with does not say which code ran"
        return None if other is None else f"`{other}` is code of this repository that is not as at the base, {told}"
    other = _otherwise(before, now, ran, "ran")
    return other or _in_the_way(before, now, [base.whole(path) for path in ran])


def why_read(before: Tracked, now: Tracked, read: Mapping[str, str | None]) -> str | None:
    """Why code may read something else at a commit than at its base; None where it cannot, as far as Python was told.

    Args:
        read: of what the base was made with, and its makeweight.yaml does not name; as for `why`, or a folder (None).
    """
    return _otherwise(before, now, read, "was read")


def _otherwise(before: Tracked, now: Tracked, used: Mapping[str, str | None], how: str) -> str | None:
    base = before.commit
    for path, sha256 in sorted(used.items()):
        at = base.whole(path)
        own = inputs.differing(inputs.at(before, path), inputs.at(now, path))
        if own is not None:
            return f"`{path}` {how} for the base, and {own}"
        if base.is_file(at) and not base.converted and hashlib.sha256(base.read(at)).hexdigest() != sha256:
            return f"`{path}` {how} with other content than the base holds"
    return None


def _differing(base: Commit, head: Commit, kind: re.Pattern[str]) -> str | None:
    return next(
        (
            path
            for path in sorted({*base.entries, *head.entries})
            if kind.fullmatch(path) and base.entries.get(path) != head.entries.get(path)
        ),
        None,
    )


def _in_the_way(before: Tracked, now: Tracked, ran: Collection[str]) -> str | None:
    """Something new beside the code that ran, or where imports begin, or by words of that code, which an import may now
    find instead, or where it found nothing."""
    base, head = before.commit, now.commit
    held = base.contents([base.entries[path].id for path in ran if base.is_file(path)])
    said = {word.decode() for content in held.values() for word in _WORD.findall(content)}
    folders = {head.folder} | {above for path in ran for above in _above(path, head.folder)}
    known = {output.path for output in before.outputs}
    brought = {output.path for output in now.outputs if output.path is not None} - known
    for path in sorted({*head.entries, *brought} - base.entries.keys()):
        whole = head.mode(path) in (None, LINK, SUBMODULE)
        if not (whole or _IMPORTABLE.fullmatch(path)):
            continue
        around, name = posixpath.split(path)
        if whole and not name.partition(".")[0].isidentifier():
            continue
        # a folder that is new is a package too, also without a file that says so
        new = next(each for each in upwards(path) if each not in base.entries)
        if new != path and "." not in posixpath.basename(new):
            place = posixpath.dirname(new)
        else:
            place = posixpath.dirname(around) if name.startswith("__init__.") else around
        if place in folders or {posixpath.basename(around), name.partition(".")[0]} <= said:
            return f"`{path}` is new, and an import may find it in the place of what it found at the base"
    return None


def _above(path: str, root: str) -> list[str]:
    """The folders that a file lies in, up to the project's."""
    found = [posixpath.dirname(path)]
    while found[-1] not in ("", root):
        found.append(posixpath.dirname(found[-1]))
    return found
