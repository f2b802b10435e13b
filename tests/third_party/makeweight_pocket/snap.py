"""A technique: weights rounded to multiples of a step, so that they pack better. Group `makeweight.techniques`."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from makeweight.compress import technique
from makeweight.compress.subject import Subject
from makeweight.compress.technique import Effect, Given, Needs
from makeweight.runtimes.format import SourceKind
from makeweight.runtimes.runtime import RecipeFailed


class Snap:
    """Every weight becomes the nearest multiple of `grid`."""

    name: ClassVar[str] = "snap"
    sets_number_format: ClassVar[bool] = False
    packages: ClassVar[tuple[str, ...]] = ("makeweight-pocket",)
    accepts: ClassVar[frozenset[SourceKind]] = frozenset({"module"})

    class Options(technique.Options):
        """How coarse."""

        grid: float = Field(0.05, gt=0, description="The distance between two values that a weight can have.")

    def effect(self, options: Options) -> Effect:
        del options
        return "changes"

    def codebook(self, options: Options) -> None:
        del options

    def needs(self, options: Options) -> Needs:
        del options
        return Needs()

    def apply(self, subject: Subject, options: Options, given: Given) -> Subject:
        import torch

        moved = 0
        with torch.no_grad():
            for values in subject.source.parameters():
                snapped = torch.round(values / options.grid) * options.grid
                moved += int((snapped != values).sum())
                values.copy_(snapped)
        if not moved:
            raise RecipeFailed("snap changed nothing: every weight lies on the grid")
        given.notes[self.name] = {"moved": moved}
        return subject

    def training(self, options: Any) -> None:
        del options
