"""The curves of a variant's trainings and of its control's, as DVC and the editors that read it draw them: written anew
after each epoch, and so with what was trained before a process was killed.

The files are those of a `plots` entry of dvc.yaml. DVCLive would append to files of its own: what a killed process
trained twice would stand there twice, and control and variant could not stand in one picture.
https://dvc.org/doc/user-guide/project-structure/dvcyaml-files#plots
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, zip_longest
from pathlib import Path
from typing import Literal

from makeweight_base import atomic

Side = Literal["variant", "control"]
SIDES: tuple[Side, Side] = ("variant", "control")
X = "epoch"
_UNTRAINED = "untrained.txt"

Figures = Mapping[str, float]
"""Of one epoch, by what they are."""

_NONE: Figures = {}


def none(folder: Path) -> None:
    """Say in a variant's folder that nothing trains there: of one that is empty DVC would warn each time."""
    atomic.write_text(folder / _UNTRAINED, "No step of this recipe trains, so there are no curves.\n")


@dataclass(frozen=True)
class Curves:
    """Those of one side."""

    folder: Path | None = None
    """None: nothing is drawn."""
    side: Side = "variant"
    _trained: dict[Side, list[Sequence[Figures]]] = field(default_factory=lambda: {side: [] for side in SIDES})
    """One training after the other."""

    def of(self, side: Side) -> Curves:
        """Those beside."""
        return replace(self, side=side)

    def begin(self) -> Callable[[Sequence[Figures]], None]:
        """For a training that follows those before: to be called with the figures of all its epochs."""
        trained = self._trained[self.side]
        trained.append(())
        place = len(trained) - 1

        def show(epochs: Sequence[Figures]) -> None:
            trained[place] = epochs
            self._write()

        return show

    def _write(self) -> None:
        if self.folder is None:
            return
        sides = [[*chain(*self._trained[side])] for side in SIDES]
        rows = [*zip_longest(*sides, fillvalue=_NONE)]
        for name in dict.fromkeys(chain(*chain(*rows))):
            lines = [[X, *SIDES]]
            for number, row in enumerate(rows, 1):
                lines.append([str(number), *(f"{of[name]:.6g}" if name in of else "" for of in row)])
            atomic.write_text(self.folder / f"{name}.tsv", "".join("\t".join(line) + "\n" for line in lines))
