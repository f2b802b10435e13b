"""Programs that are waited for until they end and no longer, and what they leave behind."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import timing_programs
from makeweight.bench import probe
from makeweight.devices import to_its_end as running
from makeweight.devices import watched
from makeweight.devices.adb import AdbOptions
from makeweight.devices.device import DeviceOptions, GivenUp
from makeweight.devices.local import Local, LocalOptions
from makeweight.devices.ssh import SshOptions
from makeweight.devices.to_its_end import TooLong, to_its_end
from makeweight_base.errors import Exit
from makeweight_probe.job import FactsJob

# one that does not end when it is asked to, as where a runtime never returns, with what it has started
DEAF = "trap '' TERM; sleep 600 & echo $$ $! > {alive}; wait; sleep 600"


@pytest.fixture(autouse=True)
def _in_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "GRACE", 0.2)
    monkeypatch.setattr(watched, "GRACE", 0.1)


def gone(*processes: int) -> bool:
    """Whether they have ended; one that nobody has waited for yet counts as that."""
    for _ in range(500):
        left = [each for each in processes if Path(f"/proc/{each}").exists() and not _ended(each)]
        if not left:
            return True
        time.sleep(0.02)
    return False


def _ended(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def started(alive: Path) -> list[int]:
    return [int(word) for word in alive.read_text().split()]


def test_what_a_program_prints_and_says_and_how_it_ends() -> None:
    came = to_its_end(["sh", "-c", "cat; echo out; echo err >&2; exit 3"], 60)
    assert (came.code, came.printed, came.said) == (3, "out\n", "err\n")
    assert to_its_end(["sh", "-c", "kill -11 $$"], 60).code == -signal.SIGSEGV
    with pytest.raises(FileNotFoundError):
        to_its_end(["no-such-program"], 60)


def test_what_it_leaves_behind_is_neither_waited_for_nor_left() -> None:
    """A program of the user's that keeps on writing kept us waiting for ever, and ran beside what was measured next."""
    came = to_its_end(["sh", "-c", "sleep 600 & echo $!"], 60)
    assert came.code == 0
    assert gone(int(came.printed))


def test_one_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    alive = tmp_path / "alive"
    with pytest.raises(TooLong):
        to_its_end(["sh", "-c", DEAF.format(alive=alive)], 2)
    assert gone(*started(alive))


def test_a_model_that_never_answers_here_is_not_measured_and_leaves_nothing(tmp_path: Path) -> None:
    """Its process leads a group of its own, as the probe does."""
    alive = tmp_path / "alive"
    device = Local("here", LocalOptions(patience=2))
    timing_programs.program(tmp_path / "hangs", DEAF.format(alive=alive))
    device.python = ("setsid", str(tmp_path / "hangs"))
    with pytest.raises(GivenUp, match=r"^device `here`: .* has not ended for 2 s.*not measured\n.*`patience:`") as told:
        probe.run(device, FactsJob(), print)
    assert told.value.exit_code == Exit.ENVIRONMENT
    assert gone(*started(alive))


def test_what_runs_here_ends_when_we_are_killed(tmp_path: Path) -> None:
    alive = tmp_path / "alive"
    run = (
        "from makeweight.devices.local import Local, LocalOptions\n"
        f"Local('here', LocalOptions()).run(['setsid', 'sh', '-c', 'echo $$ > {alive}; exec sleep 600'])\n"
    )
    ours = subprocess.Popen([sys.executable, "-c", run])
    while not (alive.exists() and alive.read_text().endswith("\n")):
        assert ours.poll() is None
        time.sleep(0.02)
    ours.send_signal(signal.SIGKILL)
    ours.wait()
    assert gone(*started(alive))


def test_ctrl_c_is_told_to_what_runs_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked to end, it does so in order: a governor comes back."""
    alive, back = tmp_path / "alive", tmp_path / "back"
    script = f"trap 'echo back > {back}; exit 0' TERM; sleep 600 & echo $! > {alive}; wait"

    class Interrupted(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            if timeout is None or timeout < 1000:
                return super().wait(timeout)
            while not (alive.exists() and alive.read_text().endswith("\n")):
                time.sleep(0.01)
            raise KeyboardInterrupt

    monkeypatch.setattr(running, "threading", SimpleNamespace(Event=Interrupted, Thread=threading.Thread))
    monkeypatch.setattr(running, "GRACE", 10)
    monkeypatch.setattr(watched, "GRACE", 5)
    with pytest.raises(KeyboardInterrupt):
        Local("here", LocalOptions()).run(["sh", "-c", script])
    assert back.read_text() == "back\n"
    assert gone(*started(alive))


@pytest.mark.parametrize(
    "options",
    [
        LocalOptions,
        lambda **given: SshOptions(host="board", **given),
        lambda seconds=10, **given: AdbOptions(python="python3", seconds=seconds, **given),
    ],
    ids=["here", "ssh", "adb"],
)
def test_who_is_given_long_to_measure_is_not_taken_to_hang(options: Any) -> None:
    assert options().longest == 1800 + 4 * 10
    long = options(seconds=3600)
    assert long.longest > 4 * 3600
    assert long.model_copy(update={"seconds": 7200}).longest > 4 * 7200
    assert options(patience=5).longest == 5
    assert DeviceOptions(seconds=3600).longest == long.longest


def test_programs_that_time_a_model_are_given_up_sooner_than_the_probe() -> None:
    assert AdbOptions(seconds=3600).longest == 600
    assert AdbOptions(patience=5).longest == 5


def test_an_exit_code_is_the_programs_own_and_what_it_prints_is_nobodys(capfd: pytest.CaptureFixture[str]) -> None:
    ended = Local("here", LocalOptions()).run(["sh", "-c", "echo out; echo err >&2; exit 7"])
    assert (ended.code, ended.said) == (7, "err\n")
    assert capfd.readouterr() == ("", "")
