"""A machine over SSH: a real server on loopback, whose Python is this one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tiny_models

import sshd
from file_locks import waited_for
from makeweight.bench import probe, sitting
from makeweight.bench.aim import Aim
from makeweight.bench.sitting import Pair
from makeweight.devices import kept
from makeweight.devices.device import DeviceFailed
from makeweight.devices.ssh import Ssh, SshOptions
from makeweight.measure.samples import store
from makeweight_base.errors import Exit
from makeweight_base.progress import Silent
from makeweight_probe.job import MemoryJob, Model

KEPT = Path(".cache/makeweight")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sshd.Server]:
    with sshd.running(tmp_path_factory.mktemp("ssh")) as server:
        yield server


@pytest.fixture
def board(server: sshd.Server) -> Ssh:
    return at(server.config)


def at(config: Path, **options: object) -> Ssh:
    return Ssh("board", SshOptions(**{"host": sshd.HOST, "python": sys.executable, "config": str(config), **options}))


def home(server: sshd.Server) -> Path:
    return server.folder / "home"


def changed(server: sshd.Server, tmp_path: Path, was: str, now: str) -> Path:
    """The client's configuration with a word of it replaced, so also with a connection of its own."""
    written = server.config.read_text()
    assert was in written
    (tmp_path / "config").write_text(written.replace(was, now))
    return tmp_path / "config"


