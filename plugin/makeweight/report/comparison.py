"""The table that every form of the report has: one row a variant, with size, quality, latency and verdict."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from makeweight.budget.measurand import Measurand, headline
from makeweight.decide.verdict import Outcome, VariantVerdict, Verdict
from makeweight.layout import BASELINE
from makeweight.report import runtimes
from makeweight.report.change import Change
from makeweight.report.content import Content
from makeweight.report.figures import Figures
from makeweight.report.pareto import front
from makeweight.report.standing import WORDS, blocking, named, waived
from makeweight.report.written import title, written, written_interval

SIZE, LATENCY = headline("size"), headline("latency")
_FROM = "from: the baseline's figure of that very benchmark, where it is farther from its row than the noise floor"


@dataclass(frozen=True)
class Cell:
    """One figure in its place: the figure, or why there is none."""

    of: Measurand
    device: str | None
    value: str
    """With its unit; empty when it was not measured."""
    interval: str
    change: Change | None
    """Against the baseline; None for the baseline itself, and where it cannot be told."""
    reason: str
    """Why there is no figure; empty when there is one."""
    detail: str = ""
    """What names the figure more closely, such as the class that is worst."""
    change_detail: str = ""
    """The same for the change: the class that dropped most."""
    before: str = ""
    """The baseline's figure of the same benchmark, where its row says something else; see `Figures.own_baseline`."""

    @property
    def title(self) -> str:
        return title(self.of)

    @property
    def figure(self) -> str:
        """As it stands in a table of several models: `44.4 us`, `44.4 us from 263 us`."""
        return f"{self.value} from {self.before}" if self.before else self.value


@dataclass(frozen=True)
class Row:
    """One model."""

    variant: str
    ships: bool
    outcome: Outcome | None
    """None for the baseline."""
    word: str
    """The outcome as people say it, with what was waived; empty for the baseline."""
    held_up_by: str
    """What it breaks or leaves open, in few words."""
    size: Cell
    quality: Cell
    latencies: tuple[Cell, ...]
    """One a device."""
    on_front: bool
    """Whether nothing beats it in both size, or latency on some device, and quality."""
    recipe: str = ""
    runtime: str = ""
    """In words, where there are several runtimes; else empty."""

    @property
    def verdict(self) -> str:
        """`pass, ships`, `fail: accuracy drop at most 0.5 pt (+1 more)`."""
        if self.ships:
            return f"{self.word}, ships"
        return f"{self.word}: {self.held_up_by}" if self.held_up_by else self.word

    @property
    def cells(self) -> list[tuple[Cell, str]]:
        """Its figures, each with the reason to be told why there is none: the same reason is told once a row."""
        listed: list[tuple[Cell, str]] = []
        for each in (self.size, self.quality, *self.latencies):
            repeated = any(each.reason == reason for _, reason in listed)
            listed.append((each, "" if repeated else each.reason))
        return listed


def rows(content: Content, figures: Figures) -> list[Row]:
    """The baseline, then every variant in the order of the verdict; where there are several runtimes, by recipe."""
    fronts = {name for cost, device in costs(figures) for name in on_front(figures, cost, device)}
    outcomes = {each.variant: each for each in content.verdict.variants}
    listed, told = [], runtimes.of(content)
    for variant in runtimes.grouped(told, figures.models):
        recipe, runtime = told.get(variant, ("", ""))
        own = outcomes.get(variant) if variant != BASELINE else None
        listed.append(
            Row(
                variant=variant,
                ships=variant == content.verdict.ship,
                outcome=own.verdict if own else None,
                word=_word(content.verdict, own) if own else "",
                held_up_by=_held_up_by(content.verdict, variant) if own else "",
                size=cell(figures, SIZE, variant),
                quality=cell(figures, figures.quality, variant),
                latencies=tuple(cell(figures, LATENCY, variant, device) for device in figures.devices),
                on_front=variant in fronts,
                recipe=runtimes.shown(recipe),
                runtime=runtime,
            )
        )
    return listed


def costs(figures: Figures) -> list[tuple[Measurand, str | None]]:
    """What quality is weighed against: size, and latency on every device where any was measured."""

    def timed(device: str) -> bool:
        return any(figures.value(LATENCY, name, device) is not None for name in figures.models)

    return [(SIZE, None), *((LATENCY, device) for device in figures.devices if timed(device))]


def on_front(figures: Figures, cost: Measurand, device: str | None) -> list[str]:
    """The models that nothing else beats in both cost and quality."""
    points = []
    for name in figures.models:
        x, y = figures.place(cost, name, device), figures.value(figures.quality, name)
        if x is not None and y is not None:
            points.append((name, x, y if figures.better(figures.quality) == "higher" else -y))
    return [points[i][0] for i in front([(x, y) for _, x, y in points])]


def from_words(cells: Iterable[Cell]) -> str:
    """What it means that a figure is `from` another; empty where none is."""
    return _FROM if any(each.before for each in cells) else ""


def cell(figures: Figures, of: Measurand, variant: str, device: str | None = None, beside: str | None = None) -> Cell:
    """One figure with its change; `beside` as for `Figures.get`, so that no figure is from another than that."""
    figure = figures.get(of, variant, device, beside)
    drop = None if of.control else figures.get(of.compared("drop"), variant, device)
    change = None if variant == BASELINE else figures.change(of, variant, device)
    if figure is None or figure.value is None:
        return Cell(of, device, "", "", change, figures.reason(of, variant, device))
    own, of_drop = (each.detail or "" if each is not None else "" for each in (figure, drop))
    before = None
    if beside is None and device is not None and variant != BASELINE:
        before = figures.own_baseline(of, variant, device)
    around = written_interval(figure)
    return Cell(
        of, device, written(figure), around, change, "", own, of_drop, "" if before is None else written(before)
    )


def _word(verdict: Verdict, own: VariantVerdict) -> str:
    let_through = len(waived(verdict, own.variant))
    return WORDS[own.verdict] + (f" ({let_through} waived)" if let_through else "")


def _held_up_by(verdict: Verdict, variant: str) -> str:
    held_up = blocking(verdict, variant)
    more = f" (+{len(held_up) - 1} more)" if len(held_up) > 1 else ""
    return f"{named(held_up[0])}{more}" if held_up else ""


def heading(figures: Figures) -> str:
    """What quality is called here: `accuracy`, `root mean square error`."""
    return title(figures.quality)
