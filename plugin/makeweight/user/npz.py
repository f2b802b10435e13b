"""Arrays of an .npz file, mapped into memory where they were stored as they are (numpy.savez), else read."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.lib import format
from numpy.typing import NDArray

from makeweight.artifact.kind import absent
from makeweight_base.errors import UsageError

# The part of a zip's local header that has a fixed size, which ends with the sizes of the two that have not:
# section 4.3.7 of https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
_HEADER = 30


def mapped(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays by name.

    Raises:
        UsageError: there is no such file, or it is damaged or holds Python objects.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return {info.filename.removesuffix(".npy"): _array(path, archive, info) for info in archive.infolist()}
    except FileNotFoundError as error:
        what, do = absent(path)
        raise UsageError(what, do=do or "Mend data.npz in makeweight.yaml.") from error
    except Exception as error:
        raise unreadable() from error


def unreadable(where: str | None = None) -> UsageError:
    """The error of a file that is there, and of which arrays cannot be read; numpy's own words on it tell how to load
    what may be unsafe."""
    return UsageError(
        "cannot be read as .npz: it is none, damaged, or holds Python objects",
        where=where,
        do="Write plain arrays with numpy.savez.",
    )


def _array(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> NDArray[Any]:
    with archive.open(info) as member:
        if info.compress_type != zipfile.ZIP_STORED:
            return np.asarray(format.read_array(member, allow_pickle=False))
        version = format.read_magic(member)
        read = format.read_array_header_1_0 if version == (1, 0) else format.read_array_header_2_0
        shape, by_columns, dtype = read(member)
        start = member.tell()
    if dtype.hasobject:
        raise ValueError("Python objects")
    order: Literal["C", "F"] = "F" if by_columns else "C"
    with path.open("rb") as file:
        file.seek(info.header_offset)
        header = file.read(_HEADER)
    name, extra = (int.from_bytes(header[at : at + 2], "little") for at in (26, 28))
    if not np.prod(shape, dtype=np.int64):
        return np.empty(shape, dtype)
    start += info.header_offset + _HEADER + name + extra
    mapping: NDArray[Any] = np.memmap(path, dtype=dtype, mode="r", offset=start, shape=shape, order=order)
    return np.asarray(mapping)
