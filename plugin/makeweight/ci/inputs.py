"""What lies at a path of a commit, told apart by git and DVC's own files: all that could make its content another."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field

from makeweight.ci import nodes
from makeweight.ci.commit import FOLDER, SUBMODULE, Commit
from makeweight.ci.tracked import Output, Stage, Tracked
from makeweight.nesting import upwards, within


@dataclass(frozen=True)
class Part:
    """Something that a path's content depends on."""

    text: object
    """Equal where it is the same."""
    told: str
    """What to say where it is not."""
    path: str | None = None
    """Of git's, where what differs may be named more closely."""


@dataclass
class Inputs:
    """What was found at a path of a commit: the parts of its identity, and what leaves it in doubt."""

    commit: Commit
    parts: dict[str, Part] = field(default_factory=dict)
    doubts: list[str] = field(default_factory=list)
    outputs: list[Output] = field(default_factory=list)
    """What of DVC's it comes from."""


def at(tracked: Tracked, path: str) -> Inputs:
    """The identity of what lies at a path, from the project's folder: through links, in submodules, as DVC's, and as
    what a stage of the user's makes from other such paths.

    Where DVC tracks a folder whole, the folder's hash stands for what lies in it. A stage that is out of date, a link
    out of the repository and a path at which there is nothing are doubts.
    """
    found = Inputs(tracked.commit)
    _add(tracked, tracked.commit.whole(path), found, set())
    return found


def _add(tracked: Tracked, named: str, found: Inputs, seen: set[str]) -> None:
    if named in seen:
        return
    seen.add(named)
    commit = tracked.commit
    place = commit.follow(named)
    for link in place.links:
        found.parts[f"link {link}"] = Part(commit.entries[link].id, f"the link `{link}` leads elsewhere")
    path = place.path
    if path is None:
        found.doubts.append(f"`{named}` leads out of the repository, where nothing shows whether it changed")
        return
    entry = commit.entries.get(path)
    for above in upwards(path):
        if commit.mode(above) == SUBMODULE:
            text = commit.entries[above].id
            found.parts[f"submodule {above}"] = Part(text, f"the submodule `{above}` is at another commit")
    if entry is not None:
        found.parts[f"git {path}"] = Part(entry, f"`{path}` is not as at the base", path)
        for link in commit.links:
            if within(link, path):
                _add(tracked, link, found, seen)
    for output in tracked.touching(path):
        found.outputs.append(output)
        found.parts[f"dvc {output.file} {output.path}"] = Part(output.text, _told(path, output))
        if output.stage is not None:
            _add_stage(tracked, output.stage, found, seen)
        elif not output.file.endswith(".dvc") and output.path is not None:
            found.doubts.append(f"a stage of `{output.file}` that never ran writes `{output.path}`")
    if not tracked.has(path):
        found.doubts.append(f"there is nothing at `{named}`")
    for file in commit.called(".dvcignore"):
        around = posixpath.dirname(file)
        if within(path, around) or within(around, path):
            told = f"`{file}` is not as at the base, so that DVC may look at other files in `{path}`"
            lying = commit.entries.get(commit.follow(file).path or file)  # DVC reads what a link leads to
            found.parts[f"ignore {file}"] = Part((commit.entries[file].id, lying), told)
    for file in commit.called(".gitattributes") if commit.converted else ():
        around = posixpath.dirname(file)
        if within(path, around) or within(around, path):
            told = f"`{file}` is not as at the base, so that git may lay other content at `{path}`"
            found.parts[f"attributes {file}"] = Part(commit.entries[file].id, told)


def _told(path: str, output: Output) -> str:
    if output.path is None:
        return f"`{output.file}` is not as at the base, and may have to do with `{path}`"
    if output.stage is not None:
        return f"the stage `{output.stage.name}`, which makes `{output.path}`, is not as at the base, or made another"
    names = f"`{output.file}` names other content"
    if output.path != path and within(path, output.path):
        return f"`{path}` lies in `{output.path}`, which DVC tracks whole, and {names}"
    return f"{names} of `{output.path}`"


def _add_stage(tracked: Tracked, stage: Stage, found: Inputs, seen: set[str]) -> None:
    key = f"stage {stage.file} {stage.name}"
    if key in seen:
        return
    seen.add(key)
    if stage.frozen:
        return
    if stage.runs_always:
        found.doubts.append(f"the stage `{stage.name}` runs each time")
    for dependency in stage.dependencies:
        path = _place(stage, dependency["path"])
        if path is None:
            continue  # not of this commit, so no change of it: an address, or a place on somebody's machine
        _add(tracked, path, found, seen)
        own = md5(tracked, path)
        if dependency.get("hash") == "md5" and own is not None and own != dependency.get("md5"):
            found.doubts.append(f"the stage `{stage.name}` is out of date: `{path}` is not what it was run with")
    for file, noted in stage.parameters.items():
        path = _place(stage, file)
        if path is None:
            continue
        if not isinstance(noted, dict) or not path.endswith((".yaml", ".yml", ".json")):
            _add(tracked, path, found, seen)
        elif not _hold(tracked.commit, path, noted):
            found.doubts.append(f"the stage `{stage.name}` is out of date: `{path}` has other parameters for it")
    command = nodes.texts(nodes.at(stage.body, "cmd"))
    if isinstance(command, str) and "${" not in command and command.strip() != (stage.command or "").strip():
        found.doubts.append(f"the stage `{stage.name}` is out of date: it was run by another command")


def _place(stage: Stage, path: str) -> str | None:
    if "://" in path or path.startswith(("/", "~")):
        return None
    return posixpath.normpath(posixpath.join(stage.folder, path))


def md5(tracked: Tracked, path: str) -> str | None:
    """The hash that DVC has for a path of a commit; None where links are on the way, or nothing tells it."""
    place = tracked.commit.follow(path)
    return tracked.md5(path) if place.path == path and not place.links else None


def _hold(commit: Commit, path: str, noted: Mapping[str, object]) -> bool:
    """Whether a file has the parameters that were noted of it."""
    try:
        root = nodes.compose(commit.read(path)) if commit.is_file(path) else None
    except ValueError:
        return False
    return all(parameter(nodes.meant(root), key) == value for key, value in noted.items())


def parameter(data: object, key: str) -> object:
    """What stands below a key with dots in it, as DVC names parameters; None where there is nothing."""
    for step in key.split("."):
        if isinstance(data, list):
            data = data[int(step)] if step.isdecimal() and int(step) < len(data) else None
        else:
            data = data.get(step) if isinstance(data, dict) else None
    return data


def differing(before: Inputs, now: Inputs) -> str | None:
    """What is not the same at two commits, in words; None where all is."""
    for key in {**now.parts, **before.parts}:
        one, other = before.parts.get(key), now.parts.get(key)
        if one == other:
            continue
        part = other or one
        assert part is not None  # noqa: S101 - the key is of one of the two
        if one is not None and other is not None and part.path is not None:
            return f"`{_closer(before.commit, now.commit, part.path)}` is not as at the base"
        return part.told
    return None


def _closer(before: Commit, now: Commit, path: str) -> str:
    """The first file below a path that two commits do not have alike; the path itself, if it is none."""
    below = sorted({*before.below(path), *now.below(path)})
    files = (each for each in below if FOLDER not in (before.mode(each), now.mode(each)))
    return next((each for each in files if before.entries.get(each) != now.entries.get(each)), path)