def test_files_go_there_side_by_side_once_and_come_back(board: Ssh, server: sshd.Server, tmp_path: Path) -> None:
    model, weights = tmp_path / "a model's.onnx", tmp_path / "weights.bin"
    model.write_bytes(os.urandom(100_000))
    weights.write_bytes(b"\0\xff")
    there = board.put(model, weights)
    lying = home(server) / there
    assert lying.read_bytes() == model.read_bytes()
    assert lying.with_name("weights.bin").read_bytes() == weights.read_bytes()
    lying.write_bytes(b"what is there is not sent again")
    assert board.put(model, weights) == there
    board.get(there, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == b"what is there is not sent again"
    weights.write_bytes(b"\0\xfe")
    assert board.put(model, weights) != there, "other contents lie elsewhere"


def test_what_nobody_used_for_a_week_is_gone_from_there(board: Ssh, server: sshd.Server, tmp_path: Path) -> None:
    (tmp_path / "old").write_text("old")
    (tmp_path / "new").write_text("new")
    old = home(server) / board.put(tmp_path / "old")
    (old.parent / kept._USED).write_text("before-it-was-switched-off 60\n")
    eight_days_ago = time.time() - 8 * 86_400
    os.utime(old.parent, (eight_days_ago, eight_days_ago))
    new = home(server) / board.put(tmp_path / "new")
    assert not old.exists()
    assert new.exists()


def test_how_a_program_ended_there_is_told(board: Ssh) -> None:
    ended = board.run([sys.executable, "-c", "import sys; sys.exit('out of \"breath\" and $HOME')"])
    assert (ended.code, ended.said) == (1, 'out of "breath" and $HOME\n')
    assert board.run(["sh", "-c", "kill -9 $$"]).code == -9
    assert board.run(["sh", "-c", "exit 255"]).code == 255, "what ssh says of a lost connection, too"


def test_a_benchmark_there(board: Ssh, server: sshd.Server, tmp_path: Path) -> None:
    tiny_models.dense(tmp_path / "small.onnx")
    tiny_models.dense(tmp_path / "large.onnx", depth=6, width=512)
    rng = np.random.default_rng(0)
    feeds = [{"x": rng.standard_normal((1, tiny_models.FEATURES)).astype(np.float32)} for _ in range(12)]
    store(tmp_path / "inputs.npz", feeds)
    small, large = (Model("onnxruntime", str(tmp_path / f"{name}.onnx"), 1) for name in ("small", "large"))
    options = SshOptions(host=sshd.HOST, seconds=3.0, processes=1)
    pair = Pair(small, large, str(tmp_path / "inputs.npz"), free_batch=True)
    taken = sitting.carry_out(board, options, pair, Aim((1.05,)), 1, Silent())
    assert sitting.settled(taken, (1.05,))
    assert not taken.emulated
    assert min(facts["run"] for facts in taken.memory["b"]) > min(facts["run"] for facts in taken.memory["a"])
    assert len(list((home(server) / KEPT).glob("*/probe.zip"))) == 1, "the probe was sent once"


def test_one_measurement_at_a_time(board: Ssh, server: sshd.Server, tmp_path: Path) -> None:
    """Another that ends waits; a holder that is killed leaves no lock behind."""
    holding = tmp_path / "holding"
    script = (
        "import fcntl, pathlib, time; file = open('.cache/makeweight/lock', 'a'); fcntl.flock(file, fcntl.LOCK_EX); "
        f"pathlib.Path({str(holding)!r}).touch(); time.sleep(600)"
    )
    (home(server) / KEPT).mkdir(parents=True, exist_ok=True)
    other = subprocess.Popen([sys.executable, "-c", script], cwd=home(server))
    try:
        while not holding.exists():
            assert other.poll() is None
            time.sleep(0.02)
        tiny_models.dense(tmp_path / "small.onnx")
        store(tmp_path / "inputs.npz", [{"x": np.zeros((1, tiny_models.FEATURES), np.float32)}])
        said: list[str] = []
        job = MemoryJob(Model("onnxruntime", str(tmp_path / "small.onnx"), 1), str(tmp_path / "inputs.npz"), 1)
        with ThreadPoolExecutor(1) as beside:
            asked = beside.submit(probe.run, board, job, said.append)
            while not waited_for(home(server) / KEPT / "lock"):
                assert not asked.done(), asked.result()
                time.sleep(0.02)
            other.kill()
            assert asked.result().facts["run"] > 0
        assert said == ["another measurement ran on this machine: waited for its end"]
    finally:
        other.kill()
        other.wait()


def test_a_program_ends_there_when_we_do(server: sshd.Server, tmp_path: Path) -> None:
    alive = tmp_path / "alive"
    run = (
        "from makeweight.devices.ssh import Ssh, SshOptions\n"
        f"board = Ssh('board', SshOptions(host={sshd.HOST!r}, config={str(server.config)!r}))\n"
        f"board.run(['sh', '-c', 'echo $$ > {alive}; exec sleep 600'])\n"
    )
    ours = subprocess.Popen([sys.executable, "-c", run])
    while not (alive.exists() and alive.read_text().endswith("\n")):
        assert ours.poll() is None
        time.sleep(0.02)
    there = int(alive.read_text())
    ours.send_signal(signal.SIGKILL)
    ours.wait()
    for _ in range(500):
        try:
            os.kill(there, 0)
        except ProcessLookupError:
            return
        time.sleep(0.02)
    pytest.fail("the program goes on there")


def test_a_program_that_hangs_is_given_up(server: sshd.Server) -> None:
    with pytest.raises(DeviceFailed, match=r"a program there has not ended for 1 s\n.*`patience:`"):
        at(server.config, patience=1).run(["sleep", "600"])


def test_a_machine_that_vanishes_in_the_middle(tmp_path: Path) -> None:
    alive = tmp_path / "alive"
    with sshd.running(tmp_path) as server, ThreadPoolExecutor(1) as beside:
        ran = beside.submit(at(server.config).run, ["sh", "-c", f"touch {alive}; exec sleep 600"])
        while not alive.exists():
            assert not ran.done(), ran.result()
            time.sleep(0.02)
        server.vanish()
        with pytest.raises(DeviceFailed, match=r"device `board`: the connection was lost\n.*run again"):
            ran.result()


@pytest.mark.parametrize(
    ("was", "now", "told"),
    [
        ("IdentityFile", "#", r"it accepts no key of yours\n.*ssh-copy-id board"),
        ("UserKnownHostsFile", "UserKnownHostsFile /dev/null #", r"its host key is not known\n.*`ssh board`"),
        ("HostName 127.0.0.1", "HostName no-such-host.invalid", "no machine has the name `board`"),
        ("Port ", "Port 1 #", "nothing there answers SSH"),
        ("Host board", "Nonsense board", r"Bad configuration option: nonsense"),
    ],
    ids=["key", "unknown", "name", "port", "configuration"],
)
def test_a_machine_that_cannot_be_reached(server: sshd.Server, tmp_path: Path, was: str, now: str, told: str) -> None:
    with pytest.raises(DeviceFailed, match=told) as failed:
        at(changed(server, tmp_path, was, now)).put(server.config)
    assert failed.value.exit_code == Exit.ENVIRONMENT
    assert "device `board`" in str(failed.value)


def test_another_host_key_than_the_known_one_is_refused(server: sshd.Server, tmp_path: Path) -> None:
    known = server.folder / "known"
    name = known.read_text().partition(" ")[0]
    (tmp_path / "known").write_text(f"{name} {sshd.key(tmp_path / 'other').with_suffix('.pub').read_text()}")
    config = changed(server, tmp_path, str(known), str(tmp_path / "known"))
    with pytest.raises(DeviceFailed, match=r"its host key is not the one that is known\n.*ssh-keygen -R board"):
        at(config).put(config)


def test_python_there_that_is_missing_or_bare(server: sshd.Server, tmp_path: Path) -> None:
    with pytest.raises(DeviceFailed, match=r"there is no `python9` there\n.*apt install python3"):
        probe.facts(at(server.config, python="python9"), print)
    old = tmp_path / "old"
    old.write_text("#!/bin/sh\necho 'Unknown option: -P' >&2\necho usage: python >&2\nexit 2\n")
    old.chmod(0o755)
    with pytest.raises(DeviceFailed, match=r"old` there is older than 3\.11"):
        probe.facts(at(server.config, python=str(old)), print)
    bare = tmp_path / "bare"
    bare.write_text(f'#!/bin/sh\nexec {Path(sys.executable).resolve()} -S "$@"\n')
    bare.chmod(0o755)
    with pytest.raises(DeviceFailed, match=r"bare` there has no numpy\n.*-m pip install numpy"):
        probe.facts(at(server.config, python=str(bare)), print)


def test_a_full_disk_there(server: sshd.Server, tmp_path: Path) -> None:
    """`tar` there is one that finds the disk full."""
    full = tmp_path / "bin"
    full.mkdir()
    (full / "tar").write_text("#!/bin/sh\necho 'tar: x: Cannot write: No space left on device' >&2\nexit 2\n")
    (full / "tar").chmod(0o755)
    board = at(server.config)
    send = board._ended

    def with_that_tar(script: str, *streams: object) -> object:
        return send(f"PATH={full}:$PATH; {script}", *streams)  # type: ignore[arg-type]

    board._ended = with_that_tar  # type: ignore[method-assign, assignment]
    (tmp_path / "model.onnx").write_bytes(b"m")
    with pytest.raises(DeviceFailed, match=r"model\.onnx cannot be brought there: its disk is full\n.*Make room"):
        board.put(tmp_path / "model.onnx")
    assert not list((home(server) / KEPT).glob("*.*")), "nothing half-written stays there"


def test_a_host_that_would_be_an_option_is_refused() -> None:
    with pytest.raises(ValueError, match="host"):
        SshOptions(host="-oProxyCommand=touch /tmp/x")
