"""The pointer: a JSON file that says which model is stable, which is on trial, and how the traffic is split.

    pointer = load(path)
    write(path, pointer.rolled_back())      # refused where another writer was faster

Servers watch the file; who decides writes it. It is written whole, under a lock, and each write counts its
epoch up by one, so that a writer who read an older state is told so and undoes nothing.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
import os
import re
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path, PurePosixPath
from typing import Any

from makeweight_base.atomic import write_json
from makeweight_base.errors import EnvironmentFailed, UsageError, reason

_PATIENCE = 10.0
"""Seconds that a writer waits for another one; a write takes milliseconds."""
_SHA256 = re.compile("[0-9a-f]{64}")
_DO = "Mend it, or point at a model anew with `makeweight ship --to pointer:FILE`."


@dataclass(frozen=True)
class Served:
    """One model that is served, in a release.

    Raises:
        ValueError: `key: what is wrong with it`.
    """

    model: str
    """The label `model` of its series."""
    variant: str
    """As makeweight.yaml calls it; not `stable` or `canary`."""
    revision: str
    """The release."""
    sha256: str
    """Of the model, as its manifest has it."""
    path: str
    """The folder of the model and its manifest, from the pointer's folder on."""
    weight: float
    """Its share of the traffic, 0 to 1."""
    attempt: int
    """Which try of the same revision this is."""

    def __post_init__(self) -> None:
        for key in ("model", "variant", "revision", "path"):
            if not isinstance(value := getattr(self, key), str) or not value.strip() or "\0" in value:
                raise ValueError(f"{key}: {value!r} is no text")
        if not isinstance(self.sha256, str) or not _SHA256.fullmatch(self.sha256):
            raise ValueError(f"sha256: {self.sha256!r} is not 64 hex digits in lower case")
        path = PurePosixPath(self.path)
        if path.is_absolute() or ".." in path.parts:
            raise ValueError(f"path: {self.path!r} leads out of the pointer's folder")
        if isinstance(self.weight, bool) or not isinstance(self.weight, int | float) or not 0 <= self.weight <= 1:
            raise ValueError(f"weight: {self.weight!r} is no share from 0 to 1")
        if isinstance(self.attempt, bool) or not isinstance(self.attempt, int) or self.attempt < 0:
            raise ValueError(f"attempt: {self.attempt!r} is no whole number from 0 on")


@dataclass(frozen=True)
class Pointer:
    """What is served, as it stood at an epoch.

    Raises:
        ValueError: `key: what is wrong with it`.
    """

    stable: Served
    """Gets the rest of the traffic."""
    canary: Served | None = None
    epoch: int = 0
    """Counts the writes of the file; 0: there is none yet."""

    def __post_init__(self) -> None:
        if isinstance(self.epoch, bool) or not isinstance(self.epoch, int) or self.epoch < 0:
            raise ValueError(f"epoch: {self.epoch!r} is no whole number from 0 on")
        rest = 1 - (self.canary.weight if self.canary else 0)
        if not math.isclose(self.stable.weight, rest, abs_tol=1e-9):
            raise ValueError(f"stable.weight: {self.stable.weight} is not what the canary leaves of 1, {rest:g}")

    def served(self) -> tuple[Served, ...]:
        return (self.stable,) if self.canary is None else (self.stable, self.canary)

    def on_trial(self, canary: Served) -> Pointer:
        """With this canary at its weight; one that was on trial before goes."""
        return replace(self, stable=replace(self.stable, weight=1 - canary.weight), canary=canary)

    def at_weight(self, weight: float) -> Pointer:
        """With the canary at another share of the traffic. ValueError: there is no canary."""
        return self.on_trial(replace(self._canary(), weight=weight))

    def rolled_back(self) -> Pointer:
        """Stable alone."""
        return replace(self, stable=replace(self.stable, weight=1.0), canary=None)

    def promoted(self) -> Pointer:
        """With the canary as stable, alone. ValueError: there is no canary."""
        return replace(self, stable=replace(self._canary(), weight=1.0), canary=None)

    def _canary(self) -> Served:
        if self.canary is None:
            raise ValueError("canary: there is none")
        return self.canary


class Overtaken(UsageError):
    """The file is at another epoch than the writer read."""


