"""What Prometheus says of the two models: counts of pairs, what the rules recorded, which alerts fire."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass
from itertools import product
from operator import sub

from makeweight_monitors.metrics import PAIRED, RIGHT_OR_WRONG
from makeweight_monitors.prometheus.queries import Client
from makeweight_monitors.rules import names

_RECORDED = (
    names.PAIRS.evalue, names.FAILURES.evalue, names.ROLLBACK_LINE, names.CERTIFIED, names.DISAGREEMENT,
    names.DISAGREEMENT_HIGH, names.TOLERATED_DROP, names.REFERENCE_PSI, names.REFERENCE_PSI_FLOOR, names.CBPE,
    names.REFERENCE_ACCURACY,
)  # fmt: skip


@dataclass(frozen=True)
class Pairs:
    """Labelled requests that both models answered."""

    both: int = 0
    harm: int = 0
    """Stable right, canary wrong."""
    help: int = 0
    neither: int = 0

    @property
    def count(self) -> int:
        return self.both + self.harm + self.help + self.neither

    def stable(self) -> float:
        """The share that the stable model had right; NaN of none."""
        return (self.both + self.harm) / self.count if self.count else float("nan")

    def canary(self) -> float:
        return (self.both + self.help) / self.count if self.count else float("nan")

    def since(self, before: Pairs) -> Pairs:
        return Pairs(*map(sub, astuple(self), astuple(before)))


@dataclass(frozen=True)
class Look:
    """One look at Prometheus."""

    pairs: Pairs
    _alerts: frozenset[tuple[str, str, str]]
    """(state, kind, name)"""
    _recorded: Mapping[tuple[str, str], float]

    def value(self, name: str, label: str = "") -> float | None:
        """What a rule recorded, by its variant or test where it has one; None: nothing yet."""
        return self._recorded.get((name, label))

    def alerts(self, state: str, *kinds: str) -> set[str]:
        """The names of those that are `firing`, or `pending`: true, but not for as long as they wait."""
        return {name for found, kind, name in self._alerts if found == state and kind in kinds}


def look(client: Client, model: str, revision: str) -> Look:
    """One look at one canary, by three questions."""
    of = f'model="{model}", revision=~"{revision}|"'  # what is stable's, or a limit, bears no revision
    counted = {
        (sample.labels["stable"], sample.labels["canary"]): int(sample.value)
        for sample in client.query(f"sum by (stable, canary) (last_over_time({PAIRED.series}{{{of}}}[1m]))")
    }
    pairs = Pairs(*(counted.get(answers, 0) for answers in product(RIGHT_OR_WRONG, repeat=2)))
    chosen = "|".join(_RECORDED)
    recorded = {
        (sample.labels["__name__"], sample.labels.get("variant") or sample.labels.get("test") or ""): sample.value
        for sample in client.query(f'{{__name__=~"{chosen}", {of}, slice=""}}')
    }
    alerts = frozenset(
        (alert["state"], alert["labels"].get("kind", ""), alert["labels"]["alertname"])
        for alert in client.alerts()
        if alert["labels"].get("revision", "") in ("", revision)
    )
    return Look(pairs, alerts, recorded)
