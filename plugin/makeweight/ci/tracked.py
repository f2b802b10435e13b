"""What DVC's own files of one commit say: which paths it brings or makes, as which content, and by which stage."""

from __future__ import annotations

import posixpath
import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import yaml

from makeweight.ci import hashes, nodes
from makeweight.ci.commit import FOLDER, SUBMODULE, Commit
from makeweight.ci.lock import is_ours
from makeweight.layout import CONFIG, LOCK, PIPELINE
from makeweight.nesting import upwards

# Words about an output, without effect on what it is.
_WORDS = frozenset({"desc", "meta", "labels", "type"})
_TEMPLATE = re.compile(r"\$\{[^}]*\}")


@dataclass(frozen=True)
class Stage:
    """A stage of the user's, as DVC noted that it ran."""

    name: str
    file: str
    """The dvc.yaml that has it."""
    folder: str
    """Where it runs: what its paths start from."""
    text: object
    """What that file and the lock say of it, as it is written."""
    command: str | None
    """As it was run."""
    body: yaml.Node | None = field(compare=False)
    """Its part of that file, which `text` tells too."""
    dependencies: tuple[Mapping[str, str], ...]
    """Their `path`, `hash` and `md5`."""
    parameters: Mapping[str, Any]
    """What it took from which file, as DVC means it."""

    @property
    def frozen(self) -> bool:
        return nodes.meant(nodes.at(self.body, "frozen")) is True

    @property
    def runs_always(self) -> bool:
        return nodes.meant(nodes.at(self.body, "always_changed")) is True


@dataclass(frozen=True)
class Output:
    """A path that DVC brings or makes."""

    path: str | None
    """None: it may be any, since it is not told where."""
    file: str
    """The .dvc file, dvc.lock or dvc.yaml that tells of it."""
    text: object
    """What that says, as it is written; a whole file where little is understood of it."""
    md5: str | None
    """Of its content, where that is how DVC noted it."""
    stage: Stage | None = None


@dataclass(frozen=True, eq=False)
class Tracked:
    """All that DVC tracks at a commit, save what makeweight's own stages of this project make."""

    commit: Commit

    @cached_property
    def outputs(self) -> tuple[Output, ...]:
        return (*_of_files(self.commit), *_of_stages(self.commit))

    def touching(self, path: str) -> list[Output]:
        """What is at a path, around it or in it."""
        around = [output for above in ("", *upwards(path)) for output in self._by_path.get(above, [])]
        start = f"{path}/"
        inside = []
        for below in self._paths[bisect_left(self._paths, start) :]:
            if not below.startswith(start):
                break
            inside += self._by_path[below]
        return [*self._by_path.get(None, []), *around, *inside]

    @cached_property
    def _by_path(self) -> Mapping[str | None, list[Output]]:
        found: dict[str | None, list[Output]] = {}
        for output in self.outputs:
            found.setdefault(output.path, []).append(output)
        return found

    @cached_property
    def _paths(self) -> list[str]:
        return sorted(path for path in self._by_path if path is not None)

    def has(self, path: str) -> bool:
        """Whether anything is at a path, links followed: git's, a submodule's, or DVC's to bring or make."""
        place = self.commit.follow(path).path
        if place is None:
            return True  # out of the repository, where nothing shows it
        return (
            place in self.commit.entries
            or bool(self.touching(place))
            or any(self.commit.mode(above) == SUBMODULE for above in upwards(place))
        )

    def md5(self, path: str) -> str | None:
        """The hash that DVC has for a path, links aside; None where neither git nor DVC's files alone can tell."""
        touching = self.touching(path)
        if not touching:
            return self.commit.md5(path)
        told = {output.md5 for output in touching}
        return next(iter(told)) if len(told) == 1 and all(output.path == path for output in touching) else None


def _of_files(commit: Commit) -> Iterator[Output]:
    files = {path: commit.entries[path] for path in commit.paths if path.endswith(".dvc") and commit.is_file(path)}
    for link in (path for path in commit.links if path.endswith(".dvc")):
        if commit.mode(commit.follow(link).path or "") != FOLDER:
            files[link] = commit.entries[_leads_to(commit, link) or link]
    held = commit.contents([entry.id for entry in files.values()])
    for file, entry in files.items():
        # whole: another reader may understand more of it, or something else
        text = entry.id
        try:
            root = nodes.compose(held[text])
            listed = nodes.texts(nodes.at(root, "outs"))
            folder = posixpath.join(posixpath.dirname(file), nodes.texts(nodes.at(root, "wdir")) or ".")
            outputs = [Output(_joined(folder, each["path"]), file, text, hashes.noted(each)) for each in listed]
        except (ValueError, TypeError, KeyError):
            outputs = []
        yield from outputs or [Output(None, file, text, None)]


def _of_stages(commit: Commit) -> Iterator[Output]:
    own, datasets = commit.whole(PIPELINE), _datasets(commit)
    for file, there, beside in _pipelines(commit):
        if there is None:
            yield Output(None, file, commit.entries[file].id, None)
            continue
        try:
            pipeline = nodes.compose(commit.read(there))
            lock = None if beside is None else nodes.compose(commit.read(beside))
            yield from _of_pipeline(commit, file, pipeline, lock, datasets, spared=file == own)
        except (ValueError, TypeError, KeyError, AttributeError):
            both = (commit.entries[there].id, None if beside is None else commit.entries[beside].id)
            yield Output(None, file, both, None)


