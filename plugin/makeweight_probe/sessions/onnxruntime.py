"""Open and run an ONNX model. Travels to devices with the probe: numpy and onnxruntime only."""

from __future__ import annotations

import importlib.metadata
from typing import Any

from numpy.typing import NDArray

from makeweight_probe.session import Feeds


class OnnxSession:
    """A loaded model; `outputs` are the names of what it answers.

    Raises (on opening): whatever ONNX Runtime raises; callers at home translate it, see `refusal.py`.
    """

    def __init__(self, model: str | bytes, threads: int) -> None:
        onnxruntime = runtime_module()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self.outputs: tuple[str, ...] = tuple(value.name for value in self._session.get_outputs())

    def run(self, feeds: Feeds) -> list[NDArray[Any]]:
        outputs: list[NDArray[Any]] = self._session.run(None, feeds)
        return outputs


def runtime_module() -> Any:
    """ONNX Runtime, told to report nothing: its threads would run beside what is timed, and models are private."""
    import onnxruntime

    if hasattr(onnxruntime, "disable_telemetry_events"):
        onnxruntime.disable_telemetry_events()
    return onnxruntime


def open_session(model: str | bytes, threads: int) -> OnnxSession:
    """Args:
    model: the file, or what is in it.
    """
    return OnnxSession(model, threads)


def warm_import() -> None:
    """Load the runtime's code without a model, so that its memory is not charged to one."""
    runtime_module().SessionOptions()


def version() -> str:
    """Of the installed onnxruntime, whatever its distribution is called (onnxruntime-gpu).

    Raises:
        ImportError: there is none.
    """
    try:
        return importlib.metadata.version("onnxruntime")
    except importlib.metadata.PackageNotFoundError:
        for name in importlib.metadata.packages_distributions().get("onnxruntime", ()):
            return importlib.metadata.version(name)
        raise
