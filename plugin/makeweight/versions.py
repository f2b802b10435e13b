"""Which versions are installed here, from the packages' metadata: nothing is imported."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, packages_distributions, version

from makeweight import __version__


def installed(package: str) -> str | None:
    """The version of a package; None where it is not installed.

    A package may come in a distribution of another name (onnxruntime in onnxruntime-gpu).
    """
    try:
        return version(package)
    except PackageNotFoundError:
        return next((version(name) for name in packages_distributions().get(package, ())), None)


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Python, makeweight, and those of the packages that are installed."""
    found = {"python": platform.python_version(), "makeweight": __version__}
    return found | {package: own for package in packages if (own := installed(package)) is not None}
