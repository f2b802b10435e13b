"""Whether the base's artifacts and figures are also this commit's: decided from git, DVC's files and the base's lock.

DVC itself would skip a stage whose dependency lies in a folder that is tracked whole (treeverse/dvc, issue 11099), and
it sees neither what a `.dvcignore` hides nor code that `sources` does not name. So it is not asked. A stage is as at
the base where two things hold: all that it is made from is the same at both commits, and it is what the base's lock
says that the base's artifacts were made from, as far as git and DVC's files alone can tell. In doubt, it changed.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from makeweight.ci import code, inputs, nodes
from makeweight.ci.base import Base
from makeweight.ci.lock import making
from makeweight.ci.tracked import Tracked
from makeweight.ci.unmeasured import unmeasured
from makeweight.layout import BASELINE, CONFIG, LOCK, PIPELINE
from makeweight.project.project import Project

_MOST_TOLD = 3
# Words about a stage, without effect on what it does.
_WORDS = frozenset({"desc", "meta"})


@dataclass(frozen=True)
class Change:
    """What of a commit cannot be the base's."""

    stages: Mapping[str, str]
    """Why a stage (`compress@int8`) that makes artifacts or figures is to be run, by stage."""
    besides: str | None = None
    """Why the base's measurements would not be enough, were all its artifacts this commit's."""
    tracked: tuple[str, ...] = ()
    """Paths, from the project's folder, that DVC has to bring before anything is run."""

    def __bool__(self) -> bool:
        return bool(self.stages) or self.besides is not None

    @property
    def why(self) -> str:
        """All of it, in words."""
        by_reason: dict[str, list[str]] = {}
        for stage, reason in self.stages.items():
            by_reason.setdefault(reason, []).append(stage)
        told = [f"{', '.join(stages)}: {reason}" for reason, stages in by_reason.items()]
        if self.besides is not None:
            told.insert(0, self.besides)
        more = f"; and {len(told) - _MOST_TOLD} more reasons" if len(told) > _MOST_TOLD else ""
        # a file's name may hold anything, line breaks too, and is told in a log whose lines are read for commands
        return "".join(map(_printable, "; ".join(told[:_MOST_TOLD]) + more))


def _printable(character: str) -> str:
    return character if character.isprintable() else ascii(character)[1:-1]


def change(project: Project, base: Base | None, before: Tracked | None, now: Tracked, *, anew: bool) -> Change:
    """What has to be made and measured for a commit. A pure function of what the two commits hold.

    Args:
        before: the base's commit; None: there is none.
        anew: everything, changed or not.
    """
    expected = making(project.variants)
    tracked = _tracked(project, before, now)
    if anew:
        return Change(dict.fromkeys(expected, "everything is made and measured anew"), None, tracked)
    if base is None or before is None:
        return Change({}, "there is no base to take anything from", tracked)
    return Change(dict(_changed(project, base, before, now, expected)), _besides(project, base), tracked)


def declared(project: Project) -> tuple[str, ...]:
    """What makeweight.yaml names: code, model and data, from the project's folder."""
    raw = () if project.pipeline is None or project.pipeline.place is None else (project.pipeline.place,)
    return (*project.sources, *project.model.files, *project.data.places.values(), *raw)


def _tracked(project: Project, before: Tracked | None, now: Tracked) -> tuple[str, ...]:
    """What DVC holds of the dependencies, and of what those are made from as far as the base has it otherwise; where
    they may have to be made again, all that stages made for that."""
    known = () if before is None else before.outputs
    found: dict[str, None] = {}
    for path in declared(project):
        whole = now.commit.whole(path)
        touching = now.touching(now.commit.follow(whole).path or whole)
        there = inputs.at(now, path)
        for output in there.outputs:
            if not output.path or output.file.endswith(PIPELINE):  # anywhere, or never made
                continue
            in_git = any(map(now.commit.is_file, (output.path, *now.commit.below(output.path))))
            wanted = output in touching or output not in known or (there.doubts and output.stage is not None)
            if wanted and not in_git:
                found[posixpath.relpath(output.path, now.commit.folder or ".")] = None
    return tuple(found)


def _besides(project: Project, base: Base) -> str | None:
    if not base.measurements:
        return "the base has no measurements"
    if base.project is None or dict(base.project.devices) != dict(project.devices):
        return "the devices changed"
    found = {device: unmeasured(project, device, base.measurements, base.failed) for device in project.devices}
    missing = [f"{name} on {device}" for name in project.variants for device in found if name in found[device]]
    return f"the base has not all figures of {', '.join(missing)}" if missing else None


