"""Advice as people read it on a terminal or in a log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TextIO

from makeweight.advise import sentences
from makeweight.advise.facts import Facts
from makeweight.advise.ranking import Advice, Ranking
from makeweight.advise.writing import snippet
from makeweight.budget.quantity import BYTES, SECONDS, show
from makeweight.report.console import console_on, trimmed, write
from makeweight.report.text import plain

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

_WIDTH = 110
"""Where nobody says how wide it is; on a wider terminal, lines are no longer either."""
_BAR = 24
_LAYERS = 6
_DECLARED = "`model.build`, `model.weights`"
_STANDINGS = {"reachable": "green", "met": "green", "nearest": "yellow", "nothing": "yellow", "baseline": "red"}
_CHANCES = {"expected": "green", "possible": "yellow", "missed": "red", "unknown": "dim"}


def print_to(ranking: Ranking, facts: Facts, project: str, stream: TextIO) -> None:
    """The facts, the budget, the first advice in full, the others and what was set aside."""
    console = console_on(stream, None if stream.isatty() else _WIDTH, colours=stream.isatty())
    console.width = min(console.width, _WIDTH)
    with console.capture() as capture:
        _print(console, ranking, facts, project)
    write(trimmed(capture.get()), stream)


def _print(console: Console, ranking: Ranking, facts: Facts, project: str) -> None:
    from rich.text import Text

    console.print(Text(plain(f"makeweight advise  {project}"), style="bold"))
    _line(console, sentences.model_told(facts))
    _section(console, "Where the bytes are", _bytes(facts))
    _section(console, "Layers", _layers(facts))
    _section(console, "Devices", _devices(facts))
    told = [*sentences.sensitivity_told(facts), *_structure(facts)]
    if told:
        _section(console, "Tried", *(_text(each) for each in told))
    _section(console, "The budget", _budget(facts))
    console.print()
    console.print(Text(plain(sentences.headline(ranking, facts)), style=f"bold {_STANDINGS[ranking.standing]}"))
    if ranking.advice:
        _first(console, ranking.advice[0], facts)
    _section(console, "Then", _others(ranking.advice[1:]))
    _section(console, f"With the module that the file was made from ({_DECLARED})", _of_module(ranking))
    aside = _table()
    reasons: dict[str, list[str]] = {}
    for each in ranking.aside:
        if each.module:
            continue
        reasons.setdefault(each.reason, []).append(each.rule.name)
    for reason, names in reasons.items():
        aside.add_row(Text(", ".join(names), style="dim", overflow="fold"), Text(plain(reason), style="dim"))
    _section(console, "Set aside", aside)
    unknown = [(name, reason) for name, reason in facts.absent.items() if name not in ("pruning",)]
    missing = _table()
    for name, reason in unknown:
        missing.add_row(Text(plain(name), style="dim"), Text(plain(reason), style="dim"))
    _section(console, "Not known here", missing)


def _first(console: Console, advice: Advice, facts: Facts) -> None:
    from rich.padding import Padding
    from rich.syntax import Syntax
    from rich.text import Text

    _line(console, sentences.why(advice, facts))
    if advice.declared:
        _line(console, f"The variant `{advice.name}` of this project is that recipe; it has to be made and measured.")
    console.print()
    code = snippet(advice.name, advice.recipe)
    console.print(Padding(Syntax(code, "yaml", theme="ansi_dark", background_color="default"), (0, 0, 0, 2)))
    table = _table()
    for each in advice.expected:
        seen = "tried here" if each.tried else "expected"
        table.add_row(sentences.figure_told(each), sentences.range_told(each), sentences.in_units(each, facts), seen)
    for goal, chance in advice.chances:
        if goal.figure is not None:
            table.add_row(Text(plain(goal.text)), Text(chance, style=_CHANCES[chance]), goal.device or "", "budget")
    console.print(Padding(table, (0, 0, 0, 2)))
    console.print()
    _pair(console, "takes", advice.rule.effort)
    _pair(console, "against it", advice.rule.against)
    for assumption in sentences.assumed(advice, facts):
        _pair(console, "assumes", assumption)
    _pair(console, "sources", "; ".join(f"{source.title} ({source.url})" for source in advice.rule.sources))


def _bytes(facts: Facts) -> Any:
    table = _table()
    for name, size, share, work in sentences.bytes_told(facts.model):
        bar = "█" * round(share * _BAR)
        done = "" if work is None else f"{work:.0%} of the work"
        table.add_row(name, f"{bar:<{_BAR}}", f"{share:.0%}", show(size, BYTES), done)
    return table


def _layers(facts: Facts) -> Any:
    """The heaviest, and where each stands by work and by what it wins in float."""
    alone = {} if facts.sensitivity is None else facts.sensitivity.alone
    total = sum(layer.macs or 0 for layer in facts.model.layers)
    heads = ("layer", "kind", "bytes", "of the file", "of the work", *(("wins in float",) if alone else ()))
    table = _table(*heads)
    heaviest = sorted(facts.model.layers, key=lambda layer: -layer.bytes)[:_LAYERS]
    for layer in heaviest:
        work = "" if not total or layer.macs is None else f"{layer.macs / total:.0%}"
        won = next(
            (f"{max(value, 0):.1f} dB" for name, value in alone.items() if layer.name in (name, *name.split("/"))), ""
        )
        share = f"{layer.bytes / facts.model.size:.0%}"
        cells = (plain(layer.name), layer.kind, show(layer.bytes, BYTES), share, work, won)
        table.add_row(*cells[: len(heads)])
    return table


def _devices(facts: Facts) -> Any:
    table = _table()
    for device in facts.devices:
        time = "not timed" if device.latency is None else f"{show(device.latency, SECONDS)} an inference"
        able = ", ".join(device.isa or ()) or "none that help here"
        if device.isa is None:
            able = "" if device.latency is None else "did not tell its instructions"
        spent = sorted(device.operators.items(), key=lambda each: -each[1])[:3]
        most = ", ".join(f"{share:.0%} in {name}" for name, share in spent)
        table.add_row(plain(device.name), time, able, plain(most))
    return table


def _structure(facts: Facts) -> list[str]:
    found = facts.pruning
    if found is None:
        reason = facts.absent.get("pruning")
        return [f"no channels can go: {reason}"] if reason is not None else []
    work = "" if found.macs is None else f" and {found.macs:.0%} of the multiply-accumulates"
    return [f"without {found.asked:.0%} of its channels, {found.size:.0%} of the bytes{work} are left"]


def _budget(facts: Facts) -> Any:
    table = _table()
    for goal in facts.goals:
        warned = "" if goal.blocking else "warns"
        table.add_row(plain(goal.text), plain(goal.device or ""), plain(sentences.goal_told(goal)), warned)
    return table


def _others(advice: Sequence[Advice]) -> Any:
    from rich.text import Text

    table = _table("variant", "what", "size", "latency", "lost quality", "takes")
    for each in advice:
        cells = []
        for figure in ("size", "latency", "drop"):
            told = [one for one in each.expected if one.figure == figure]
            cells.append(sentences.range_told(told[0]) if told else "as it is")
        missed = ", ".join(goal.rule for goal in each.misses)
        style = "dim" if missed else ""
        what = each.rule.does + (f" (misses {missed})" if missed else "")
        table.add_row(*(Text(plain(cell), style=style) for cell in (each.name, what, *cells, each.rule.effort)))
    return table


def _of_module(ranking: Ranking) -> Any:
    """What takes the module."""
    from rich.text import Text

    table = _table()
    for each in ranking.aside:
        if each.module:
            lacking = f"; besides: {each.besides}" if each.besides else ""
            table.add_row(each.rule.name, Text(plain(each.rule.does + lacking)), each.rule.effort)
    return table


def _table(*heads: str) -> Any:
    from rich.table import Table

    table = Table(box=None, show_header=bool(heads), pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for head in heads:
        table.add_column(head, overflow="fold")
    return table


def _section(console: Console, head: str, *parts: RenderableType) -> None:
    from rich.padding import Padding
    from rich.text import Text

    if all(getattr(part, "row_count", 1) == 0 for part in parts):
        return
    console.print()
    console.print(Text(head, style="bold"))
    for part in parts:
        console.print(Padding(part, (0, 0, 0, 2)))


def _line(console: Console, text: str) -> None:
    from rich.padding import Padding

    console.print(Padding(_text(text), (0, 0, 0, 2)))


def _pair(console: Console, name: str, text: str) -> None:
    from rich.padding import Padding
    from rich.text import Text

    table = _table()
    table.add_column(width=10, no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row(Text(name, style="dim"), _text(text))
    console.print(Padding(table, (0, 0, 0, 2)))


def _text(text: str) -> Any:
    from rich.text import Text

    return Text(plain(text), overflow="fold")
