"""Work that is given up: who waits for it goes on with the reason, and the process can still end."""

from __future__ import annotations

import subprocess
import sys
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from makeweight_base import given_up
from makeweight_base.given_up import OtherThread, TooLong


def test_what_another_thread_does_gives_what_it_gives_and_raises_what_it_raises() -> None:
    with OtherThread() as thread:
        threads = [thread.do(threading.current_thread, 60.0) for _ in range(2)]
        assert threads[0] is threads[1] is not threading.current_thread()
        with pytest.raises(ZeroDivisionError):
            thread.do(lambda: 1 // 0, 60.0)
        assert thread.do(lambda: "still there", 60.0) == "still there"
    given_up.leave(9)  # nothing was given up, so this process goes on
    threads[0].join()


def test_what_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    at_work: set[threading.Thread] = set()
    monkeypatch.setattr(given_up, "_at_work", at_work)
    mended = threading.Event()
    with OtherThread() as other, pytest.raises(TooLong):
        other.do(mended.wait, 0.01)
    (thread,) = at_work
    assert given_up.at_work()
    mended.set()
    thread.join()
    assert not given_up.at_work()


@pytest.mark.parametrize(
    ("looks", "ended", "waited"),
    [(2, True, [10.0, 10.0]), (4, False, [10.0, 10.0, 5.0])],
    ids=["ends after it stood still", "never ends"],
)
def test_a_time_in_which_the_process_stood_still_is_one_wait(looks: int, ended: bool, waited: list[float]) -> None:
    """As after Ctrl-Z: meanwhile the clock went on, and nothing could come to its end."""
    told: list[float] = []

    def acquire(timeout: float) -> bool:
        told.append(timeout)
        return len(told) == looks

    lock: Any = SimpleNamespace(acquire=acquire)
    assert (given_up._released(lock, 25.0), told) == (ended, waited)


def test_a_process_ends_with_its_code_and_takes_nothing_down_under_what_it_gave_up() -> None:
    """As ONNX Runtime aborts a process whose libraries are taken down while a thread of it computes."""
    script = (
        "import argparse, atexit, os, sys, threading\n"
        "from makeweight_base import commandline, given_up\n"
        "from makeweight_base.errors import EnvironmentFailed\n"
        "class Library:\n"
        "    def __del__(self, abort=os.abort): abort()\n"
        "library = Library()\n"
        "atexit.register(print, 'put in order')\n"
        "def verb(_):\n"
        "    with given_up.OtherThread() as thread:\n"
        "        try:\n"
        "            thread.do(threading.Event().wait, 0.01)\n"
        "        except given_up.TooLong:\n"
        "            raise EnvironmentFailed('it never answers')\n"
        "sys.exit(commandline.run('weigh', verb, argparse.Namespace()))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (4, "put in order\n", "error: it never answers\n")
