"""ONNX Runtime on a GPU, on machines without one: its refusals, and in which order a session that has one works."""

from __future__ import annotations

import ctypes
import os
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from makeweight_probe import ProbeFailed, cuda, facts, gpu, profile, sessions, sysfs
from makeweight_probe.__main__ import NO_PROVIDER, NO_RUNTIME, main
from makeweight_probe.job import FactsJob, Model, dump_job
from makeweight_probe.sessions import NoProvider, NoSession, onnxruntime

CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
# As ONNX Runtime 1.2x logs it, colours and all.
LOG = (
    b"\x1b[1;31m2026-01-02 03:04:05.678 [E:onnxruntime:Default, provider_bridge_ort.cc:2195 TryGetProviderInfo_CUDA] "
    b"/src/provider_bridge_ort.cc:1778 onnxruntime::Provider& onnxruntime::ProviderLibrary::Get() [ONNXRuntimeError] : "
    b"1 : FAIL : Failed to load library libonnxruntime_providers_cuda.so with error: libcudnn.so.9: cannot open shared "
    b"object file: No such file or directory\x1b[m\n"
    b"\x1b[0;93m2026-01-02 03:04:05.679 [W:onnxruntime:Default, onnxruntime_pybind_state.cc:1013 CreateEP] Failed to "
    b"create CUDAExecutionProvider.\x1b[m\n"
)


class Session:
    """One of `onnxruntime` whose outputs are a table of numbers, and texts."""

    def __init__(self, told: list[str], providers: list[str]) -> None:
        self.told, self._providers = told, providers

    def get_providers(self) -> list[str]:
        return self._providers

    def get_outputs(self) -> list[Any]:
        return [
            SimpleNamespace(name="scores", type="tensor(float)"),
            SimpleNamespace(name="label", type="tensor(string)"),
        ]

    def io_binding(self) -> Any:
        told = self.told

        class Binding:
            def __getattr__(self, name: str) -> Any:
                def call(*given: Any) -> list[str]:
                    told.append(" ".join([name, *(each for each in map(str, given) if not each.startswith("["))]))
                    return ["an answer"]

                return call

        return Binding()

    def run_with_iobinding(self, binding: Any) -> None:
        self.told.append("run")

    def end_profiling(self) -> str:
        raise AssertionError("nobody asked")


class Module:
    """`onnxruntime` of paper, of the package with CUDA."""

    def __init__(self, providers: list[str], said: bytes = b"", fails: str | None = None) -> None:
        self.told: list[str] = []
        self._providers, self._said, self._fails = providers, said, fails
        self.OrtValue = SimpleNamespace(ortvalue_from_numpy=lambda _, device, number: f"on {device} {number}")

    def SessionOptions(self) -> Any:  # noqa: N802
        return SimpleNamespace(enable_cpu_mem_arena=True)

    def InferenceSession(self, model: str, options: Any, *, providers: Any, enable_fallback: int) -> Session:  # noqa: N802
        assert [each if isinstance(each, str) else each[0] for each in providers] == [CUDA, CPU]
        assert not enable_fallback, "it would go on without the provider that fails"
        os.write(2, self._said)
        if self._fails:
            raise RuntimeError(self._fails)
        return Session(self.told, self._providers)

    def get_available_providers(self) -> list[str]:
        return [CUDA, CPU]


