"""The figures of a verdict, by what they are about, and how each reads: value, change, interval, reason."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from makeweight.budget import operator
from makeweight.budget.measurand import Comparison, Measurand, headline
from makeweight.budget.metric import METRICS, of_role
from makeweight.budget.quantity import (
    BYTES,
    FRACTION,
    JOULES,
    NUMBER,
    PER_SECOND,
    RATIO,
    SECONDS,
    Dimension,
    parts,
    show,
)
from makeweight.layout import BASELINE
from makeweight.measurement import Measurement
from makeweight.report.content import Content, Machine
from makeweight_base.errors import UsageError

NOT_RECORDED = "no figure was recorded"
_TITLES = {
    "mcnemar_p": "McNemar's p",
    "nonfinite_outputs": "answers that are not finite",
}
_COMPARED: tuple[Comparison, ...] = ("ratio", "drop")
_UNITS = {of.symbol: of for of in (BYTES, FRACTION, SECONDS, JOULES, PER_SECOND, RATIO)}
_FIELDS = {field.name for field in fields(Measurement)}


@dataclass(frozen=True)
class Change:
    """A variant against the baseline."""

    text: str
    """`-0.3 pt`, `2.40x`: a factor above 1 is smaller, faster, less; below 1 the opposite."""
    interval: str = ""
    """`[2.31, 2.52]`, in the same orientation; empty for what is exact."""
    better: bool | None = None
    """None: neither, within what can be told."""
    turned: tuple[str, str, str] | None = None
    """Figure, word and interval where a word tells the side: `1.22x`, `slower`, `[1.19, 1.25]`."""

    @property
    def figure(self) -> str:
        return self.turned[0] if self.turned else self.text

    @property
    def word(self) -> str:
        return self.turned[1] if self.turned else ""

    @property
    def bounds(self) -> str:
        return self.turned[2] if self.turned else self.interval

    @property
    def bare(self) -> str:
        """In words, without the interval: `1.22x slower`."""
        return f"{self.figure} {self.word}".rstrip()

    @property
    def words(self) -> str:
        """`1.22x slower [1.19, 1.25]`."""
        return f"{self.bare} {self.bounds}".rstrip()


class Figures:
    """Every measurement of a verdict, found by metric, variant and device."""

    def __init__(self, content: Content) -> None:
        """Raises:
        UsageError: an entry of the verdict's measurements is none.
        """
        self._content = content
        self.machines = {machine.name: machine for machine in content.machines or _recorded(content)}
        """The devices by name; for a verdict alone, what its provenance tells of them."""
        self._listed: dict[tuple[Measurand, str, str | None], list[Measurement]] = {}
        for entry in content.verdict.measurements:
            each = _measurement(entry)
            self._listed.setdefault((each.measurand, each.variant, each.device), []).append(each)

    def __iter__(self) -> Iterator[Measurement]:
        return (each for alike in self._listed.values() for each in alike)

    def get(
        self, of: Measurand, variant: str, device: str | None = None, beside: str | None = None
    ) -> Measurement | None:
        """The one figure of that name. The baseline is measured beside every variant: its median figure.

        Args:
            beside: take the baseline's figure that was measured together with this variant's, where there is one.
        """
        alike = self._listed.get((of, variant, device), [])
        alike = [each for each in alike if beside is not None and each.against == beside] or alike
        measured = sorted((each for each in alike if each.value is not None), key=lambda each: each.value or 0.0)
        if measured:
            return measured[(len(measured) - 1) // 2]
        return alike[0] if alike else None

    def value(self, of: Measurand, variant: str, device: str | None = None) -> float | None:
        figure = self.get(of, variant, device)
        return None if figure is None else figure.value

    def reason(self, of: Measurand, variant: str, device: str | None = None) -> str:
        """Why there is no such figure, or none of the comparisons that it goes into."""
        for wanted in (of, *(of.compared(how) for how in _COMPARED if of.comparison is None)):
            figure = self.get(wanted, variant, device)
            if figure is not None and figure.reason:
                return figure.reason
        manifest = self._content.manifests.get(variant)
        if manifest is not None and manifest.status == "failed":
            return manifest.reason or "the recipe failed"
        machine = self.machines.get(device or "")
        return machine.reason if machine is not None and machine.reason else NOT_RECORDED

    @property
    def quality(self) -> Measurand:
        """What stands for quality: a metric that the budget names, else the first that was measured."""
        named = {rule.metric for rule in self._content.verdict.rules}
        measured = {each.metric for each in self}
        for among in (named & measured, measured, named):
            for metric in of_role("quality"):
                if metric.name in among:
                    return Measurand(metric.name)
        return headline("quality")

    def better(self, of: Measurand) -> Literal["higher", "lower"]:
        if of.metric in METRICS and (declared := METRICS[of.metric].better) != "declared":
            return declared
        return self._content.better or "higher"

    @property
    def devices(self) -> list[str]:
        """Declared devices in their order, then any other that something was measured on."""
        return list(dict.fromkeys([*self.machines, *(each.device for each in self if each.device is not None)]))

    @property
    def variants(self) -> list[str]:
        """The compressed variants, in the order of the verdict."""
        return [each.variant for each in self._content.verdict.variants if each.variant != BASELINE]

    def change(self, of: Measurand, variant: str, device: str | None = None) -> Change | None:
        """How a variant's own figure compares with the baseline's. None: it cannot be told."""
        if of.comparison or of.control:
            return None
        drop = self.get(of.compared("drop"), variant, device)
        if drop is not None and drop.value is not None:
            return _difference(drop.value, drop.interval, dimension(of), self.better(of))
        ratio = self.get(of.compared("ratio"), variant, device)
        if ratio is not None and ratio.value is not None and ratio.value > 0:
            if of.metric in METRICS and METRICS[of.metric].origin == "evaluate":
                return _growth(ratio.value, ratio.interval, self.better(of))
            return _factor(of.metric, ratio, self.better(of))
        return None

    def growth(self, of: Measurand, variant: str, device: str | None = None) -> Change | None:
        """How a variant compares with itself at the merge base. None: it was not compared."""
        figure = self.get(of.compared("regression"), variant, device)
        if figure is None or figure.value is None:
            return None
        if figure.value == 0 and figure.interval in (None, (0.0, 0.0)):
            return Change("unchanged")
        interval = figure.interval and (1 + figure.interval[0], 1 + figure.interval[1])
        return _growth(1 + figure.value, interval, self.better(of))

    def noise_floor(self, device: str) -> float | None:
        """The largest that any benchmark beside the baseline met on the device, for the median latency."""
        floors = [
            each.noise_floor
            for each in self
            if each.device == device
            and each.noise_floor is not None
            and each.metric == headline("latency").metric
            and each.comparison != "regression"
        ]
        return max(floors, default=None)

    def unavailable(self) -> list[tuple[str, list[str]]]:
        """Every reason why something was not measured, with what it was: `energy on pi5`, `size of int8`."""
        gathered: dict[str, dict[tuple[Measurand, str | None], list[str]]] = {}
        for each in self:
            if each.status == "unavailable" and (each.control or each.comparison not in _COMPARED):
                what = gathered.setdefault(each.reason or NOT_RECORDED, {})
                what.setdefault((each.measurand, each.device), []).append(each.variant)
        return [
            (reason, [self._missing(of, device, variants) for (of, device), variants in what.items()])
            for reason, what in gathered.items()
        ]

    def _missing(self, of: Measurand, device: str | None, variants: list[str]) -> str:
        where = f"{title(of)} on {device}" if device else title(of)
        made = {
            name
            for name in self.variants
            if name not in self._content.manifests or self._content.manifests[name].status == "ready"
        }
        return where if made and made <= {*variants} else f"{where} of {', '.join(dict.fromkeys(variants))}"


def _recorded(content: Content) -> Iterator[Machine]:
    devices = content.verdict.provenance.get("devices")
    for name, record in devices.items() if isinstance(devices, Mapping) else ():
        if isinstance(record, Mapping):
            identity = record.get("identity")
            reason = record.get("reason")
            yield Machine(
                str(name),
                identity=identity if isinstance(identity, Mapping) else {},
                reason=None if reason is None else str(reason),
            )


def _measurement(entry: Mapping[str, Any]) -> Measurement:
    try:
        known = {name: value for name, value in entry.items() if name in _FIELDS}
        interval = known.pop("interval", None)
        low_high = None if interval is None else (float(interval[0]), float(interval[1]))
        return Measurement(**known, interval=low_high)
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        raise UsageError(
            f"a measurement of the verdict cannot be read ({error})", do="Run `makeweight report` again."
        ) from error


def dimension(of: Measurand, unit: str = "") -> Dimension:
    """Of a figure; `unit` is the measurement's own, for what no budget can limit."""
    if of.metric not in METRICS:
        return _UNITS.get(unit, NUMBER)
    return operator.dimension(METRICS[of.metric], of.comparison)


