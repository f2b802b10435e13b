"""The versions that an artifact is made with."""

from __future__ import annotations

import platform
from collections.abc import Iterable

from makeweight import __version__
from makeweight_base.installed import installed


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Python, makeweight, and those of the packages that are installed."""
    return {"python": platform.python_version(), "makeweight": __version__, **versions_of(packages)}


def versions_of(packages: Iterable[str]) -> dict[str, str]:
    """Of the packages that are installed."""
    return {package: own for package in packages if (own := installed(package)) is not None}
