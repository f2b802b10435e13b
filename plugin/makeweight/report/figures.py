"""The figures of a verdict, found by what they are about; or why there is none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from functools import cached_property
from typing import Any, Literal

from makeweight import measurement
from makeweight.budget.measurand import Comparison, Measurand, headline
from makeweight.budget.metric import METRICS, of_role
from makeweight.budget.quantity import CHANGE, show, show_beside
from makeweight.layout import BASELINE
from makeweight.measurement import Measurement
from makeweight.report.change import Change, dropped, factor, growth
from makeweight.report.content import Content, Machine
from makeweight.report.written import dimension, title, written
from makeweight_base.errors import UsageError

NOT_RECORDED = "no figure was recorded"
_COMPARED: tuple[Comparison, ...] = ("ratio", "drop")
_FIELDS = {field.name for field in fields(Measurement)}


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
        """The one figure of that name.

        The baseline is measured beside every variant on a device: its median figure, with an interval that holds all.

        Args:
            beside: take the baseline's figure that was measured together with this variant's, where there is one.
        """
        alike = self._listed.get((of, variant, device), [])
        alike = [each for each in alike if beside is not None and each.against == beside] or alike
        measured = sorted((each for each in alike if each.value is not None), key=lambda each: each.value or 0.0)
        if not measured:
            return alike[0] if alike else None
        middle = measured[(len(measured) - 1) // 2]
        ends = [end for each in measured if each.interval is not None for end in each.interval]
        return replace(middle, interval=(min(ends), max(ends))) if len(measured) > 1 and ends else middle

    def value(self, of: Measurand, variant: str, device: str | None = None) -> float | None:
        figure = self.get(of, variant, device)
        return None if figure is None else figure.value

    def place(self, of: Measurand, variant: str, device: str | None = None) -> float | None:
        """Where a model stands beside the one baseline that is shown.

        On a device that is its ratio to the baseline measured together with it, times the baseline's figure: a machine
        is not as fast in every run, and figures of two runs, put on one scale as they are, could stand the wrong way
        round.
        """
        figure = self.value(of, variant, device)
        if device is None or variant == BASELINE:
            return figure
        ratio, base = self.value(of.compared("ratio"), variant, device), self.value(of, BASELINE, device)
        return figure if figure is None or ratio is None or base is None else ratio * base

    def own_baseline(self, of: Measurand, variant: str, device: str) -> Measurement | None:
        """The baseline's figure that was measured together with a variant's, where a table of several models needs it.

        That is where it is farther from the one baseline that is shown than copies of one model differed by in any run
        there, which is the noise floor that a report names: beside the latter the variant's figure would contradict its
        ratio. None: it is not.
        """
        here, shown = self.get(of, BASELINE, device, variant), self.get(of, BASELINE, device)
        ratio = self.get(of.compared("ratio"), variant, device)
        if here is None or shown is None or ratio is None or not here.value or not shown.value or ratio.value is None:
            return None
        least, most = sorted((here.value, shown.value))
        floor = max(ratio.noise_floor or 0.0, self.noise_floor(device) or 0.0)
        return here if most > least * (1 + floor) and written(here) != written(shown) else None

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

    @cached_property
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

    @cached_property
    def devices(self) -> list[str]:
        """Declared devices in their order, then any other that something was measured on."""
        return list(dict.fromkeys([*self.machines, *(each.device for each in self if each.device is not None)]))

    @property
    def models(self) -> list[str]:
        """The baseline, then the compressed variants."""
        return [BASELINE, *self.variants]

    @property
    def variants(self) -> list[str]:
        """The compressed variants, in the order of the verdict."""
        return [each.variant for each in self._content.verdict.variants if each.variant != BASELINE]

    def change(
        self, of: Measurand, variant: str, device: str | None = None, limit: float | None = None
    ) -> Change | None:
        """How a variant's own figure compares with the baseline's. None: it cannot be told.

        Args:
            limit: that of a drop, beside which it is shown.
        """
        if of.comparison or of.control:
            return None
        drop = self.get(of.compared("drop"), variant, device)
        if drop is not None and drop.value is not None:
            return dropped(drop.value, drop.interval, dimension(of.compared("drop")), limit)
        ratio = self.get(of.compared("ratio"), variant, device)
        if ratio is not None and ratio.value is not None and ratio.value > 0:
            if of.metric in METRICS and METRICS[of.metric].origin == "evaluate":
                return growth(ratio.value, ratio.interval, self.better(of))
            return factor(of.metric, ratio, self.better(of))
        return None

    def growth(
        self, of: Measurand, variant: str, device: str | None = None, limit: float | None = None
    ) -> Change | None:
        """How a variant compares with itself at the merge base. None: it was not compared.

        Args:
            limit: that of the growth, beside which it is shown.
        """
        figure = self.get(of.compared("regression"), variant, device)
        if figure is None or figure.value is None:
            return None
        if figure.value == 0 and figure.interval in (None, (0.0, 0.0)):
            return Change("unchanged")
        interval = figure.interval and (1 + figure.interval[0], 1 + figure.interval[1])
        grown = growth(1 + figure.value, interval, self.better(of))
        if (shown := show_beside(figure.value, limit, CHANGE)) == show(figure.value, CHANGE):
            return grown
        return replace(grown, text=f"{'+' * (figure.value > 0)}{shown}")

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
        return [(reason, self._all_missing(what)) for reason, what in gathered.items()]

    def _all_missing(self, what: Mapping[tuple[Measurand, str | None], list[str]]) -> list[str]:
        """In words; the cells of one matrix, of which there may be dozens, in few of them."""
        shown: list[str] = []
        cells: dict[tuple[str | None, tuple[str, ...]], list[Measurand]] = {}
        for (of, device), variants in what.items():
            if of.is_cell:
                cells.setdefault((device, tuple(variants)), []).append(of)
            else:
                shown.append(self._missing(title(of, device), variants))
        for (device, whose), listed in cells.items():
            batches = ", ".join(map(str, dict.fromkeys(of.batch for of in listed)))
            several = f"throughput in {len(listed)} cells (batches of {batches}) on {device}"
            shown.append(self._missing(several if len(listed) > 1 else title(listed[0], device), [*whose]))
        return shown

    def _missing(self, where: str, variants: list[str]) -> str:
        """Of whom, unless it is so of all."""
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
        return measurement.of({name: value for name, value in entry.items() if name in _FIELDS})
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        raise UsageError(
            f"a measurement of the verdict cannot be read ({error})", do="Run `makeweight report` again."
        ) from error
