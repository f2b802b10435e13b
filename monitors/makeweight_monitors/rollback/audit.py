"""The audit log: a line of JSON for all that was decided, asked or refused, each with a hash over the one before.

A line's hash is SHA-256 over the hash before it and the line's own content, in one form of JSON: to change, remove or
move a line is to change every hash after it, and the last one is in the journal as well.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from makeweight_base.errors import EnvironmentFailed, reason

BEGINNING = "0" * 64
_LONGEST = 1_000_000


class Unwritable(EnvironmentFailed):
    """What is decided cannot be written down: the disk is full or fails, or it may not be written to."""


@dataclass(frozen=True)
class Head:
    """The last line of a log."""

    number: int = 0
    """How many lines there are."""
    hash: str = BEGINNING


@dataclass(frozen=True)
class Break:
    """Where a log is not what was written."""

    line: int
    what: str


def line(before: Head, content: Mapping[str, Any]) -> tuple[Head, str]:
    """The line after `before` that holds this content, and the head that it makes."""
    plain = {"number": before.number + 1, **content}
    digest = _hash(before.hash, plain)
    return Head(before.number + 1, digest), json.dumps({**plain, "hash": digest}, ensure_ascii=False) + "\n"


def _hash(before: str, plain: Mapping[str, Any]) -> str:
    text = json.dumps(plain, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(f"{before}\n{text}".encode()).hexdigest()


def append(path: Path, lines: Sequence[tuple[int, str]]) -> None:
    """Lines with their numbers: those that are not there yet at the end of the log, on the disk when this returns.

    A line that a killed process wrote by half is cut off first: it is among those to be written again.

    Raises:
        Unwritable: the disk is full, or may not be written to; or what stands at the end is no line of this log.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+b") as log:
            end, there = _whole(log)
            number = _head(there, path).number
            log.truncate(end)
            log.write("".join(line for one, line in lines if one > number).encode())
            log.flush()
            os.fsync(log.fileno())
    except OSError as error:
        raise Unwritable(f"the audit log cannot be written: {reason(error)}", where=str(path)) from error


def _head(lines: list[bytes], path: Path) -> Head:
    if not lines:
        return Head()
    try:
        last = json.loads(lines[-1])
        return Head(int(last["number"]), str(last["hash"]))
    except (ValueError, KeyError, TypeError) as error:
        raise Unwritable(
            f"the end of the audit log cannot be read: {reason(error)}",
            where=str(path),
            do="See what became of it: `makeweight-monitors audit verify`. Move it aside to begin another.",
        ) from error


def _whole(log: BinaryIO) -> tuple[int, list[bytes]]:
    """Where the whole lines end, and the last of them."""
    end = log.seek(0, os.SEEK_END)
    start = log.seek(max(0, end - _LONGEST))
    tail = log.read()
    whole = tail[: tail.rfind(b"\n") + 1]
    return start + len(whole), whole.splitlines()


def verify(path: Path, known: Head | None = None) -> Head | Break:
    """Every line against the one before it.

    Args:
        known: the last line as somebody else noted it: then lines that were cut off at the end show as well.

    Returns:
        The head, or the first line at which the log is not what was written.

    Raises:
        EnvironmentFailed: the file cannot be read.
    """
    at = Head()
    try:
        with path.open("rb") as log:
            for number, raw in enumerate(log, 1):
                broken = _broken(raw, number, at)
                if isinstance(broken, str):
                    return Break(number, broken)
                at = broken
                if known is not None and at.number == known.number and at.hash != known.hash:
                    return Break(number, "it is another line than the journal has noted")
    except OSError as error:
        raise EnvironmentFailed(f"cannot be read: {reason(error)}", where=str(path)) from error
    if known is not None and at.number < known.number:
        return Break(at.number + 1, f"lines are missing at the end: there were {known.number}")
    return at


def _broken(raw: bytes, number: int, before: Head) -> Head | str:
    try:
        content = json.loads(raw)
        told = content.pop("hash")
        # a byte changed in the form alone, such as a space, is a byte changed
        written = json.dumps({**content, "hash": told}, ensure_ascii=False) + "\n"
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return "it is no line of this log"
    if written.encode(errors="surrogatepass") != raw:
        return "its bytes are not as they were written"
    if content.get("number") != number:
        return f"it bears the number {content.get('number')}: a line is missing, or was moved"
    digest = _hash(before.hash, content)
    if told != digest:
        return "its hash is not that of its content and of the line before it"
    return Head(number, digest)
