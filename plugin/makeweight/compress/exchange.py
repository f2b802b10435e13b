"""Other modules in the place of some parts of a module."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def exchange(module: Any, parts: Mapping[Any, Any]) -> None:
    """Put other modules in the place of some parts of a module, wherever each stands."""
    for parent in list(module.modules()):
        for name, part in list(parent._modules.items()):
            if part in parts:
                setattr(parent, name, parts[part])
