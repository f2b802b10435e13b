"""Open and run an ONNX model. Travels to devices with the probe: numpy and onnxruntime only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# The element types of tensors that a model may ask for, as ONNX Runtime spells them.
_TYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(int16)": np.int16,
    "tensor(int8)": np.int8,
    "tensor(uint8)": np.uint8,
    "tensor(bool)": np.bool_,
}


@dataclass(frozen=True)
class Port:
    """One input or output: its shape has None where a size is free."""

    name: str
    shape: tuple[int | None, ...]
    dtype: Any


class OnnxSession:
    """A loaded model.

    Raises (on opening): whatever ONNX Runtime raises; callers at home translate it, see `runtime.py`.
    """

    def __init__(self, path: str, threads: int) -> None:
        onnxruntime = runtime_module()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.inputs = tuple(_port(value) for value in self._session.get_inputs())
        self.outputs = tuple(_port(value) for value in self._session.get_outputs())

    def run(self, feeds: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """One inference: arrays by input name, batch first; outputs in the model's order."""
        outputs: list[NDArray[Any]] = self._session.run(None, feeds)
        return outputs


def runtime_module() -> Any:
    """ONNX Runtime, told to report nothing: its threads would run beside what is timed, and models are private."""
    import onnxruntime

    if hasattr(onnxruntime, "disable_telemetry_events"):
        onnxruntime.disable_telemetry_events()
    return onnxruntime


def open_session(path: str, threads: int) -> OnnxSession:
    return OnnxSession(path, threads)


def warm_import() -> None:
    """Load the runtime's code without a model, so that its memory is not charged to one."""
    runtime_module().SessionOptions()


def _port(value: Any) -> Port:
    shape = tuple(size if isinstance(size, int) else None for size in value.shape)
    return Port(value.name, shape, _TYPES.get(value.type))
