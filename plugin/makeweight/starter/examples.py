"""What examples lie in a project's folder: .npz files named for splits, or pictures in folders or tables."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from makeweight.config.settings import SPLITS
from makeweight.starter import survey
from makeweight.starter.draft import Shape
from makeweight.user.pictures import FILE, SUFFIXES, folders
from makeweight_base.errors import UsageError

# Other names by which splits are known.
_ALIASES = {
    "train": ("training",),
    "validation": ("val", "valid"),
    "calibration": ("cal", "calib"),
    "test": ("testing",),
}


def arrays(root: Path) -> dict[str, str]:
    """.npz files by split, by their names; none where there is no `test` among them."""
    found = {path: PurePosixPath(path).stem.lower() for path in survey.files(root, ".npz")}
    named = {split: [path for path, stem in found.items() if stem in _names(split)] for split in SPLITS}
    sure = {split: paths[0] for split, paths in named.items() if len(paths) == 1}
    return sure if "test" in sure else {}


def pictures(root: Path, folder: str | None) -> dict[str, str]:
    """Pictures by split, in a folder (None: wherever they lie); none where there is no `test` among them.

    Raises:
        UsageError: a folder is given, and holds no test pictures.
    """
    for place in [folder] if folder else ["data", "images", "dataset", "."]:
        splits = {split: path for split in SPLITS if (path := _pictures(root, place, split))}
        if "test" in splits:
            return splits
    if folder:
        raise UsageError(
            "holds no test pictures",
            where=f"--images {folder}",
            do="Put them into test/ in it, with a folder for each class, or name them in test.csv: file,target.",
        )
    return {}


def form_of_pictures(inputs: Mapping[str, Shape]) -> dict[str, Any] | None:
    """`size`, `mean` and `std` of `data.images` for the one input; None where that is no picture of a fixed size."""
    shapes = list(inputs.values())
    if len(shapes) != 1 or len(shapes[0]) != 4:
        return None
    channels, height, width = shapes[0][1:]
    if channels not in (1, 3) or not isinstance(height, int) or not isinstance(width, int):
        return None
    size = height if height == width else [height, width]
    return {"size": size, "mean": [0.0] * int(channels), "std": [1.0] * int(channels)}


def _pictures(root: Path, place: str, split: str) -> str | None:
    for name in _names(split):
        path = PurePosixPath(place, name)
        if (root / path).is_dir() and _have_pictures(root / path):
            return path.as_posix()
        if _is_table(root / f"{path}.csv"):
            return f"{path}.csv"
    return None


def _is_table(path: Path) -> bool:
    """Whether it is a CSV with pictures. Any other is no reason to stop: it was only found."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as table:
            return FILE in next(csv.reader(table), [])
    except (OSError, UnicodeDecodeError, csv.Error):
        return False


def _have_pictures(folder: Path) -> bool:
    """Whether it has a folder with a picture in it."""
    return any(path.suffix.lower() in SUFFIXES for name in folders(folder) for path in (folder / name).iterdir())


def _names(split: str) -> tuple[str, ...]:
    return (split, *_ALIASES[split])
