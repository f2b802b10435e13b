"""Questions to a Prometheus: the part of its HTTP API that is read here, as plain data.

Source: prometheus.io/docs/prometheus/latest/querying/api.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from makeweight_base.errors import EnvironmentFailed, UsageError, reason
from makeweight_base.loopback import proxies

if TYPE_CHECKING:
    import requests

_SECONDS = 60
_WHOLE = {"partial_response": "false"}
"""A querier of Thanos then fails where a store does; others do not know this parameter (thanos.io, Query, "Partial
Response")."""
MOST_POINTS = 11_000
"""What Prometheus answers for one series of a range query; more is refused."""


@dataclass(frozen=True)
class Sample:
    """One series at one time."""

    labels: Mapping[str, str]
    value: float
    time: float
    """Unix time in seconds."""


@dataclass(frozen=True)
class Series:
    """One series over time."""

    labels: Mapping[str, str]
    points: tuple[tuple[float, float], ...]
    """(Unix time in seconds, value), in order."""


@dataclass(frozen=True)
class Group:
    """A group of rules that has alerts."""

    name: str
    interval: float
    """Seconds between two evaluations, as it should be."""
    evaluated: float
    """When it last was, as Unix time; long ago where it never was."""
    queries: tuple[str, ...]
    """Of its alerts."""
    alerts: tuple[Mapping[str, Any], ...]
    """What is pending or firing now."""
    failing: tuple[tuple[str, str], ...] = ()
    """Of the alerts that may ask for a rollback, those that could not be evaluated: the query, and why."""


class Client:
    """One Prometheus, by its address; an answer is waited for so many seconds.

    Every method raises EnvironmentFailed where it cannot be reached or fails, and UsageError where it refuses the
    question, or the token cannot be read.

    Args:
        token: the file of the bearer token that it wants, which is read at each question: tokens run out, and others
            are put there. None: it wants none.

    Raises:
        UsageError: the token cannot be read.
    """

    def __init__(self, url: str, token: Path | None = None, seconds: float = _SECONDS) -> None:
        self.url = url.rstrip("/")
        self.seconds = seconds
        self._sign = None if token is None else partial(_signed, token)
        if token is not None:
            _read(token)  # what is wrong with it is told at the start

    def query(self, expression: str, at: float | None = None) -> list[Sample]:
        """The instant vector (or scalar, as one sample without labels) that an expression has at a time."""
        asked = {"query": expression} | ({} if at is None else {"time": str(at)})
        answer = self.get("/api/v1/query", asked)
        if answer["resultType"] == "scalar":
            time, value = answer["result"]
            return [Sample({}, float(value), time)]
        rows = ((row["metric"], self._told(row, "value")) for row in answer["result"])
        return [Sample(labels, float(value), time) for labels, (time, value) in rows]

    def numbers(self, expressions: Mapping[str, str]) -> dict[str, float]:
        """Of expressions that have one series without labels, or none, what each has now, by its name; one request."""
        named = (f'label_replace({text}, "asked", "{name}", "", "")' for name, text in expressions.items())
        return {row.labels["asked"]: row.value for row in self.query("\nor\n".join(named))}

    def query_range(self, expression: str, start: float, end: float, step: float) -> list[Series]:
        """An expression at `start`, `start + step`, ... up to `end`; long spans are asked for in pieces."""
        joined: dict[tuple[tuple[str, str], ...], list[tuple[float, float]]] = {}
        steps = int((end - start) / step + 1e-9)
        for first in range(0, steps + 1, MOST_POINTS):
            last = min(first + MOST_POINTS - 1, steps)
            asked = {"query": expression, "start": start + first * step, "end": start + last * step, "step": step}
            for row in self.get("/api/v1/query_range", {key: str(value) for key, value in asked.items()})["result"]:
                points = joined.setdefault(tuple(sorted(row["metric"].items())), [])
                points += [(float(time), float(value)) for time, value in self._told(row, "values")]
        return [Series(dict(labels), tuple(points)) for labels, points in joined.items()]

    def _told(self, row: Mapping[str, Any], key: str) -> Any:
        if key not in row:  # but `histogram`, or `histograms`
            name = row["metric"].get("__name__", "an expression")
            do = "Have it scraped as a classic one too, and ask for its buckets."
            raise UsageError(f"`{name}` is a native histogram, and no number", where=self.url, do=do)
        return row[key]

    def alerts(self) -> list[dict[str, Any]]:
        """What is pending or firing now."""
        alerts: list[dict[str, Any]] = self.get("/api/v1/alerts", {})["alerts"]
        return alerts

    def alerting(self) -> list[Group]:
        """The same by group, with when each was evaluated."""
        return [
            Group(
                str(group["name"]),
                float(group["interval"]),
                datetime.fromisoformat(group["lastEvaluation"]).timestamp(),
                tuple(str(rule["query"]) for rule in group["rules"]),
                tuple(alert for rule in group["rules"] for alert in rule["alerts"]),
                tuple(
                    (str(rule["query"]), str(rule.get("lastError", "")))
                    for rule in group["rules"]
                    if rule.get("health") == "err" and rule.get("labels", {}).get("kind") == "rollback"
                ),
            )
            for group in self.get("/api/v1/rules?type=alert", {})["groups"]
        ]

    def rules(self) -> list[dict[str, Any]]:
        """Every rule that is loaded, with its health and its last error."""
        return [rule for group in self.get("/api/v1/rules", {})["groups"] for rule in group["rules"]]

    def targets(self) -> list[dict[str, Any]]:
        """What is scraped, with its health and its last error."""
        targets: list[dict[str, Any]] = self.get("/api/v1/targets", {})["activeTargets"]
        return targets

    def get(self, path: str, asked: Mapping[str, str]) -> Any:
        """The `data` of an answer: a whole one, where Thanos and VictoriaMetrics would answer with what some of their
        stores told. A canary that is not in it would be taken for gone.
        """
        import requests

        where = self.url + path
        do = "Is that the address of a Prometheus, and does it run?"
        try:
            # a long expression does not fit into an address
            method = "POST" if "query" in asked else "GET"
            answer = requests.request(
                method,
                where,
                data={**asked, **_WHOLE} if asked else None,
                auth=self._sign,
                timeout=self.seconds,
                proxies=proxies(where),
            )
            body = answer.json()
        except requests.exceptions.JSONDecodeError as error:
            raise EnvironmentFailed(f"answered {answer.status_code} and no JSON", where=where, do=do) from error
        except requests.RequestException as error:
            raise EnvironmentFailed(f"no connection: {_ground(error)}", where=where, do=do) from error
        if not isinstance(body, dict) or body.get("status") != "success":
            why = body.get("error", "an answer of another form") if isinstance(body, dict) else "no object"
            kind = UsageError if answer.status_code in (400, 422) else EnvironmentFailed
            raise kind(f"{why} (asked: {asked.get('query', '')[:300]})", where=where)
        if body.get("isPartial") or (not asked and body.get("warnings")):  # of an expression these may be hints
            said = "it answers with what some of its stores told, and others did not answer"
            raise EnvironmentFailed(said, where=where)
        return body["data"]


def _signed(token: Path, request: requests.PreparedRequest) -> requests.PreparedRequest:
    """As `auth`, because a machine's .netrc would otherwise take the place of the token."""
    request.headers["Authorization"] = f"Bearer {_read(token)}"
    return request


def _read(path: Path) -> str:
    """UsageError: the token cannot be read."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the token cannot be read: {reason(error)}", where=str(path)) from error


def _ground(error: BaseException) -> object:
    """What the system said, beneath the layers of libraries that passed it on."""
    ground: BaseException = error
    while (below := ground.__cause__ or ground.__context__) is not None:
        ground = below
    return getattr(ground, "strerror", None) or ground
