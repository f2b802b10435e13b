"""The whole report as one HTML file: no script, no font, no picture that is not within it, nothing fetched."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

from makeweight.artifact import Manifest
from makeweight.budget.metric import METRICS
from makeweight.budget.quantity import BYTES, FRACTION, SECONDS, Dimension, show
from makeweight.layout import BASELINE
from makeweight.report import prose
from makeweight.report.comparison import (
    LATENCY,
    Cell,
    Row,
    cell,
    costs,
    heading,
    machine_line,
    on_front,
    protocol_line,
    rows,
)
from makeweight.report.content import ClassAccuracy, Content, Flip, Timing
from makeweight.report.facts import flat, step_words
from makeweight.report.figures import Figures, dimension, title
from makeweight.report.plots import classes, latency, tradeoff
from makeweight.report.standing import WORDS, blocking, leading, named, subject, warnings
from makeweight.report.text import html_prose, plain
from makeweight.verdict import Outcome, RuleVerdict

_MOST_CLASSES = 24
_MOST_FLIPS = 64
# A page that opens at once on a phone; beyond it, pictures are left out and counted.
_PICTURE_BYTES = 4_000_000
# Pixels a side up to which a picture is shown as crisp squares.
_TINY = 64
_SYMBOLS: dict[Outcome, str] = {"pass": "✓", "fail": "✕", "inconclusive": "?", "not_applicable": "–"}


def render(content: Content) -> str:
    """report.html. Pure: the same content gives the same page.

    Raises:
        UsageError: a measurement of the verdict cannot be read.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("makeweight.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: value if isinstance(value, Markup) else plain(value),
    )
    environment.filters["prose"] = _prose
    environment.filters["unbroken"] = _unbroken
    return environment.get_template("report.html.j2").render(_page(content))


def _prose(text: object) -> Any:
    from markupsafe import Markup

    return Markup(html_prose(text))  # noqa: S704 - html_prose escapes


def _drawn(svg: str) -> Any:
    from markupsafe import Markup

    return Markup(svg)  # noqa: S704 - the charts escape every text they hold


def _page(content: Content) -> dict[str, Any]:
    figures = Figures(content)
    verdict = content.verdict
    lead = leading(verdict)
    everyone = [BASELINE, *figures.variants]
    order = [name for name in figures.variants if name == lead] + [name for name in figures.variants if name != lead]
    held_up = blocking(verdict, lead) if lead else []
    provenance = flat(verdict.provenance)
    return {
        "project": verdict.project,
        "outcome": verdict.verdict,
        "symbol": _SYMBOLS[verdict.verdict],
        "word": prose.word(content),
        "headline": prose.headline(content, figures),
        "lead": lead,
        "ships": verdict.ship,
        "reasons": prose.reasons(content, lead) if lead else [],
        "settling": prose.settling(held_up),
        "remedy": prose.remedy(content, figures, lead) if lead and verdict.verdict != "pass" else "",
        "warnings": [prose.sentence(rule.sentence) for rule in warnings(verdict, lead)] if lead else [],
        "tiles": _tiles(figures, lead, held_up) if lead else [],
        "quality": heading(figures),
        "lower_is_better": figures.better(figures.quality) == "lower",
        "unmeasured_devices": "; ".join(f"{m.name}: {m.reason}" for m in figures.machines.values() if m.reason),
        "devices": figures.devices,
        "rows": [_with_symbol(row) for row in rows(content, figures)],
        "tradeoffs": _tradeoffs(content, figures),
        "latencies": _latencies(content, figures),
        "classes": _classes(content, order),
        "flips": _flips(content, order),
        "all_figures": _all_figures(figures, everyone),
        "everyone": everyone,
        "rules": [(name, *_judgement(content, name)) for name in order],
        "recipes": [_recipe(content, figures, name) for name in [*order, BASELINE] if name in content.manifests],
        "machines": [
            {
                "name": machine.name,
                "line": machine_line(machine),
                "protocol": protocol_line(content, figures, machine.name),
                "floor": _percent(figures.noise_floor(machine.name)),
                "facts": flat({"kind": machine.kind, "threads": machine.threads})
                + flat(machine.identity)
                + flat(machine.conditions),
            }
            for machine in figures.machines.values()
        ],
        "provenance": provenance,
        "commit": next((value[:12] for key, value in provenance if key == "commit"), ""),
        "unavailable": figures.unavailable(),
    }


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share * 100:.1f} %"


