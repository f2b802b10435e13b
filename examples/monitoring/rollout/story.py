"""What happens: a good canary goes from copies of the requests to all of them, then a bad one is let in.

The person who deploys is played here: what is served, and the first share. All that follows is the controller's.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import requests

from examples.monitoring import interrupted
from examples.monitoring.parts import say, scraped, serve
from examples.monitoring.rollout.recorded import Recorded, Said, Second, Share
from examples.monitoring.serve import Release
from examples.monitoring.traffic import Traffic
from makeweight_base.errors import EnvironmentFailed
from makeweight_base.loopback import proxies
from makeweight_monitors.prometheus.queries import Client
from makeweight_monitors.rollback.targets.haproxy import HaproxyTarget
from makeweight_monitors.rules import names
from makeweight_monitors.rules.promql import equals, selector

_EVERY = 0.1
FIRST_SHARE = 0.05


@dataclass(frozen=True)
class Trial:
    """One canary beside what is stable, as the two servers are told."""

    stable: Release
    canary: Release

    @property
    def revision(self) -> str:
        return self.canary.revision


@dataclass
class Story:
    """All that runs, and what was seen of it.

    Args:
        servers: addresses, by variant.
        alertmanager: its address; audit: the controller's log.
        patience: seconds to wait for anything.
    """

    client: Client
    target: HaproxyTarget
    traffic: Traffic
    servers: dict[str, str]
    alertmanager: str
    audit: Path
    patience: float
    began: float = 0.0
    trial: str = ""
    """The revision on trial."""
    shares: list[Share] = field(default_factory=list)
    said: list[Said] = field(default_factory=list)
    trials: list[tuple[float, str]] = field(default_factory=list)
    alerts: dict[str, tuple[float, str]] = field(default_factory=dict)
    """By revision, when Alertmanager had the first alert that asks for its rollback, and its name."""

    def played(self, good: Trial, bad: Trial) -> Recorded:
        """Both trials, one after the other; the servers serve the first already.

        Raises:
            EnvironmentFailed: something did not come about within the patience.
            KeyboardInterrupt: it was to end.
        """
        self.began = time.time()
        self._begin(good.revision)
        self.traffic.start()
        self._tell(f"{good.revision} answers copies of the requests; none of its answers goes out")
        self._until(f"a certificate of {good.revision}", lambda: self._certified(good))
        self._tell(
            f"it may differ from stable on {self._differ(good):.2%} of the requests at most: safe, without a label"
        )
        self._let_in(good)
        self._until(f"the promotion of {good.revision}", lambda: self._heard(good, "is promoted"))
        self._exchange(bad)
        self._let_in(bad)
        self._until(f"the rollback of {bad.revision}", lambda: self._heard(bad, "is rolled back"))
        return self._recorded(good, bad)

    def _exchange(self, bad: Trial) -> None:
        """What was promoted is served as stable, and the next release on trial beside it, with no traffic yet."""
        serve(self.servers["stable"], bad.stable)
        self.target.set(self.target.get(), 0.0)
        self._look()
        self._begin(bad.revision)
        serve(self.servers["canary"], bad.canary)
        for variant in ("stable", "canary"):
            scraped(self.client, bad.revision, variant)

    def _let_in(self, trial: Trial) -> None:
        self._tell(f"{trial.revision} is let in")
        self.shares.append(Share(time.time() - self.began, trial.revision, FIRST_SHARE))
        self.target.set(self.target.get(), FIRST_SHARE)

    def _begin(self, revision: str) -> None:
        self.trial = revision
        self.trials.append((time.time() - self.began, revision))

    def _certified(self, trial: Trial) -> bool:
        return any(row.value == 1 for row in self.client.query(_of(names.CERTIFIED, trial.revision)))

    def _differ(self, trial: Trial) -> float:
        (row,) = self.client.query(_of(names.DISAGREEMENT_HIGH, trial.revision))
        return row.value

    def _heard(self, trial: Trial, part: str) -> bool:
        return any(one.revision == trial.revision and part in one.sentence for one in self.said)

    def _until(self, what: str, came: Callable[[], bool]) -> None:
        end = time.monotonic() + self.patience
        while True:
            self._look()
            if came():
                return
            if time.monotonic() > end:
                raise EnvironmentFailed(f"{what} did not come within {self.patience:g} s")
            interrupted.wait(_EVERY)

    def _look(self) -> None:
        """At the proxy, the controller and Alertmanager; what is new is told."""
        now, share = time.time() - self.began, round(self.target.get().share, 2)
        if not self.shares or (self.shares[-1].revision, self.shares[-1].share) != (self.trial, share):
            self.shares.append(Share(now, self.trial, share))
        lines = self.audit.read_text().splitlines() if self.audit.exists() else []
        for line in map(json.loads, lines[len(self.said) :]):
            at = datetime.fromisoformat(line["time"]).timestamp() - self.began
            self.said.append(Said(at, line["event"], line["sentence"], line.get("revision", "")))
            say(f"  {at:5.1f} s  controller: {line['sentence']}")
        for alert in self._alerts():
            at = datetime.fromisoformat(alert["updatedAt"]).timestamp() - self.began
            self.alerts.setdefault(alert["labels"]["revision"], (at, alert["labels"]["alertname"]))

    def _alerts(self) -> list[dict[str, Any]]:
        if self.trial in self.alerts:
            return []
        where, asked = f"{self.alertmanager}/api/v2/alerts", {"filter": 'kind="rollback"'}
        answer = requests.get(where, params=asked, timeout=10, proxies=proxies(where))
        answer.raise_for_status()
        return list(answer.json())

    def _tell(self, line: str) -> None:
        say(f"  {time.time() - self.began:5.1f} s  {line}")

    def _recorded(self, good: Trial, bad: Trial) -> Recorded:
        let_in = next(at for at, revision in self.trials if revision == bad.revision)
        start = self.began + let_in
        (line,) = self.client.query(selector(names.ROLLBACK_LINE, equals("test", "split")))
        answers = [one for one in self.traffic.answers if one.time >= start and one.variant == "canary"]
        alerted, alert = self.alerts.get(bad.revision, (float("nan"), ""))
        return Recorded(
            good.revision,
            bad.revision,
            self.traffic.delay,
            tuple(self.shares),
            tuple(self._seconds()),
            tuple(self.said),
            self._evalues(bad.revision, start),
            line.value,
            alert,
            alerted,
            next((one.time for one in answers if not one.right), float("nan")) - self.began,
            answers[-1].time - self.began if answers else float("nan"),
        )

    def _evalues(self, revision: str, start: float) -> tuple[tuple[float, float], ...]:
        """Each at the time of its evaluation: the step that shows it may come after what followed from it."""
        evalue, end = _of(names.SPLIT.evalue, revision), time.time()
        times, values = (
            dict(point for series in self.client.query_range(asked, start, end, 0.25) for point in series.points)
            for asked in (f"timestamp({evalue})", evalue)
        )
        return tuple(sorted({times[at] - self.began: values[at] for at in times.keys() & values.keys()}.items()))

    def _seconds(self) -> Iterator[Second]:
        counts: dict[tuple[int, str], list[int]] = {}
        for one in self.traffic.answers:
            at = one.time - self.began
            revision = next(found for since, found in reversed(self.trials) if since <= at)
            cells = counts.setdefault((int(at), revision), [0, 0, 0, 0])
            first = 0 if one.variant == "stable" else 2
            cells[first] += 1
            cells[first + 1] += not one.right
        for (second, revision), cells in sorted(counts.items()):
            yield Second(float(second), revision, *cells)


def _of(name: str, revision: str) -> str:
    return selector(name, equals("revision", revision))
