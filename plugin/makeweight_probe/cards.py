"""NVIDIA's cards, by their management library (NVML): https://docs.nvidia.com/deploy/nvml-api/"""

from __future__ import annotations

from typing import Any


class NoCards(Exception):
    """NVML, or what is asked of it, is not to be had here; the message says why."""


def opened(library: Any = None) -> tuple[Any, list[Any]]:
    """The library, which the caller shuts down, and its cards, one at least.

    Args:
        library: what `import pynvml` gives.

    Raises:
        NoCards: no bindings, no driver, no card.
    """
    nvml = _bindings() if library is None else library
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        raise NoCards(f"NVML cannot be used here: {error}") from error
    try:
        cards = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]
    except nvml.NVMLError as error:
        raise NoCards(f"NVML tells of no card: {error}") from error
    if not cards:
        raise NoCards("NVML finds no card here")
    return nvml, cards


def held_by(process: int, library: Any = None) -> int:
    """Bytes on all cards that a process computing there holds now.

    Raises:
        NoCards: it is not told.
    """
    nvml, cards = opened(library)
    try:
        told = [each for card in cards for each in nvml.nvmlDeviceGetComputeRunningProcesses(card)]
    except nvml.NVMLError as error:
        raise NoCards(f"NVML tells of no processes: {error}") from error
    finally:
        nvml.nvmlShutdown()
    own = [each.usedGpuMemory for each in told if each.pid == process]
    if not own:
        # a container has numbers of its own for processes, and the driver has the host's
        raise NoCards("NVML does not know this process by its number, as in a container that does not share the host's")
    if any(size is None for size in own):
        raise NoCards("NVML does not tell what memory a process holds here")
    return int(sum(own))


def _bindings() -> Any:
    try:
        import pynvml
    except ImportError as error:
        raise NoCards("it needs NVIDIA's bindings: `pip install nvidia-ml-py` there") from error
    return pynvml
