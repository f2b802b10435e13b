"""An Android device that is not there: what adbd speaks over TCP, over a folder and the shell of this machine.

The real `adb` connects to it, pushes, pulls and runs shell commands with their exit codes. The protocol:
https://android.googlesource.com/platform/packages/modules/adb/+/refs/heads/main/protocol.txt and, for files, SYNC.TXT.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

HOME = "/data/local/tmp"
"""The folder of the device that every shell may write to; here it is the one below the root."""
_VERSION, _MOST = 0x01000001, 64 * 1024
_BANNER = (
    b"device::ro.product.name=panther;ro.product.model=Pixel 7;ro.product.device=panther;features=shell_v2,cmd,stat_v2"
)
_STDIN, _STDOUT, _STDERR, _EXIT, _CLOSE_STDIN = range(5)
_HEADER, _PACKET, _STAT = struct.Struct("<6I"), struct.Struct("<BI"), struct.Struct("<4sIQQIIIIQqqq")


def _number(command: str) -> int:
    return int.from_bytes(command.encode(), "little")


class Gone(Exception):
    """The other side has closed."""


class Device:
    """It listens on a port of loopback. `files` lie where the device has `HOME`; programs in `programs` come before all
    others there, such as `getprop`."""

    def __init__(self, root: Path) -> None:
        self.files, self.programs = root / "tmp", root / "bin"
        for folder in (self.files, self.programs):
            folder.mkdir(parents=True)
        self.full = False
        """Whether it refuses every file that it is sent."""
        self.authorized = True
        self.pushed: list[str] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.serial = f"127.0.0.1:{self._server.getsockname()[1]}"
        self._links: list[_Link] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def has(self, name: str, script: str) -> None:
        """Give it a program, in sh."""
        path = self.programs / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def place(self, path: str) -> Path:
        """Where a file of the device lies here."""
        return self.files / Path(path).relative_to(HOME) if path.startswith(HOME) else Path(path)

    def vanish(self) -> None:
        """As if its cable were pulled."""
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for link in self._links:
            link.cut()

    def shell(self, script: str) -> subprocess.Popen[bytes]:
        lock = str(self.files / "makeweight/lock")  # another than that of all else which this machine measures
        environment = {**os.environ, "MAKEWEIGHT_LOCK": lock, "PATH": f"{self.programs}:{os.environ['PATH']}"}
        return subprocess.Popen(
            ["sh", "-c", script.replace(HOME, str(self.files))],
            cwd=self.files,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            link = _Link(self, connection)
            self._links.append(link)
            threading.Thread(target=link.follow, daemon=True).start()


class _Link:
    """One connection of an adb server."""

    def __init__(self, device: Device, connection: socket.socket) -> None:
        self.device = device
        self._connection, self._sending = connection, threading.Lock()
        self._streams: dict[int, _Stream] = {}

    def cut(self) -> None:
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        for stream in list(self._streams.values()):
            stream.end()

    def send(self, command: str, first: int, second: int, data: bytes = b"") -> None:
        number = _number(command)
        header = _HEADER.pack(number, first, second, len(data), sum(data) & 0xFFFFFFFF, number ^ 0xFFFFFFFF)
        with self._sending, contextlib.suppress(OSError):
            self._connection.sendall(header + data)

    def follow(self) -> None:
        try:
            while True:
                command, first, second, length, _, _ = _HEADER.unpack(self._read(_HEADER.size))
                self._take(command.to_bytes(4, "little").decode(), first, second, self._read(length))
        except (Gone, OSError):
            self.cut()

    def _take(self, command: str, first: int, second: int, data: bytes) -> None:
        if command == "CNXN":
            if self.device.authorized:
                self.send("CNXN", _VERSION, _MOST, _BANNER)
            else:
                self.send("AUTH", 1, 0, b"t" * 20)
        elif command == "AUTH" and first == 2:
            self.send("AUTH", 1, 0, b"t" * 20)
        elif command == "OPEN":
            stream = _Stream(self, len(self._streams) + 1, first, data.rstrip(b"\0").decode())
            self._streams[stream.own] = stream
            self.send("OKAY", stream.own, first)
            threading.Thread(target=stream.serve, daemon=True).start()
        elif stream_there := self._streams.get(second):
            if command == "WRTE":
                stream_there.feed(data)
                self.send("OKAY", stream_there.own, stream_there.theirs)
            elif command == "OKAY":
                stream_there.acknowledged.release()
            elif command == "CLSE":
                stream_there.end()

    def _read(self, length: int) -> bytes:
        found = b""
        while len(found) < length:
            piece = self._connection.recv(length - len(found))
            if not piece:
                raise Gone
            found += piece
        return found


class _Stream:
    """One service that was asked for."""

    def __init__(self, link: _Link, own: int, theirs: int, service: str) -> None:
        self.own, self.theirs = own, theirs
        self.acknowledged = threading.Semaphore(0)
        self._link, self._service = link, service
        self._data, self._ended, self._news = b"", False, threading.Condition()

    def feed(self, data: bytes) -> None:
        with self._news:
            self._data += data
            self._news.notify()

    def end(self) -> None:
        with self._news:
            self._ended = True
            self._news.notify()
        self.acknowledged.release()

    def serve(self) -> None:
        with contextlib.suppress(Gone):
            if self._service.startswith("shell,v2"):
                self._shell(self._service.partition(":")[2])
            elif self._service.startswith("sync:"):
                self._sync()
        self._link.send("CLSE", self.own, self.theirs)

    def _read(self, length: int) -> bytes:
        with self._news:
            while len(self._data) < length:
                if self._ended:
                    raise Gone
                self._news.wait()
            found, self._data = self._data[:length], self._data[length:]
            return found

    def _write(self, data: bytes) -> None:
        for start in range(0, len(data), _MOST):
            self._link.send("WRTE", self.own, self.theirs, data[start : start + _MOST])
            self.acknowledged.acquire()
            if self._ended:
                raise Gone

    def _shell(self, script: str) -> None:
        process = self._link.device.shell(script)
        assert process.stdout
        assert process.stderr
        writing = threading.Lock()

        def tell(kind: int, pipe: object) -> None:
            with contextlib.suppress(Gone):
                while piece := os.read(pipe.fileno(), 4096):  # type: ignore[attr-defined]
                    with writing:
                        self._write(_PACKET.pack(kind, len(piece)) + piece)

        threading.Thread(target=self._give, args=(process,), daemon=True).start()
        told = [
            threading.Thread(target=tell, args=given, daemon=True)
            for given in ((_STDOUT, process.stdout), (_STDERR, process.stderr))
        ]
        for each in told:
            each.start()
        for each in told:
            each.join()
        code = process.wait()
        # as a shell does of what a signal ended
        self._write(_PACKET.pack(_EXIT, 1) + bytes([128 - code if code < 0 else code]))

    def _give(self, process: subprocess.Popen[bytes]) -> None:
        """Its standard input, which ends with the stream; the rest of what it started is left to itself, as on a
        device."""
        assert process.stdin
        with contextlib.suppress(Gone, BrokenPipeError), process.stdin:
            while True:
                kind, length = _PACKET.unpack(self._read(_PACKET.size))
                data = self._read(length)
                if kind == _CLOSE_STDIN:
                    return
                if kind == _STDIN:
                    process.stdin.write(data)
                    process.stdin.flush()

    def _sync(self) -> None:
        device = self._link.device
        while True:
            kind, length = struct.unpack("<4sI", self._read(8))
            if kind == b"QUIT":
                return
            path = self._read(length).decode()
            if kind in (b"STA2", b"LST2"):
                self._write(_stat(kind, device.place(path)))
            elif kind == b"STAT":
                found = _stat(b"STA2", device.place(path))
                mode, size = struct.unpack_from("<I", found, 24)[0], struct.unpack_from("<Q", found, 40)[0]
                self._write(struct.pack("<4s3I", b"STAT", mode, size & 0xFFFFFFFF, 0))
            elif kind == b"SEND":
                self._take(path)
            elif kind == b"RECV":
                content = device.place(path).read_bytes()
                for start in range(0, len(content), _MOST // 2):
                    piece = content[start : start + _MOST // 2]
                    self._write(struct.pack("<4sI", b"DATA", len(piece)) + piece)
                self._write(b"DONE\0\0\0\0")

    def _take(self, asked: str) -> None:
        path, _, mode = asked.rpartition(",")
        device = self._link.device
        pieces = []
        while True:
            kind, length = struct.unpack("<4sI", self._read(8))
            if kind == b"DONE":
                break
            pieces.append(self._read(length))
        if device.full:
            said = b"couldn't create file: No space left on device"
            self._write(struct.pack("<4sI", b"FAIL", len(said)) + said)
            return
        here = device.place(path)
        here.parent.mkdir(parents=True, exist_ok=True)
        here.write_bytes(b"".join(pieces))
        here.chmod(int(mode) & 0o777 | 0o600)
        device.pushed.append(Path(path).name)
        self._write(b"OKAY\0\0\0\0")


def _stat(kind: bytes, path: Path) -> bytes:
    try:
        found = path.stat()
    except OSError:
        return _STAT.pack(kind, 2, *(0,) * 10)
    times = (int(found.st_atime), int(found.st_mtime), int(found.st_ctime))
    who = (found.st_dev, found.st_ino, found.st_mode, found.st_nlink, found.st_uid, found.st_gid)
    return _STAT.pack(kind, 0, *who, found.st_size, *times)


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[dict[str, str]]:
    """An adb server of its own, ended by its own pid: the variables by which every `adb` here goes to it."""
    from adbutils import adb_path

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    home = folder / "home"
    home.mkdir(parents=True)
    given = {"ANDROID_ADB_SERVER_PORT": str(port), "HOME": str(home), "ADB_MDNS_AUTO_CONNECT": "0"}
    server = subprocess.Popen(
        [adb_path(), "server", "nodaemon"],
        env={**os.environ, **given},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
        yield given
    finally:
        server.send_signal(signal.SIGKILL)
        server.wait()
        shutil.rmtree(home, ignore_errors=True)
