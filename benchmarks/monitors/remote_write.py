"""Samples put straight into a running Prometheus, by its remote-write protocol 1.0: millions of them in a few seconds.

The messages are a handful of protobuf fields, written here by hand; what carries them has to be in snappy's format,
which may hold all bytes as they are.

Source: prometheus.io/docs/concepts/remote_write_spec, protobuf.dev/programming-guides/encoding, and the format
description of snappy.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from types import TracebackType

import requests

RECEIVES = "--web.enable-remote-write-receiver"
"""The option with which a Prometheus takes them."""
_MOST = 4_000_000
"""Bytes in a request."""
_LITERAL = 65_536
_HEADERS = {
    "Content-Encoding": "snappy",
    "Content-Type": "application/x-protobuf",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}
_double = struct.Struct("<d").pack


class Writer:
    """Series for one Prometheus; the last of them are sent when the block ends."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}/api/v1/write"
        self._waiting: list[bytes] = []
        self._bytes = 0

    def add(self, labels: Mapping[str, str], points: bytes) -> None:
        """One series, its name among the labels; `points` as `points` has them."""
        told = b"".join(
            _field(1, _field(1, name.encode()) + _field(2, value.encode())) for name, value in sorted(labels.items())
        )
        self._waiting.append(_field(1, told + points))
        self._bytes += len(self._waiting[-1])
        if self._bytes > _MOST:
            self._send()

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None:
            self._send()

    def _send(self) -> None:
        body = _as_snappy(b"".join(self._waiting))
        answer = requests.post(self._url, data=body, headers=_HEADERS, timeout=120)
        if not answer.ok:
            raise RuntimeError(f"{self._url} refused what was written: {answer.status_code} {answer.text.strip()}")
        self._waiting, self._bytes = [], 0


def points(values: Iterable[float], times: Iterable[float]) -> bytes:
    """Samples in the order of their times, which are Unix times in seconds."""
    return b"".join(
        _field(2, b"\x09" + _double(value) + b"\x10" + _varint(round(time * 1000)))
        for value, time in zip(values, times, strict=True)
    )


def _varint(number: int) -> bytes:
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)


def _field(number: int, body: bytes) -> bytes:
    """A field of bytes: a text or a message."""
    return bytes([number << 3 | 2]) + _varint(len(body)) + body


def _as_snappy(body: bytes) -> bytes:
    """Literals alone: nothing is packed."""
    pieces = [body[at : at + _LITERAL] for at in range(0, len(body), _LITERAL)]
    literals = (bytes([61 << 2]) + struct.pack("<H", len(piece) - 1) + piece for piece in pieces)
    return _varint(len(body)) + b"".join(literals)
