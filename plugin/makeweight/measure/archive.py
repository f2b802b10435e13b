"""Raw samples on disk: groups of arrays in one .npz, with what is to be said about them as JSON among them."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from makeweight_base.atomic import replacing
from makeweight_base.errors import UsageError

_ABOUT = "about"
ALONE = ""
"""The group of arrays that stand by their names alone, which have no colon."""


def write(path: Path, about: Mapping[str, Any], groups: Mapping[str, Mapping[str, NDArray[Any]]]) -> None:
    """Args:
    groups: arrays by group and name; the name of a group has no colon.
    """
    content: dict[str, Any] = {_ABOUT: np.array(json.dumps(about))}
    for group, arrays in groups.items():
        content |= {f"{group}:{name}" if group else name: values for name, values in arrays.items()}
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **content)


def read(path: Path, what: str) -> tuple[dict[str, Any], dict[str, dict[str, NDArray[Any]]]]:
    """What `write` wrote: the words, and the groups that have arrays. `what` names it in errors.

    Raises:
        UsageError: there is no such file, or it is damaged.
    """
    try:
        groups: dict[str, dict[str, NDArray[Any]]] = {}
        with np.load(path, allow_pickle=False) as data:
            for called in data.files:
                if called != _ABOUT:
                    *group, name = called.split(":", 1)
                    groups.setdefault("".join(group), {})[name] = data[called]
            return json.loads(str(data[_ABOUT])), groups
    except FileNotFoundError as error:
        raise UsageError(f"no such {what} yet", where=str(path), do="Run `dvc repro`, which makes them.") from error
    except Exception as error:
        # of what is no archive at all numpy says how to run the code that may be in it
        none = isinstance(error, ValueError) and not zipfile.is_zipfile(path)
        raise damaged(path, ValueError("it is no .npz") if none else error) from error


def damaged(path: Path, error: Exception) -> UsageError:
    """An archive that opens, or does not, and holds something else than it should."""
    return UsageError(f"cannot be read ({error})", where=str(path), do="Delete it and run `dvc repro`.")
