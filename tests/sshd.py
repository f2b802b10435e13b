"""A real OpenSSH server on a free port of loopback, with keys of its own; the machine behind it is this one."""

from __future__ import annotations

import contextlib
import functools
import getpass
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from examples.monitoring import package
from lacking import lacking
from makeweight_base.errors import EnvironmentFailed

_BUILD = Path(__file__).resolve().parent.parent / "build" / "openssh"
_LOGS_IN_APART = "sshd"
"""The user whom a server that root starts needs for what comes before the login."""
HOST = "board"


@dataclass(frozen=True)
class Server:
    """One that runs."""

    folder: Path
    config: Path
    """An ssh_config by which `ssh board` reaches it."""
    process: subprocess.Popen[bytes]

    def vanish(self) -> None:
        """As a machine whose power is cut: the server and all its sessions, at once."""
        every = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
        parents = {int(pid): int(parent) for pid, parent in map(str.split, every.splitlines())}
        gone = {self.process.pid}
        while more := {pid for pid, parent in parents.items() if parent in gone} - gone:
            gone |= more
        for pid in gone:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@functools.cache
def program() -> list[str]:
    """The server's command: on this machine already, or unpacked with the library that it takes. Without it the test is
    skipped, and in CI it fails."""
    found = [shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin") or ""]
    if found == [""]:
        try:
            unpacked = package.unpacked(_BUILD, "usr/sbin/sshd", "openssh-server", "libwrap0")
        except EnvironmentFailed as error:
            lacking(str(error))
        beside = ":".join(str(path) for path in (_BUILD / "usr" / "lib").glob("*-linux-gnu"))
        found = ["env", f"LD_LIBRARY_PATH={beside}", str(unpacked)]
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        with contextlib.suppress(KeyError):
            pwd.getpwnam(_LOGS_IN_APART)
            return found
        made = subprocess.run(
            ["useradd", "--system", "--home", "/run/sshd", "--shell", "/usr/sbin/nologin", _LOGS_IN_APART],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if made.returncode:
            lacking(f"sshd wants a user `{_LOGS_IN_APART}`: {made.stderr.strip()}")
    return found


def key(path: Path) -> Path:
    """A new pair of keys."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "tests", "-f", str(path)], check=True)
    return path


@contextlib.contextmanager
def running(folder: Path, session: Path | None = None) -> Iterator[Server]:
    """A server that accepts one key, and the configuration of a client that has it and knows the server's.

    Args:
        session: the program that is run in place of what a client asks for, which stands in SSH_ORIGINAL_COMMAND.
    """
    server = program()
    host, own = key(folder / "host"), key(folder / "own")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    shutil.copy(own.with_suffix(".pub"), folder / "authorized")
    home = folder / "home"
    settings = folder / "sshd_config"
    settings.write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {host}\nAuthorizedKeysFile {folder / 'authorized'}\n"
        "StrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
        f"PermitRootLogin yes\nPidFile none\nSetEnv HOME={home} MAKEWEIGHT_LOCK={home}/.cache/makeweight/lock\n"
        + ("" if session is None else f"ForceCommand {session}\n")
    )
    home.mkdir()
    known = folder / "known"
    known.write_text(f"[127.0.0.1]:{port} {host.with_suffix('.pub').read_text()}")
    config = folder / "ssh_config"
    config.write_text(
        f"Host {HOST}\n  HostName 127.0.0.1\n  Port {port}\n  User {getpass.getuser()}\n  IdentityFile {own}\n"
        f"  IdentitiesOnly yes\n  UserKnownHostsFile {known}\n  GlobalKnownHostsFile /dev/null\n"
    )
    process = subprocess.Popen([*server, "-D", "-e", "-f", str(settings)], stderr=subprocess.DEVNULL)
    try:
        _until_it_listens(port, process)
        yield Server(folder, config, process)
    finally:
        process.terminate()
        process.wait()


def _until_it_listens(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(500):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        assert process.poll() is None, "sshd ended"
        time.sleep(0.02)
    raise AssertionError("sshd does not listen")
