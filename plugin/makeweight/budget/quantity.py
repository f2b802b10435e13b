"""Quantities as people write them: a number and a unit, read into the metric's base unit and back.

Base units: bytes, seconds, joules, fractions (1.0 = 100 %), counts. Decimal prefixes are SI (1 kB = 1000 B),
binary ones IEC 80000-13 (1 KiB = 1024 B).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal


class QuantityError(ValueError):
    """A text that is no quantity of the wanted dimension; the message says what would be."""


@dataclass(frozen=True)
class Dimension:
    """A kind of quantity: the units it is written in, each with its size in base units.

    Two are the same when they say the same, in whatever process they were made.
    """

    name: str
    units: Mapping[str, float] = field(hash=False)
    example: str
    bare: bool = False
    """Whether a number without a unit is allowed (in base units)."""
    doubtful: float = math.inf
    """From where on such a number is a likely slip for one in percent, so that it takes a unit."""
    most: float = math.inf
    """What no quantity of this kind can exceed, in base units."""
    shown: tuple[str, ...] = ()
    """Units used to print, largest first."""
    refused: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Units that are a likely slip here, and what to write instead."""
    symbol: str = "number"
    """The base unit, as files of measurements name it."""


BYTES = Dimension(
    "size",
    {"B": 1, "kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30},
    "400 kB",
    shown=("GB", "MB", "kB", "B"),
    symbol="B",
)
SECONDS = Dimension(
    "time",
    {"s": 1, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ns": 1e-9},
    "20 ms",
    shown=("s", "ms", "us", "ns"),
    symbol="s",
)
DURATION = Dimension("duration", {"s": 1, "min": 60, "h": 3600, "d": 86_400}, "6 h", symbol="s")
JOULES = Dimension(
    "energy",
    {"J": 1, "mJ": 1e-3, "uJ": 1e-6, "µJ": 1e-6, "μJ": 1e-6, "kJ": 1e3},
    "12 mJ",
    shown=("J", "mJ", "uJ"),
    symbol="J",
)
FRACTION = Dimension(
    "share",
    {"%": 0.01},
    "95 %",
    bare=True,
    most=1,
    refused={"pt": "a share is written in %; pt is for a difference"},
    symbol="fraction",
)
POINTS = Dimension(
    "difference in percentage points",
    {"pt": 0.01, "pp": 0.01},
    "0.5 pt",
    most=1,
    refused={"%": "% is ambiguous for a drop; write percentage points"},
    symbol="fraction",
)
RATIO = Dimension("ratio", {"x": 1, "%": 0.01}, "0.7", bare=True, doubtful=10, symbol="ratio")
CHANGE = Dimension("relative change", {"%": 0.01}, "5 %", symbol="ratio")
COUNT = Dimension("count", {"k": 1e3, "M": 1e6, "G": 1e9}, "500 k", bare=True, shown=("G", "M", "k"), symbol="count")
PER_SECOND = Dimension("rate", {"/s": 1}, "1000 /s", bare=True, symbol="1/s")
NUMBER = Dimension("number", {}, "0.25", bare=True)

_DIGITS = 17
"""As many tell any two floats apart."""
_QUANTITY = re.compile(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*([^\s\d]*)\s*")


def parse(text: object, dimension: Dimension) -> float:
    """Read `text` into base units of `dimension`.

    Raises:
        QuantityError: not a finite number, a doubtful one without a unit, or a unit that is missing, unknown, or of
            another dimension.
    """
    if isinstance(text, bool) or not isinstance(text, str | int | float):
        raise QuantityError(f"a {dimension.name} is wanted here, such as `{dimension.example}`")
    # beyond 4300 digits Python itself refuses to write an integer
    huge = isinstance(text, int) and text.bit_length() > 10_000
    match = None if huge else _QUANTITY.fullmatch(str(text))
    if match is None:
        named = "a number of thousands of digits" if huge else f"`{text}`"
        bare = ", without commas" if "," in named else ""
        raise QuantityError(f"{named} is no {dimension.name}; write it like `{dimension.example}`{bare}")
    number, unit = match[1], match[2]
    if not unit and not dimension.bare:
        units = ", ".join(dimension.units)
        raise QuantityError(f"`{text}` has no unit; write it like `{dimension.example}` (units: {units})")
    if unit in dimension.refused:
        raise QuantityError(f"`{text}`: {dimension.refused[unit]}, such as `{dimension.example}`")
    if unit and unit not in dimension.units:
        units = ", ".join(dimension.units) or "none"
        raise QuantityError(
            f"`{text}`: `{unit}` is no unit of {dimension.name}; write it like `{dimension.example}` (units: {units})"
        )
    # decimal, so that 95 % is 0.95 to the last bit and a figure that just meets its limit meets it
    try:
        value = float(Decimal(number) * Decimal(repr(dimension.units[unit])) if unit else Decimal(number))
    except ArithmeticError:  # an exponent beyond what even a Decimal holds
        value = math.inf
    if not math.isfinite(value):
        raise QuantityError(f"`{text}` is out of range for a {dimension.name}")
    if value > dimension.most:
        whole = show_limit(dimension.most, dimension)
        raise QuantityError(f"`{text}` is more than {whole}; write it like `{dimension.example}`")
    if not unit and value >= dimension.doubtful:
        raise QuantityError(
            f"`{text}` as a {dimension.name} is {number} times as much; write `{number} %` if percent is meant, "
            f"else `{number}x`"
        )
    return value


def pattern(dimension: Dimension) -> str:
    """A regular expression (ECMA 262, as JSON Schema has them) that texts fit which `parse` reads, range aside."""
    units = "|".join(sorted(dimension.units, key=len, reverse=True))
    optional = "?" if dimension.bare else ""
    return rf"^\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*{f'({units}){optional}' if units else ''}\s*$"


def show(value: float, dimension: Dimension) -> str:
    """`value` (base units) as a person would write it, with its unit, to three significant figures. Thousands are told
    apart by commas, which `parse` refuses: to some they are a decimal point."""
    return _joined(*parts(value, dimension))


def show_limit(value: float, dimension: Dimension) -> str:
    """Like `show`, without the trailing zeros and with every digit: `20 ms`, not `20.0 ms`, and `1.048576 MB`, not
    `1.05 MB`, for what somebody declared."""
    return _joined(*_write(value, dimension, _in_full))


def show_beside(value: float, limit: float | None, dimension: Dimension) -> str:
    """Like `show`, with as many more digits as it takes not to read like a limit, if any, that it is not."""
    if limit is None:
        return show(value, dimension)
    shown, other = parts(value, dimension), parts(limit, dimension)
    figures = 3
    while value != limit and math.isfinite(value) and _reads_alike(shown, other) and figures < _DIGITS:
        shown, other = (_write(each, dimension, _to(figures)) for each in (value, limit))
        figures += 1
    return _joined(*shown)


def parts(value: float, dimension: Dimension) -> tuple[str, str]:
    """The number and the unit that `show` joins; a unit may be empty."""
    return _write(value, dimension, _to(4) if dimension == NUMBER else _significant)


def show_interval(low: float, high: float, dimension: Dimension) -> str:
    """`[98.1, 99.0]`: the unit is that of the figure beside it; ends in several units bear theirs."""
    longest = max(abs(low), abs(high))
    if dimension == NUMBER and _readable(longest):
        places = _places(longest, 4)
        while places and all(_fixed(end, places).endswith("0") for end in (low, high)):
            places -= 1
        return f"[{', '.join(_fixed(end, places) for end in (low, high))}]"
    units = {parts(end, dimension)[1] for end in (low, high)}
    shown = [parts(end, dimension)[0] if len(units) == 1 else show(end, dimension) for end in (low, high)]
    return f"[{', '.join(shown)}]"


def _plain(number: float, figures: int) -> str:
    """So many significant figures, or all before the point; with an exponent where it is read more easily so."""
    if not _readable(number):
        return f"{number:.{figures}g}"
    shown = _fixed(number, _places(number, figures))
    return shown.rstrip("0").rstrip(".") if "." in shown else shown


def _to(figures: int) -> Callable[[float, int | None], str]:
    return lambda number, _places: _plain(number, figures)


def _in_full(number: float, _places: int | None) -> str:
    """The shortest of six figures or more (of ten, of millions) that is the number but for its last bit."""
    texts = (f"{number:,.{figures}g}" for figures in range(6 if abs(number) < 1e6 else 10, _DIGITS + 1))
    exact = (text for text in texts if math.isclose(_read(text), number, rel_tol=1e-15))
    return next(exact, f"{number:,.{_DIGITS}g}")


def _reads_alike(one: tuple[str, str], other: tuple[str, str]) -> bool:
    """Whether two numbers with their units are the same to a reader."""
    return one[1] == other[1] and _read(one[0]) == _read(other[0])


def _read(number: str) -> float:
    return float(number.replace(",", ""))


def _readable(number: float) -> bool:
    """Whether it is read more easily without an exponent."""
    return number == 0 or 1e-4 <= abs(number) < 1e8


def _places(number: float, figures: int) -> int:
    """How many decimals show so many significant figures."""
    return 0 if number == 0 else max(0, figures - 1 - int(f"{number:.{figures - 1}e}".partition("e")[2]))


def _fixed(number: float, places: int) -> str:
    return f"{round(number, places) + 0.0:,.{places}f}"  # what rounds to nothing has no sign


def _joined(number: str, unit: str) -> str:
    return f"{number}{'' if unit in ('', 'x') else ' '}{unit}"


def _significant(number: float, places: int | None) -> str:
    """`places` decimals; None: three significant figures, never an exponent."""
    # by the rounded number: 0.9996 is printed as 1.00
    return _fixed(number, _places(number, 3) if places is None else places)


def _write(value: float, dimension: Dimension, form: Callable[[float, int | None], str]) -> tuple[str, str]:
    if not math.isfinite(value):
        return "not a finite number", ""
    if dimension in (FRACTION, CHANGE):
        return form(value * 100, 1 if abs(value) >= 0.001 or value == 0 else None), "%"
    if dimension == POINTS:
        return form(value * 100, 2 if 0 < abs(value) < 0.0005 else 1), "pt"
    if dimension == RATIO:
        return form(value, 2 if value >= 0.1 else None), "x"
    if dimension == PER_SECOND:
        return form(value, 0 if abs(value) >= 100 else None), "/s"
    if dimension == NUMBER:
        return form(value, None), ""
    for unit in dimension.shown:
        size = dimension.units[unit]
        # 999.6 kB reads better as 1.00 MB: the unit is chosen on what will be printed
        if abs(value) >= size * 0.9995:
            return form(value / size, 0 if size == 1 and dimension == BYTES else None), unit
    unit = "" if dimension == COUNT else dimension.shown[-1]
    if value == 0 or not unit:
        return f"{value:g}", unit
    return form(value / dimension.units[unit], None), unit