def load(path: Path) -> Pointer:
    """Read a pointer.

    Raises:
        UsageError: there is no such file, or it is none; it names file, key and remedy.
    """
    return understand(read(path), str(path))


def read(path: Path) -> bytes:
    """The file as it is.

    Raises:
        UsageError: there is no such file, or it cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        do = "Make one with `makeweight ship --to pointer:FILE`."
        raise UsageError("no such pointer", where=str(path), do=do) from error
    except (OSError, ValueError) as error:
        raise UsageError(f"the pointer cannot be read: {reason(error)}", where=str(path), do=_DO) from error


def understand(content: bytes, where: str) -> Pointer:
    """What a pointer's file says.

    Args:
        where: the file, for errors.

    Raises:
        UsageError: it is no pointer.
    """
    try:
        data = json.loads(content)
        _keys(data, Pointer, "")
        canary = data["canary"]
        pointer = Pointer(
            _served(data["stable"], "stable"), None if canary is None else _served(canary, "canary"), data["epoch"]
        )
        if pointer.epoch < 1:
            raise ValueError("epoch: a file is at 1 or later")
        return pointer
    except (ValueError, RecursionError) as error:
        raise UsageError(f"this is no pointer: {error}", where=where, do=_DO) from error


def write(path: Path, pointer: Pointer) -> Pointer:
    """Write `pointer` in place of the file as it was read, or, at epoch 0, as the first; what was written, an epoch on.

    When this returns, the disk has it.

    Raises:
        Overtaken: the file is not at `pointer.epoch`; nothing was written.
        UsageError: what stands there is no pointer.
        EnvironmentFailed: it cannot be written, or another writer holds the lock.
    """
    with locked(path):
        before = load(path) if os.path.lexists(path) else None
        stands = 0 if before is None else before.epoch
        if stands != pointer.epoch:
            raise Overtaken(
                f"the pointer is at epoch {stands} by now, not at {pointer.epoch}",
                where=str(path),
                do="Read it again, and see whether the change is still wanted.",
            )
        written = replace(pointer, epoch=pointer.epoch + 1)
        # of servers that may not read it, none would hear of a rollback
        write_json(path, asdict(written), readable_as_before=True)
        _sync(path.parent)
        for served in (*(() if before is None else before.served()), *written.served()):
            with contextlib.suppress(OSError):
                os.utime(path.parent / served.path)  # by when it was last named, `retention` goes
    return written


def _served(data: Any, key: str) -> Served:
    _keys(data, Served, f"{key}.")
    try:
        return Served(**data)
    except ValueError as error:
        raise ValueError(f"{key}.{error}") from error


def _keys(data: Any, kind: type[Pointer] | type[Served], above: str) -> None:
    """The keys of `kind`, no more and no fewer: what is not understood would be lost with the next write."""
    if not isinstance(data, dict):
        raise ValueError(f"{above.rstrip('.') or 'the file'}: a mapping is wanted here")
    wanted = [field.name for field in fields(kind)]
    for missing in (name for name in wanted if name not in data):
        raise ValueError(f"{above}{missing}: it is missing")
    for unknown in (name for name in data if name not in wanted):
        raise ValueError(f"{above}{unknown}: there is no such key (there are {', '.join(wanted)})")


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """One writer of a pointer at a time, of any process on this machine; the system frees the lock of one that died.

    Raises:
        EnvironmentFailed: another writer holds it.
    """
    lock = path.parent / f".{path.name}.lock"
    until = time.monotonic() + _PATIENCE
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise _not_writable(lock, reason(error)) from error
    try:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > until:
                    raise _not_writable(lock, f"another writer has held it for {_PATIENCE:g} s") from error
                time.sleep(0.005)
            except OSError as error:
                raise _not_writable(lock, reason(error)) from error
        yield
    finally:
        os.close(handle)


def _not_writable(lock: Path, why: str) -> EnvironmentFailed:
    return EnvironmentFailed(
        f"the pointer's lock cannot be taken: {why}",
        where=str(lock),
        do="Free some space, mend the permissions or end the other writer, then run again; nothing was written.",
    )


def _sync(folder: Path) -> None:
    """The folder's entry too, so that the new file is there after a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