@dataclass(frozen=True)
class _Shown:
    """A row with the sign that stands beside its verdict, so that colour is never alone."""

    row: Row
    symbol: str


def _with_symbol(row: Row) -> _Shown:
    return _Shown(row, _SYMBOLS[row.outcome] if row.outcome else "")


# The figures of the leading variant, large


@dataclass(frozen=True)
class _Tile:
    label: str
    figure: str
    word: str
    detail: str
    interval: str
    measured: bool
    over: RuleVerdict | None = None
    """The rule that it breaks or leaves open."""

    @property
    def sign(self) -> str:
        """What the rule makes of it, as sign and word."""
        if self.over is None:
            return ""
        word = "over budget" if self.over.verdict == "fail" else WORDS[self.over.verdict]
        return f"{_SYMBOLS[self.over.verdict]} {word}"


def _tiles(figures: Figures, variant: str, held_up: list[RuleVerdict]) -> list[_Tile]:
    shown: list[tuple[str, str | None]] = [("size", None), (figures.quality, None)]
    shown += [(LATENCY, device) for device in figures.devices[:4]]
    tiles = []
    for metric, device in shown:
        over = next((rule for rule in held_up if rule.metric == metric and rule.device == device), None)
        tiles.append(replace(_tile(figures, metric, variant, device), over=over))
    return tiles


def _tile(figures: Figures, metric: str, variant: str, device: str | None) -> _Tile:
    label = prose.sentence(f"{title(metric)} on {device}" if device else title(metric))
    own, base = cell(figures, metric, variant, device), cell(figures, metric, BASELINE, device)
    if own.reason:
        return _Tile(label, "not measured", "", own.reason, "", measured=False)
    before = f"from {_unbroken(base.value)}" if base.value else ""
    change = own.change
    if change is None:
        return _Tile(label, own.value, "", before, "", measured=True)
    if device is None and metric != "size":
        detail = ", ".join(part for part in (_unbroken(change.words), before) if part)
        return _Tile(label, own.value, "", detail, "", measured=True)
    number, _, word = prose.bare(change).partition(" ")
    interval = change.words.partition(" [")[2]
    detail = ", ".join(part for part in (_unbroken(own.value), before) if part)
    return _Tile(label, number, word, detail, f"[{interval}" if interval else "", measured=True)


def _unbroken(text: str) -> str:
    """A figure and its unit stay on one line."""
    return text.replace(" ", "\N{NO-BREAK SPACE}")


# Trade-offs


def _tradeoffs(content: Content, figures: Figures) -> list[dict[str, Any]]:
    found = []
    for cost, device in costs(figures):
        points = [
            tradeoff.Point(
                name,
                _number(figures.value(cost, name, device)),
                _number(figures.value(figures.quality, name)),
                _paired_interval(figures, name),
                _kind(content, name),
                _point_words(figures, cost, name, device),
            )
            for name in (BASELINE, *figures.variants)
        ]
        shown = [point for point in points if not math.isnan(point.cost) and not math.isnan(point.quality)]
        where = f" on {device}" if device else ""
        missing = [point.name for point in points if point not in shown]
        found.append(
            {
                "title": prose.sentence(f"{heading(figures)} against {title(cost)}{where}"),
                "svg": _drawn(_tradeoff(content, figures, shown, cost, device)),
                "front": on_front(figures, cost, device),
                "missing": missing,
            }
        )
    return found


def _tradeoff(content: Content, figures: Figures, points: list[tradeoff.Point], cost: str, device: str | None) -> str:
    size, unit = _unit([point.cost for point in points], BYTES if cost == "size" else SECONDS)
    quality = figures.quality
    percent = dimension(quality) is FRACTION
    scaled = [
        tradeoff.Point(
            point.name,
            point.cost / size,
            point.quality * (100 if percent else 1),
            None if point.low_high is None else tuple(bound * (100 if percent else 1) for bound in point.low_high),  # type: ignore[arg-type]
            point.kind,
            point.words,
        )
        for point in points
    ]
    limits = _room(content, figures, cost, device)
    room = tradeoff.Room(
        None if limits.cost is None else limits.cost / size,
        None if limits.quality is None else limits.quality * (100 if percent else 1),
    )
    where = f" on {device}" if device else ""
    spread = max((abs(point.quality) for point in scaled), default=1.0)
    return tradeoff.draw(
        scaled,
        tradeoff.Axis(f"{title(cost)}{where}, {unit}", _tick),
        tradeoff.Axis(f"{heading(figures)}, %" if percent else heading(figures), _tick),
        figures.better(quality),
        1.0 if percent else spread * 0.02,
        room,
    )


