"""What a worker tells of a job that was not carried through: whose fault it is, and whether it may be otherwise."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from makeweight import __version__
from makeweight.bench.probe import JobFailed
from makeweight.devices.device import Ended
from makeweight.measure.patient import ModelGivenUp
from makeweight.project import reading
from makeweight.search import work
from makeweight_base import given_up
from makeweight_base.errors import EnvironmentFailed, OutOfMemory, ProcessLost, UsageError
from makeweight_probe.__main__ import NO_RUNTIME
from makeweight_probe.alone import LOCK

DEVICE: Any = SimpleNamespace(name="pi5", python=["python3"])


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setenv(LOCK, "the tests' own")
    (tmp_path / "answers.npz").touch()
    return {
        "makeweight": __version__,
        "root": str(tmp_path),
        "folder": str(tmp_path / "trial-1"),
        "answers": str(tmp_path / "answers.npz"),
        "lock": str(tmp_path / "lock"),
    }


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        # a process that is killed or fails by itself is a lost worker, and begun again as such
        pytest.param(ProcessLost("ended (signal SIGKILL)"), {"lost": "ended (signal SIGKILL)"}, id="lost"),
        pytest.param(
            ModelGivenUp("no answer", where="one"),
            {"ended": "failed", "reason": "one: no answer"},
            id="never-answers",
        ),
        pytest.param(OutOfMemory("a step of 64"), {"ended": "failed", "reason": "a step of 64"}, id="memory"),
        pytest.param(UsageError("no data"), {"ended": "failed", "reason": "no data", "again": True}, id="user"),
        pytest.param(EnvironmentFailed("no GPU"), {"failure": "no GPU"}, id="machine"),
        pytest.param(
            JobFailed(DEVICE, Ended(1, "OSError: [Errno 28] No space left on device")),
            {
                "failure": "device `pi5`: its disk is full: OSError: [Errno 28] No space left on device\n"
                "  Make room there, and run again."
            },
            id="device",
        ),
        pytest.param(
            JobFailed(DEVICE, Ended(NO_RUNTIME, "no litert")),
            {"ended": "failed", "reason": "it cannot be measured on device `pi5`: no litert", "again": True},
            id="runtime",
        ),
        pytest.param(
            JobFailed(DEVICE, Ended(-9, "")),
            {"lost": "device `pi5`: the measuring process ended with signal 9: it said nothing"},
            id="killed",
        ),
        pytest.param(ZeroDivisionError("by 0"), {"ended": "failed", "reason": "ZeroDivisionError: by 0"}, id="recipe"),
    ],
)
def test_whose_fault_it_is(
    job: dict[str, Any], monkeypatch: pytest.MonkeyPatch, raised: Exception, told: dict[str, Any]
) -> None:
    def fails(*_: object) -> None:
        raise raised

    monkeypatch.setattr(work, "_carried_out", fails)
    found = work.carry_out(job, quiet=False)
    about = ("ended", "reason", "again", "lost", "failure")
    assert {key: found[key] for key in about if key in found} == told
    assert not found["stuck"]


def test_a_process_that_is_still_at_what_it_gave_up_says_so(
    job: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def failed(*_: object) -> dict[str, Any]:
        return {"ended": "failed", "reason": "it never answers"}

    monkeypatch.setattr(work, "_carried_out", failed)
    monkeypatch.setattr(given_up, "_at_work", {"a thread"})
    assert work.carry_out(job, quiet=False)["stuck"]


def test_a_node_that_sees_another_folder_or_has_another_version_says_so_and_leaves_nothing_there(
    job: dict[str, Any],
) -> None:
    away = {**job, "root": "/home/me/project", "folder": "/nowhere/trial-1", "answers": "/nowhere/answers.npz"}
    told = work.carry_out(away, quiet=False)
    assert "has not the /home/me/project that the search was begun in" in told["failure"]
    assert not Path("/nowhere").exists()
    other = work.carry_out({**job, "makeweight": "0.0.1"}, quiet=False)
    assert f"has makeweight {__version__}, and the search was begun with 0.0.1" in other["failure"]
    assert not Path(job["folder"]).exists()


def test_makeweight_yaml_is_read_once_for_all_jobs_of_a_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (
        "model: {onnx: model.onnx}\n"
        "data: {npz: {test: test.npz}}\n"
        "variants: {half: {steps: [float16]}}\n"
        "budget: {size: {max_ratio: 0.6}}\n"
    )
    parsed: list[str] = []
    parse = reading.parse

    def noted(text: str, source: str) -> Any:
        parsed.append(text)
        return parse(text, source)

    monkeypatch.setattr(reading, "parse", noted)
    projects = [work._read(text, tmp_path)[1] for _ in range(3)]
    assert parsed == [text]
    assert projects[0] is projects[2]
    assert list(projects[0].variants) == ["half"]