def _pipelines(commit: Commit) -> Iterator[tuple[str, str | None, str | None]]:
    """Each dvc.yaml by the path at which DVC finds it, with where it and the lock beside it lie in this commit.

    DVC goes by names, and reads what a link of such a name leads to as if it lay there.
    """
    for file in commit.called(PIPELINE):
        beside = posixpath.join(posixpath.dirname(file), LOCK)
        yield file, _leads_to(commit, file), _leads_to(commit, beside)


def _leads_to(commit: Commit, path: str) -> str | None:
    """The file at a path, links followed; None where there is none in this commit."""
    place = commit.follow(path).path
    return place if place is not None and commit.is_file(place) else None


def _of_pipeline(
    commit: Commit, file: str, pipeline: yaml.Node | None, lock: yaml.Node | None, datasets: object, *, spared: bool
) -> Iterator[Output]:
    around = posixpath.dirname(file)
    place = posixpath.join(around, LOCK)
    stages = dict(nodes.pairs(nodes.at(pipeline, "stages")))
    bodies = {name: _body(body) for name, body in stages.items()}
    ran: dict[str, set[str | None]] = {}
    for name, entry in nodes.pairs(nodes.at(lock, "stages")):
        bare = name.partition("@")[0]
        if spared and is_ours(name):
            continue
        written = ran.setdefault(bare, set())
        body = bodies.get(bare)
        if body is None:
            continue  # of a stage that is gone
        wdir = str(nodes.texts(nodes.at(body, "wdir")) or ".")
        folder = None if _TEMPLATE.search(wdir) else _joined(around, wdir)
        told = nodes.texts(entry)
        # a template may stand for anything that the file's `vars` say
        templated = _TEMPLATE.search(repr(nodes.texts(body)))
        variables = _variables(commit, pipeline, around, body, folder) if templated else None
        stage = Stage(
            name,
            file,
            around if folder is None else folder,
            (
                nodes.written(entry),
                nodes.written(body, without=_WORDS),
                # another list may mean another stage, which writes beside this one and never ran
                nodes.written(nodes.at(stages[bare], "foreach")),
                variables,
                datasets if any(_is_dataset(each) for each in told.get("deps") or ()) else None,
            ),
            told.get("cmd") if isinstance(told.get("cmd"), str) else None,
            body,
            tuple(told.get("deps") or ()),
            dict(nodes.meant(nodes.at(entry, "params")) or {}),
        )
        for each in told.get("outs") or ():
            path = None if folder is None else _joined(folder, each["path"])
            written.add(path)
            yield Output(path, place, stage.text, hashes.noted(each), stage)
    for name, body in bodies.items():
        if not (spared and is_ours(name)):
            for path, literal in _promised(around, body):
                if name not in ran or (literal and path not in ran[name]):
                    yield Output(path, file, nodes.written(body), None)


def _body(node: yaml.Node) -> yaml.Node | None:
    return nodes.at(node, "do") or node


def _promised(around: str, body: yaml.Node | None) -> Iterator[tuple[str | None, bool]]:
    """What a stage writes by its own word, and whether that is literal: of a template, the folder that whatever it
    stands for lies in."""
    wdir = str(nodes.texts(nodes.at(body, "wdir")) or ".")
    for kind in ("outs", "metrics", "plots"):
        for each in nodes.texts(nodes.at(body, kind)) or ():
            for path in each if isinstance(each, dict) else [each]:
                whole = posixpath.join(wdir, str(path))
                known = _TEMPLATE.split(whole)[0]
                literal = known == whole
                yield _joined(around, whole if literal else posixpath.dirname(known)), literal


def _variables(
    commit: Commit, pipeline: yaml.Node | None, around: str, body: yaml.Node | None, folder: str | None
) -> object:
    """What templates may stand for: the `vars` of the file and of the stage, and the files that they name.

    Args:
        around: the folder of the file, from which its own go out.
        folder: where the stage runs, from which those of the stage do.
    """
    listed = nodes.at(pipeline, "vars")
    found = [_joined(around, name) for name in ("params.yaml", *_files_of(listed))]
    stands = around if folder is None else folder
    found += [_joined(stands, name) for name in _files_of(nodes.at(body, "vars"))]
    lying = [(path, commit.entries.get(_leads_to(commit, path) or path)) for path in found if path is not None]
    held = [(path, entry.id) for path, entry in lying if entry is not None]
    # makeweight.yaml gives our own stages their names, and whatever of it matters is compared by itself
    own = commit.whole(CONFIG)
    return (nodes.written(listed), tuple(each for each in held if each[0] != own))


def _is_dataset(dependency: Mapping[str, Any]) -> bool:
    return str(dependency.get("path")).startswith("ds://")


def _datasets(commit: Commit) -> object:
    """What stands behind the names of data sets (`ds://raw`), which DVC gathers from all of its files."""
    files = [path for _, there, beside in _pipelines(commit) for path in (there, beside) if path is not None]
    return tuple((path, told) for path in files if (told := _datasets_of(commit, path)) is not None)


def _datasets_of(commit: Commit, path: str) -> object:
    try:
        return nodes.written(nodes.at(nodes.compose(commit.read(path)), "datasets"))
    except ValueError:
        return commit.entries[path].id  # whole: another reader may understand more of it


def _files_of(listed: yaml.Node | None) -> list[str]:
    return [each.partition(":")[0] for each in nodes.texts(listed) or () if isinstance(each, str)]


def _joined(folder: str, path: str) -> str | None:
    """A path from the top of the work tree; None where it leads out of it, or is no path of this system."""
    if "://" in path or path.startswith(("/", "~")) or "\\" in path:
        return None
    whole = posixpath.normpath(posixpath.join(folder, path))
    return None if whole.split("/")[0] == ".." else "" if whole == "." else whole
