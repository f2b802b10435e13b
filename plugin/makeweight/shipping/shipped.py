"""The shipped folder: the model that the verdict chose, and all that tells of it."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from makeweight.artifact import artifact
from makeweight.artifact.artifact import MANIFEST, Manifest
from makeweight.artifact.files import File, files_of, sha256_of
from makeweight.decide import verdict
from makeweight.decide.verdict import Verdict
from makeweight.layout import Layout
from makeweight.proof import fresh, signing
from makeweight_base.atomic import replacing_folder
from makeweight_base.errors import EnvironmentFailed, Exit, MakeweightError, UsageError, reason

_AGAIN = "Run `dvc repro`, which makes it again."


class NothingShips(MakeweightError):
    """The verdict lets no variant ship; the exit code is the gate's."""

    def __init__(self, decided: Verdict, where: str) -> None:
        passes = decided.verdict == "pass"
        self.exit_code = Exit.INCONCLUSIVE if passes else verdict.EXIT_CODES[decided.verdict]
        super().__init__(
            f"nothing ships, the verdict is {decided.verdict}: {decided.sentence}",
            where=where,
            do="What shipped before stays as it was.",
        )


@dataclass(frozen=True)
class Shipped:
    """A folder as `ship` leaves it, its model whole."""

    folder: Path
    manifest: Manifest
    verdict: Verdict
    sha256: str
    """Of the model, as the manifest has it."""
    files: tuple[File, ...]
    """All of the folder."""

    @property
    def digest(self) -> str:
        """A hash over the names and contents of all files: what the folder is called where many lie side by side."""
        listed = "".join(f"{file.sha256}  {file.name}\n" for file in self.files)
        return hashlib.sha256(listed.encode()).hexdigest()


def gather(root: Path) -> Shipped:
    """Put what the verdict of a project chose into its `shipped/`, whole or not at all.

    Raises:
        NothingShips: the verdict is no pass, or stale; what shipped before stays.
        UsageError: there is no verdict, or what it chose is not at hand as it was judged.
        EnvironmentFailed: the disk refuses; what shipped before stays.
    """
    layout = Layout(root)
    decided = fresh.read(root)
    where = str(layout.verdict)
    if decided.verdict != "pass" or decided.ship is None:
        raise NothingShips(decided, where)
    folder = layout.artifact(decided.ship)
    manifest = artifact.read(folder)
    model = manifest.made()
    _refuse_another(decided, model.sha256, where)
    beside = [folder / MANIFEST, layout.reference(decided.ship), layout.card, layout.verdict]
    beside += _signature(layout.verdict)
    names = [*(file.name for file in model.files), *(path.name for path in beside)]
    if twice := {name for name in names if names.count(name) > 1}:
        raise UsageError(f"a file of the model is called `{twice.pop()}`, as one of those beside it", where=str(folder))
    sources = [*(folder / file.name for file in model.files), *beside]
    return _copy(zip(names, sources, strict=True), layout.shipped)


def verdict_of(folder: Path) -> Path:
    """Where the verdict lies in a shipped folder."""
    return folder / Layout(folder).verdict.name


def read(folder: Path) -> Shipped:
    """What lies in a shipped folder.

    Raises:
        UsageError: it is none, or not whole: a file is missing, or the model is not the one that was judged.
    """
    path = verdict_of(folder)
    if not path.is_file():
        do = "Run `dvc repro ship`, or fetch it (`dvc get REPOSITORY shipped`)."
        raise UsageError("nothing has shipped here", where=str(folder), do=do)
    manifest = artifact.read(folder)
    decided = verdict.loads(path.read_text(encoding="utf-8", errors="replace"), str(path))
    model = manifest.made()
    if decided.verdict != "pass" or decided.ship != manifest.variant:
        raise UsageError(f"its verdict lets no `{manifest.variant}` ship", where=str(path), do=_AGAIN)
    _refuse_another(decided, model.sha256, str(path))
    names = sorted(each.relative_to(folder).as_posix() for each in folder.rglob("*") if each.is_file())
    return Shipped(folder, manifest, decided, model.sha256, files_of(folder, names))


def copy(shipped: Shipped, target: Path) -> None:
    """Copy a shipped folder; what arrives is read back and is the same to the byte.

    Raises:
        EnvironmentFailed: the disk refuses, or gives back something else; what stood at `target` is untouched.
    """
    _copy(((file.name, shipped.folder / file.name) for file in shipped.files), target, shipped.digest)


def _copy(files: Iterable[tuple[str, Path]], target: Path, digest: str | None = None) -> Shipped:
    """Copy files by their names in the folder `target`, which takes its place when all are on the disk."""
    with replacing_folder(target) as folder:
        for name, source in files:
            place = folder / name
            place.parent.mkdir(parents=True, exist_ok=True)
            try:
                shutil.copyfile(source, place)
            except FileNotFoundError as error:
                raise UsageError("is missing, and ships with the model", where=str(source), do=_AGAIN) from error
            with place.open("rb") as written:
                os.fsync(written.fileno())
        try:
            copied = read(folder)
        except UsageError as error:
            raise EnvironmentFailed(f"what was copied is not whole: {reason(error)}", where=str(target)) from error
        if digest is not None and copied.digest != digest:
            raise EnvironmentFailed(
                "what was copied reads otherwise than what it was copied from",
                where=str(target),
                do="Run it again; if that stays so, the disk is failing.",
            )
    return replace(copied, folder=target, manifest=artifact.read(target))


def _refuse_another(decided: Verdict, sha256: str, where: str) -> None:
    judged = (decided.provenance.get("artifacts") or {}).get(decided.ship)
    if judged != sha256:
        raise UsageError(
            f"the model of `{decided.ship}` is not the one that was judged ({sha256[:12]} is here, "
            f"{str(judged)[:12]} was judged)",
            where=where,
            do="Run `makeweight report`, which judges what is here.",
        )


def _signature(path: Path) -> list[Path]:
    """The signature of a verdict, where it is of this very one; an older one would only read as forged."""
    beside = signing.beside(path)
    if not beside.is_file():
        return []
    claimed = signing.read(beside.read_text(encoding="utf-8", errors="replace"), str(beside))
    return [beside] if claimed.sha256 == sha256_of(path) else []
