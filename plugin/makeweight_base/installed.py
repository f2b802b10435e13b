"""Which version of a package is installed here, from its metadata: nothing is imported."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, packages_distributions, version


def installed(package: str) -> str | None:
    """The version of a package; None where it is not installed.

    A package may come in a distribution of another name (onnxruntime in onnxruntime-gpu).
    """
    try:
        return version(package)
    except PackageNotFoundError:
        return next((version(name) for name in packages_distributions().get(package, ())), None)
