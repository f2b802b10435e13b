"""An arm in a process of its own: what it answers, how it dies, and that it never outlives its side of the pipe."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tiny_models

from makeweight.measure.samples import store
from makeweight_probe import ArmKilled, ArmLost, ArmSilent, __main__
from makeweight_probe.__main__ import LOST, REFUSED, SILENT
from makeweight_probe.job import FactsJob, Model, dump_job
from makeweight_probe.worker import Worker


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tiny_models.dense(tmp_path / "model.onnx")
    store(tmp_path / "inputs.npz", [{"x": np.ones((1, tiny_models.FEATURES), np.float32)}] * 3)
    return tmp_path


def worker(folder: Path, *command: str) -> Worker:
    model = Model("onnxruntime", str(folder / "model.onnx"), 1)
    return Worker("b", model, str(folder / "inputs.npz"), command=list(command) or None)


def running(statement: str) -> str:
    """A process of an arm whose model does this at each run."""
    return (
        "import os, time; from makeweight_probe import worker, sessions\n"
        "class Session:\n"
        f"    def run(self, feeds): {statement}\n"
        "class Opener:\n"
        "    def open_session(self, path, threads): return Session()\n"
        "sessions.find = lambda runtime: Opener()\n"
        "worker.main()\n"
    )


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_it_times_what_it_is_told_to(folder: Path) -> None:
    with worker(folder) as arm:
        arm.wait()
        wall, cpu = (arm.block(2, 5, 3)[clock] for clock in ("wall", "cpu"))
        assert len(wall) == len(cpu) == 5
        assert min(wall) > 0
        assert arm.cold(0, 1 << 20) > 0
        assert arm.batch(4, 1, 2, 3) > 0
        assert [answer.shape for answer in arm.answer(1)] == [(1, tiny_models.CLASSES)]


def test_what_a_runtime_prints_does_not_get_between_the_answers(folder: Path) -> None:
    noisy = running("os.write(1, b'I am running'); print('and how')")
    with worker(folder, sys.executable, "-c", noisy) as arm:
        arm.wait()
        assert len(arm.block(0, 4, 1)["wall"]) == 4


def test_one_that_hangs_in_a_run_is_given_up_and_ended(folder: Path) -> None:
    with worker(folder, sys.executable, "-c", running("time.sleep(600)")) as arm:
        arm.wait()
        arm._patience = 0.2  # loading may take longer
        with pytest.raises(ArmSilent, match=r"the process of arm b has not answered for 0\.2 s"):
            arm.block(0, 1, 1)
        pid = arm.pid
    assert not alive(pid)


def test_one_that_is_killed_is_lost_and_not_waited_for(folder: Path) -> None:
    with worker(folder) as arm:
        arm.wait()
        os.kill(arm.pid, signal.SIGKILL)
        with pytest.raises(ArmKilled, match="the process of arm b ended with signal 9: it said nothing"):
            arm.block(0, 5, 1)


@pytest.mark.parametrize(
    ("kind", "code"),
    [(ArmSilent, SILENT), (ArmKilled, LOST), (ArmLost, REFUSED)],
    ids=["does not answer", "ended from outside", "ended by itself"],
)
def test_what_became_of_it_is_told_by_the_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[ArmLost], code: int
) -> None:
    def fails(*_: object) -> None:
        raise kind("it is gone")

    monkeypatch.setattr(__main__, "run", fails)
    (tmp_path / "job.json").write_text(dump_job(FactsJob()))
    assert __main__.main([str(tmp_path / "job.json"), str(tmp_path / "result.zip")]) == code


def test_one_that_dies_in_the_middle_of_an_answer_is_lost_with_its_last_words(folder: Path) -> None:
    half = "import sys; input(); sys.stdout.write('{\"ready\": tr'); sys.exit('no more memory')"
    with (
        worker(folder, sys.executable, "-c", half) as arm,
        pytest.raises(ArmLost, match="the process of arm b ended with exit code 1: no more memory"),
    ):
        arm.wait()


def test_last_words_that_are_no_text_are_told_as_far_as_they_are(folder: Path) -> None:
    """As a runtime prints a path in an encoding of its own."""
    words = "import sys; input(); sys.stderr.buffer.write(b'no m\\xe9moire left'); sys.exit(1)"
    with (
        worker(folder, sys.executable, "-c", words) as arm,
        pytest.raises(ArmLost, match=r"the process of arm b ended with exit code 1: no m.moire left"),
    ):
        arm.wait()


def test_one_that_does_not_listen_is_ended(folder: Path) -> None:
    """It takes no notice of being asked to end."""
    deaf = (
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('{}', flush=True)\ntime.sleep(600)\n"
    )
    with worker(folder, sys.executable, "-c", deaf) as arm:
        arm.wait()
        pid = arm.pid
    assert not alive(pid)


def test_all_are_ended_when_one_is_lost(folder: Path) -> None:
    with worker(folder) as first, worker(folder) as second:
        first.wait()
        second.wait()
        pids = first.pid, second.pid
        os.kill(second.pid, signal.SIGKILL)
        with pytest.raises(ArmLost):
            second.block(0, 1, 1)
    assert not any(map(alive, pids))


def test_one_ends_with_the_process_that_told_it_what_to_do(folder: Path) -> None:
    """Even if that was killed and could end nobody."""
    telling = (
        "import sys, time; from makeweight_probe.job import Model; from makeweight_probe.worker import Worker\n"
        f"model = Model('onnxruntime', {str(folder / 'model.onnx')!r}, 1)\n"
        f"arm = Worker('a', model, {str(folder / 'inputs.npz')!r})\n"
        "arm.wait(); print(arm.pid, flush=True); time.sleep(600)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", telling], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    process.kill()
    process.wait()
    process.stdout.close()
    while _state(pid) != "Z":  # hangs if it does not end
        time.sleep(0.01)


def _state(pid: int) -> str:
    """`Z` also when it is gone for good."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"
