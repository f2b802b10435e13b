"""Raw samples on disk, as the probe reads them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from makeweight_base.atomic import replacing
from makeweight_probe.raw import Raw, packed


def store(path: Path, samples: Sequence[Raw], names: Sequence[str]) -> None:
    """Args:
    names: what each is called in errors.
    """
    with replacing(path) as temporary, temporary.open("wb") as file:
        arrays: dict[str, Any] = packed(samples, names)
        np.savez(file, **arrays)
