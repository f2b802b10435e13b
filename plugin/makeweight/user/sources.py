"""The declared sources as one file: what goes to a device where the user's code runs there."""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from makeweight.artifact.files import sha256_of
from makeweight_base.errors import UsageError

MOST = 200_000_000
"""Bytes of all files together: more is data, which no pipeline needs on a device."""
# The oldest time that a zip can bear: the same sources always give the same bytes, and so are sent once.
_NO_TIME = (1980, 1, 1, 0, 0, 0)
_PASSED_OVER = frozenset({"__pycache__", ".git", ".venv", "node_modules"})


@dataclass(frozen=True)
class Sources:
    """The files that the declared sources name or hold, less data and models."""

    root: Path
    named: tuple[str, ...]
    """As they are declared, from the project's folder. What lies outside of it goes nowhere."""
    without: tuple[str, ...]
    """Folders and files that are data or models."""

    def files(self) -> list[Path]:
        """By their paths from the project's folder, sorted."""
        kept_out = [os.path.normpath(each) for each in self.without]

        def wanted(path: str) -> bool:
            within = any(path == each or path.startswith(f"{each}{os.sep}") for each in kept_out)
            outside = path.startswith("..") or Path(path).is_absolute()
            return not (within or outside or path.endswith((".pyc", ".pyo")))

        found = {path for source in self.named for path in self._below(os.path.normpath(source)) if wanted(path)}
        return sorted(Path(path) for path in found)

    def _below(self, source: str) -> Iterator[str]:
        if (self.root / source).is_file():
            yield source
        for folder, folders, names in os.walk(self.root / source):
            folders[:] = [name for name in folders if name not in _PASSED_OVER]
            for name in names:
                if (path := Path(folder, name)).is_file():
                    yield os.path.relpath(path, self.root)

    def digest(self) -> str:
        """A hash of names and contents."""
        listed = (f"{path.as_posix()}\0{sha256_of(self.root / path)}\n" for path in self.files())
        return hashlib.sha256("".join(listed).encode()).hexdigest()

    def pack(self, target: Path) -> None:
        """Raises:
        UsageError: they are too many bytes to be sent to a device.
        """
        sizes = {path: (self.root / path).stat().st_size for path in self.files()}
        if sum(sizes.values()) > MOST:
            largest = max(sizes, key=lambda path: sizes[path])
            raise UsageError(
                f"they hold {sum(sizes.values()) / 1e6:,.0f} MB (the largest file: {largest}), and a pipeline takes "
                f"them to the device, {MOST / 1e6:,.0f} MB at most",
                where="makeweight.yaml: sources",
                do="Name the folders of your code one by one, and leave out those that hold data.",
            )
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sizes:
                entry = zipfile.ZipInfo(path.as_posix(), _NO_TIME)
                entry.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(entry, (self.root / path).read_bytes())
