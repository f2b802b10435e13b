"""Any meter that writes a line a reading: a serial port, a pipe, or a file of values separated by commas that grows
while it measures, as power analysers and their programs write. Which columns are what is declared.
"""

from __future__ import annotations

import collections
import io
import math
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

from makeweight_probe.meters import NoMeter
from makeweight_probe.power import Clock, Followed, Reading

BY_NAME_ONLY = True
Column = str | int
"""By its name in the first line, or by its number, from 0."""
_UNITS = {"W": 1.0, "V": 1.0, "A": 1.0, "s": 1.0}
_PREFIXES = {"": 1.0, "m": 1e-3, "u": 1e-6, "µ": 1e-6, "n": 1e-9}
_AWAIT = 0.01
"""Seconds between looks at a file that has not grown."""
_GARBLED = 20
"""Lines in a row that are no readings: a serial port may begin in the middle of one, and lose one now and then."""
_LONGEST = 65536
"""Bytes of a line."""


def open_meter(
    clock: Clock = time.monotonic,
    *,
    path: str,
    power: Column | None = None,
    power_unit: str = "W",
    voltage: Column | None = None,
    voltage_unit: str = "V",
    current: Column | None = None,
    current_unit: str = "A",
    time: Column | None = None,
    time_unit: str = "s",
    separator: str = ",",
    decimal: str = ".",
    baud: int = 115200,
) -> Followed:
    """Args:
        path: on the machine that runs the models; what a file holds already is not read.
        power: its column; else `voltage` and `current` give it.
        time: the column of the meter's own clock; None: a reading is of when it comes.
        decimal: what stands before decimals: a comma in the files of many a program that goes by its user's language.
        baud: of a serial port.

    Raises:
        NoMeter: it is not there, may not be read, or has no such columns.
    """
    measured = {power: power_unit} if power is not None else {voltage: voltage_unit, current: current_unit}
    if power is None and (voltage is None or current is None):
        raise NoMeter("say which column is its `power`, or which are its `voltage` and `current`")
    told = [(column, _factor(unit)) for column, unit in measured.items() if column is not None]
    when = None if time is None else (time, _factor(time_unit))
    columns = [column for column, _ in [*told, *([when] if when else [])]]
    if decimal == separator:
        raise NoMeter(f"`{decimal}` cannot stand both between columns and before decimals")
    file = _opened(path, baud)

    def readings() -> Iterator[Reading]:
        lines = _Lines(file, path)
        names: list[str] = []
        if any(isinstance(column, str) for column in columns):
            names = [name.strip() for name in next(lines).split(separator)]
        places = {column: _place(column, names, path) for column in columns}
        lines.pass_over()
        factors = [(places[column], factor) for column, factor in told]
        row = _Row(separator, decimal, len(names) or None, factors, when and (places[when[0]], when[1]))
        yield from _read(lines, row, path)

    return Followed(path, readings(), file.close, clock)


@dataclass(frozen=True)
class _Row:
    """What stands where in a line."""

    separator: str
    decimal: str
    columns: int | None
    """How many there are; None: not told."""
    told: Sequence[tuple[int, float]]
    """The places of what makes up the power, each with the factor of its unit."""
    when: tuple[int, float] | None

    def reading(self, line: str) -> Reading:
        """Raises:
        ValueError, IndexError: it is none.
        """
        values = line.split(self.separator)
        if self.columns is not None and any(map(str.strip, values[self.columns :])):
            raise ValueError  # more than there are names: a number has the separator in it
        watts = math.prod(self._number(values[place]) * factor for place, factor in self.told)
        return None if self.when is None else self._number(values[self.when[0]]) * self.when[1], watts

    def _number(self, text: str) -> float:
        if self.decimal != "." and "." in text:
            raise ValueError  # it parts thousands there
        return float(text.replace(self.decimal, "."))


def _read(lines: Iterator[str], row: _Row, path: str) -> Iterator[Reading]:
    garbled = 0
    for line in lines:
        try:
            reading = row.reading(line)
        except (ValueError, IndexError):
            garbled += 1
            if garbled >= _GARBLED:
                raise NoMeter(
                    f"{path} tells no readings: `{line[:80]}`; see its columns, `separator` and `decimal`"
                ) from None
            continue
        garbled = 0
        yield reading


class _Lines:
    """Whole lines as they come."""

    def __init__(self, file: io.FileIO, path: str) -> None:
        self._file, self._path = file, path
        self._whole: collections.deque[bytes] = collections.deque()
        self._rest = b""

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        while not self._whole:
            read = self._file.read(_LONGEST)
            if not read:  # nothing yet, or nobody who writes
                time.sleep(_AWAIT)
                continue
            *whole, self._rest = (self._rest + read).split(b"\n")
            self._whole.extend(whole)
            if len(self._rest) > _LONGEST:
                raise NoMeter(f"{self._path} tells no lines")
        return self._whole.popleft().decode(errors="replace").strip()

    def pass_over(self) -> None:
        """What was measured before, and the line that may have begun before."""
        if self._file.seekable():
            self._file.seek(0, os.SEEK_END)
        self._whole.clear()
        self._rest = b""
        next(self)


def _opened(path: str, baud: int) -> io.FileIO:
    try:
        file = io.FileIO(os.open(path, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK))
    except OSError as error:
        raise NoMeter(f"{path} cannot be read: {error.strerror}") from error
    if file.isatty():
        import termios
        import tty

        speed = getattr(termios, f"B{baud}", None)
        if speed is None:
            file.close()
            raise NoMeter(f"{path}: a serial port has no rate of {baud} baud")
        tty.setraw(file.fileno())
        settings = termios.tcgetattr(file)
        settings[4] = settings[5] = speed
        termios.tcsetattr(file, termios.TCSANOW, settings)
    return file


def _place(column: Column, names: list[str], path: str) -> int:
    if isinstance(column, int):
        return column
    if column not in names:
        raise NoMeter(f"{path} has no column `{column}`; it has {', '.join(names)[:200]}")
    return names.index(column)


def _factor(unit: str) -> float:
    for prefix, factor in _PREFIXES.items():
        for base, one in _UNITS.items():
            if unit == f"{prefix}{base}":
                return factor * one
    raise NoMeter(f"`{unit}` is no unit of a meter's column: W, V, A or s, with m, u or n before it")
