"""Whether the base's artifacts and figures are also this commit's: decided from git, DVC's files and the base's lock.

DVC itself would skip a stage whose dependency lies in a folder that is tracked whole (treeverse/dvc, issue 11099), and
it sees neither what a `.dvcignore` hides nor code that `sources` does not name. So it is not asked. A stage is as at
the base where two things hold: all that it is made from is the same at both commits, and it is what the base's lock
says that the base's artifacts were made from, as far as git and DVC's files alone can tell. In doubt, it changed.

What is made from what changed has changed with it. DVC would compare the bytes that were made with those that the
base's lock has of them, and the author of that lock may have known them, and have written anything beside them.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import yaml

from makeweight.ci import code, inputs, nodes, stage_names
from makeweight.ci.base import Base
from makeweight.ci.lock import making
from makeweight.ci.tracked import Tracked
from makeweight.ci.unmeasured import unmeasured
from makeweight.layout import BASELINE, CONFIG, LOCK, PIPELINE
from makeweight.project.project import Project

_MOST_TOLD = 3
_ANEW = "everything is made and measured anew"
# Keys of makeweight.yaml that the stage `baseline` names; what lies at the sources it names as well.
_WITHOUT_EFFECT = frozenset({"name", "sources"})
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
    models: frozenset[str] = frozenset()
    """The variants, and `baseline`, whose models are made from something else than the base's are. Should the bytes
    come out as the base says that its own are, it may say so of a model that it never made."""
    fed_otherwise: bool = False
    """Whether devices would get other examples, or other code around the models. What the base has of that under the
    right keys, it never measured."""

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
    if base is None or before is None:
        models = frozenset((BASELINE, *project.variants))
        told = dict.fromkeys(expected, _ANEW) if anew else {}
        return Change(told, None if anew else "there is no base to take anything from", tracked, models)
    found = replace(_changed(project, base, before, now, expected), tracked=tracked)
    if anew:
        return replace(found, stages=dict.fromkeys(expected, _ANEW))
    return replace(found, besides=_besides(project, base))


def _tracked(project: Project, before: Tracked | None, now: Tracked) -> tuple[str, ...]:
    """What DVC holds of the dependencies, and of what those are made from as far as the base has it otherwise; where
    they may have to be made again, all that stages made for that."""
    known = () if before is None else before.outputs
    found: dict[str, None] = {}
    for path in project.named:
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


def _changed(project: Project, base: Base, before: Tracked, now: Tracked, expected: list[str]) -> Change:
    """What follows from what the two commits hold; whether the base's figures are enough is not asked."""
    ran = base.ran
    every = frozenset((BASELINE, *project.variants))
    try:
        sides = _Side(before), _Side(now)
        lock = _entries(before)
        made = _made(expected, lock, sides[1])
    except ValueError as error:
        return Change(dict.fromkeys(expected, f"what decides about it cannot be read: {error}"), models=every)
    if (code.is_named(project) or ran) and (other := code.why(before, now, ran)) is not None:
        return Change(dict.fromkeys(expected, other), models=every)
    if (other := code.why_read(before, now, base.read)) is not None:
        return Change(dict.fromkeys(expected, other), models=every)
    # what the others take of the baseline is its model, for which the test examples, say, are of no account
    model = _reason(BASELINE, lock, made, *sides, sure=True, aside=_beside_the_model(project))
    remade = {} if model is None else {BASELINE: model}
    for name in project.variants:
        if (why := model or _reason(f"compress@{name}", lock, made, *sides, sure=True)) is not None:
            remade[name] = why
    found: dict[str, str] = {}
    for stage in expected:
        reason = _reason(stage, lock, made, *sides) or remade.get(stage.partition("@")[2])
        if reason is not None:
            found[stage] = reason
    fed = _reason(BASELINE, lock, made, *sides, sure=True, aside=_WITHOUT_EFFECT)
    return Change(found, models=frozenset(remade), fed_otherwise=fed is not None)


