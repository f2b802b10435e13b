"""Which GPU CUDA gives a process, by the driver's own interface, since NVML numbers cards in another order and knows
nothing of CUDA_VISIBLE_DEVICES: https://docs.nvidia.com/cuda/cuda-driver-api/
"""

from __future__ import annotations

import ctypes
from typing import Any

from makeweight_probe import sysfs
from makeweight_probe.sessions import NoProvider

_DRIVER = "libcuda.so.1"
_VERSION = "/sys/module/nvidia/version"
_LONGEST = 256


class NoGpu(NoProvider):
    """CUDA has no device here; the message says why."""


def identity(library: Any = None) -> dict[str, str | None]:
    """The first device that CUDA sees: its `name`, the version of its `driver` (None: not told) and the newest `cuda`
    that this driver knows.

    Args:
        library: the driver's.

    Raises:
        NoGpu: there is no driver, or no device.
    """
    cuda = _driver() if library is None else library
    _call(cuda, "cuInit", 0)
    count, device, version = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
    _call(cuda, "cuDeviceGetCount", ctypes.byref(count))
    if not count.value:
        raise NoGpu("CUDA sees no GPU here (does CUDA_VISIBLE_DEVICES hide it?)")
    name = ctypes.create_string_buffer(_LONGEST)
    _call(cuda, "cuDeviceGet", ctypes.byref(device), 0)
    _call(cuda, "cuDeviceGetName", name, _LONGEST, device)
    _call(cuda, "cuDriverGetVersion", ctypes.byref(version))
    major, minor = version.value // 1000, version.value % 1000 // 10
    return {
        "name": name.value.decode(errors="replace"),
        "driver": sysfs.value(_VERSION),
        "cuda": f"{major}.{minor}",
    }


def _driver() -> Any:
    try:
        return ctypes.CDLL(_DRIVER)
    except OSError as error:
        raise NoGpu(f"there is no GPU that CUDA could use here: its driver does not load ({error})") from error


def _call(cuda: Any, function: str, *given: Any) -> None:
    """Raises:
    NoGpu: the driver refuses; its word for that is an enumerator of CUresult.
    """
    code = getattr(cuda, function)(*given)
    if code:
        said = ctypes.c_char_p()
        known = cuda.cuGetErrorName(code, ctypes.byref(said)) == 0 and said.value is not None
        word = said.value.decode() if known and said.value else f"error {code}"
        raise NoGpu(f"CUDA has no GPU here: {function} says {word}")
