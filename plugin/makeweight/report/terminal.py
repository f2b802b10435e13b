"""The verdict as a table for a terminal or a log, with what is broken in the last lines."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING, TextIO

from makeweight.decide.verdict import Outcome, Verdict
from makeweight.layout import BASELINE
from makeweight.report import larger, measuring, operators, prose, remarks, throughput, wholes
from makeweight.report.comparison import LATENCY, Cell, Row, from_words, heading, rows
from makeweight.report.console import WIDTH, console_on, joined, trimmed, write
from makeweight.report.content import Content
from makeweight.report.figures import Figures
from makeweight.report.standing import force, leading, line, offences
from makeweight.report.text import elided, plain
from makeweight.report.written import title

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

_STYLES: dict[Outcome | None, str] = {"pass": "green", "fail": "red", "inconclusive": "yellow"}
_WORD_STYLES = {"fail": "bold red", "undecided": "bold yellow", "waived": "bold yellow"}
# Beyond so many rules the last lines stop being a summary; the report has them all.
_MOST_OFFENCES = 12
_NAME_WIDTH = 28
_VERDICT_WIDTH = 22
_LEAST_VERDICT = 14


@dataclass(frozen=True)
class _Column:
    """Figures one below the other, their parts aligned."""

    head: str
    cells: tuple[str, ...]

    @property
    def width(self) -> int:
        return max(len(line) for line in (*self.head.split("\n"), *self.cells))


def render(content: Content, width: int | None = None) -> str:
    """The table as plain text, without colours, no line longer than `width` (default: 120) characters."""
    return _shown(console_on(StringIO(), width or WIDTH, colours=False), content)


def print_to(content: Content, stream: TextIO) -> None:
    """Print the table to a stream: with colours and as wide as the window when it is a terminal."""
    console = console_on(stream, None if stream.isatty() else WIDTH, colours=stream.isatty())
    write(_shown(console, content), stream)


def last_lines(verdict: Verdict) -> list[tuple[str, str]]:
    """What is broken or open, each the word that its line begins with and the line, the most important last."""
    lines = list(dict.fromkeys((force(rule), plain(line(rule))) for rule in offences(verdict)))
    left_out = len(lines) - _MOST_OFFENCES
    if left_out <= 0:
        return lines
    more = f"({left_out} more broken or open rules of other variants are in the report)"
    return [(more, more), *lines[left_out:]]


def _shown(console: Console, content: Content) -> str:
    from rich.padding import Padding
    from rich.text import Text

    figures = Figures(content)
    table, notes = rows(content, figures), list[str]()
    with console.capture() as capture:
        console.print(Text(_headline(content, figures), style="bold"))
        if (review := content.verdict.review).weakening:
            console.print()
            console.print(_folded(f"{plain(prose.altered(content))}:", "bold yellow"))
            for each in review.weakening:
                console.print(Padding(_folded(plain(each.sentence)), (0, 0, 0, 2)))
            if (word := prose.word_on_it(review)) is not None:
                console.print(_folded(plain(word)))
        for notice in prose.notices(content):
            console.print()
            console.print(_folded(f"note: {plain(notice)}", "bold yellow"))
        console.print()
        for part in (
            *_tables(table, figures, notes, console.width),
            *_wholes(figures, notes, console.width),
            *_throughputs(content, figures, notes, console.width),
        ):
            console.print(part)
            console.print()
        for said in (
            *wholes.sentences(content, figures),
            *throughput.sentences(content, figures),
            *remarks.remarks(content, figures),
            *larger.sentences(content),
            *operators.remarks(content, figures),
        ):
            console.print(Padding(_folded(plain(said)), (0, 0, 0, 2)))
        for line in [*(f"({i}) {note}" for i, note in enumerate(notes, 1)), *_footer(content, figures, table)]:
            console.print(Padding(_folded(line, "dim"), (0, 0, 0, 2)))
        console.print()
        console.print(_verdict_line(content, figures))
        for word, said in last_lines(content.verdict):
            text = _folded(said)
            text.stylize(_WORD_STYLES.get(word, "bold"), 0, len(word))
            console.print(text)
    return trimmed(capture.get())


def _folded(said: str, style: str = "") -> Text:
    """Over as many lines as it takes, no figure apart from its unit."""
    from rich.text import Text

    return Text(joined(said), style, overflow="fold")


def _headline(content: Content, figures: Figures) -> str:
    count = len(figures.variants)
    where = ", ".join(figures.devices)
    return plain(
        f"makeweight  {content.verdict.project}  {count} variant{'' if count == 1 else 's'}"
        + (f" on {where}" if where else ", no device measured")
    )


def _verdict_line(content: Content, figures: Figures) -> Text:
    verdict = content.verdict
    word = {"pass": "pass", "fail": "fail", "inconclusive": "undecided"}.get(verdict.verdict, "nothing to decide")
    text = _folded(f"{word}: {plain(verdict.sentence)}")
    if verdict.ship is not None and (without := prose.unlimited(content, figures, verdict.ship)):
        text.append(f" The budget has no rule on {plain(prose.listed(without))}.", style="yellow")
    text.stylize(f"bold {_STYLES.get(verdict.verdict, '')}".strip(), 0, len(word))
    return text


def _tables(table: list[Row], figures: Figures, notes: list[str], width: int) -> list[Table]:
    """One table when it fits; else latencies in tables of their own, as many devices in each as fit, and what runs
    where in one before them, if it has no room beside the figures."""
    size = _column("size", [row.size for row in table], notes)
    quality = _column(heading(figures), [row.quality for row in table], notes)
    latencies = [
        _column(f"{title(LATENCY)}\n{device}", [row.latencies[place] for row in table], notes)
        for place, device in enumerate(figures.devices)
    ]
    names = min(_NAME_WIDTH, max(len(plain(row.variant)) for row in table))
    made: list[_Column] = []
    if any(row.runtime for row in table):
        made.append(_Column("recipe", tuple(elided(row.recipe, _NAME_WIDTH) for row in table)))
        made.append(_Column("runtime", tuple(plain(row.runtime) for row in table)))
    verdicts = min(_VERDICT_WIDTH, max(len(plain(row.verdict)) for row in table))

    def left(columns: Sequence[_Column]) -> int:
        return width - 2 - names - 2 - sum(column.width + 2 for column in columns)

    first = [*made, size, quality]
    if left([*first, *latencies]) >= verdicts + 4:
        return [_table(table, [*first, *latencies], width, verdict=True)]
    tables = []
    if made and left(first) < min(verdicts, _LEAST_VERDICT):
        tables, first = [_table(table, made, width, verdict=False)], [size, quality]
    beside = left(first) >= min(verdicts, _LEAST_VERDICT)
    tables.append(_table(table, first, width, verdict=beside))
    if not beside:
        verdict = _Column("verdict", tuple(joined(plain(row.verdict)) for row in table))
        tables.append(_table(table, [verdict], width, verdict=False))
    batch: list[_Column] = []
    for column in latencies:
        if batch and left([*batch, column]) < 0:
            tables.append(_table(table, batch, width, verdict=False))
            batch = []
        batch.append(column)
    return [*tables, _table(table, batch, width, verdict=False)] if batch else tables


def _column(head: str, cells: Sequence[Cell], notes: list[str]) -> _Column:
    parts = [_parts(cell, notes) for cell in cells]
    widths = [max((len(part[place]) for part in parts if len(part) == 4), default=0) for place in range(4)]
    lines = []
    for part in parts:
        if len(part) == 1:
            lines.append(part[0])
            continue
        value, before, change, interval = part
        whole = f"{value:>{widths[0]}} {before:<{widths[1]}}" if widths[1] else f"{value:>{widths[0]}}"
        lines.append(f"{whole}  {change:>{widths[2]}} {interval:<{widths[3]}}".rstrip())
    return _Column("\n".join(plain(line) for line in head.split("\n")), tuple(lines))


def _parts(cell: Cell, notes: list[str]) -> tuple[str, ...]:
    """Value, what it is from, change and interval; or where to read why there is none."""
    if cell.reason:
        note = plain(cell.reason)
        if note not in notes:
            notes.append(note)
        return (f"not measured ({notes.index(note) + 1})",)
    before = f"from {cell.before}" if cell.before else ""
    if cell.change is None:
        return (cell.value, before, "", "")
    # a test set's interval is in the report; a timing means little without its own
    return (cell.value, before, cell.change.text, cell.change.interval if cell.device else "")


def _grid() -> Table:
    """A table without lines, whose first column marks what ships: so all of them stand below each other."""
    from rich.table import Table

    shown = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_edge=False, header_style="dim")
    shown.add_column("", width=1, no_wrap=True)
    return shown


def _table(table: list[Row], columns: list[_Column], width: int, *, verdict: bool) -> Table:
    from rich.text import Text

    shown = _grid()
    shown.add_column("variant", overflow="fold", min_width=min(8, _NAME_WIDTH), max_width=_NAME_WIDTH)
    for column in columns:
        fits = column.width < width - 14
        shown.add_column(Text(column.head), no_wrap=fits, min_width=column.width if fits else None, overflow="fold")
    if verdict:
        shown.add_column("verdict", overflow="fold")
    for place, row in enumerate(table):
        style = "bold" if row.ships else "dim" if row.variant == BASELINE else ""
        cells = [Text("*" if row.ships else ""), Text(plain(row.variant), style=style)]
        cells += [Text(column.cells[place], style=style) for column in columns]
        if verdict:
            cells.append(_folded(plain(row.verdict), _STYLES.get(row.outcome, "")))
        shown.add_row(*cells)
    return shown


def _wholes(figures: Figures, notes: list[str], width: int) -> list[Table]:
    """Pipelines from end to end: one table when it fits, else the shares of their parts in one of their own."""
    listed = wholes.rows(figures)
    if not listed:
        return []
    first = [_Column("end to end", tuple(elided(plain(row.variant), _NAME_WIDTH) for row in listed))]
    if len({row.device for row in listed}) > 1:
        first.append(_Column("device", tuple(plain(row.device) for row in listed)))
    whole = _column("p50, whole", [row.whole for row in listed], notes)
    percents = [row.percents or ("",) * len(wholes.HEADS) for row in listed]
    shares = [
        _Column(head, tuple(column)) for head, column in zip(wholes.HEADS, zip(*percents, strict=True), strict=True)
    ]
    same = _Column("as the baseline", tuple(plain(row.same) for row in listed))
    together = [*first, whole, *shares, same]
    dim = [row.variant == BASELINE for row in listed]
    if 3 + sum(column.width + 2 for column in together) <= width:
        return [_plain_table(together, dim)]
    return [_plain_table([*first, whole, same], dim), _plain_table([*first, *shares], dim)]


def _plain_table(columns: Sequence[_Column], dim: Sequence[bool]) -> Table:
    """Columns as they are, below those of the table of variants; which rows are dim."""
    from rich.text import Text

    shown = _grid()
    for column in columns:
        shown.add_column(Text(column.head), overflow="fold")
    for place, faint in enumerate(dim):
        shown.add_row("", *(Text(column.cells[place], style="dim" if faint else "") for column in columns))
    return shown


def _throughputs(content: Content, figures: Figures, notes: list[str], width: int) -> Iterator[Table]:
    """Cells of a matrix, of the baseline and of the variant that is looked at: a table for as many sizes as fit."""
    from rich.text import Text

    for matrix in throughput.matrices(figures):
        lead = leading(content.verdict) or ""
        rows = throughput.rows(figures, matrix, [BASELINE, lead], lead)
        if not rows:
            continue
        columns = [
            _Column(f"batch {batch}", _in_cells([row.cells[place] for row in rows], notes))
            for place, batch in enumerate(matrix.batches)
        ]
        head = plain(f"throughput on {matrix.device}")
        room = width - 4 - max(len(head), *(min(len(plain(row.variant)), _NAME_WIDTH) for row in rows)) - 9
        while columns:
            count = max(1, sum(total <= room for total in itertools.accumulate(each.width + 2 for each in columns)))
            shown = _grid()
            shown.add_column(Text(head), overflow="fold", max_width=max(len(head), _NAME_WIDTH))
            shown.add_column("threads", justify="right")
            for column in columns[:count]:
                shown.add_column(Text(column.head), overflow="fold")
            for place, row in enumerate(rows):
                style = "dim" if row.variant == BASELINE else ""
                cells = ["", row.variant, str(row.threads), *(column.cells[place] for column in columns[:count])]
                shown.add_row(*(Text(each, style=style) for each in cells))
            yield shown
            columns = columns[count:]


def _in_cells(cells: Sequence[Cell | None], notes: list[str]) -> tuple[str, ...]:
    """Value and change, one below the other; intervals are in the report."""
    parts = [("",) if cell is None else _parts(cell, notes) for cell in cells]
    wide = max((len(part[0]) for part in parts if len(part) == 4), default=0)
    return tuple(f"{part[0]:>{wide}}  {part[2]}".rstrip() if len(part) == 4 else part[0] for part in parts)


def _footer(content: Content, figures: Figures, table: list[Row]) -> list[str]:
    known = {device: measuring.line(content, figures, device, "noise floor {}") for device in figures.devices}
    lines = [plain(f"{device}: {words}") for device, words in known.items() if words]
    if any(row.size.change for row in table):
        lines.append("2.0x: half the size, half the time; [low, high]: interval; * ships")
    timed = (each for row in table for each in row.latencies)
    if said := from_words((*timed, *(row.whole for row in wholes.rows(figures)))):
        lines.append(said)
    lines += [plain(remark) for remark in content.remarks]
    lines.append(plain(f"report: {content.html}"))
    return lines