def _beside_the_model(project: Project) -> frozenset[str]:
    """What the stage `baseline` names besides what its model is made from: paths, and keys of makeweight.yaml."""
    raw = None if project.pipeline is None else project.pipeline.place
    others = [path for split, path in project.data.places.items() if split != "test"]
    paths = {posixpath.normpath(path) for path in (project.data.places.get("test"), raw) if path is not None}
    paths -= {posixpath.normpath(path) for path in (*project.model.files, *project.sources, *others)}
    return frozenset({"pipeline", *paths}) | _WITHOUT_EFFECT


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

    def parameter(self, key: str) -> yaml.Node | None:
        """What makeweight.yaml has at a key with dots in it."""
        return nodes.at(self.config, *key.split("."))

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


def _made(expected: list[str], lock: Mapping[str, yaml.Node], now: _Side) -> Mapping[str, str | None]:
    """What our stages made, and the hash of each. A path that the lock alone calls made is none: nobody would look
    whether it changed.

    Args:
        expected: those stages. By another name in the lock, such as `compress@../code`, anything would be an output.

    Raises:
        ValueError: an entry is none.
    """
    found: dict[str, str | None] = {}
    for stage in expected:
        if stage not in lock:
            continue
        names = stage_names.of(now.pipeline, stage).outputs
        try:
            outs = nodes.texts(lock[stage]).get("outs") or []
            found |= {out["path"]: out.get("md5") for out in outs if posixpath.normpath(out["path"]) in names}
        except (TypeError, AttributeError, KeyError):
            raise ValueError(f"the entry of `{stage}` in the base's dvc.lock is none") from None
    return found


def _reason(
    stage: str,
    lock: Mapping[str, yaml.Node],
    made: Mapping[str, str | None],
    before: _Side,
    now: _Side,
    *,
    sure: bool = False,
    aside: frozenset[str] = frozenset(),
) -> str | None:
    """Why one stage is to be run; None where its artifacts are the base's.

    Args:
        made: what our stages made, by the same lock.
        sure: what two commits hold differs in it. No doubt about what they hold alike, which may cost a stage and no
            more where the same comes of it; and nothing about what was made.
        aside: paths and keys of makeweight.yaml that are not to count.
    """
    kind = stage.partition("@")[0]
    if stage not in lock:
        return "the base's dvc.lock does not know it"
    if before.stage(kind) != now.stage(kind):
        return f"`{kind}` reads otherwise in {PIPELINE}"
    entry = nodes.texts(lock[stage])
    try:
        parameters, dependencies = nodes.at(lock[stage], "params", CONFIG), entry.get("deps") or []
        names = stage_names.of(now.pipeline, stage)
        noted = {key for key, _ in nodes.pairs(parameters)}
        there = {posixpath.normpath(each["path"]) for each in dependencies}
        unsaid = {key for key in names.parameters - noted if before.parameter(key) or now.parameter(key)}
        if lacking := sorted({*names.dependencies - there, *unsaid}):
            return f"the base's dvc.lock does not say from which `{lacking[0]}` it was made"
        return (
            _of_parameters(parameters, before, now, aside)
            or _of_dependencies(dependencies, made, before, now, aside, sure=sure)
            or (None if sure else _of_outputs(entry.get("outs") or [], before))
        )
    except (TypeError, AttributeError, KeyError):
        return "its entry in the base's dvc.lock is none"


def _of_parameters(noted: yaml.Node | None, before: _Side, now: _Side, aside: frozenset[str]) -> str | None:
    for key, value in nodes.pairs(noted):
        if key in aside:
            continue
        one, other = before.parameter(key), now.parameter(key)
        if nodes.written(one) != nodes.written(other):
            return f"`{key}` is another in {CONFIG}"
        if nodes.meant(value) != nodes.meant(other):
            return f"the base's artifacts were made with another `{key}` than its {CONFIG} has"
    return None


def _of_dependencies(
    noted: list[dict[str, Any]],
    made: Mapping[str, str | None],
    before: _Side,
    now: _Side,
    aside: frozenset[str],
    *,
    sure: bool,
) -> str | None:
    for each in noted:
        path = each["path"]
        if posixpath.normpath(path) in aside:
            continue
        if path in made:
            if made[path] != each.get("md5"):
                return f"the base's dvc.lock has another `{path}` here than where it is made"
            continue
        found = now.at(path)
        if (other := inputs.differing(before.at(path), found)) is not None:
            return other
        if found.doubts and not sure:
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
