"""Every question that a dashboard or an alert of Grafana asks, asked of a real Prometheus beside real observers."""

from __future__ import annotations

import contextlib
import functools
import json
import math
import os
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

import exporting
import node
import observed_fleet
import prometheus
import rules_project
from controlled import Controlled
from dashboards_project import loaded, panels
from makeweight_monitors.dashboards import generate as dashboards
from makeweight_monitors.dashboards import managed
from makeweight_monitors.metrics import CATALOGUE, FEATURE_BIN, SERVING_CATALOGUE
from makeweight_monitors.prometheus import throwaway
from makeweight_monitors.prometheus.queries import Client, Sample
from makeweight_monitors.rollback.running import Running
from makeweight_monitors.rules import generate as rules
from makeweight_monitors.rules import names, text
from makeweight_monitors.rules.rule import Recording
from makeweight_monitors.rules.terms import LatencyLimit, Terms
from rules_project import digits

TERMS = {
    observed_fleet.DIGITS: replace(
        digits(replaced=("max_ratio: 0.7", "max_ratio: 0.7\n    max: 10 ms"), interval=1)[0], controlled=True
    ),
    observed_fleet.PRICES: Terms(
        observed_fleet.PRICES,
        drop=0.01,
        latency=(LatencyLimit(0.99, 0.05, 1.2),),
        classification=False,
        interval=1,
    ),
}
STEPS = "makeweight-steps"
GRAFANA = {"@grafana/data": "11.6.0", "react": "18.3.1", "react-dom": "18.3.1", "rxjs": "7.8.1"}
CHOSEN = {
    "everything": {"revision": ".*", "environment": ".*", "namespace": ".*"},
    "one canary": {"revision": observed_fleet.NEW, "environment": observed_fleet.WHERE, "namespace": ".*"},
}


@dataclass(frozen=True)
class Question:
    board: str
    where: str
    expression: str
    model: str
    labels: tuple[str, ...]
    """That the legend, the title or a column takes from the answer."""
    log: bool = False
    mark: bool = False
    """What Grafana asks of the whole time that a graph shows, to draw each answer at its own."""

    def asked(self, chosen: dict[str, str]) -> str:
        """With its variables put in, as Grafana does."""
        found = self.expression.replace("$model", self.model)
        for name, value in chosen.items():
            found = found.replace(f"${name}", value)
        found = found.replace("$__rate_interval", "20s")
        assert "$" not in found, found
        return f"({found})\nor\nlast_over_time(({found})[30m:1m])" if self.mark else found


def arranged(panel: dict[str, Any]) -> dict[str, int]:
    """The columns of a table, by their names in the answer."""
    (organize,) = [one["options"] for one in panel["transformations"] if one["id"] == "organize"]
    return organize["indexByName"]  # type: ignore[no-any-return]


@functools.cache
def all_questions() -> tuple[Question, ...]:
    """Written when a test asks for them: collecting the tests needs none."""
    return tuple(questions())


def questions() -> Iterator[Question]:
    for model in TERMS:
        for file, one in loaded(TERMS[model]).items():
            if file == "fleet.json" and model != observed_fleet.DIGITS:
                continue  # the same one
            for panel in panels(one):
                custom = panel["fieldConfig"]["defaults"].get("custom", {})
                log = custom.get("scaleDistribution", {}).get("type") == "log"
                for target in panel["targets"]:
                    where = f"{panel['title']} {target['refId']}"
                    labels = re.findall(r"{{(\w+)}}", target["legendFormat"])
                    if panel["type"] in ("table", "barchart"):
                        labels = [name for name in arranged(panel) if not name.startswith("Value")]
                    yield Question(f"{model} {file}", where, target["expr"], model, tuple(labels), log)
            if model == observed_fleet.DIGITS:
                for mark in one["annotations"]["list"]:
                    labels = re.findall(r"{{(\w+)}}", mark["titleFormat"] + mark["textFormat"])
                    yield Question(f"{model} {file}", mark["name"], mark["expr"], model, tuple(labels), mark=True)


# labels that one alert has and another has not, and facts of a build that are not always known
OF_SOME = {"recipe", "bits", "variant", "revision", "slice", "class", "feature", "quantile", "window", "instance"}
FILES = [
    f"{model} {file}"
    for model in TERMS
    for file in dashboards.BOARDS
    if file != "fleet.json" or model == observed_fleet.DIGITS
]


def inputs_before(now: float) -> Iterator[str]:
    """What the rules would have recorded of the inputs, two hours of it: the day before is told by nothing else."""
    for model, feature, bins in ((observed_fleet.DIGITS, "ink", 5), (observed_fleet.PRICES, "area", 4)):
        for index in range(bins):
            where = f'environment="{observed_fleet.WHERE}",model="{model}",feature="{feature}",bin="{index:02}"'
            for ago in range(180, 60, -1):
                yield f"{names.step(FEATURE_BIN.series)}{{{where}}} 30 {now - 60 * ago:.3f}"


