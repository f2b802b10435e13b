"""What a program leaves behind is ended with it, whatever it does to get away; and it is ended with us."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from makeweight.ci import contained

HOLD = "import signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(600)"
DAEMON = """
import os, sys, time, signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGHUP, signal.SIG_IGN)
reading, writing = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.setsid() if {again} else None
        os.write(writing, str(os.getpid()).encode())
        while True:
            time.sleep(0.01)
            {more}
    os._exit(0)
os.wait()
print(os.read(reading, 20).decode(), flush=True)
"""
"""Forks twice, each time into a session of its own, and says who remains; its output stays open."""


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contained, "_GRACE", 0.3)


def ran(tmp_path: Path, code: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code]
    with contained.started(command, tmp_path, os.environ) as process:
        said, complained = process.communicate()
    return subprocess.CompletedProcess(command, process.returncode, said, complained)


@contextlib.contextmanager
def held() -> Iterator[subprocess.Popen[bytes]]:
    """A child of this process that will not end when it is asked to."""
    with subprocess.Popen([sys.executable, "-c", HOLD], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield process
        finally:
            process.kill()


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_program_says_what_it_says_and_how_it_ended(tmp_path: Path) -> None:
    done = ran(tmp_path, "import os, sys; print(os.getcwd()); print('no', file=sys.stderr); sys.exit(3)")
    assert (done.returncode, done.stdout, done.stderr) == (3, f"{tmp_path.resolve()}\n", "no\n")
    assert ran(tmp_path, "import sys; print(sys.stdin.read())").stdout == "\n"


@pytest.mark.parametrize("again", [False, True], ids=["a daemon", "a leader of its session"])
def test_a_daemon_that_will_not_end_is_ended(tmp_path: Path, again: bool) -> None:
    """Its parents have gone, its session is another, it ignores SIGTERM and holds our pipe."""
    done = ran(tmp_path, DAEMON.format(again=again, more=""))
    assert done.returncode == 0
    assert not runs(int(done.stdout))


@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside a child that we had before"])
def test_one_that_forks_for_ever_does_not_get_ahead(tmp_path: Path, beside: bool) -> None:
    """Each lives for a moment, and its child goes on: a look at all processes can miss it."""
    alive, most = tmp_path / "alive", 3000
    hop = (
        f"if os.fork() or os.path.exists('alive') and os.path.getsize('alive') >= {most}: os._exit(0)",
        "os.setsid()",
        "open('alive', 'a').write('x')",
    )
    with held() if beside else contextlib.nullcontext() as ours:
        for _ in range(3):
            done = ran(tmp_path, DAEMON.format(again=True, more="\n            ".join(hop)))
            assert done.returncode == 0
            size = alive.stat().st_size
            time.sleep(0.3)
            assert alive.stat().st_size == size < most
        assert ours is None or ours.poll() is None


def test_what_ends_when_it_is_asked_to_may_end_by_itself(tmp_path: Path) -> None:
    polite = (
        "import signal, sys, time, pathlib\n"
        "def bye(*_): pathlib.Path('bye').write_text('x'); sys.exit()\n"
        "signal.signal(signal.SIGTERM, bye)\nprint('ready', flush=True)\ntime.sleep(600)"
    )
    start = f"import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', {polite!r}], stdout=-1, text=True)"
    assert ran(tmp_path, f"{start}\nprint(p.stdout.readline())").stdout == "ready\n\n"
    assert (tmp_path / "bye").exists()


def test_children_that_we_had_before_are_no_concern(tmp_path: Path) -> None:
    with held() as ours:
        done = ran(tmp_path, DAEMON.format(again=True, more=""))
        assert not runs(int(done.stdout))
        assert ours.poll() is None


def test_nothing_is_left_of_a_block_that_is_left_early(tmp_path: Path) -> None:
    begun = []

    def leave() -> None:
        with contained.started([sys.executable, "-c", HOLD], tmp_path, os.environ) as process:
            assert process.stdout is not None
            begun.append((process, process.stdout.readline()))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        leave()
    ((process, said),) = begun
    assert said == "1\n"
    assert process.returncode is not None
    assert not runs(process.pid)


PARENT = """
import os, pathlib, sys
from makeweight.ci import contained
contained._GRACE = 0.3
with contained.started([sys.executable, "-c", sys.argv[1]], pathlib.Path(), os.environ) as process:
    for line in process.stdout:
        print(line.strip(), flush=True)
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_who_is_cancelled_ends_what_was_started(tmp_path: Path, how: signal.Signals) -> None:
    code = DAEMON.format(again=True, more="") + "\ntime.sleep(600)"
    command = [sys.executable, "-c", PARENT, code]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as us:
        assert us.stdout is not None
        daemon = int(us.stdout.readline())
        us.send_signal(how)
        _, complained = us.communicate(timeout=30)
    assert us.returncode != 0
    assert "KeyboardInterrupt" in complained
    assert not runs(daemon)


def test_the_signals_of_this_process_are_as_they_were(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    ran(tmp_path, "")
    assert signal.getsignal(signal.SIGTERM) is before
    done: list[int] = []
    other = threading.Thread(target=lambda: done.append(ran(tmp_path, "").returncode))  # where none can be set
    other.start()
    other.join()
    assert done == [0]


@pytest.mark.parametrize("fails", [False, True])
def test_nothing_is_left_of_programs_that_others_start(tmp_path: Path, fails: bool) -> None:
    said = tmp_path / "said"

    def measure() -> None:
        with contained.nothing_left(), said.open("wb") as output:
            subprocess.run([sys.executable, "-c", DAEMON.format(again=True, more="")], check=True, stdout=output)
            assert runs(int(said.read_text()))
            if fails:
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) if fails else contextlib.nullcontext():
        measure()
    assert not runs(int(said.read_text()))
