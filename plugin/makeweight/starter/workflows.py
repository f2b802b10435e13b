"""The workflows of a repository on GitHub: one that judges every pull request, one that posts what forks may not."""

from __future__ import annotations

import hashlib
import json
import os
import posixpath
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

import makeweight
from makeweight import registry
from makeweight.project.project import Project
from makeweight.starter import repository
from makeweight_base import atomic
from makeweight_base.errors import UsageError

FOLDER = Path(".github", "workflows")
_RELAY = "-comment"
_ACTION = re.compile(r"(?P<repository>[\w.-]+/[\w.-]+)(@(?P<ref>[\w./-]+))?")
_PLAIN = re.compile(r"[A-Za-z][\w./@,-]*|\.")
_HEAD = re.compile(r"ref: refs/heads/(?P<branch>\S+)\tHEAD\n")
_PATIENCE = 20.0
"""Seconds for a remote to answer."""
_PLACE = re.compile(r"<(?P<name>name|title|job|branch|action|setup|project|extras|requirements)>")


@dataclass(frozen=True)
class Workflows:
    """What is written, and what is left to do by hand."""

    files: Mapping[Path, str]
    """By their paths, from the top of the repository."""
    last_words: str


def plan(top: Path, root: Path, project: Project, where: str, lock: str | None, branch: str | None = None) -> Workflows:
    """The workflows of a project.

    Args:
        top: the top of the git repository, which holds .github; `root` is the project's folder in it.
        where: the repository that holds the Action, `OWNER/REPO` or `OWNER/REPO@REF`.
        lock: the file that pins the toolchain, relative to `root`.
        branch: the default branch; None: as the remote tells.

    Raises:
        UsageError: `where` is no such place, the default branch is not known, or a workflow that is there cannot be
            read.
    """
    folder = root.resolve().relative_to(top.resolve()).as_posix()
    # projects of one repository must share neither the workflow's name nor that of the check that is required
    name = "makeweight" if folder == "." else f"makeweight ({folder})"
    (repository, ref), branch = _place(where), branch or _default_branch(top)
    said = {
        "name": name,
        "title": f"{name} comment",
        "job": _job(name),
        "branch": branch,
        "action": "@".join((repository, ref)),
        "setup": f"{repository}/setup@{ref}",
        "project": folder,
        "extras": ",".join(_extras(project)),
        "requirements": Path(folder, lock).as_posix() if lock and lock.startswith("requirements") else "",
    }
    stem = _stem(name, folder, top / FOLDER)
    return Workflows(
        {
            FOLDER / f"{stem}.yml": _filled("workflow.yml", said),
            FOLDER / f"{stem}{_RELAY}.yml": _filled("comment.yml", said),
        },
        f"to make it count: Settings, Rules, Rulesets, a ruleset for `{branch}` with `Require status checks to pass` "
        f"and `{name}` among them. A check that is not required blocks nothing.",
    )


def _extras(project: Project) -> list[str]:
    """Those that the stages need."""
    runtimes = (project.model.runtime, *(variant.runtime for variant in project.variants.values()))
    wanted = [
        "torch" if project.model.of_module else None,
        *(registry.extra_of("runtime", runtime) for runtime in runtimes),
        "detection" if project.task.kind == "detection" else None,
        *(registry.extra_of("device", entry.kind) for entry in project.devices.values()),
    ]
    # that of PyTorch brings ONNX Runtime's
    spared = "onnx" if project.model.of_module else None
    return ["dvc", *(extra for extra in dict.fromkeys(wanted) if extra is not None and extra != spared)]


def _stem(name: str, folder: str, workflows: Path) -> str:
    """The name as one of a file. A digest tells apart what would be called alike: where the name has letters that are
    not kept, reads like that of a relay, or is taken by a project in another folder (`a-b` and `a_b`)."""
    stem = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")
    if name.isascii() and not stem.endswith(_RELAY) and not _judges_another(workflows / f"{stem}.yml", folder):
        return stem
    return f"{stem}-{hashlib.sha256(name.encode()).hexdigest()[:7]}"