def groups(model: str) -> tuple[Any, ...]:
    return rules.groups(TERMS[model])


@contextlib.contextmanager
def controller(folder: Path) -> Iterator[str]:
    """Where a controller that has looked once serves its metrics."""
    folder.mkdir()
    one = Controlled(folder, environment=observed_fleet.WHERE)
    one.tick()
    running, registry = Running(one.controller, None, None, None, 5.0), CollectorRegistry()
    registry.register(running)
    server, thread = start_http_server(0, "127.0.0.1", registry)
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        running.close()


class Following:
    """What a server that follows a pointer tells of itself, beside its counts."""

    def __init__(self, model: str) -> None:
        release = {"environment": observed_fleet.WHERE, "revision": observed_fleet.NEW, "variant": "canary"}
        self._labels = release | {"model": model, "boot": model, "reason": "load"}

    def collect(self) -> Iterator[Any]:
        for metric in SERVING_CATALOGUE:
            kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
            family = kind(metric.name, metric.help, labels=metric.labels)
            family.add_metric([self._labels.get(label, "") for label in metric.labels], 1.0)
            yield family


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory, preloaded_monitors: Path) -> Iterator[Client]:
    programs = prometheus.install()
    folder: Path = tmp_path_factory.mktemp("dashboards")
    files = []
    for model, terms in TERMS.items():
        path = folder / f"{model}.yaml"
        # the rules as they are, but for how often they are evaluated; a step is as long as its rules say
        often = [
            one if one.interval in (None, "1s") or one.name.startswith(STEPS) else replace(one, interval="3s")
            for one in groups(model)
        ]
        path.write_text(text.render(often, [], terms.runbooks))
        files.append(path)
    every = [rule for model in TERMS for group in groups(model) for rule in group.rules]
    recorded = {rule.record for rule in every if isinstance(rule, Recording)}
    recorded -= {names.ended(metric) for metric in CATALOGUE}  # not of every metric has a process ended
    recorded -= {names.SILENT, names.TRIAL_OVER}  # nor is any target silent, nor has a trial ended
    fleet = observed_fleet.Fleet()
    log = folder / "events.ndjson"
    log.touch()
    known = {"revision": observed_fleet.NEW, "environment": observed_fleet.WHERE}
    served = {
        observed_fleet.DIGITS: known | {"reference": {"canary": "reference.json"}},
        observed_fleet.PRICES: known | {"task": "regression", "tolerance": 1.0},
    }
    (folder / "reference.json").write_text(json.dumps(rules_project.content()))
    (folder / "models.yaml").write_text(json.dumps({"models": served}))
    options = ("--models", "models.yaml", "--tail", str(log))
    with (
        fleet.served(time.time()) as addresses,
        exporting.running(folder, *options, python=preloaded_monitors) as exporter,
        controller(folder / "controller") as controlling,
    ):
        for process, model in (
            (fleet.processes[0], observed_fleet.DIGITS),
            (fleet.processes[2], observed_fleet.PRICES),
        ):
            process.registry.register(Following(model))
        prometheus.backfill(
            programs, folder / "prometheus", "\n".join([*fleet.past, *inputs_before(time.time()), "# EOF", ""])
        )
        targets = {observed_fleet.JOB: addresses, "exporter": [exporter.address.removeprefix("http://")]}
        targets["controller"] = [controlling]
        with throwaway.running(
            programs, folder / "prometheus", rules=files, targets=targets, scrape="1s", evaluate="2s"
        ) as client:
            event = exporting.prediction(model=observed_fleet.DIGITS, scores=[9.0] + [0.0] * 9)

            def complete() -> bool:
                fleet.spoil()
                exporter.send(*[event] * 5, {"model": "nobody"})
                written = set(client.get("/api/v1/label/__name__/values", {}))
                asked = ('kind="rollback", alertstate="firing"', f'alertname="{names.ACCURACY_BELOW_STABLE}"')
                alerts = [client.query(f"count by (model) (ALERTS{{{one}}})") for one in asked]
                return recorded <= written and all(len(one) == len(TERMS) for one in alerts)

            prometheus.until(complete, 150, every=0.5)
            time.sleep(6)  # so that every recording was made from what is there by now
            assert [rule for rule in client.rules() if rule["health"] != "ok"] == []
            yield client


@pytest.mark.parametrize("chosen", CHOSEN)
@pytest.mark.parametrize("board", FILES)
def test_every_question_of_a_dashboard_has_an_answer(board: str, chosen: str, answers: Client) -> None:
    found = {}
    asked_of = [question for question in all_questions() if question.board == board]
    assert asked_of
    for question in asked_of:
        asked = question.asked(CHOSEN[chosen])
        wrong = complaint(question, answers.query(asked))
        if wrong:
            found[question.where] = f"{wrong}: {asked}"
    assert found == {}


