"""The raw samples that pipelines begin with: files as they lie there, or what a callable of the user's gives."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from makeweight.artifact.kind import absent
from makeweight.config.settings import is_callable_path
from makeweight.user import callables
from makeweight.user.declared import Declared
from makeweight.user.pictures import pictures, unhidden
from makeweight_base.errors import UsageError
from makeweight_probe.raw import Raw

COUNT = 64
MOST = 256_000_000
"""Bytes of all samples together: where they are larger there are fewer of them, one at least."""
_WHERE = "makeweight.yaml: pipeline.samples"
_GIVE = (
    "Give bytes, text, numpy arrays or pathlib.Path of files, such as `return [path.read_bytes() for path in "
    "Path('data/test').rglob('*.jpg')]`."
)


def load(declared: Declared, samples: str | None) -> tuple[list[Raw], list[str]]:
    """Up to `COUNT` samples, drawn with the seed, and what each is called.

    Args:
        samples: a file, a folder or `module:callable(split)`; None: the pictures of the test split.

    Raises:
        UsageError: there are none, the user's code fails, or gives something that cannot be sent to a device.
    """
    rng = np.random.default_rng(declared.seed)
    if samples is not None and is_callable_path(samples):
        chosen = _of_callable(declared, samples, rng)
    else:
        root = declared.root.absolute()
        chosen = _of_files(_files(declared, samples, root), root, rng)
    found: list[Raw] = []
    names: list[str] = []
    size = 0
    for name, given in chosen:
        raw = _read(given, name)
        size += raw.nbytes if isinstance(raw, np.ndarray) else len(raw)
        if found and size > MOST:
            break
        found.append(raw)
        names.append(name)
    if not found:
        raise UsageError("there are no raw samples", where=samples or _WHERE, do="A pipeline needs one at least.")
    return found, names


def _files(declared: Declared, samples: str | None, root: Path) -> Sequence[Path]:
    if samples is None:
        assert declared.data.images is not None  # noqa: S101 - refused when the file is read
        return pictures(declared.data.images, "test", root, declared.task.classes).files
    place = root / samples
    if place.is_file():
        return [place]
    if not place.is_dir():
        raise UsageError(
            f"no such file or folder, and no `module:callable`: `{samples}`",
            where=_WHERE,
            do=absent(place)[1] or "Mend the path.",
        )
    return sorted(path for path in unhidden(place) if path.is_file())


def _of_files(files: Sequence[Path], root: Path, rng: np.random.Generator) -> list[tuple[str, Any]]:
    chosen = rng.permutation(len(files))[:COUNT]
    return [(_named(files[number], root), files[number]) for number in chosen]


def _named(path: Path, root: Path) -> str:
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


def _of_callable(declared: Declared, dotted: str, rng: np.random.Generator) -> Iterable[tuple[str, Any]]:
    function = callables.find(dotted, declared.root, where=_WHERE)
    given = callables.call(function, "test", name=dotted, root=declared.root)
    if isinstance(given, str | bytes) or not hasattr(given, "__iter__"):
        raise UsageError(f"`{dotted}` returned {type(given).__name__}, and no list of samples", where=_WHERE, do=_GIVE)
    if hasattr(given, "__len__") and hasattr(given, "__getitem__"):
        chosen = [int(number) for number in rng.permutation(len(given))[:COUNT]]
        listed = callables.call(lambda: [given[number] for number in chosen], name=dotted, root=declared.root)
        return [(f"sample {number}", each) for number, each in zip(chosen, listed, strict=True)]
    first = callables.call(lambda: list(itertools.islice(given, COUNT)), name=dotted, root=declared.root)
    return [(f"sample {number}", each) for number, each in enumerate(first)]


def _read(given: Any, name: str) -> Raw:
    """Raises:
    UsageError: it is nothing that travels as it is.
    """
    if isinstance(given, Path):
        try:
            return given.read_bytes()
        except OSError as error:
            raise UsageError(f"cannot be read: {error.strerror}", where=str(given)) from error
    if isinstance(given, bytes | str):
        return given
    if isinstance(given, bytearray | memoryview):
        return bytes(given)
    if isinstance(given, np.ndarray) and not given.dtype.hasobject:
        return given
    kind = "an array of objects" if isinstance(given, np.ndarray) else f"a {type(given).__name__}"
    raise UsageError(f"{name} is {kind}, which cannot be sent to a device as it is", where=_WHERE, do=_GIVE)