def title(of: Measurand) -> str:
    """`latency p50`, `accuracy of night`, `accuracy drop against the control`."""
    metric = METRICS[of.metric].title if of.metric in METRICS else _TITLES.get(of.metric, of.metric.replace("_", " "))
    if of.comparison == "regression":
        metric += " against the merge base"
    elif of.comparison is not None:
        metric += f" {of.comparison}{' against the control' if of.control else ''}"
    elif of.control:
        metric += " of the control"
    return f"{metric} of {of.slice}" if of.slice else metric


def written(measurement: Measurement) -> str:
    """A plain figure with its unit."""
    if measurement.value is None:
        return "not measured"
    about = "about " if measurement.status == "estimated" else ""
    return about + show(measurement.value, dimension(measurement.measurand, measurement.unit))


def written_interval(measurement: Measurement) -> str:
    """`[98.1, 99.0]`: the unit is that of the figure; empty for what is exact."""
    if measurement.interval is None:
        return ""
    of = dimension(measurement.measurand, measurement.unit)
    units = {parts(bound, of)[1] for bound in measurement.interval}
    shown = [parts(bound, of)[0] if len(units) == 1 else show(bound, of) for bound in measurement.interval]
    return f"[{', '.join(shown)}]"


def _negated(interval: tuple[float, float] | None) -> tuple[float, float] | None:
    return None if interval is None else (-interval[1], -interval[0])