def _room(content: Content, figures: Figures, cost: str, device: str | None) -> tradeoff.Room:
    """The tightest limits that the budget sets, as absolute figures: ratios and drops counted from the baseline."""
    dearest: list[float] = []
    poorest: list[float] = []
    higher = figures.better(figures.quality) == "higher"
    for rule in content.verdict.rules:
        if rule.limit is None or rule.level != "error" or rule.slice is not None:
            continue
        if rule.metric == cost and rule.device == device:
            dearest += _absolute(rule, figures.value(cost, BASELINE, device))
        elif rule.metric == figures.quality:
            poorest += _absolute(rule, figures.value(figures.quality, BASELINE))
    best = (max if higher else min)(poorest) if poorest else None
    return tradeoff.Room(min(dearest, default=None), best)


def _absolute(rule: RuleVerdict, base: float | None) -> list[float]:
    assert rule.limit is not None  # noqa: S101 - the caller passes over rules without a limit
    if rule.operator in ("max", "min"):
        return [rule.limit]
    if base is None or rule.operator not in ("max_ratio", "max_drop"):
        return []
    if rule.operator == "max_ratio":
        return [base * rule.limit]
    metric = METRICS.get(rule.metric)
    return [base - rule.limit if metric is None or metric.better != "lower" else base + rule.limit]


