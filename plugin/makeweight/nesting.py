"""Which path lies in which, of paths from one place with slashes between their steps, as git has them."""

from __future__ import annotations


def within(path: str, folder: str) -> bool:
    """Whether a path is a folder, or lies in it."""
    return folder in ("", path) or path.startswith(f"{folder}/")


def upwards(path: str) -> list[str]:
    """The folders that a path lies in, from the top, and the path itself."""
    steps = path.split("/")
    return ["/".join(steps[:count]) for count in range(1, len(steps) + 1)]
