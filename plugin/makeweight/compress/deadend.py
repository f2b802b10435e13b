"""Which layer a recipe failed at, and how to leave it out."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from typing import Any


def layer_of(error: BaseException, module: Any) -> str | None:
    """The innermost layer that was at work when a module, or what changes one, raised."""
    names = {id(part): name for name, part in module.named_modules() if name}
    frames = reversed(list(traceback.walk_tb(error.__traceback__)))
    found = (names.get(id(value)) for frame, _ in frames for value in list(frame.f_locals.values()))
    return next((name for name in found if name is not None), None)


def left_out(layers: Sequence[str]) -> str:
    """What to write, as the end of a sentence; nothing where no layer is known."""
    if not layers:
        return ""
    named = ", ".join(dict.fromkeys(layers))
    return f"; to leave {'it' if len(layers) == 1 else 'them'} as before: `exclude: [{named}]`"
