"""What the exporter says of its interface, held against the interface; and what Prometheus makes of what it exports."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest
import requests
from hypothesis import HealthCheck, Phase, given, settings

import prometheus
import rules_project
from exporting import Exporter, prediction, running
from makeweight_monitors.prometheus import throwaway
from makeweight_monitors.rules import generate, names, text

EXAMPLES = 15


@pytest.fixture(scope="module")
def exporter(tmp_path_factory: pytest.TempPathFactory, preloaded_monitors: Path) -> Iterator[Exporter]:
    folder, model = tmp_path_factory.mktemp("exporter"), ("--model", "digits", "--classes", "cat,dog,owl")
    with running(folder, *model, "--revision", "r1", python=preloaded_monitors) as served:
        yield served


def test_the_description_is_openapi(exporter: Exporter) -> None:
    said = requests.get(f"{exporter.address}/openapi.json", timeout=10).json()
    assert said["openapi"] == "3.1.0"
    for schema in said["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_the_interface_is_what_its_description_says(exporter: Exporter) -> None:
    """Whatever is sent, valid or not: a status, a content type and a body that the description names, and no crash.

    Left out is the check that what is beyond the schema is refused as a whole: an event is refused alone.
    """
    import schemathesis
    from schemathesis import GenerationMode

    schema = schemathesis.openapi.from_url(f"{exporter.address}/openapi.json")
    lenient = schemathesis.checks.CHECKS.get_one("negative_data_rejection")
    operations = [result.ok() for result in schema.get_all_operations()]
    paths = {"/v1/events", "/v1/cloudevents", "/metrics", "/-/healthy", "/-/ready"}
    assert {operation.path for operation in operations} == paths, "all but that of the description itself"
    for operation in operations:
        modes = list(GenerationMode) if operation.method == "post" else [GenerationMode.POSITIVE]
        for mode in modes:

            @settings(max_examples=EXAMPLES, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
            @given(case=operation.as_strategy(generation_mode=mode))
            def ask(case: schemathesis.Case) -> None:
                case.validate_response(case.call(timeout=30), excluded_checks=[lenient])

            ask()
    asked = exporter.counts("exporter_requests_total", "endpoint", "outcome")
    assert asked.keys() <= {f"{one} {said}" for one in ("events", "cloudevents") for said in ("counted", "malformed")}
    assert {"events counted", "cloudevents counted", "events malformed"} <= asked.keys()
    assert exporter.process.poll() is None


def test_caps_that_are_reached_are_alerted(tmp_path: Path, preloaded_monitors: Path) -> None:
    """By the rules as they are generated for looks every second, on a real Prometheus."""
    programs, wanted = prometheus.install(), {names.CAP_REACHED, names.OBSERVATIONS_REJECTED}
    terms, _ = rules_project.digits(interval=1)
    rules = tmp_path / "rules.yaml"
    rules.write_text(text.render(rules_project.narrowed(generate.groups(terms), wanted), [], terms.runbooks))
    model = ("--model", "digits", "--task", "classification", "--most-revisions", "1")
    with running(tmp_path, *model, python=preloaded_monitors) as served:
        targets = {"exporter": [served.address.removeprefix("http://")]}
        with throwaway.running(programs, tmp_path / "prometheus", rules=[rules], targets=targets) as client:
            sent = iter(range(10**9))

            def alerts() -> set[str]:
                start = next(sent) * 1000
                served.send(
                    *(prediction(scores=None, prediction=f"c{start + index}", revision="r1") for index in range(1000)),
                    *(prediction(revision=f"r{start + index}") for index in range(2, 50)),
                )
                return {sample.labels["alertname"] for sample in client.query("ALERTS")}

            prometheus.until(lambda: wanted <= alerts(), every=0.5)
        assert len(served.counts("predicted_class_total", "class")) == 1001
        assert served.counts("rejected_total", "revision").keys() == {"other"}
