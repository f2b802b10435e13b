"""Pictures without code: a folder a class or a CSV of files and targets, each read, cut to size and made numbers."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from makeweight.artifact.kind import absent
from makeweight.config.settings import ImageSettings
from makeweight_base.errors import UsageError, first_line

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
FILE = "file"
"""The column of a CSV that names the pictures."""
_KEPT = 256 << 20
"""Bytes that a split's pictures may take in memory, cut to size: where all fit, each is read from its file once."""


@dataclass(frozen=True)
class Pictures:
    """Read by number: a picture, shape [channels, height, width], and its target.

    It is scaled to cover the size and cut in the middle, in RGB, or grey where `mean` has one number; from 0..255, or
    0..65535 of 16 bits, to 0..1, less the mean, over the deviation.
    """

    files: Sequence[Path]
    targets: Sequence[Any]
    settings: ImageSettings
    root: Path
    """The project's folder, from which files are named in errors."""
    _kept: dict[int, NDArray[np.uint8]] = field(default_factory=dict, compare=False, repr=False)
    """By number, the pixels of those of 8 bits."""

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, number: int) -> tuple[NDArray[np.float32], Any]:
        """Raises:
        UsageError: the file is no picture, or broken.
        """
        settings = self.settings
        height, width = settings.height_and_width
        channels = len(settings.mean)
        fitted = self._kept.get(number)
        if fitted is None:
            fitted = self._read(number, height, width, channels)
            if fitted.dtype == np.uint8 and len(self) * height * width * channels <= _KEPT:
                self._kept[number] = fitted
        pixels = fitted.astype(np.float32).reshape(height, width, -1) / np.float32(255)
        pixels = np.broadcast_to(pixels, (height, width, channels))  # what is grey has one
        scaled = (pixels - np.array(settings.mean, np.float32)) / np.array(settings.std, np.float32)
        return np.ascontiguousarray(scaled.transpose(2, 0, 1)), self.targets[number]

    def _read(self, number: int, height: int, width: int, channels: int) -> NDArray[Any]:
        """From the file: pixels from 0 to 255, of 8 bits where it has no more."""
        from PIL import Image, ImageOps

        with opened(self.files[number], self.root) as picture:
            wanted = _deep(picture) or picture.convert("L" if channels == 1 else "RGB")
            return np.array(ImageOps.fit(wanted, (width, height), Image.Resampling.BILINEAR))


def _deep(picture: Image) -> Image | None:
    """A grey picture of 16 bits with its values from 0 to 255, as no conversion of Pillow's makes them: those clip them
    there. None: it has 8 bits.

    Raises:
        ValueError: its values may be anything.
    """
    from PIL import Image

    # Pillow reads those of PGM into 32 bits, and some versions of it those of PNG too
    if picture.mode.startswith("I;16") or (picture.mode == "I" and picture.format in ("PNG", "PPM")):
        return Image.fromarray(np.asarray(picture).astype(np.float32) / np.float32(257))
    if picture.mode in ("I", "F"):
        raise ValueError("its values are of 32 bits, and what is black and white among them is not told")
    return None


@contextmanager
def opened(path: Path, root: Path) -> Iterator[Image]:
    """A picture of which what is asked for is read.

    Args:
        root: the project's folder, from which the file is named in errors.

    Raises:
        UsageError: the file is no picture, or broken.
    """
    from PIL import Image

    try:
        with Image.open(path) as picture:
            yield picture
    except MemoryError:
        raise
    except Exception as error:
        told = first_line(error).split(str(path), 1)[0].rstrip(" '")
        raise UsageError(
            f"cannot be read as a picture: {told or type(error).__name__}",
            where=str(path.relative_to(root)) if path.is_relative_to(root) else str(path),
            do="Mend the file or take it out.",
        ) from error