def _unit(values: Iterable[float], of: Dimension) -> tuple[float, str]:
    """The unit in which most of the figures read well: its size in base units, and its name."""
    finite = sorted(value for value in values if math.isfinite(value) and value > 0)
    middle = finite[len(finite) // 2] if finite else 1.0
    name = next((unit for unit in of.shown if middle >= of.units[unit] * 0.9995), of.shown[-1])
    return of.units[name], name


def _tick(value: float) -> str:
    return f"{value:,.6g}" if abs(value) < 1e6 else f"{value:.3g}"


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _paired_interval(figures: Figures, variant: str) -> tuple[float, float] | None:
    """Where the quality may lie, given the baseline's: the interval of the comparison, not of the figure alone."""
    quality = figures.quality
    base = figures.value(quality, BASELINE)
    drop, ratio = figures.get(f"{quality}_drop", variant), figures.get(f"{quality}_ratio", variant)
    if base is None or variant == BASELINE:
        return None
    if drop is not None and drop.interval is not None:
        low, high = drop.interval
        return (base - high, base - low) if figures.better(quality) == "higher" else (base + low, base + high)
    if ratio is not None and ratio.interval is not None:
        return (base * ratio.interval[0], base * ratio.interval[1])
    return None


def _kind(content: Content, name: str) -> Literal["baseline", "variant", "ships"]:
    return "baseline" if name == BASELINE else "ships" if name == content.verdict.ship else "variant"


def _point_words(figures: Figures, cost: str, name: str, device: str | None) -> str:
    parts = [f"{name}: {_with_interval(cell(figures, cost, name, device))}"]
    parts.append(f"{heading(figures)} {_with_interval(cell(figures, figures.quality, name))}")
    return ", ".join(parts)


def _with_interval(shown: Cell) -> str:
    if shown.reason:
        return f"not measured ({shown.reason})"
    interval = f" {shown.interval}" if shown.interval else ""
    return f"{shown.value}{interval}{f', {shown.change.words}' if shown.change else ''}"


# Latency


def _latencies(content: Content, figures: Figures) -> list[dict[str, Any]]:
    found = []
    for device in figures.devices:
        timings = [timing for timing in content.timings if timing.device == device]
        if not timings:
            continue
        order = {name: place for place, name in enumerate(figures.variants)}
        timings.sort(key=lambda timing: order.get(timing.variant, len(order)))
        # The baseline is timed beside every variant: the run whose median is the median of them all stands for it.
        middle = sorted(timings, key=_baseline_median)[(len(timings) - 1) // 2]
        ridge = partial(_ridge, content, figures, device)
        ridges = [ridge(BASELINE, middle.baseline_seconds)]
        ridges += [ridge(timing.variant, timing.variant_seconds) for timing in timings]
        medians = [value for each in ridges if (value := each.p50) is not None]
        size, unit = _unit(medians, SECONDS)
        drawn = latency.draw(ridges, f"latency on {device}, {unit}", size, _tick, lambda s: show(s, SECONDS))
        timed = {timing.variant for timing in timings}
        missing = [name for name in figures.variants if name not in timed]
        found.append(
            {
                "device": device,
                "svg": _drawn(drawn),
                "missing": [(name, figures.reason(LATENCY, name, device)) for name in missing],
                "protocol": protocol_line(content, figures, device),
                "floor": _percent(figures.noise_floor(device)),
            }
        )
    return found


def _baseline_median(timing: Timing) -> float:
    import numpy as np

    return float(np.median(timing.baseline_seconds)) if len(timing.baseline_seconds) else math.inf


def _ridge(content: Content, figures: Figures, device: str, name: str, seconds: Any) -> latency.Ridge:
    percentiles = {p: figures.value(f"latency_{p}", name, device) for p in ("p50", "p90", "p99")}
    words = ", ".join(
        f"{p} {_with_interval(cell(figures, f'latency_{p}', name, device))}"
        for p, value in percentiles.items()
        if value is not None
    )
    return latency.Ridge(
        name, seconds, **percentiles, kind=_kind(content, name), words=f"{name}: {words or 'no percentile'}"
    )


# Classes and flipped examples


def _classes(content: Content, order: list[str]) -> list[dict[str, Any]]:
    found = []
    for variant in order:
        listed = content.classes.get(variant, ())
        if not listed:
            continue
        by_drop = sorted(listed, key=lambda each: (-each.drop, each.name))
        if len(by_drop) > _MOST_CLASSES:
            kept = by_drop[: _MOST_CLASSES * 2 // 3] + by_drop[-(_MOST_CLASSES // 3) :]
        else:
            kept = by_drop
        bars = [classes.Bar(each.name, -each.drop, _class_words(each)) for each in kept]
        found.append(
            {
                "variant": variant,
                "svg": _drawn(classes.draw(bars, f"Accuracy of {variant} by class, against the baseline")),
                "shown": len(kept),
                "count": len(listed),
                "worst": _most_lost(by_drop[0]),
            }
        )
    return found


def _most_lost(each: ClassAccuracy) -> str:
    return f"{each.name} lost most, {-each.drop * 100:.1f} pt" if each.drop > 0 else "no class lost"


def _class_words(each: ClassAccuracy) -> str:
    return (
        f"{each.name}: {show(each.variant, FRACTION)}, baseline {show(each.baseline, FRACTION)}, "
        f"{each.examples:,} example{'' if each.examples == 1 else 's'}"
    )


def _flips(content: Content, order: list[str]) -> list[dict[str, Any]]:
    found = []
    left = _PICTURE_BYTES
    for variant in order:
        flips = content.flips.get(variant)
        if flips is None:
            continue
        examples = []
        for flip in flips.examples[:_MOST_FLIPS]:
            fits = flip.png is not None and len(flip.png) <= left
            left -= len(flip.png) if flip.png is not None and fits else 0
            examples.append(_example(flip, fits=fits))
        found.append(
            {
                "variant": variant,
                "total": flips.total,
                "examples": examples,
                "confusion": prose.confusion(flips),
                "pictures": any(flip.png is not None for flip in flips.examples),
            }
        )
    return found


def _example(flip: Flip, *, fits: bool) -> dict[str, Any]:
    encoded = base64.b64encode(flip.png).decode() if fits and flip.png is not None else ""
    return {
        "flip": flip,
        "source": f"data:image/png;base64,{encoded}" if encoded else "",
        "confidence": "" if flip.confidence is None or math.isnan(flip.confidence) else f"{flip.confidence:.0%}",
        "too_large": flip.png is not None and not fits,
        "tiny": flip.png is not None and max(_png_size(flip.png)) <= _TINY,
    }


def _png_size(png: bytes) -> tuple[int, int]:
    """Width and height in pixels, from the header (PNG, third edition, 11.2.1)."""
    return int.from_bytes(png[16:20]), int.from_bytes(png[20:24])


# Rules, figures, recipes


def _judgement(content: Content, variant: str) -> tuple[str, list[dict[str, Any]]]:
    own = next(each for each in content.verdict.variants if each.variant == variant)
    judged = [
        {
            "rule": rule,
            "name": subject(rule),
            "limit": "" if rule.limit is None else rule.limit_text,
            "symbol": _SYMBOLS[rule.verdict],
            "word": WORDS[rule.verdict],
            "sentence": prose.sentence(rule.sentence),
        }
        for rule in content.verdict.of(variant)
    ]
    held_up = blocking(content.verdict, variant)
    shown = f"{WORDS[own.verdict]}{': ' + ', '.join(named(rule) for rule in held_up) if held_up else ''}"
    return shown, judged


def _all_figures(figures: Figures, everyone: list[str]) -> list[tuple[str, list[Cell]]]:
    """Every metric that any model was measured on, a row each."""
    seen = {(each.metric, each.device) for each in figures if not _relative(each.metric)}
    known = list(METRICS)

    def rank(key: tuple[str, str | None]) -> tuple[str, int, str]:
        bare = key[0].split("[")[0]
        return (key[1] or "", known.index(bare) if bare in known else len(known), key[0])

    return [
        (
            f"{title(metric)} on {device}" if device else title(metric),
            [_whole_cell(figures, metric, name, device) for name in everyone],
        )
        for metric, device in sorted(seen, key=rank)
    ]


def _whole_cell(figures: Figures, metric: str, name: str, device: str | None) -> Cell:
    bare, bracket, rest = metric.partition("[")
    found = cell(figures, bare, name, device, bracket + rest)
    # what only a comparison has, such as flips, has no figure for the baseline and misses none
    if name == BASELINE and found.reason and figures.get(metric, name, device) is None:
        return Cell(metric, device, "–", "", None, "")
    return found


def _relative(metric: str) -> bool:
    return metric.split("[")[0].endswith(("_ratio", "_drop", "_regression"))


def _recipe(content: Content, figures: Figures, name: str) -> dict[str, Any]:
    manifest = content.manifests[name]
    control = cell(figures, f"{figures.quality}_control", name)
    against = cell(figures, f"{figures.quality}_drop_control", name)
    lower = f", the variant {against.value} {against.interval}".rstrip() + " below it" if against.value else ""
    return {
        "name": name,
        "failed": manifest.status == "failed",
        "reason": manifest.reason or "",
        "steps": [step_words(step) for step in manifest.recipe],
        "facts": _manifest_facts(manifest, f"{heading(figures)} {control.value}{lower}" if control.value else ""),
    }


def _manifest_facts(manifest: Manifest, control: str) -> list[tuple[str, str]]:
    """What the manifest says, in words; what it does not know is left out."""
    sizes = [
        show(manifest.size, BYTES) if manifest.size is not None else "",
        f"{show(manifest.size_compressed, BYTES)} after zlib" if manifest.size_compressed is not None else "",
    ]
    computing = ""
    if manifest.quantized is not None and manifest.floating is not None:
        computing = f"{manifest.quantized} on integers, {manifest.floating} on floating point"
    facts = [
        ("file", manifest.file or ""),
        ("size", ", ".join(part for part in sizes if part)),
        ("parameters", "" if manifest.parameters is None else f"{manifest.parameters:,}"),
        ("MACs", "" if manifest.macs is None else f"{manifest.macs:,} an example"),
        ("compute nodes", computing),
        ("operators", ", ".join(f"{count} {kind}" for kind, count in manifest.operators.items())),
        ("control, trained equally and not compressed", control),
        ("runtime", manifest.runtime),
        ("versions", ", ".join(f"{name} {version}" for name, version in manifest.versions.items())),
        ("seed", str(manifest.seed)),
        ("sha256", manifest.sha256 or ""),
        ("made from sha256", manifest.parent or ""),
        *(("notes: " + key, value) for key, value in flat(manifest.notes)),
    ]
    return [(name, value) for name, value in facts if value]
