"""What Argo Rollouts and Flagger ask, before the real promtool: the number that comes of each state of affairs."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

import prometheus
import rules_project
from makeweight_monitors import metrics
from makeweight_monitors.analysis.standing import Standing
from makeweight_monitors.rules import names
from makeweight_monitors.rules.promql import equals, selector

SHA, SCOPE = "a" * 64, {"environment": "prod", "namespace": ""}
SEEN = {"environment": "prod", "revision": "r2", "attempt": "1", "sha256": SHA}
UP = (metrics.UP.series, {**SEEN, "variant": "canary", "boot": "x"}, "1")
RUNS = ("ALERTS", {"alertname": names.WATCHDOG, "alertstate": "firing", "kind": "evidence"}, "1")
GOOD = (names.DROP_HIGH, SEEN, "0.009")
Series = tuple[str, dict[str, str], str]
WELL = [UP, RUNS, GOOD]


def alert(name: str, kind: str = "alarm", state: str = "firing", **labels: str) -> Series:
    return "ALERTS", {"alertname": name, "kind": kind, "alertstate": state, **labels}, "1"


def asks(test: str = "paired", state: str = "firing", **labels: str) -> Series:
    return alert("Asks", "rollback", state, test=test, variant="canary", **{**SEEN, **labels})


CASES: dict[str, tuple[list[Series], int, int]] = {
    # what there is, what `watched` says, what `good` says
    "nothing at all": ([], -1, -1),
    "good enough": (WELL, 0, 0),
    "no evidence yet": ([UP, RUNS], 0, -1),
    "a drop that may be too large": ([UP, RUNS, (names.DROP_HIGH, SEEN, "0.011")], 0, -1),
    "a drop that nobody can tell": ([UP, RUNS, (names.DROP_HIGH, SEEN, "NaN")], 0, -1),
    "agreement alone": ([UP, RUNS, (names.CERTIFIED, SEEN, "1")], 0, 0),
    "no agreement": ([UP, RUNS, (names.CERTIFIED, SEEN, "0")], 0, -1),
    "a test asks": ([*WELL, asks()], 1, 1),
    "a test asks, and failures too": ([*WELL, asks(), asks("failures")], 1, 1),
    "a test begins to ask": ([*WELL, asks(state="pending")], -1, -1),
    "it asked of the one before": ([*WELL, asks(sha256="b" * 64)], 0, 0),
    "it asked of the attempt before": ([*WELL, asks(attempt="")], 0, 0),
    "it asks elsewhere": ([*WELL, asks(environment="staging")], 0, 0),
    "the rules are not evaluated": ([UP, GOOD], -1, -1),
    "they were, a minute ago": ([UP, GOOD, (*RUNS[:2], "1 _x9")], -1, -1),
    "no canary serves": ([RUNS, GOOD], -1, -1),
    "a canary of another environment": ([(UP[0], {**UP[1], "environment": "staging"}, "1"), RUNS, GOOD], -1, -1),
    "two serve, and one is good": ([*WELL, (UP[0], {**UP[1], "sha256": "b" * 64}, "1")], 0, -1),
    "nothing is observed": ([*WELL, alert(names.NOTHING_OBSERVED)], -1, -1),
    "a guard is off": ([*WELL, alert(names.SHARE_OFF, variant="canary", environment="prod")], -1, -1),
    "another environment's guard is off": ([*WELL, alert(names.SHARE_OFF, environment="staging")], 0, 0),
    "the split of a canary before is off": ([*WELL, alert(names.SHARE_OFF, **{**SEEN, "sha256": "b" * 64})], 0, 0),
    "and it asks of the one that serves": (
        [*WELL, asks(), alert(names.LABELS_SELECTED, **{**SEEN, "attempt": ""})],
        1,
        1,
    ),
    "its own split is off": ([*WELL, asks(), alert(names.SHARE_OFF, **SEEN)], -1, -1),
    "labels of stable are few": (
        [*WELL, asks(), alert(names.LABEL_COVERAGE_LOW, variant="stable", sha256="0" * 64)],
        -1,
        -1,
    ),
    "a test that is not believed": ([*WELL, asks(), alert(names.SHARE_OFF, environment="prod")], -1, -1),
    "failures are believed all the same": ([*WELL, asks("failures"), alert(names.SHARE_OFF)], 1, 1),
    "labels that are selected": ([*WELL, asks(), alert(names.LABELS_SELECTED)], -1, -1),
    "and the split, which they do not touch": ([*WELL, asks("split"), alert(names.LABELS_SELECTED)], 1, 1),
    "a canary that fails and is down": ([*WELL, asks("failures"), alert(names.REPLICA_DOWN, variant="canary")], 1, 1),
    "stable that is down": ([*WELL, asks("failures"), alert(names.REPLICA_DOWN, variant="stable")], -1, -1),
    "an alarm": ([*WELL, alert(names.EXPORTER_REFUSING)], 0, -1),
    "an alarm of stable": ([*WELL, alert(names.EXPORTER_REFUSING, variant="stable")], 0, 0),
    "a broken budget": ([*WELL, alert(names.LATENCY_BURN, "evidence", variant="canary")], 0, -1),
    "a breaker that is open": ([*WELL, (metrics.SERVING_BREAKER.series, SEEN, "1")], 0, -1),
    "a breaker that is closed": ([*WELL, (metrics.SERVING_BREAKER.series, SEEN, "0")], 0, 0),
}


_COUNTED: list[Series] = [
    *WELL,
    (metrics.PREDICTIONS.series, {**SEEN, "variant": "canary", "boot": "x"}, "7"),
    (names.TOLERATED_DROP, {"test": "failures"}, "0.01"),
]
_SELDOM: list[Series] = [(*UP[:2], "1" + " _ _ _ 1" * 10), RUNS, GOOD, asks("failures")]
"""The canary is scraped every minute."""


def _since(second: int) -> Series:
    return "ALERTS_FOR_STATE", {"alertname": "Asks", "kind": "rollback", "test": "failures", **SEEN}, str(second)


LASTING: dict[str, tuple[list[Series], int, int]] = {
    # the same, ten minutes later
    "what a test counts comes, and no value of it": (_COUNTED, -1, -1),
    "its value too": ([*_COUNTED, (names.FAILURES.evalue, SEEN, "1")], 0, 0),
    "failures of both may show of one first": ([*_SELDOM, _since(570)], -1, -1),
    "they last from one scrape to the next": ([*_SELDOM, _since(480)], 1, 1),
    "another test asks": ([*_SELDOM[:-1], asks("split"), _since(570)], 1, 1),
}


@pytest.mark.parametrize("which", ["watched", "good"])
def test_the_number_of_each_state_of_affairs(which: str, tmp_path: Path) -> None:
    terms, _ = rules_project.digits()
    query = getattr(Standing(terms, SCOPE), which)()
    (tmp_path / "rules.yaml").write_text("groups: []\n")
    tests = []
    for name, (series, watched, good) in {**CASES, **LASTING}.items():
        seconds, many = (600, 41) if name in LASTING else (150, 11)
        given = [
            {
                "series": selector(one, *(equals(*label) for label in {"model": "digits", **labels}.items())),
                "values": value if "_" in value else " ".join([value] * many),
            }
            for one, labels, value in series
        ]
        expected = {"labels": "{}", "value": watched if which == "watched" else good}
        asked = {"expr": query, "eval_time": f"{seconds}s", "exp_samples": [expected]}
        tests.append({"name": name, "interval": "15s", "input_series": given, "promql_expr_test": [asked]})
    content = {"rule_files": ["rules.yaml"], "evaluation_interval": "15s", "tests": tests}
    (tmp_path / "tests.yaml").write_text(yaml.safe_dump(content))
    tried = prometheus.install().tool("test", "rules", str(tmp_path / "tests.yaml"))
    assert tried.returncode == 0, tried.stdout[:4000]
