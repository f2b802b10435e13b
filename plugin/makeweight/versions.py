"""Which versions of what an artifact was made with."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version

from makeweight import __version__


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Python, makeweight, and those of the packages that are installed."""
    found = {"python": platform.python_version(), "makeweight": __version__}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
