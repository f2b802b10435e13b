"""In a Python model server: stable and canary loaded by a pointer, both kept warm, changed without a request lost."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from makeweight_monitors.serving.breaker import Breaker, Opened
    from makeweight_monitors.serving.serving import Arm, Serving

__all__ = ["Arm", "Breaker", "Opened", "Serving"]
_ROOMS = {"Arm": "serving", "Breaker": "breaker", "Opened": "breaker", "Serving": "serving"}


def __getattr__(name: str) -> Any:
    """Loaded when asked for: what moves the pointer, and serves nothing, needs neither these nor numpy."""
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)
