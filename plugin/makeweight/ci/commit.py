"""One commit as it lies in git: what is where, where links lead, and the hashes that DVC would give to it."""

from __future__ import annotations

import os
import posixpath
import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from makeweight.ci import hashes
from makeweight.nesting import upwards

LINK, SUBMODULE, FOLDER = "120000", "160000", "040000"
_MOST_LINKS = 40
# What git does to a file between its store and the work tree, where DVC hashes it.
_CONVERTS = re.compile(rb"\b(filter|eol|ident|working-tree-encoding)\b")
# DVC looks into none of these, whatever `.dvcignore` says.
_NEVER = frozenset({".git", ".hg", ".dvc"})


@dataclass(frozen=True)
class Entry:
    """One path: its mode, and the id of its content."""

    mode: str
    id: str


@dataclass(frozen=True)
class Place:
    """Where a path leads to once links are followed."""

    path: str | None
    """None: out of the repository, or round in a circle."""
    links: tuple[str, ...]
    """The links on the way."""


@dataclass(frozen=True, eq=False)
class Commit:
    """What a commit holds. Paths are from the top of the work tree, whose own is empty."""

    sha: str
    folder: str
    """The project's."""
    entries: Mapping[str, Entry]
    """Files, links and submodules, and the folders above them."""
    hidden: frozenset[str]
    """Files that a `.dvcignore` hides from DVC."""
    contents: Callable[[Iterable[str]], Mapping[str, bytes]]
    """From ids to contents."""
    _hashes: dict[str, str | None] = field(default_factory=dict)

    def read(self, path: str) -> bytes:
        """A file's content, or where a link says it leads."""
        found = self.entries[path].id
        return self.contents([found])[found]

    @cached_property
    def paths(self) -> list[str]:
        return sorted(self.entries)

    @cached_property
    def links(self) -> list[str]:
        return [path for path in self.paths if self.entries[path].mode == LINK]

    @cached_property
    def converted(self) -> bool:
        """Whether files may lie in the work tree as something else than in git. Of a link that is called so, a checkout
        reads where it leads to as if that were its lines (git 2.39)."""
        held = self.contents([self.entries[path].id for path in self.called(".gitattributes")])
        return any(map(_CONVERTS.search, held.values()))

    def whole(self, path: str) -> str:
        """A path from the project's folder, as one from the top."""
        return posixpath.normpath(posixpath.join(self.folder, path))

    def mode(self, path: str) -> str | None:
        return self.entries[path].mode if path in self.entries else None

    def is_file(self, path: str) -> bool:
        return (self.mode(path) or "").startswith("100")

    def below(self, folder: str) -> Iterator[str]:
        """Every path in a folder, however deep."""
        start = f"{folder}/" if folder else ""
        for path in self.paths[bisect_left(self.paths, start) :]:
            if not path.startswith(start):
                break
            yield path

    def held(self, path: str) -> str | None:
        """The id of the content at a path, from the project's folder: links are followed, and what lies in a submodule
        is told by the commit of that. None: there is nothing, or it is not of this repository."""
        place = self.follow(self.whole(path)).path
        if place is None:
            return None
        around = next((each for each in upwards(place) if self.mode(each) == SUBMODULE), place)
        return self.entries[around].id if around in self.entries else None

    def named(self, name: str) -> list[str]:
        """The files of this name, wherever they lie."""
        return self._by_name.get(name, [])

    def called(self, name: str) -> list[str]:
        """The files of this name, and the links."""
        return [*self.named(name), *(link for link in self.links if posixpath.basename(link) == name)]

    @cached_property
    def _by_name(self) -> Mapping[str, list[str]]:
        found: dict[str, list[str]] = {}
        for path in filter(self.is_file, self.paths):
            found.setdefault(path.rpartition("/")[2], []).append(path)
        return found

    def follow(self, path: str) -> Place:
        """Where a path leads, as a system would find it."""
        ahead = path.split("/")[::-1]
        here: list[str] = []
        links: list[str] = []
        while ahead:
            step = ahead.pop()
            if step in ("", "."):
                continue
            if step == "..":
                if not here:
                    return Place(None, tuple(links))
                here.pop()
                continue
            here.append(step)
            at = "/".join(here)
            if at in self.entries and self.entries[at].mode == LINK:
                links.append(at)
                target = os.fsdecode(self.read(at))
                if target.startswith("/") or len(links) > _MOST_LINKS:
                    return Place(None, tuple(links))
                here.pop()
                ahead += target.split("/")[::-1]
        return Place("/".join(here), tuple(links))

    def md5(self, path: str) -> str | None:
        """The hash that DVC has for a file or a folder that lies in git; None where git alone cannot tell."""
        if path not in self._hashes:
            self._hashes[path] = self._md5(path)
        return self._hashes[path]

    def _md5(self, path: str) -> str | None:
        if self.converted or path not in self.entries:
            return None
        if self.is_file(path):
            return hashes.of_bytes(self.read(path))
        below = [each for each in self.below(path) if self.entries[each].mode != FOLDER]
        seen = [each for each in below if each not in self.hidden and not _NEVER & set(each.split("/"))]
        if not all(map(self.is_file, below)):
            return None
        held = self.contents([self.entries[each].id for each in seen])
        return hashes.of_folder(
            {each.removeprefix(f"{path}/"): hashes.of_bytes(held[self.entries[each].id]) for each in seen}
        )