def pictures(settings: ImageSettings, split: str, root: Path, classes: Sequence[str] | None) -> Pictures:
    """A split's pictures, found and not yet read.

    Args:
        classes: the names of the classes in the order of the model's outputs; None: folders are classes in the order of
            their names, over all splits.

    Raises:
        UsageError: there is no such split or place, no picture in it, or a line of the CSV is wrong.
    """
    # read one by one, when the user's code may have changed the folder
    root, places = root.absolute(), settings.splits
    if split not in places:
        raise UsageError(
            f"there is no `{split}` split: data.images has {', '.join(places)}", where="makeweight.yaml: data.images"
        )
    place = root / places[split]
    if place.is_dir():
        known = list(classes) if classes else _folders_of_all([root / each for each in places.values()])
        files, targets = _in_folders(place, places[split], known)
    elif place.is_file():
        files, targets = _in_table(place, places[split], list(classes or ()))
    else:
        what, do = absent(place)
        raise UsageError(
            "no such folder or file" if do is None else what,
            where=places[split],
            do=do or "Mend data.images in makeweight.yaml.",
        )
    if not files:
        raise UsageError(
            "holds no pictures",
            where=places[split],
            do="Put them into a folder for each class, or name them in a CSV with the columns file and target.",
        )
    return Pictures(files, targets, settings, root)


def _in_folders(place: Path, named: str, classes: list[str]) -> tuple[list[Path], list[int]]:
    files: list[Path] = []
    targets: list[int] = []
    for name in folders(place):
        if name not in classes:
            raise UsageError(
                f"the folder `{name}` is no class: they are {', '.join(classes)}",
                where=named,
                do="Mend `task.classes` in makeweight.yaml, or rename the folder.",
            )
        found = sorted(path for path in unhidden(place / name) if path.suffix.lower() in SUFFIXES)
        files += found
        targets += [classes.index(name)] * len(found)
    return files, targets


def unhidden(folder: Path) -> Iterator[Path]:
    """The files below a folder. What is hidden there was left by tools, copies of pictures too (`.ipynb_checkpoints`,
    `._1.jpg`)."""
    for here, below, names in os.walk(folder):
        below[:] = [name for name in below if not name.startswith(".")]
        yield from (Path(here, name) for name in names if not name.startswith("."))


def folders(place: Path) -> list[str]:
    """The names of the classes in a folder that has one for each."""
    return sorted(path.name for path in place.iterdir() if path.is_dir() and not path.name.startswith("."))


def _folders_of_all(places: Sequence[Path]) -> list[str]:
    """The classes of all splits, so that one which a split lacks moves no other."""
    names = sorted({name for place in places if place.is_dir() for name in folders(place)})
    if all(name.isdecimal() for name in names) and names != sorted(names, key=int):
        raise UsageError(
            "the folders are numbers, and it is not clear whether class 10 comes before class 2, as text is sorted",
            where="makeweight.yaml: data.images",
            do="Name the classes in the order of the model's outputs: `task: {kind: classification, classes: [...]}`.",
        )
    return names


def _in_table(place: Path, named: str, classes: list[str]) -> tuple[list[Path], list[Any]]:
    """Files, beside the table or below, and targets: a number or the name of a class, or numbers in several columns."""
    files: list[Path] = []
    targets: list[Any] = []
    try:
        with place.open(encoding="utf-8-sig", newline="") as table:
            rows = csv.DictReader(table)
            columns = [name for name in rows.fieldnames or () if name != FILE]
            if FILE not in (rows.fieldnames or ()) or not columns:
                raise UsageError(
                    f"the first line names the columns {', '.join(rows.fieldnames or ()) or 'none'}, and not file and "
                    "target",
                    where=f"{named}:1",
                    do="Begin with the line `file,target`, then a line for each picture.",
                )
            for row in rows:
                where = f"{named}:{rows.line_num}"
                files.append(_there(place.parent, row[FILE], where))
                values = [_number(row[name], name, classes, where) for name in columns]
                targets.append(values[0] if len(values) == 1 else values)
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"cannot be read as a CSV in UTF-8: {error}", where=named) from error
    return files, targets


def _there(folder: Path, name: str | None, where: str) -> Path:
    path = folder / (name or "")
    if not name or not path.is_file():
        raise UsageError(
            f"there is no picture `{name or ''}`", where=where, do=f"Files are named from {folder.name}/ on."
        )
    return path


def _number(text: str | None, column: str, classes: list[str], where: str) -> float | int:
    if text in classes:
        return classes.index(text)
    try:
        number = float(text or "")
    except ValueError:
        known = f"none of {', '.join(classes)}" if classes else "no number, and `task.classes` names no classes"
        raise UsageError(
            f"`{column}` is `{text or ''}`, which is {known}",
            where=where,
            do="Mend the line, or name the classes in `task.classes`.",
        ) from None
    return int(number) if number.is_integer() else number
