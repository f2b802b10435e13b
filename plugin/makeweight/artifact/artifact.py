"""Artifact: a model and its manifest, which says what it was made from and what it holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from makeweight.artifact import model
from makeweight.artifact.model import Model
from makeweight.artifact.trial import Trial
from makeweight_base.atomic import write_json
from makeweight_base.errors import UsageError

MANIFEST = "manifest.json"
NO_SMALLER = "no smaller"
"""What a manifest notes of a number format in which the file takes no less room: both sizes."""


@dataclass(frozen=True)
class Manifest:
    """What is known of a model. A recipe that could not be carried out leaves one too, and no model."""

    variant: str
    status: Literal["ready", "failed"]
    runtime: str
    recipe: list[dict[str, Any]]
    seed: int
    parent: str | None
    """sha256 of the baseline that the variant was made from."""
    versions: Mapping[str, str]
    reason: str | None = None
    """Why the recipe failed."""
    model: Model | None = None
    size_compressed: int | None = None
    """Bytes after zlib level 9."""
    parameters: int | None = None
    macs: int | None = None
    operators: Mapping[str, int] = field(default_factory=dict)
    """Nodes by type in the runtime's optimised graph."""
    delegate: str | None = None
    """What the runtime hands operators to, whether it took any or none; None: it computes them all itself."""
    quantized: int | None = None
    floating: int | None = None
    control: Model | None = None
    """The control: the baseline, trained as the variant was and not compressed."""
    weights: str = ""
    """The type of number that its weights are lowered in, such as `int8`; of a baseline nothing is said."""
    trained: bool = False
    """Whether a step trained it, on the train split."""
    calibrated: bool = False
    """Whether the ranges of its numbers come from the calibration examples."""
    trial: Trial | None = None
    """What came of running it on examples."""
    notes: Mapping[str, Any] = field(default_factory=dict)
    code: Mapping[str, str] | None = None
    """sha256 of the files of the repository that were executed to make it, by their path from the project's folder;
    None: that was not noted."""
    read: Mapping[str, str | None] | None = None
    """The same of files that were read meanwhile and that makeweight.yaml does not name; of a folder with many of them
    the folder, without a hash. None: that was not noted."""
    made_of: Mapping[str, str] | None = None
    """Of a baseline, sha256 of the files that makeweight.yaml names for it, by their paths from the project's folder;
    None: that was not noted."""

    def batch(self, served: int | None) -> int | None:
        """How many examples to ask for at once; None: it makes no difference.

        Args:
            served: how many it is asked for where it is served; None: one.
        """
        return (served or 1) if self.trial is not None and self.trial.dependent else None

    @property
    def free_batch(self) -> bool:
        """Whether it takes any number of examples at once, and answers alike."""
        return not (self.model is None or self.model.batch or self.batch(None))

    @property
    def sha256(self) -> str | None:
        return None if self.model is None else self.model.sha256

    @property
    def size(self) -> int | None:
        """Bytes."""
        return None if self.model is None else self.model.size

    def made(self) -> Model:
        """The model, to be put to work.

        Raises:
            UsageError: the recipe failed, so there is none; or its files are not those that this tells of.
        """
        if self.model is None:
            raise UsageError(f"variant `{self.variant}` has no model file: {self.reason}")
        if not self.model.is_whole():
            raise UsageError(
                f"the model of `{self.variant}` is missing, or not the one that its manifest tells of",
                where=str(self.model.path),
                do="Run `dvc repro`, which makes it again.",
            )
        return self.model


def write(folder: Path, manifest: Manifest) -> None:
    """Write a manifest beside its model, with hash and size in front for those who read no more."""
    held = {key: None if (of := getattr(manifest, key)) is None else model.plain(of) for key in ("model", "control")}
    front = {"sha256": manifest.sha256, "size": manifest.size}
    write_json(folder / MANIFEST, {**asdict(manifest), **held, **front})


def found(folder: Path) -> Manifest | None:
    """The manifest of a folder, where it holds one.

    Raises:
        UsageError: it is damaged.
    """
    return read(folder) if (folder / MANIFEST).exists() else None


def read(folder: Path) -> Manifest:
    """The manifest of an artifact's folder.

    Raises:
        UsageError: there is none, or it is damaged.
    """
    path = folder / MANIFEST
    try:
        data = json.loads(path.read_text())
        front = {key: data.pop(key) for key in ("sha256", "size")}
        for key in ("model", "control"):
            if data[key] is not None:
                data[key] = model.of_plain(folder, data[key])
        data["trial"] = data["trial"] and Trial(**data["trial"])
        manifest = Manifest(**data)
        if front != {"sha256": manifest.sha256, "size": manifest.size}:
            raise ValueError("its halves disagree")
    except FileNotFoundError as error:
        raise UsageError("no such artifact yet", where=str(path), do="Run `dvc repro`, which makes it.") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        lacking = f"it has no {error}" if isinstance(error, KeyError) else error
        raise UsageError(
            f"this is no manifest ({lacking})", where=str(path), do="Delete the folder and run `dvc repro` again."
        ) from error
    return manifest