def _judges_another(path: Path, folder: str) -> bool:
    """Whether a workflow is there that names projects, and not the one in this folder."""
    try:
        named = {posixpath.normpath(each) for each in _projects(yaml.safe_load(repository.text(path) or ""))}
    except yaml.YAMLError:
        return False
    return bool(named) and folder not in named and not any("${{" in each for each in named)


def _projects(part: Any) -> Iterator[str]:
    """What steps, and jobs that are called, are given as `project`, wherever they stand."""
    if isinstance(part, dict):
        given = part.get("with")
        if isinstance(given, dict) and isinstance(given.get("project"), str):
            yield given["project"]
    below = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    for each in below:
        yield from _projects(each)


def write(top: Path, wanted: Workflows) -> list[str]:
    """Write those that are missing. One that is there is the user's, and stays."""
    said = []
    for path, text in wanted.files.items():
        old = repository.text(top / path)
        if old is None:
            (top / path).parent.mkdir(parents=True, exist_ok=True)
            atomic.write_text(top / path, text)
            said.append(f"{path.as_posix()}: written")
        elif old.replace("\r\n", "\n") != text:
            said.append(f"{path.as_posix()}: kept as it is; delete it to have it written anew")
    return said


def _place(text: str) -> tuple[str, str]:
    """The repository of the Action, and its ref: without one, the tag of this makeweight's major version."""
    found = _ACTION.fullmatch(text)
    if found is None:
        raise UsageError(
            f"`{text}` does not say where the Action lives" if text else "where the Action lives is not said",
            where="--github",
            do="Give the repository that holds makeweight's action.yml, as OWNER/REPO or OWNER/REPO@REF.",
        )
    return found["repository"], found["ref"] or f"v{makeweight.__version__.partition('.')[0]}"


def _filled(name: str, said: Mapping[str, str]) -> str:
    """A workflow with its places filled, each as YAML has to hold it there."""
    text = (Path(__file__).parent / name).read_text(encoding="utf-8")

    def within(line: str) -> str:
        comment = line.lstrip().startswith("#")
        return _PLACE.sub(lambda found: _as_yaml(said[found["name"]], comment=comment), line)

    return "\n".join(within(line) for line in text.split("\n"))


def _as_yaml(value: str, *, comment: bool) -> str:
    if comment:
        return value.replace("\n", " ")
    # what is no text without quotes (`null`, a number) needs them, and so does what holds signs of YAML's own
    return value if _PLAIN.fullmatch(value) and yaml.safe_load(value) == value else json.dumps(value)


def _job(name: str) -> str:
    """The job's name as an expression: that which is required, but where there is nothing to judge."""
    idle, required = (each.replace("'", "''") for each in (f"{name}, words edited", name))
    return f"${{{{ github.event.action == 'edited' && !github.event.changes.base && '{idle}' || '{required}' }}}}"


def _default_branch(top: Path) -> str:
    """As the remote tells; never the branch that is checked out, which may be that of this very change.

    Raises:
        UsageError: there is no remote `origin` that tells.
    """
    noted = _git(top, "symbolic-ref", "--quiet", "--short", "refs/remotes/origin/HEAD").strip()
    if noted:
        return noted.removeprefix("origin/")
    # only a clone has that note; of what was pushed from here, the remote itself knows
    answer = _git(top, "ls-remote", "--symref", "origin", "HEAD")
    if found := _HEAD.match(answer):
        return found["branch"]
    raise UsageError(
        "the default branch is not known: the remote `origin` does not tell it",
        where="--github",
        do="Name it, as in `--branch main`.",
    )


def _git(top: Path, *arguments: str) -> str:
    """What git says; nothing where it fails, or a remote does not answer in time."""
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=top,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
