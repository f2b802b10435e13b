"""Open and run a model: what the probe needs on a device. Group `makeweight.sessions`."""

from __future__ import annotations

import importlib.metadata
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Session:
    """A compiled model; `outputs` are the names of what it answers."""

    def __init__(self, path: str, threads: int) -> None:
        # One stream: what one inference takes is measured, and not what many take together.
        asked = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32"}
        compiled = core().compile_model(path, "CPU", asked)
        self.outputs: tuple[str, ...] = tuple(port.get_any_name() for port in compiled.outputs)
        self._ports = compiled.outputs
        self._request = compiled.create_infer_request()

    def run(self, feeds: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
        answered = self._request.infer(feeds)
        # the request writes its next answers into the same memory
        return [np.array(answered[port]) for port in self._ports]


def core() -> Any:
    import openvino

    return openvino.Core()


def open_session(path: str, threads: int) -> Session:
    return Session(path, threads)


def warm_import() -> None:
    """The CPU plugin is a library of its own, loaded when it is first asked for."""
    core().get_property("CPU", "FULL_DEVICE_NAME")


def version() -> str:
    return importlib.metadata.version("openvino")
