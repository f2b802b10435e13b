"""A model on disk: all its files, its ports, and the runtime that opens it. Nobody opens it to learn these."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from makeweight.artifact.files import File, compressed_size, files_of, is_within
from makeweight.artifact.ports import Port, batch_size


@dataclass(frozen=True)
class Model:
    """One value for a model on disk: its size, hash, copy and upload are those of all its files."""

    folder: Path = field(compare=False)
    runtime: str
    files: tuple[File, ...]
    """The first is what the runtime opens; the others are what that one names (weights outside an ONNX file)."""
    inputs: tuple[Port, ...]
    """In the order in which the runtime takes them."""
    outputs: tuple[Port, ...]
    packages: Mapping[str, str]
    """Versions of what the runtime wrote it with."""

    @property
    def path(self) -> Path:
        """The file that the runtime opens."""
        return self.folder / self.files[0].name

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)

    @property
    def sha256(self) -> str:
        """Of one file its own hash; of several, a hash over their names and hashes."""
        if len(self.files) == 1:
            return self.files[0].sha256
        return hashlib.sha256("".join(f"{file.sha256}  {file.name}\n" for file in self.files).encode()).hexdigest()

    @property
    def batch(self) -> int | None:
        """The batch that it insists on; None when it takes any."""
        return batch_size(self.inputs)

    def compressed_size(self) -> int:
        """Bytes after zlib level 9: what it costs to store or send, and what sparsity and sharing can save."""
        return sum(compressed_size(self.folder / file.name) for file in self.files)

    def at_hand(self) -> Model | None:
        """The same model of the files that are really there; None where one is missing."""
        names = [file.name for file in self.files]
        if not all((self.folder / name).is_file() for name in names):
            return None
        return replace(self, files=files_of(self.folder, names))

    def is_whole(self) -> bool:
        """Whether the files that are there are the ones that this tells of."""
        return self.at_hand() == self

    def copy(self, target: Path) -> Model:
        """Copy it, with `target` as the file that the runtime opens; the others keep their names beside it."""
        names = [target.name, *(file.name for file in self.files[1:])]
        for file, name in zip(self.files, names, strict=True):
            path = target.parent / name
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.folder / file.name, path)
        named = tuple(replace(file, name=name) for file, name in zip(self.files, names, strict=True))
        return replace(self, folder=target.parent, files=named)


def plain(model: Model) -> dict[str, Any]:
    """As JSON holds it; the folder is where the JSON lies."""
    return {key: value for key, value in asdict(model).items() if key != "folder"}


def of_plain(folder: Path, data: Mapping[str, Any]) -> Model:
    """What `plain` gave.

    Raises:
        ValueError, TypeError, KeyError: it is something else, or names a file outside the folder.
    """
    files = tuple(File(**file) for file in data["files"])
    if not files or any(not is_within(file.name) for file in files):
        raise ValueError("a model has files, and they lie in its folder")
    ports = {key: tuple(_port(port) for port in data[key]) for key in ("inputs", "outputs")}
    return Model(folder=folder, **{**data, "files": files, **ports})


def _port(data: Mapping[str, Any]) -> Port:
    scale = data.get("scale")
    return Port(**{**data, "shape": tuple(data["shape"]), "scale": None if scale is None else tuple(scale)})
