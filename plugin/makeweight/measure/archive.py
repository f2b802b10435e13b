"""Raw samples on disk: arrays by name in one .npz, with what is to be said about them as JSON among them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeweight_base.atomic import replacing
from makeweight_base.errors import UsageError

_ABOUT = "about"


def write(path: Path, about: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    content: dict[str, Any] = {_ABOUT: np.array(json.dumps(about)), **arrays}
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **content)


def read(path: Path, what: str) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """What `write` wrote: the words, and the arrays. `what` names it in errors.

    Raises:
        UsageError: there is no such file, or it is damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as data:
            return json.loads(str(data[_ABOUT])), {name: data[name] for name in data.files if name != _ABOUT}
    except FileNotFoundError as error:
        raise UsageError(f"no such {what} yet", where=str(path), do="Run `dvc repro`, which makes them.") from error
    except Exception as error:
        raise damaged(path, error) from error


def damaged(path: Path, error: Exception) -> UsageError:
    """An archive that opens, or does not, and holds something else than it should."""
    return UsageError(f"cannot be read ({error})", where=str(path), do="Delete it and run `dvc repro`.")