def _changed(
    project: Project, base: Base, before: Tracked, now: Tracked, expected: list[str]
) -> Iterator[tuple[str, str]]:
    ran = base.ran
    other_code = code.why(before, now, ran) if code.is_named(project) or ran else None
    try:
        sides = _Side(before), _Side(now)
        lock = _entries(before)
    except ValueError as error:
        yield from dict.fromkeys(expected, f"what decides about it cannot be read: {error}").items()
        return
    for stage in expected:
        reason = other_code or _reason(stage, lock, *sides)
        if reason is not None:
            yield stage, reason


class _Side:
    """What one commit says of our stages."""

    def __init__(self, tracked: Tracked) -> None:
        self.tracked = tracked
        self.config = self._file(CONFIG)
        self.pipeline = self._file(PIPELINE)
        self._found: dict[str, inputs.Inputs] = {}

    def _file(self, name: str) -> yaml.Node | None:
        commit, path = self.tracked.commit, self.place(name)
        return nodes.compose(commit.read(path)) if commit.is_file(path) else None

    def place(self, path: str) -> str:
        return self.tracked.commit.whole(path)

    def at(self, path: str) -> inputs.Inputs:
        if path not in self._found:
            self._found[path] = inputs.at(self.tracked, path)
        return self._found[path]

    def stage(self, name: str) -> object:
        """A stage as dvc.yaml has it, as it is written."""
        node = nodes.at(self.pipeline, "stages", name)
        body = nodes.at(node, "do")
        return (nodes.written(node, without=_WORDS | {"do"}), nodes.written(body, without=_WORDS))


def _entries(before: Tracked) -> Mapping[str, yaml.Node]:
    commit = before.commit
    path = commit.whole(LOCK)
    root = nodes.compose(commit.read(path)) if commit.is_file(path) else None
    return dict(nodes.pairs(nodes.at(root, "stages")))


def _reason(stage: str, lock: Mapping[str, yaml.Node], before: _Side, now: _Side) -> str | None:
    """Why one stage is to be run; None where its artifacts are the base's."""
    kind = stage.partition("@")[0]
    if stage not in lock:
        return "the base's dvc.lock does not know it"
    if before.stage(kind) != now.stage(kind):
        return f"`{kind}` reads otherwise in {PIPELINE}"
    entry = nodes.texts(lock[stage])
    try:
        return (
            _of_parameters(nodes.at(lock[stage], "params", CONFIG), before, now)
            or _of_dependencies(entry.get("deps") or [], lock, before, now)
            or _of_outputs(entry.get("outs") or [], before)
        )
    except (TypeError, AttributeError, KeyError):
        return "its entry in the base's dvc.lock is none"


def _of_parameters(noted: yaml.Node | None, before: _Side, now: _Side) -> str | None:
    for key, value in nodes.pairs(noted):
        steps = key.split(".")
        one, other = nodes.at(before.config, *steps), nodes.at(now.config, *steps)
        if nodes.written(one) != nodes.written(other):
            return f"`{key}` is another in {CONFIG}"
        if nodes.meant(value) != nodes.meant(other):
            return f"the base's artifacts were made with another `{key}` than its {CONFIG} has"
    return None


def _of_dependencies(
    noted: list[dict[str, Any]], lock: Mapping[str, yaml.Node], before: _Side, now: _Side
) -> str | None:
    made = {
        out["path"]: out.get("md5")
        for name, node in lock.items()
        if name.partition("@")[0] in (BASELINE, "compress", "evaluate")
        for out in nodes.texts(node).get("outs") or []
    }
    for each in noted:
        path = each["path"]
        if path in made:
            if made[path] != each.get("md5"):
                return f"the base's dvc.lock has another `{path}` here than where it is made"
            continue
        found = now.at(path)
        if (other := inputs.differing(before.at(path), found)) is not None:
            return other
        if found.doubts:
            return found.doubts[0]
        own = inputs.md5(now.tracked, now.place(path))
        if each.get("hash") == "md5" and own is not None and own != each.get("md5"):
            return f"the base's artifacts were made from another `{path}` than the base has"
    return None


def _of_outputs(noted: list[dict[str, Any]], before: _Side) -> str | None:
    """Figures are in git, where somebody may have altered them after they were made."""
    for each in noted:
        own = before.tracked.commit.md5(before.place(each["path"]))
        if each.get("hash") == "md5" and own is not None and own != each.get("md5"):
            return f"the base's `{each['path']}` is not what its dvc.lock says was made"
    return None
