"""Open and run an ONNX model. Travels to devices with the probe: numpy and onnxruntime only."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from makeweight_probe.session import Feeds, Ran, Span

if TYPE_CHECKING:
    from numpy.typing import NDArray

PACKAGES = ("onnxruntime",)
"""What pip installs for it."""

MODULE = "onnxruntime"

EXECUTION_PROVIDERS = {"cuda": "makeweight_probe.cuda"}
"""What else than the processor computes, and the module of its sessions."""

_INTEGERS = frozenset({"int8", "uint8", "int4", "uint4", "int16", "uint16"})
"""What quantized tensors hold; indices and shapes are of other types."""
_FLOATS = frozenset({"float", "float16", "bfloat16", "double"})
# They compute nothing: https://onnx.ai/onnx/operators/
_CONVERSIONS = frozenset({"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "Cast"})


class OnnxSession:
    """A loaded model; `outputs` are the names of what it answers, `allocation` how it has memory.

    Raises (on opening): whatever ONNX Runtime raises; callers at home translate it, see `refusal.py`.
    """

    def __init__(self, model: str | bytes, threads: int, trace: str | None = None) -> None:
        """Args:
        trace: what the name of a file begins with that gets the time of every operator; None: none is written.
        """
        onnxruntime = runtime_module()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        if trace is not None:
            options.enable_profiling, options.profile_file_prefix = True, trace
        self.allocation = f"arena {'on' if options.enable_cpu_mem_arena else 'off'}"
        self._session = self._opened(onnxruntime, model, options)
        self.outputs: tuple[str, ...] = tuple(value.name for value in self._session.get_outputs())

    def _opened(self, module: Any, model: str | bytes, options: Any) -> Any:
        return module.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def run(self, feeds: Feeds) -> list[NDArray[Any]]:
        outputs: list[NDArray[Any]] = self._session.run(None, feeds)
        return outputs


class ProfiledOnnxSession(OnnxSession):
    """One that writes a trace: https://onnxruntime.ai/docs/performance/tune-performance/profiling-tools.html"""

    resolution = 1000.0

    def __init__(self, path: str, threads: int) -> None:
        import tempfile

        self._folder = tempfile.TemporaryDirectory(prefix="makeweight-profile-")
        super().__init__(path, threads, str(Path(self._folder.name, "trace")))

    def spans(self) -> list[list[Span]]:
        return of_trace(self._trace())

    def _trace(self) -> list[dict[str, Any]]:
        with self._folder:
            events: list[dict[str, Any]] = json.loads(Path(self._session.end_profiling()).read_text())
            return events


def inferences(events: Iterable[Mapping[str, Any]]) -> list[tuple[float, float]]:
    """When each began and ended, in microseconds, from a trace in Chrome's format."""
    return sorted((each["ts"], each["ts"] + each["dur"]) for each in events if each.get("name") == "model_run")


def of_trace(events: Sequence[Mapping[str, Any]]) -> list[list[Span]]:
    """The operators of each inference, from a trace in Chrome's format, whose times are whole microseconds."""
    runs = inferences(events)
    found: list[list[Span]] = [[] for _ in runs]
    for event in events:
        if event.get("cat") != "Node" or not event["name"].endswith(_KERNEL):
            continue
        start, told = event["ts"], event["args"]
        place = next((place for place, (begun, ended) in enumerate(runs) if begun <= start <= ended), None)
        if place is not None:
            name, kind = event["name"].removesuffix(_KERNEL), told["op_name"]
            found[place].append(Span(name, kind, _ran(kind, told), start * 1e3, event["dur"] * 1e3))
    return found


_KERNEL = "_kernel_time"


def _ran(kind: str, told: Mapping[str, Any]) -> Ran | None:
    if kind in _CONVERSIONS:
        return "conversion"
    types = {name for each in told.get("input_type_shape", ()) for name in each}
    if types & _INTEGERS:
        return "integer"
    return "float" if types & _FLOATS else None


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


def open_profiled(path: str, threads: int) -> ProfiledOnnxSession:
    return ProfiledOnnxSession(path, threads)


def warm_import() -> None:
    """Load the runtime's code without a model, so that its memory is not charged to one."""
    runtime_module().SessionOptions()


def version() -> str:
    """Of the installed onnxruntime, whatever its distribution is called (onnxruntime-gpu).

    Raises:
        ImportError: there is none.
    """
    import importlib.metadata

    try:
        return importlib.metadata.version("onnxruntime")
    except importlib.metadata.PackageNotFoundError:
        for name in importlib.metadata.packages_distributions().get("onnxruntime", ()):
            return importlib.metadata.version(name)
        raise
