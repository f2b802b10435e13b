"""Files of measurements brought together from elsewhere, as far as it shows that they belong together.

A key is a hash, so it cannot be told from a file alone which artifacts were measured. What shows is contradiction: two
files about one thing that differ, or that imply different baselines. It is refused by the names of both.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from makeweight import measurement
from makeweight.budget.measurand import Measurand
from makeweight.budget.metric import METRICS, of_role
from makeweight.layout import BASELINE, Layout
from makeweight.measurement import Measurement
from makeweight.project.project import Project
from makeweight_base.errors import UsageError, reason

Files = Sequence[tuple[str, Sequence[Measurement]]]
_Subject = tuple[str, str | None]
_Placed = Sequence[tuple[str, Measurement, _Subject]]
_ONE_RUN = "Collect the files of one run, or measure again."
_WANTED = "Name files as `evaluate` and `benchmark` write them: reports/<variant>/evaluate.json and <device>.json."


def read(paths: Iterable[Path]) -> Files:
    """The files of measurements, by name. What lies beside them in `reports/` is passed over, as `*/*.json` names it.

    Raises:
        UsageError: one cannot be read, or is none.
    """
    return [(str(path), _figures(path)) for path in paths if not _beside(path)]


def _beside(path: Path) -> bool:
    """A device's identity, rows of a plot, what a search tried, or the monitors' reference; no variant can have such a
    name."""
    at = Layout(Path())
    folders = (at.device("any").parent.name, at.plot("any").parent.name, at.search.name)
    return path.name == at.reference(BASELINE).name or path.absolute().parent.name in folders


def _figures(path: Path) -> list[Measurement]:
    try:
        return measurement.loads(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot be read: {reason(error)}", where=str(path), do=_WANTED) from error
    except UsageError as error:
        raise UsageError(error.what, where=error.where, do=_WANTED) from error


def join(project: Project, files: Files) -> list[Measurement]:
    """All measurements of the files, in the order in which the project declares what they are of.

    A figure that bears no key was not written by makeweight, and comes back as stale.

    Raises:
        UsageError: a file is of another project, or two contradict each other.
    """
    figures = [(name, figure, _subject(figure, beside)) for name, beside in files for figure in beside]
    _refuse_strangers(project, figures)
    _refuse_other_keys(figures)
    _refuse_other_baselines(files)
    variants, devices = [BASELINE, *project.variants], [None, *project.devices]
    taken: dict[tuple[_Subject, str, Measurand], tuple[str, Measurement]] = {}
    for name, figure, subject in figures:
        before, earlier = taken.setdefault((subject, figure.variant, figure.measurand), (name, figure))
        if earlier != figure:
            what = f"{figure.measurand.name} of `{figure.variant}`{_on(figure.device)}"
            raise UsageError(
                f"{what} is {_amount(figure)}, and in {before} it is {_amount(earlier)}", where=name, do=_ONE_RUN
            )

    def rank(place: tuple[_Subject, str, Measurand]) -> tuple[bool, int, int]:
        variant, device = place[0]
        return device is not None, variants.index(variant), devices.index(device)

    # evaluations, then benchmarks, as they are when they are read where they were made
    ordered = [taken[place] for place in sorted(taken, key=rank)]
    unkeyed = "it bears no key, so nothing shows what was measured"
    return [
        figure.stale(unkeyed) if figure.key is None and figure.status != "unavailable" else figure
        for _, figure in ordered
    ]


def _subject(figure: Measurement, beside: Sequence[Measurement]) -> _Subject:
    """Which variant's measuring on which device it belongs to: a baseline's figure goes with that of its file."""
    if figure.variant != BASELINE:
        return figure.variant, figure.device
    return next((each.variant for each in beside if each.variant != BASELINE), BASELINE), figure.device


def _refuse_strangers(project: Project, figures: _Placed) -> None:
    for name, figure, _ in figures:
        try:
            if figure.variant != BASELINE:
                project.variant(figure.variant)
            if figure.device is not None:
                project.device(figure.device)
        except UsageError as error:
            raise UsageError(error.what, where=name, do="Name files of this project.") from error


def _refuse_other_keys(figures: _Placed) -> None:
    """One measuring gives one key; two were of other artifacts, inputs or machines."""
    keys: dict[_Subject, tuple[str, str]] = {}
    for name, figure, subject in figures:
        if figure.key is None:
            continue
        before, key = keys.setdefault(subject, (name, figure.key))
        if key != figure.key:
            variant, device = subject
            raise UsageError(
                f"`{variant}`{_on(device)} was measured on another model, machine or examples than in {before}",
                where=name,
                do=_ONE_RUN,
            )


def _refuse_other_baselines(files: Files) -> None:
    baselines: dict[str, tuple[str, float]] = {}
    for name, figures in files:
        for metric, value in _baselines(figures):
            before, first = baselines.setdefault(metric, (name, value))
            if not math.isclose(first, value, rel_tol=1e-9, abs_tol=1e-9):
                raise UsageError(
                    f"its baseline has {metric} {value:.6g}, and that of {before} has {first:.6g}",
                    where=name,
                    do=_ONE_RUN,
                )


def _baselines(figures: Sequence[Measurement]) -> Iterator[tuple[str, float]]:
    """What the baseline must have had for these figures, by metric: the same models and examples give the same of them
    on every machine."""
    values = {(m.variant, m.measurand): m.value for m in figures if m.device is None and m.value is not None}
    counted = [Measurand(metric.name) for metric in METRICS.values() if metric.origin == "compress"]
    scored = [Measurand(metric.name) for metric in of_role("quality") if metric.better == "higher"]
    for (variant, of), value in values.items():
        if of not in (*counted, *scored):
            continue
        if variant == BASELINE:
            yield of.metric, value
        elif of in counted and (ratio := values.get((variant, of.compared("ratio")))):
            yield of.metric, value / ratio
        elif of in scored and (drop := values.get((variant, of.compared("drop")))) is not None:
            yield of.metric, value + drop


def _on(device: str | None) -> str:
    return "" if device is None else f" on {device}"


def _amount(figure: Measurement) -> str:
    return f"not measured ({figure.reason})" if figure.value is None else f"{figure.value:.6g} {figure.unit}"
