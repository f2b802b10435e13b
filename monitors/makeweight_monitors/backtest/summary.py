"""What a backtest found, as a table for people and as data for machines. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from makeweight_monitors.backtest.clustering import MARKED, Clustering
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


def data(outcomes: Sequence[Outcome], recorded: Recorded, alike: Sequence[Clustering]) -> dict[str, Any]:
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
        "clustering": [
            {"test": one.test, "labels": dict(one.labels), "requests": one.requests, "design_effect": one.effect}
            for one in alike
        ],
    }


def table(outcomes: Sequence[Outcome], recorded: Recorded, alike: Sequence[Clustering]) -> str:
    """A line for each set of labels under which an alert would have fired, the first to do so first; then how alike
    neighbouring requests are.
    """
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
    if alike:
        lines += ["", "design effect: of so many requests each says as much as one that is independent"]
        lines += [
            f"{one.effect:6.2f}  {one.test} of {one.requests:,} requests, {_shown(one.labels)}".rstrip(", ")
            for one in alike
        ]
    if any(one.effect > MARKED for one in alike):
        lines.append(
            "requests come in runs that are right or wrong together, and the tests that roll back err more often"
        )
        lines.append("than they promise: give the observers a `unit` (a user, a session, a camera)")
    return "\n".join(lines)


def _rows(outcomes: Sequence[Outcome], recorded: Recorded) -> Iterator[tuple[float, str, str, int, float, str]]:
    for outcome in outcomes:
        for labels, listed in outcome.episodes:
            loud = [(one.fired, one.until) for one in listed if one.fired is not None]
            if loud:
                shown = _shown(labels)
                total = sum(until - begun + recorded.step for begun, until in loud)
                kind = outcome.rule.labels.get("kind", "-")
                yield max(loud[0][0], recorded.start), kind, outcome.rule.name, len(loud), total, shown


def _shown(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted(labels.items()) if key not in _OWN)


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _span(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02} min" if minutes >= 60 else f"{minutes} min"