@pytest.fixture
def with_gpu(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Puts a module in `onnxruntime`'s place, on a machine that has a GPU."""
    monkeypatch.setattr(gpu, "identity", lambda: {"name": "NVIDIA L4", "driver": "550.54", "cuda": "12.4"})
    return lambda module: monkeypatch.setattr(onnxruntime, "runtime_module", lambda: module)


def test_inputs_are_bound_there_and_the_device_is_waited_for_before_the_answer(with_gpu: Any) -> None:
    module = Module([CUDA, CPU])
    with_gpu(module)
    session = cuda.open_session("model.onnx", 1)
    module.told.clear()
    assert session.run({"image": np.zeros((1, 2), np.float32), "text": np.array(["a"])}) == ["an answer"]
    assert module.told == [
        "bind_ortvalue_input image on cuda 0",
        "bind_cpu_input text",
        "bind_output scores cuda 0",
        "bind_output label",
        "synchronize_inputs",
        "run",
        "synchronize_outputs",
        "copy_outputs_to_cpu",
    ]


def test_a_session_that_fell_back_to_the_processor_is_refused_with_the_runtimes_reason(with_gpu: Any) -> None:
    with_gpu(Module([CPU], said=LOG))
    with pytest.raises(NoProvider) as refused:
        cuda.open_session("model.onnx", 1)
    assert str(refused.value) == (
        "ONNX Runtime's CUDA provider does not load: Failed to load library libonnxruntime_providers_cuda.so with "
        "error: libcudnn.so.9: cannot open shared object file: No such file or directory"
    )
    with_gpu(Module([CPU]))
    with pytest.raises(NoProvider, match="does not load: it says nothing"):
        cuda.open_session("model.onnx", 1)


def test_a_provider_that_fails_is_refused_in_a_line(with_gpu: Any) -> None:
    with_gpu(Module([CUDA], fails="CUDA failure 100: no CUDA-capable\n device is detected"))
    with pytest.raises(NoProvider, match=r"on CUDA: CUDA failure 100: no CUDA-capable device is detected$"):
        cuda.open_session("model.onnx", 1)


def test_what_stayed_on_the_processor_is_told_beside_all_that_did_not() -> None:
    def node(name: str, provider: str, ts: int, dur: int) -> dict[str, Any]:
        told = {"op_name": name, "provider": provider, "input_type_shape": [{"float": [1, 8]}]}
        return {"cat": "Node", "name": f"{name}_kernel_time", "ts": ts, "dur": dur, "args": told}

    events = [
        node("Conv", CUDA, 101, 1),
        node("NonMaxSuppression", CPU, 110, 20),
        node("MatMul", CUDA, 131, 2),
        {"cat": "Session", "name": "model_run", "ts": 100, "dur": 50, "args": {}},
    ]
    taken = {(each["kind"], each["ran"]): each["ns"] for each in profile.summed(cuda.of_trace(events))}
    assert taken == {("CUDA", None): 30e3, ("NonMaxSuppression", "fallback"): 20e3}


# The real package here, and no GPU


def test_the_package_without_cuda_is_refused_by_name() -> None:
    with pytest.raises(
        NoSession, match=r"no execution provider `cuda` here: .* no CUDAExec.*`pip install onnxruntime-gpu`"
    ):
        sessions.opened(Model("onnxruntime", "model.onnx", 1, execution_provider="cuda"))
    with pytest.raises(NoSession, match="CUDAExecutionProvider"):
        facts.identity("cuda")


def test_runtimes_that_know_nothing_of_it_are_refused() -> None:
    assert sessions.computes_by("cuda", "onnxruntime")
    for runtime in ("litert", "executorch", "no such"):
        assert not sessions.computes_by("cuda", runtime)
        assert sessions.computes_by("cpu", runtime)
    with pytest.raises(NoSession, match="the runtime `litert` has no execution provider `cuda`"):
        sessions.opened(Model("litert", "model.tflite", 1, execution_provider="cuda"))
    assert "onnxruntime-gpu" in (sessions.packages("onnxruntime", "cuda") or ())


def test_a_job_ends_with_a_code_that_tells_a_package_from_a_gpu(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    job = tmp_path / "job.json"
    job.write_text(dump_job(FactsJob("cuda")))
    assert main([str(job), str(tmp_path / "result.npz")]) == NO_RUNTIME
    monkeypatch.setattr(sessions, "ready", lambda _: None)
    monkeypatch.setattr(gpu, "_DRIVER", "libno-such-driver.so.1")
    assert main([str(job), str(tmp_path / "result.npz")]) == NO_PROVIDER
    assert "no GPU that CUDA could use here: its driver does not load (libno-such-driver" in capsys.readouterr().err
    assert not (tmp_path / "result.npz").exists()


# Which one it is


class Driver:
    """`libcuda` with so many devices; `refused` is what it answers at the beginning."""

    def __init__(self, devices: int = 2, refused: int = 0) -> None:
        self._devices, self._refused = devices, refused

    def cuInit(self, flags: int) -> int:  # noqa: N802
        return self._refused

    def cuDeviceGetCount(self, count: Any) -> int:  # noqa: N802
        count._obj.value = self._devices
        return 0

    def cuDeviceGet(self, device: Any, ordinal: int) -> int:  # noqa: N802
        device._obj.value = 40 + ordinal
        return 0

    def cuDeviceGetName(self, name: Any, size: int, device: ctypes.c_int) -> int:  # noqa: N802
        name.value = f"card {device.value} of at most {size}".encode()
        return 0

    def cuDriverGetVersion(self, version: Any) -> int:  # noqa: N802
        version._obj.value = 12040
        return 0

    def cuGetErrorName(self, code: int, said: Any) -> int:  # noqa: N802
        said._obj.value = b"CUDA_ERROR_NO_DEVICE"
        return 0 if code == 100 else 1


def test_the_gpu_is_the_first_that_cuda_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sysfs, "value", lambda path: "550.54" if path == "/sys/module/nvidia/version" else None)
    assert gpu.identity(Driver()) == {"name": "card 40 of at most 256", "driver": "550.54", "cuda": "12.4"}


def test_no_gpu_is_told_in_the_drivers_word() -> None:
    with pytest.raises(NoProvider, match="cuInit says CUDA_ERROR_NO_DEVICE"):
        gpu.identity(Driver(refused=100))
    with pytest.raises(NoProvider, match="cuInit says error 999"):
        gpu.identity(Driver(refused=999))
    with pytest.raises(ProbeFailed, match="CUDA_VISIBLE_DEVICES"):
        gpu.identity(Driver(devices=0))


def test_the_gpu_is_part_of_the_identity_where_it_computes_and_only_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "ready", lambda _: None)
    monkeypatch.setattr(gpu, "_driver", Driver)
    found = facts.identity("cuda")
    assert (found["execution_provider"], found["gpu"]["cuda"]) == ("cuda", "12.4")
    assert {name: each for name, each in found.items() if name not in ("execution_provider", "gpu")} == facts.identity()
