"""An arm64 board over SSH: a system of its own that qemu imitates, behind a real server on loopback.

It lives in namespaces of its own, so this machine has none of its mounts, and the kernel runs arm64 programs in there
alone; all of that is gone with the last process in it. It takes no rights where the kernel lets users have namespaces.
"""

from __future__ import annotations

import contextlib
import platform
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import arm64_system
import sshd
from lacking import lacking

# https://docs.kernel.org/admin-guide/binfmt-misc.html: how an arm64 program begins, with what of that counts. F: the
# kernel opens qemu now, so that it need not lie on the board.
_BEGINS = r"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
_COUNTS = r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"
_BY = ":qemu-aarch64:M::{begins}:{counts}:{qemu}:F"
# A namespace has had a binfmt_misc of its own since Linux 6.7; before, the machine's may know arm64 already. ONNX
# Runtime aborts where there is no /sys. The last program waits for its input to end, as it does however the tests end.
_BOOT = """
    if mount -t binfmt_misc none /proc/sys/fs/binfmt_misc; then
        printf '%s' "$3" > /proc/sys/fs/binfmt_misc/register
    fi
    for each in proc sys dev; do
        mount --rbind "/$each" "$1/$each" || exit
    done
    mount -t tmpfs tmpfs "$1/tmp" && mount --bind "$2" "$1/root" || exit
    exec chroot "$1" cat
"""
_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


@contextlib.contextmanager
def running(folder: Path) -> Iterator[sshd.Server]:
    """One that runs, with an empty home folder. Where it cannot be had the test is skipped, and in CI it fails."""
    if platform.machine() != "x86_64":
        lacking(f"an emulated arm64 is told from one by the x86 beneath, and this machine is {platform.machine()}")
    root, home = arm64_system.files(), folder / "root"
    home.mkdir()
    by = _BY.format(begins=_BEGINS, counts=_COUNTS, qemu=arm64_system.qemu())
    apart = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", _BOOT, "sh", str(root), str(home), by]
    with subprocess.Popen(apart, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as board:
        assert board.stdin is not None
        assert board.stdout is not None
        assert board.stderr is not None
        try:
            with contextlib.suppress(BrokenPipeError):
                board.stdin.write(b"up\n")
                board.stdin.flush()
            if board.stdout.readline() != b"up\n":
                said = board.stderr.read().decode(errors="replace").strip()
                takes = "which takes Linux 6.7 and users who may have namespaces"
                lacking(f"no arm64 program can be run in namespaces of its own here, {takes}: {said}")
            with sshd.running(folder, session=_entered(folder, board.pid)) as server:
                yield server
        finally:
            with contextlib.suppress(BrokenPipeError):
                board.stdin.close()


def _entered(folder: Path, board: int) -> Path:
    """The program in which a session runs what was asked for on the board."""
    program = folder / "session"
    inside = ["nsenter", "--target", str(board), "--user", "--preserve-credentials", "--mount", "--root", "--wd"]
    login = ["env", "-i", "HOME=/root", f"PATH={_PATH}", "LC_ALL=C.UTF-8", "sh", "-c"]
    program.write_text(f'#!/bin/sh\nexec {shlex.join([*inside, *login])} "$SSH_ORIGINAL_COMMAND"\n')
    program.chmod(0o755)
    return program
