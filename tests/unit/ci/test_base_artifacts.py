"""The base's artifacts made again in a work tree of the base, or simply not there."""

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import cast

from makeweight.ci import base_artifacts
from makeweight.ci.dvc import Dvc, Failed
from makeweight.ci.git import Git
from makeweight_base.progress import Silent
from unit.ci.conftest import Made, base_of


class Elsewhere:
    @contextlib.contextmanager
    def second(self, sha: str) -> Iterator[Path]:
        yield Path(sha)


class Broken:
    def has_remote(self) -> bool:
        return False

    def reproduce(self, stages: Iterable[str]) -> None:
        raise Failed("dvc repro", f"ERROR: failed to reproduce {', '.join(stages)}")


class Heard(Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


def test_a_stage_that_fails_at_the_base_is_told_and_holds_nothing_up(made: Made) -> None:
    heard, dvc = Heard(), cast(Dvc, Broken())
    base_artifacts.make_again(made(), base_of(None), {"small": "int8"}, cast(Git, Elsewhere()), lambda _: dvc, heard)
    assert heard.lines[1:] == ["the base's artifacts could not be made again: failed to reproduce compress@int8"]
