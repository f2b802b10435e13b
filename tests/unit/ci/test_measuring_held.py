"""Code of a change's own that runs while a device measures writes nothing that is judged, and nothing of it is left."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from makeweight.ci import contained, measure
from makeweight.ci.state import State
from makeweight.project.project import Project
from makeweight_base.errors import EnvironmentFailed
from makeweight_base.progress import Silent
from unit.ci.conftest import Made

JUDGED = "reports/int8/evaluate.json"
AROUND = ("sources: [code]", "sources: [code]\npipeline: {samples: raw, preprocess: 'code:before'}")
PROGRAM = ("{kind: local}", "{kind: command, run: 'sh time.sh {model}'}")
WAY_THERE = ("{kind: local}", "{kind: ssh, host: pi, config: ssh.conf}")
OWN_CODE = {"around the model": AROUND, "a program of the device's": PROGRAM, "how ssh gets there": WAY_THERE}


def measured(project: Project, *, asked: str | None = None, timed: str | None = None) -> set[Any]:
    """What benchmarks are held in.

    Args:
        asked: a file that is written while the device is asked what it is, besides what that makes.
        timed: the same while it measures.
    """
    found = set()

    def write(*paths: str | None) -> None:
        for path in filter(None, paths):
            (project.root / path).parent.mkdir(parents=True, exist_ok=True)
            (project.root / path).write_text("written")

    def ask(_: Project, device: str, __: Any) -> None:
        write(f"reports/devices/{device}.json", asked)

    def benchmark(_: Project, name: str, device: str, __: Any, *, held: Any, memory: dict[str, Any]) -> None:
        assert list(memory) == ([device] if found else []), "the first leaves to the others what it was told"
        memory[device] = [{"load": 1.0, "run": 2.0}]
        write(f"reports/{name}/{device}.json", f"samples/{name}/{device}.npz", timed)
        found.add(held)

    measure.run(project, None, State(None), "local", ask, benchmark, Silent(), anew=True, remade=())
    return found


@pytest.mark.parametrize("case", OWN_CODE)
def test_it_writes_nothing_that_is_judged_and_nothing_of_it_is_left(made: Made, tmp_path: Path, case: str) -> None:
    project = replace(made(OWN_CODE[case]), root=tmp_path)
    assert measured(project) == {contained.nothing_left}
    with pytest.raises(EnvironmentFailed, match=f"`{JUDGED}` changed, and makeweight did not"):
        measured(project, timed=JUDGED)


@pytest.mark.parametrize("case", ["a program of the device's", "how ssh gets there"])
def test_nor_does_it_where_a_device_is_asked_what_it_is(made: Made, tmp_path: Path, case: str) -> None:
    with pytest.raises(EnvironmentFailed, match=f"`{JUDGED}` changed, and makeweight did not"):
        measured(replace(made(OWN_CODE[case]), root=tmp_path), asked=JUDGED)


def test_where_no_such_code_runs_nothing_is_looked_at(made: Made, tmp_path: Path) -> None:
    assert measured(replace(made(), root=tmp_path), timed=JUDGED) == {contextlib.nullcontext}


@pytest.mark.parametrize(
    ("told", "looked"),
    [(b"{}", [["int8"]]), (b'{"cpu": "another"}', [["int8"], ["int8", "other"]])],
    ids=["same", "other"],
)
def test_what_is_due_is_looked_up_again_only_where_the_device_is_another(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: bytes, looked: list[list[str]]
) -> None:
    project = replace(made(), root=tmp_path)
    place = project.layout.device("local")
    place.parent.mkdir(parents=True)
    place.write_bytes(b"{}")
    answers = iter(looked)
    monkeypatch.setattr(measure, "_due", lambda *_: next(answers))
    measured: list[str] = []

    def benchmark(_: Project, name: str, *__: Any, **___: Any) -> None:
        measured.append(name)

    def ask(*_: Any) -> None:
        place.write_bytes(told)

    measure.run(project, None, State(None), "local", ask, benchmark, Silent(), anew=False, remade=())
    assert measured == looked[-1]
    assert next(answers, None) is None
