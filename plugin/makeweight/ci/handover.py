"""What a phase hands on to those after it: exactly the files that they read, under one digest that goes another way.

Between two phases lie steps and jobs that are not makeweight's, and code of the model's has run in the same place. The
digest is a step's output, which no file of the project can change; with it, a phase takes what the one before it made,
or nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from makeweight.artifact.files import sha256_of
from makeweight.ci import state as states
from makeweight.ci.git import Git
from makeweight.layout import BASELINE, CONFIG, LOCK, OWN, PIPELINE, Layout
from makeweight.project.project import Project
from makeweight_base import atomic
from makeweight_base.errors import EnvironmentFailed, UsageError

if TYPE_CHECKING:
    from makeweight.ci.base import Base
    from makeweight.ci.changed import Change

RECORD = f"{OWN}/handed.json"
"""The files with their hashes, by whose own hash they are handed over."""
_AT = Layout(Path())
_FOLDERS = tuple(str(path) for path in (_AT.artifact("x").parent, _AT.outcomes("x").parent.parent, _AT.reports))
MADE = (*(f"{OWN}/{name}" for name in states.HANDED), *_FOLDERS, LOCK)
"""What the phases make, and read of each other: files, and folders with all that is in them."""
_COMMITTED = (CONFIG, PIPELINE)
"""What they read as well, and none of them makes: it is the commit's, in every job."""
_KNOWN = (*_COMMITTED, LOCK, str(_AT.verdict))
"""What is read of commits."""
_RUNNERS = re.compile(r"GITHUB_(OUTPUT|ENV|PATH|STATE|STEP_SUMMARY)")


def close(root: Path, by: str) -> str:
    """Write down what a phase hands on.

    Returns the digest to give to the phases after it.
    """
    noted = {"by": by, "files": _hashes(root, (*MADE, *_COMMITTED))}
    # in ASCII, as a file's name need be no text
    content = json.dumps(noted, indent=1, sort_keys=True).encode()
    atomic.write_bytes(root / RECORD, content)
    return hashlib.sha256(content).hexdigest()


def check(folder: Path, digest: str, by: str, commit: Path | None = None) -> list[str]:
    """See that what lies in a folder is what a phase handed on; the files that it made.

    Args:
        digest: as that phase gave it; empty when it gave none.
        commit: the project in a checkout, where the folder is none.

    Raises:
        EnvironmentFailed: it is something else, or that phase did not come to its end.
    """
    if not digest:
        raise EnvironmentFailed(
            f"`ci {by}` handed nothing over, so nothing can be judged",
            where=str(folder),
            do="It failed, was cancelled or was ended: look at its log, and run it again.",
        )
    record = folder / RECORD
    content = record.read_bytes() if record.is_file() else b""
    if hashlib.sha256(content).hexdigest() != digest:
        raise _altered(by, [f"`{RECORD}` {'changed since' if content else 'is missing'}"])
    noted = json.loads(content)
    if noted["by"] != by:
        raise _altered(by, [f"it is of `ci {noted['by']}`"])
    before = noted["files"]
    now = {**_hashes(folder, MADE), **_hashes(commit or folder, _COMMITTED)}
    odd = [
        f"`{path}` {'is missing' if path not in now else 'changed since' if path in before else 'was added since'}"
        for path in sorted({*before, *now})
        if before.get(path) != now.get(path)
    ]
    if odd:
        raise _altered(by, odd)
    return [path for path in before if path not in _COMMITTED]


def require_committed(root: Path, git: Git) -> None:
    """See that what is judged by is what the commit holds: that is what will be judged by once it is merged, and a base
    whose budget cannot be read has none.

    Raises:
        UsageError: something else lies in its place.
    """
    for name in _COMMITTED:
        there, held = _content(root / name), git.read("HEAD", name)
        # git for Windows turns line ends
        if there is not None and (held is None or there.replace(b"\r\n", b"\n") != held.replace(b"\r\n", b"\n")):
            raise UsageError(
                f"what lies here is not what the commit holds as `{name}`",
                where=name,
                do="Commit it as a file of its own: no link, no git-lfs, no conversion in .gitattributes. And let no "
                "step before makeweight write it.",
            )


