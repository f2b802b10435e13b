"""`pointer`: the file that says who serves, as `serving/pointer.py` has it. Servers watch it."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import Field

from makeweight_base.errors import EnvironmentFailed, MakeweightError
from makeweight_monitors.rollback.case import Canary, attempt
from makeweight_monitors.rollback.seen import Placement
from makeweight_monitors.rollback.targets.target import Moved, TargetOptions, agree
from makeweight_monitors.serving import pointer, retention
from makeweight_monitors.serving.pointer import Overtaken, Pointer


class PointerOptions(TargetOptions):
    """Where the file is."""

    path: str = Field(min_length=1, description="The pointer's file, from the folder of makeweight.yaml on.")
    keep: int = Field(
        2, ge=0, description="How many models stay beside it that are served no more, when a canary's trial is over."
    )


class PointerTarget:
    """A JSON file that is replaced whole, and counts its epoch up with each change."""

    Options: ClassVar[type[TargetOptions]] = PointerOptions

    def __init__(self, options: PointerOptions, folder: Path) -> None:
        self.path, self.keep = folder / options.path, options.keep

    def get(self) -> Placement:
        stands = pointer.load(self.path)
        canary = stands.canary
        if canary is None:
            stable = stands.stable
            release = stable.revision, attempt(str(stable.attempt))
            return Placement(0.0, "", "", str(stands.epoch), stable=stable.sha256, stable_release=release)
        return Placement(
            canary.weight,
            canary.sha256,
            attempt(str(canary.attempt)),
            str(stands.epoch),
            canary.revision,
            canary.model,
            shadowed=canary.weight == 0,
        )

    def set(self, seen: Placement, share: float) -> None:
        stands = pointer.load(self.path)
        if str(stands.epoch) != seen.mark:
            raise Moved(f"it is at epoch {stands.epoch} by now, and was at {seen.mark}", where=str(self.path))
        if stands.canary is None and share <= 0:
            return
        self._write(stands.rolled_back() if share <= 0 else stands.at_weight(share))

    def verify(self, share: float) -> None:
        canary = pointer.load(self.path).canary
        agree(0.0 if canary is None else canary.weight, share, str(self.path))

    def finalize(self, canary: Canary, promoted: bool, why: str) -> str | None:
        if promoted:
            self._promote(canary)
        return self._clear()

    def _promote(self, canary: Canary) -> None:
        stands = pointer.load(self.path)
        if stands.canary is None and stands.stable.sha256 == canary.sha256:
            return
        if stands.canary is None or stands.canary.sha256 != canary.sha256:
            raise EnvironmentFailed(f"{canary} is not on trial there any more", where=str(self.path))
        self._write(stands.promoted())

    def _clear(self) -> str | None:
        """What came of removing older models; that they cannot be removed is told, and stops nothing."""
        try:
            gone = retention.remove_older(self.path, self.keep)
        except MakeweightError as error:
            return f"older models stay: {str(error).splitlines()[0]}"
        names = ", ".join(name[:12] for name in gone)
        return f"removed {len(gone)} that nobody serves any more ({names})" if gone else None

    def _write(self, wanted: Pointer) -> None:
        try:
            pointer.write(self.path, wanted)
        except Overtaken as error:
            raise Moved(error.what, where=error.where) from error
