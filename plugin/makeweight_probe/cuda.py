"""ONNX Runtime's sessions on a GPU by CUDA. Numbers are copied there and back within a run, as they are for a program
that asks: the time of one is from arrays to arrays, the device waited for.

https://onnxruntime.ai/docs/execution-providers/CUDA-ExecutionProvider.html
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import replace
from io import StringIO
from typing import Any

from numpy.typing import NDArray

from makeweight_probe import cards, gpu, in_a_line
from makeweight_probe.diverted import diverted
from makeweight_probe.session import Feeds, Span
from makeweight_probe.sessions import NoProvider, onnxruntime

PACKAGES = ("onnxruntime-gpu", "nvidia-ml-py")
"""What pip installs for it."""

PROVIDER, _OTHERS = "CUDAExecutionProvider", "CPUExecutionProvider"
_DEVICE = "cuda"
_FIRST = 0
"""Which device: the first that CUDA sees."""
WHOLE = "all that the GPU computes"
_NUMBERS = "fiub"
# What stands before the message in a line of ONNX Runtime's log.
_LOGGED = re.compile(r"^.*FAIL : |^.*?\d+ \w+\] ")
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class CudaSession(onnxruntime.OnnxSession):
    """A loaded model on the GPU. Operators that CUDA's provider has no kernel for are ONNX Runtime's to place on the
    processor; that the provider itself is missing is an error, and never passes for a session.

    Raises (on opening):
        NoProvider: the provider does not load, or fails; its message.
        NoGpu: there is none.
    """

    def _opened(self, module: Any, model: str | bytes, options: Any) -> Any:
        gpu.identity()
        providers = [(PROVIDER, {"device_id": _FIRST}), _OTHERS]
        with tempfile.TemporaryFile() as said:
            try:
                with diverted(said):
                    _preload(module)
                    # by itself it would go on without the provider that fails, and print so
                    session = module.InferenceSession(model, options, providers=providers, enable_fallback=0)
            except Exception as error:
                raise NoProvider(f"ONNX Runtime does not open the model on CUDA: {in_a_line(error)}") from error
            if PROVIDER not in session.get_providers():
                said.seek(0)
                reason = _reason(said.read().decode(errors="replace"))
                raise NoProvider(f"ONNX Runtime's CUDA provider does not load: {reason}")
        self.allocation += ", on the GPU one that gives nothing back"
        self._on_device = module.OrtValue.ortvalue_from_numpy
        return session

    def run(self, feeds: Feeds) -> list[NDArray[Any]]:
        # a binding keeps the outputs of its run, which the next one would have to fit into
        binding = self._session.io_binding()
        for name, values in feeds.items():
            if values.dtype.kind in _NUMBERS:
                binding.bind_ortvalue_input(name, self._on_device(values, _DEVICE, _FIRST))
            else:
                binding.bind_cpu_input(name, values)
        for output in self._session.get_outputs():
            binding.bind_output(output.name, *((_DEVICE, _FIRST) if _of_numbers(output.type) else ()))
        binding.synchronize_inputs()
        self._session.run_with_iobinding(binding)
        binding.synchronize_outputs()
        answers: list[NDArray[Any]] = binding.copy_outputs_to_cpu()
        return answers

    def device_memory(self) -> dict[str, Any]:
        """What this process holds on the GPU: `bytes`, or `unavailable` with the reason."""
        try:
            return {"bytes": cards.held_by(os.getpid())}
        except cards.NoCards as error:
            return {"unavailable": str(error)}


class ProfiledCudaSession(CudaSession, onnxruntime.ProfiledOnnxSession):
    """The trace has when an operator was launched on the GPU, and not how long it took there: of what runs there the
    time is told as a whole, and by itself that of operators which the provider left to the processor."""

    def spans(self) -> list[list[Span]]:
        return of_trace(self._trace())


def of_trace(events: Iterable[Mapping[str, Any]]) -> list[list[Span]]:
    """Of each inference the whole, and within it the operators on the processor."""
    events = list(events)
    left = [each for each in events if each.get("cat") != "Node" or each.get("args", {}).get("provider") == _OTHERS]
    return [
        [
            Span(WHOLE, "CUDA", None, begun * 1e3, (ended - begun) * 1e3),
            *(replace(each, ran="fallback") for each in spans),
        ]
        for (begun, ended), spans in zip(onnxruntime.inferences(events), onnxruntime.of_trace(left), strict=True)
    ]


def _of_numbers(kind: str) -> bool:
    """Args:
    kind: as ONNX Runtime has it: `tensor(float)`, `seq(map(int64,tensor(float)))`.
    """
    return kind.startswith("tensor(") and kind != "tensor(string)"


@functools.cache
def _preload(module: Any) -> None:
    """CUDA's libraries where pip has installed them, which the system's loader does not look through. What cannot be
    loaded, the provider says in its own words."""
    if hasattr(module, "preload_dlls"):
        with contextlib.redirect_stdout(StringIO()), contextlib.suppress(Exception):
            module.preload_dlls()


def _reason(said: str) -> str:
    """The line of a log that says why, else the last."""
    lines = [line for each in said.splitlines() if (line := _COLOURS.sub("", each).strip())]
    telling = [line for line in lines if "error:" in line] or lines[-1:]
    return _LOGGED.sub("", telling[0]) if telling else "it says nothing"


def open_session(model: str | bytes, threads: int) -> CudaSession:
    return CudaSession(model, threads)


def open_profiled(path: str, threads: int) -> ProfiledCudaSession:
    return ProfiledCudaSession(path, threads)


def warm_import() -> None:
    """Load the runtime's code and CUDA's libraries without a model, so that their memory is not charged to one."""
    module = onnxruntime.runtime_module()
    module.SessionOptions()
    _preload(module)


def version() -> str:
    """Of the installed onnxruntime.

    Raises:
        ImportError: there is none, or it has no CUDA provider.
    """
    if PROVIDER not in (offered := onnxruntime.runtime_module().get_available_providers()):
        raise ImportError(
            f"the onnxruntime there has {', '.join(offered)}, and no {PROVIDER}; `pip uninstall onnxruntime`, then "
            f"`pip install {PACKAGES[0]}` there"
        )
    return onnxruntime.version()
