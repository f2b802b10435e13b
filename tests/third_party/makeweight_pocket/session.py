"""Open and run a chain: what the probe needs on a device. Group `makeweight.sessions`."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from makeweight_pocket import chain


class Session:
    """A loaded chain."""

    outputs = ("scores",)

    def __init__(self, loaded: chain.Chain) -> None:
        self._chain = loaded

    def run(self, feeds: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
        (values,) = feeds.values()
        return [chain.forward(self._chain, values)]


def open_session(path: str, threads: int) -> Session:
    del threads  # numpy's are its own affair
    return Session(chain.load(Path(path)))


def warm_import() -> None:
    """Numpy is all there is to import."""


def version() -> str:
    return importlib.metadata.version("makeweight-pocket")