def _certain(low_high: tuple[float, float] | None, value: float, neutral: float) -> bool | None:
    """Whether the figure is above `neutral`; None when the interval holds both sides."""
    low, high = low_high or (value, value)
    return None if low <= neutral <= high else low > neutral


def _difference(drop: float, interval: tuple[float, float] | None, of: Dimension, better: str) -> Change:
    """Variant - baseline, from a drop, which is positive when the variant is worse."""
    risen = _certain(interval, drop, 0.0)
    numbers = [drop, *(interval or ())]
    if better == "higher":
        numbers = [-drop, *(_negated(interval) or ())]
    if of == FRACTION:
        points = [number * 100 for number in numbers]
        places = 2 if 0 < max(map(abs, points)) < 0.1 else 1
        shown, unit = [_signed(number, places) for number in points], " pt"
    else:
        shown, unit = [f"{number:+.3g}" for number in numbers], ""
    return _change(shown, unit, None if risen is None else not risen)


def _growth(ratio: float, interval: tuple[float, float] | None, better: str) -> Change:
    """The change of an error: `+3.0 %`."""
    shown = [_signed((number - 1) * 100, 1) for number in (ratio, *(interval or ()))]
    grown = _certain(interval, ratio, 1.0)
    return _change(shown, " %", grown if grown is None or better == "higher" else not grown)


def _change(shown: list[str], unit: str, better: bool | None) -> Change:
    value, *bounds = shown
    return Change(value + unit, f"[{', '.join(bounds)}]" if bounds else "", better)


def _signed(number: float, places: int) -> str:
    return f"{0.0 if round(number, places) == 0 else number:+.{places}f}"


def _factor(metric: str, of: Measurement, better: str) -> Change:
    """How many times better: variant / baseline, turned where less is better."""
    ratio = of.value or 1.0
    turned = better == "lower"
    gain, bounds = (1 / ratio, _inverted(of.interval)) if turned else (ratio, of.interval)
    text, interval = f"{_times(gain)}x", _bounds(gain, bounds)
    certain = _certain(bounds, gain, 1.0)
    # what copies of one model differ by is no difference, nor is what does not show
    if max(gain, 1 / gain) <= 1 + (of.noise_floor or 0.0) or text == "1.00x":
        exact = gain == 1 and bounds is None
        return Change(text, interval, turned=("unchanged", "", "") if exact else None)
    if certain is None:
        return Change(text, interval)
    moved = METRICS[metric].moved if metric in METRICS else None
    pair = moved or (("less", "more") if turned else ("more", "less"))
    size, around = (gain, bounds) if gain >= 1 else (1 / gain, _inverted(bounds))
    return Change(text, interval, certain, (f"{_times(size)}x", pair[0 if certain else 1], _bounds(size, around)))


def _inverted(interval: tuple[float, float] | None) -> tuple[float, float] | None:
    if interval is None:
        return None
    low, high = interval
    return (1 / high if high > 0 else math.inf, 1 / low if low > 0 else math.inf)


def _places(factor: float) -> int:
    return 2 if factor < 1.995 else 1 if factor < 9.95 else 0


def _times(factor: float) -> str:
    return f"{factor:.{_places(factor)}f}"


def _bounds(factor: float, bounds: tuple[float, float] | None) -> str:
    """An interval with the places of its factor, or so many more that its ends differ."""
    if bounds is None:
        return ""
    for places in range(_places(factor), _places(factor) + 3):
        low, high = (f"{bound:.{places}f}" for bound in bounds)
        if low != high:
            break
    return f"[{low}, {high}]"
