"""What a backtest found, as a table for people and as data for machines. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from makeweight_monitors.backtest.recorded import Recorded
from makeweight_monitors.backtest.replay import Outcome

_OWN = ("severity", "kind", "model")


def fired(outcomes: Sequence[Outcome], kind: str) -> bool:
    """Whether any alert of that kind would have fired."""
    return any(
        episode.fired is not None
        for outcome in outcomes
        if outcome.rule.labels.get("kind") == kind
        for _, listed in outcome.episodes
        for episode in listed
    )


def data(outcomes: Sequence[Outcome], recorded: Recorded) -> dict[str, Any]:
    """Times in Unix seconds; `fired` is null for what was pending and never long enough."""
    return {
        "start": recorded.start,
        "end": recorded.end,
        "step": recorded.step,
        "series": len(recorded.series),
        "alerts": [
            {
                "alert": outcome.rule.name,
                "kind": outcome.rule.labels.get("kind"),
                "episodes": [
                    {"labels": dict(labels), "pending": one.pending, "fired": one.fired, "until": one.until}
                    for labels, listed in outcome.episodes
                    for one in listed
                ],
            }
            for outcome in outcomes
        ],
    }


def table(outcomes: Sequence[Outcome], recorded: Recorded) -> str:
    """A line for each set of labels under which an alert would have fired, the first to do so first."""
    rows = sorted(_rows(outcomes, recorded))
    names = {outcome.rule.name for outcome in outcomes}
    quiet = sorted(names - {row[2] for row in rows})
    span = f"{_time(recorded.start)} to {_time(recorded.end)}"
    lines = [f"{span}, every {recorded.step:g} s, {len(recorded.series)} recorded series", ""]
    if rows:
        cells = [("first fired", "kind", "alert", "times", "in all", "labels")]
        cells += [
            (_time(at), kind, name, str(times), _span(total), labels) for at, kind, name, times, total, labels in rows
        ]
        widths = [max(len(row[column]) for row in cells) for column in range(5)]
        for row in cells:
            padded = "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=False))
            lines.append(f"{padded}  {row[5]}".rstrip())
    else:
        lines.append("nothing would have fired")
    if quiet:
        lines += ["", f"never fired: {', '.join(quiet)}"]
    return "\n".join(lines)


def _rows(outcomes: Sequence[Outcome], recorded: Recorded) -> Iterator[tuple[float, str, str, int, float, str]]:
    for outcome in outcomes:
        for labels, listed in outcome.episodes:
            loud = [(one.fired, one.until) for one in listed if one.fired is not None]
            if loud:
                shown = ", ".join(f"{key}={value}" for key, value in sorted(labels.items()) if key not in _OWN)
                total = sum(until - begun + recorded.step for begun, until in loud)
                kind = outcome.rule.labels.get("kind", "-")
                yield max(loud[0][0], recorded.start), kind, outcome.rule.name, len(loud), total, shown


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _span(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02} min" if minutes >= 60 else f"{minutes} min"
