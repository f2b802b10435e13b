"""The base's artifacts made again in a work tree of the base, or simply not there."""

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

from makeweight.ci import base_artifacts
from makeweight.ci.dvc import Dvc, Failed
from makeweight.ci.git import Git
from makeweight_base.progress import Silent
from unit.ci.conftest import Made, base_of, laid


class Elsewhere:
    @contextlib.contextmanager
    def second(self, sha: str) -> Iterator[Path]:
        yield Path(sha)


class Broken:
    def pull(self, targets: Iterable[str]) -> str:
        return f"nothing is stored of {', '.join(targets)}"

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


def test_what_was_set_aside_is_the_bases_only_as_it_was(made: Made, tmp_path: Path) -> None:
    """Stages run meanwhile, and a slower one in its place would make any growth look small."""
    project = replace(made(), root=tmp_path)
    own = project.layout.artifact("int8")
    base = base_of(project, provenance={"artifacts": {"int8": laid(own, b"of the base")}})
    base_artifacts.keep(project, base, {"int8": "int8"})
    laid(own, b"made here")
    assert base_artifacts.lacking(project, base, {"int8"}) == {}
    aside = base_artifacts.place(tmp_path, "int8")
    (aside / "model.onnx").write_bytes(b"slower")
    assert base_artifacts.lacking(project, base, {"int8"}) == {"int8": "int8"}
    laid(aside, b"slower")
    assert base_artifacts.lacking(project, base, {"int8"}) == {"int8": "int8"}
    heard, dvc = Heard(), cast(Dvc, Broken())
    base_artifacts.make_again(project, base, {"int8": "int8"}, cast(Git, Elsewhere()), lambda _: dvc, heard)
    assert not aside.exists()


def test_that_equal_bytes_are_the_bases_is_looked_up_where_they_are_made_from_something_else(
    made: Made, tmp_path: Path
) -> None:
    """Its own word alone would let the change before say so of what is made here."""
    project = replace(made(), root=tmp_path)
    base = base_of(project, provenance={"artifacts": {"int8": laid(project.layout.artifact("int8"), b"made here")}})
    assert base_artifacts.lacking(project, base, set()) == {}
    assert base_artifacts.lacking(project, base, {"int8"}) == {"int8": "int8"}
    base_artifacts.keep(project, base, {"int8": "int8"})
    assert base_artifacts.lacking(project, base, {"int8"}) == {}
