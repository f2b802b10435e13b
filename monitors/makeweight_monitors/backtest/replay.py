"""Recorded counters through rules, by a Prometheus of our own: what the past would have recorded, and what fired.

Prometheus evaluates rules at the present only. So each layer of recording rules is asked for as a range query over what
is there by then, and its answers are put into the store as blocks before the next layer is asked. An instant query sees
the sample of its own time or none: what had gone stale in the past does not linger.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from makeweight_base.errors import EnvironmentFailed, UsageError
from makeweight_monitors.backtest.firing import Episode, episodes
from makeweight_monitors.backtest.recorded import Recorded
from makeweight_monitors.backtest.rulefile import Loaded, layers
from makeweight_monitors.backtest.unrolled import unrolled
from makeweight_monitors.prometheus import throwaway
from makeweight_monitors.prometheus.queries import Client, Series
from makeweight_monitors.prometheus.throwaway import Programs
from makeweight_monitors.rules.promql import equals


@dataclass(frozen=True)
class Outcome:
    """One alert, and for each set of labels that it was true for, when."""

    rule: Loaded
    episodes: tuple[tuple[Mapping[str, str], tuple[Episode, ...]], ...]


def replay(
    rules: list[Loaded],
    recorded: Recorded,
    programs: Programs,
    folder: Path,
    say: Callable[[str], None] = lambda _: None,
) -> list[Outcome]:
    """What each alert would have done between `recorded.start` and its end.

    Args:
        folder: an empty one, for the store.

    Raises:
        UsageError: a rule is refused, or rules depend on each other in a circle.
        EnvironmentFailed: the programs fail.
    """
    rules = [one for rule in rules for one in unrolled(rule, recorded.end - recorded.first)]
    ordered = layers(rules)
    _keep(programs, folder, recorded.series)
    for number, layer in enumerate(ordered, 1):
        say(f"recording rules, layer {number} of {len(ordered)}: {len(layer)}")
        with _store(programs, folder, recorded.step) as client:
            answers = [one for rule in layer for one in _named(client, rule, recorded)]
        _keep(programs, folder, answers)
    alerts = [rule for rule in rules if rule.alert]
    say(f"alerts: {len(alerts)}")
    with _store(programs, folder, recorded.step) as client:
        return [_outcome(client, rule, recorded) for rule in alerts]


def _store(programs: Programs, folder: Path, step: float) -> AbstractContextManager[Client]:
    return throwaway.running(programs, folder, lookback=f"{max(1, int(step * 900))}ms", scrape="1h")


def _ask(client: Client, rule: Loaded, recorded: Recorded, start: float) -> list[Series]:
    try:
        return client.query_range(rule.expression, start, recorded.end, recorded.step)
    except UsageError as error:
        raise UsageError(f"`{rule.name}` cannot be evaluated: {error.what}", where=error.where) from error


def _named(client: Client, rule: Loaded, recorded: Recorded) -> list[Series]:
    """What a recording rule would have recorded, from the first sample on: later rules may look back."""
    answers = _ask(client, rule, recorded, recorded.first)
    return [Series({**one.labels, **rule.labels, "__name__": rule.name}, one.points) for one in answers]


def _outcome(client: Client, rule: Loaded, recorded: Recorded) -> Outcome:
    # what was pending already when the time in question begins has been so for as long as it has
    begin = max(recorded.first, recorded.start - math.ceil(rule.hold / recorded.step) * recorded.step)
    by_labels = []
    for one in _ask(client, rule, recorded, begin):
        times = [time for time, _ in one.points]
        within = tuple(
            episode
            for episode in episodes(times, recorded.step, rule.hold, rule.keep)
            if episode.until >= recorded.start
        )
        if within:
            labels = {key: value for key, value in one.labels.items() if key != "__name__"}
            by_labels.append(({**labels, **rule.labels}, within))
    return Outcome(rule, tuple(by_labels))


def _keep(programs: Programs, folder: Path, series: Iterable[Series]) -> None:
    """Put series into the store."""
    text = openmetrics(series)
    if text is None:
        return
    folder.mkdir(parents=True, exist_ok=True)
    source = folder / "samples.txt"
    source.write_text(text, encoding="utf-8")
    done = programs.tool("tsdb", "create-blocks-from", "openmetrics", str(source), str(folder / "data"))
    source.unlink()
    if done.returncode != 0:
        raise EnvironmentFailed(
            f"promtool could not store the samples: {done.stdout.strip()[-500:]}", where=str(folder)
        )


def openmetrics(series: Iterable[Series]) -> str | None:
    """Series with their times in the format that promtool takes; None where there is no sample at all."""
    lines = []
    for one in series:
        labels = ",".join(equals(key, value) for key, value in sorted(one.labels.items()) if key != "__name__")
        head = f"{one.labels['__name__']}{{{labels}}}" if labels else one.labels["__name__"]
        lines += [f"{head} {_value(value)} {time:.3f}" for time, value in one.points]
    return "\n".join([*lines, "# EOF", ""]) if lines else None


def _value(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return repr(value) if math.isfinite(value) else ("+Inf" if value > 0 else "-Inf")