def complaint(question: Question, samples: list[Sample]) -> str:
    """What is wrong with an answer; nothing: a panel can show it."""
    if not samples:
        return "no data"
    if any(math.isnan(sample.value) for sample in samples):
        return "no number"
    for label in question.labels:
        if label not in OF_SOME and not all(sample.labels.get(label) for sample in samples):
            return f"no {label}"
    if question.log and not all(sample.value > 0 for sample in samples):
        return "nothing that a logarithmic axis has"
    return ""


@pytest.mark.parametrize("model", TERMS)
def test_the_choices_of_every_variable_are_there(model: str, answers: Client) -> None:
    asked = 0
    for one in loaded(TERMS[model]).values():
        for variable in one["templating"]["list"]:
            if variable["type"] == "query":
                found = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"])
                assert found is not None
                matched = {"match[]": Question("", "", found[1], model, ()).asked(CHOSEN["everything"])}
                values = answers.get(f"/api/v1/label/{found[2]}/values", matched)
                current = variable["current"]["value"]
                assert values or variable["name"] == "namespace", variable
                assert current in ("$__all", *values), (variable, values)
                asked += 1
    assert asked >= 5


def identity(sample: Sample) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((key, value) for key, value in sample.labels.items() if key != "__name__"))


@pytest.mark.parametrize("model", TERMS)
def test_grafana_fires_what_prometheus_does(model: str, answers: Client) -> None:
    """Each alert as Grafana would decide it, at one time, against the rule itself."""
    now, fired = time.time(), set()
    for alert in rules.alerts(groups(model)):
        asked = managed.asked(alert, model)
        samples = answers.query(asked.expression, now)
        over = [
            one for one in samples if (one.value > asked.line if asked.evaluator == "gt" else one.value < asked.line)
        ]
        if alert.name == names.WATCHDOG:
            assert over, "the heartbeat of the rules themselves"
            continue
        expected = answers.query(alert.expression, now)
        assert {identity(one) for one in over} == {identity(one) for one in expected}, alert.name
        fired |= {alert.name} if over else set()
    assert fired >= {names.ACCURACY_DROP_PAIRED, names.ACCURACY_BELOW_STABLE}


def test_what_fires_says_of_what(answers: Client) -> None:
    """A label that the series of an alert does not have leaves a hole in its sentence."""
    for alert in answers.alerts():
        for said in ("summary", "description"):
            words = alert["annotations"][said]
            assert not re.search(r"  |``|\(\)|^ ", words), alert
    assert any(alert["labels"]["alertname"] == names.WATCHDOG for alert in answers.alerts())


def frame(samples: list[Sample], ref: str, value: str) -> dict[str, Any]:
    """An answer as the data source hands it to a panel that wants a table."""
    labels = sorted({label for sample in samples for label in sample.labels})
    fields = [{"name": "Time", "type": "time", "values": [sample.time * 1000 for sample in samples]}]
    fields += [{"name": one, "type": "string", "values": [each.labels.get(one) for each in samples]} for one in labels]
    fields.append({"name": value, "type": "number", "values": [sample.value for sample in samples]})
    return {"refId": ref, "fields": fields}


def test_tables_and_bars_come_out_of_grafanas_own_code_as_meant(answers: Client) -> None:
    """One frame with the columns that were named, in their order, and a row for each series, all values in it."""
    now, tables, given = time.time(), [], []
    for model in TERMS:
        for file, one in loaded(TERMS[model]).items():
            for panel in panels(one):
                if panel["type"] not in ("table", "barchart"):
                    continue
                frames, several = [], len(panel["targets"]) > 1
                for target in panel["targets"]:
                    asked = Question("", "", target["expr"], model, ()).asked(CHOSEN["everything"])
                    value = f"Value #{target['refId']}" if several else "Value"
                    frames.append(frame(answers.query(asked, now), target["refId"], value))
                given.append({"frames": frames, "transformations": panel["transformations"]})
                tables.append((f"{model} {file} {panel['title']}", panel, frames))
    folder = node.install("grafana-data", GRAFANA)
    script = Path(observed_fleet.__file__).with_name("grafana_tables.cjs")
    done = subprocess.run(
        ["node", str(script)],
        input=json.dumps(given),
        env={**os.environ, "NODE_PATH": str(folder / "node_modules")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    for (where, panel, frames), (*found,) in zip(tables, json.loads(done.stdout), strict=True):
        (table,) = found
        names = sorted(arranged(panel), key=lambda name: arranged(panel)[name])
        there = {field["name"] for each in frames for field in each["fields"]}
        (organize,) = [one["options"] for one in panel["transformations"] if one["id"] == "organize"]
        meant = [organize["renameByName"].get(name, name) for name in names if name in there]
        assert table["columns"] == meant, where
        series = max(len(each["fields"][0]["values"]) for each in frames)
        assert len(table["rows"]) == series, where
        if panel["type"] == "barchart":
            assert panel["options"]["xField"] == table["columns"][0], where
            assert all(None not in row for row in table["rows"]), where
    assert len(tables) > 15