@contextlib.contextmanager
def unaltered(root: Path, base: str | None, git: Git, environment: Mapping[str, str]) -> Iterator[None]:
    """Run stages that may not touch what the gate will go by: the configuration, the commits, git's own configuration,
    and the runner's files.

    The runner reads the last after each step, whatever became of it: for one line in them, the steps that hold the
    token would start with another PATH or a program of the stage's choice. So they are put back in any case, also where
    a link to another of them, in which makeweight itself writes later, took the place of one.

    Raises:
        EnvironmentFailed: a stage did.
    """
    runners = {name: Path(path) for name, path in environment.items() if _RUNNERS.fullmatch(name) and path}
    held = {name: (_itself(path), _content(path)) for name, path in runners.items()}
    commits = ("HEAD", *([base] if base is not None else []))
    before = _hashes(root, _COMMITTED), git.configuration(), git.content(commits, _KNOWN)
    written: list[str] = []
    try:
        yield
    finally:
        for name, (itself, content) in held.items():
            path = runners[name]
            if replaced := _itself(path) != itself:
                states.remove(path)
            if replaced or _content(path) != content:
                written.append(f"the runner's file {name}")
                path.write_bytes(content or b"")
    now = _hashes(root, _COMMITTED)
    altered = [*written, *(f"`{name}`" for name in _COMMITTED if before[0].get(name) != now.get(name))]
    altered += ["the configuration of git"] if git.configuration() != before[1] else []
    altered += ["what git holds of the commits"] if git.content(commits, _KNOWN) != before[2] else []
    altered += [f"`{OWN}`"] if (root / OWN).is_symlink() or not (root / OWN).is_dir() else []
    if altered:
        raise EnvironmentFailed(
            f"while the stages ran, {', '.join(altered)} changed; the gate goes by that, so no stage may",
            where=str(root.resolve()),
            do="Find the stage that does so; it can write what it needs elsewhere.",
        )


@contextlib.contextmanager
def only(root: Path, places: Iterable[str]) -> Iterator[None]:
    """Run code that is the change's own, beside what was measured already: of all that is handed on, nothing but these
    files and folders may change.

    Raises:
        EnvironmentFailed: something else did.
    """
    mine = set(places)
    before = _hashes(root, MADE)
    yield
    now = _hashes(root, MADE)
    odd = [
        path
        for path in sorted({*before, *now})
        if before.get(path) != now.get(path) and not mine & {path, *map(str, Path(path).parents)}
    ]
    if odd:
        raise EnvironmentFailed(
            f"while a device measured, {', '.join(f'`{path}`' for path in odd[:4])} changed, and makeweight did not",
            where=str(root.resolve()),
            do="Code of the project's ran meanwhile (`pipeline`, or what the device names): find what in it writes.",
        )


def put_back(project: Project, base: Base | None, change: Change, git: Git) -> None:
    """Leave of devices what the base knows of them, and of models only of its own: they measure only after this, and
    not at all where nothing is due.

    What makes artifacts can write any file, and is not asked how fast they are. Nor is the change before, which may
    have brought figures of models, examples and devices that were never there until now, under their right keys. That
    equal bytes are the base's is its own word, so what they are made from has to be the base's too.

    Args:
        change: what of this commit cannot be the base's.
    """
    from makeweight.ci import base_artifacts  # what it needs of DVC is of no use to a run without changes

    states.remove(project.root / OWN / states.REGRESSIONS)
    names = (BASELINE, *project.variants)
    own = project.layout.artifact
    same = [name for name in names if name not in change.models]
    kept = {name for name in same if base is not None and base_artifacts.is_the_bases(own(name), base, name)}
    before = {} if base is None or base.project is None else base.project.devices
    with git.reading():
        for device, entry in project.devices.items():
            here = before.get(device) == entry
            places = {_AT.device(device): here}
            for name in names:
                known = here and not change.fed_otherwise and {BASELINE, name} <= kept
                places |= {_AT.benchmark(name, device): known, _AT.timings(name, device): known}
            for path, known in places.items():
                content = git.read(base.sha, path.as_posix()) if base is not None and known else None
                states.remove(project.root / path)
                if content is not None:
                    atomic.write_bytes(project.root / path, content)


def _hashes(root: Path, places: Iterable[str]) -> dict[str, str]:
    return {path: sha256_of(root / path) for path in _files(root, places)}


def _files(root: Path, places: Iterable[str]) -> Iterator[str]:
    """The files at some places or below them, links followed: what counts is what would be read there."""
    for place in places:
        if (root / place).is_file():
            yield place
        seen: set[str] = set()
        for folder, folders, names in os.walk(root / place, followlinks=True):
            if (here := os.path.realpath(folder)) in seen:  # a link back
                folders.clear()
                continue
            seen.add(here)
            for name in names:
                if (path := Path(folder, name)).is_file():
                    yield path.relative_to(root).as_posix()


def _itself(path: Path) -> tuple[int, ...] | None:
    """Which entry of its file system lies there, and of what kind, links not followed; None: there is none."""
    try:
        told = path.lstat()
    except OSError:
        return None
    return told.st_dev, told.st_ino, stat.S_IFMT(told.st_mode), told.st_nlink


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def _altered(by: str, how: list[str]) -> EnvironmentFailed:
    more = f", and {len(how) - 4} more" if len(how) > 4 else ""
    return EnvironmentFailed(
        f"what was handed over is not what `ci {by}` made: {', '.join(how[:4])}{more}",
        do="Something wrote there between the two: a process that a stage started, or another step of the workflow.",
    )
