"""Payload logging: what KServe and Seldon Core send of a request and its response becomes one prediction."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from exporter_app import SURE, Exporting, settings
from observing import Clock

from makeweight_monitors.exporter import cloudevents
from makeweight_monitors.exporter.cloudevents import REQUESTS, RESPONSES, answers, inputs
from makeweight_monitors.exporter.limits import RESPONSE_TIMEOUT

V1 = {"predictions": [SURE]}
V2 = {
    "model_name": "digits",
    "outputs": [{"name": "probabilities", "datatype": "FP32", "shape": [1, 3], "data": [0.1, 0.8, 0.1]}],
}


def attributes(kind: str, id: str = "a", at: str = "2030-12-31T08:00:00.250000001Z", **more: str) -> dict[str, str]:
    """As KServe's logger sets them; the endpoint is what it was when there were two of them."""
    return {
        "specversion": "1.0", "type": kind, "source": "http://localhost:9081/", "id": id, "time": at,
        "inferenceservicename": "digits", "namespace": "default", "component": "predictor", "endpoint": "canary",
        "metadata": "{}", **more,
    }  # fmt: skip


def kserve(exporting: Exporting, pod: str, id: str, answer: Any = V1, **more: str) -> Any:
    """A request and its response as KServe logs them today: the pod alone tells the arms of a canary apart."""
    given = {"source": pod, "endpoint": "", **more}
    binary(exporting, {**attributes(REQUESTS[0], id), **given}, {})
    return binary(exporting, {**attributes(RESPONSES[0], id), **given}, answer).json()


def binary(exporting: Exporting, given: dict[str, str], data: Any) -> Any:
    headers = {"content-type": "application/json", **{f"Ce-{name.title()}": value for name, value in given.items()}}
    body = data if isinstance(data, bytes) else json.dumps(data).encode()
    return exporting.ask("POST", "/v1/cloudevents", [body], headers)


def structured(exporting: Exporting, *events: Any, batch: bool = False) -> Any:
    body = json.dumps(list(events) if batch else events[0]).encode()
    kind = "application/cloudevents-batch+json" if batch else "application/cloudevents+json"
    return exporting.ask("POST", "/v1/cloudevents", [body], {"content-type": kind})


def clocked(exporting: Exporting) -> tuple[cloudevents.Payloads, Clock]:
    """What joins requests and responses, by a clock that the test moves."""
    payloads, clock = exporting.running.payloads, Clock()
    payloads._clock = clock
    return payloads, clock


REQUEST = attributes(REQUESTS[0], at="2030-12-31T08:00:00.000Z")
RESPONSE = attributes(RESPONSES[0])
INPUTS = {"inputs": [{"name": "light", "shape": [1], "datatype": "FP32", "data": [0.7]}]}


@pytest.mark.parametrize("first", ["request", "response"])
def test_a_request_and_its_response_are_one_prediction(first: str) -> None:
    with Exporting(settings(features={"light": [0.5]})) as exporting:
        both = [(REQUEST, INPUTS), (RESPONSE, V1)]
        for given, data in both if first == "request" else reversed(both):
            answer = binary(exporting, given, data)
            assert answer.status == 200
        assert answer.json() == {"accepted": 1, "refused": 0, "reasons": {}}
        assert exporting["predictions_total model variant"] == {"digits canary": 1}
        assert exporting["predicted_class_total class"] == {"dog": 1}
        assert exporting["latency_seconds_sum"] == {"": pytest.approx(0.25)}
        assert exporting["feature_bin_total bin"] == {"01": 1}
        label = {"type": "label", "id": "a", "truth": "dog"}
        assert exporting.post([label]).json()["labels"] == {"matched": 1}
        assert exporting["exporter_held_payloads"] == {}


def test_structured_and_batched_mode() -> None:
    with Exporting() as exporting:
        structured(exporting, {**REQUEST, "data": {}})
        encoded = base64.b64encode(json.dumps(V2).encode()).decode()
        assert structured(exporting, {**RESPONSE, "data_base64": encoded}).json()["accepted"] == 1
        second = [{**REQUEST, "id": "b", "data": {}}, {**RESPONSE, "id": "b", "data": V2}]
        assert structured(exporting, *second, batch=True).json()["accepted"] == 1
        assert exporting["predicted_class_total class"] == {"dog": 2}


def test_seldon_joins_by_request_id_and_names_predictors() -> None:
    with Exporting(settings("iris"), endpoints={"main": "stable"}) as exporting:
        more = {"inferenceservicename": "iris", "endpoint": "main", "requestid": "r-1", "modelid": "classifier"}
        binary(exporting, attributes(REQUESTS[1], id="1", **more), {"data": {"ndarray": [[1, 2]]}})
        said = binary(exporting, attributes(RESPONSES[1], id="2", **more), {"data": {"ndarray": [[0.1, 0.1, 0.8]]}})
        assert said.json()["accepted"] == 1
        assert exporting["predictions_total variant"] == {"stable": 1}
        assert exporting.post([{"type": "label", "id": "r-1", "truth": "owl"}]).json()["labels"] == {"matched": 1}


@pytest.mark.parametrize(
    ("endpoint", "variants", "expected"),
    [
        ("default", None, {"stable": 1}),
        ("", None, {}),
        ("canary", None, {"canary": 1}),
        ("green", None, {}),
    ],
)
def test_the_endpoint_tells_the_variant(endpoint: str, variants: None, expected: dict[str, int]) -> None:
    with Exporting() as exporting:
        binary(exporting, {**REQUEST, "endpoint": endpoint}, {})
        said = binary(exporting, {**RESPONSE, "endpoint": endpoint}, V1).json()
        assert exporting["predictions_total variant"] == expected
        assert said["reasons"] == ({} if expected else {"unknown_variant": 1})


OLD_POD = "digits-predictor-00001-deployment-6bb9f8c7d5-x2x2x"
NEW_POD = "digits-predictor-00002-deployment-7cc9f8c7d5-z9z9z"


def test_the_pod_tells_kserves_canary() -> None:
    with Exporting(sources=[("*-predictor-00002-*", "canary"), ("*-predictor-00001-*", "stable")]) as exporting:
        assert kserve(exporting, OLD_POD, "a")["accepted"] == 1
        assert kserve(exporting, NEW_POD, "b")["accepted"] == 1
        assert kserve(exporting, NEW_POD, "c")["accepted"] == 1
        assert kserve(exporting, "digits-predictor-00003-x", "d")["reasons"] == {"unknown_variant": 1}
        assert exporting["predictions_total variant"] == {"stable": 1, "canary": 2}


def test_namespaces_are_environments_and_are_not_mixed() -> None:
    with Exporting(sources=[("*", "canary")]) as exporting:
        kserve(exporting, NEW_POD, "a", namespace="staging")
        kserve(exporting, NEW_POD, "a", namespace="production")
        assert exporting["predictions_total environment"] == {"staging": 1, "production": 1}


def test_a_service_may_be_that_of_one_namespace() -> None:
    both = settings(service="production/digits", environment="prod"), settings("trial", service="staging/digits")
    with Exporting(*both, sources=[("*", "canary")]) as exporting:
        kserve(exporting, NEW_POD, "a", namespace="staging")
        kserve(exporting, NEW_POD, "b", namespace="production")
        assert kserve(exporting, NEW_POD, "c", namespace="other")["reasons"] == {"unknown_model": 1}
        assert exporting["predictions_total model environment"] == {"trial staging": 1, "digits prod": 1}


def test_a_transformer_that_logs_the_same_requests_is_not_counted() -> None:
    with Exporting(sources=[("*", "canary")]) as exporting:
        said = kserve(exporting, NEW_POD, "a", component="transformer")
        assert (said["accepted"], said["reasons"]) == (0, {"not_a_predictor": 1})
        assert kserve(exporting, NEW_POD, "a")["accepted"] == 1


def seldon(exporting: Exporting, predictor: str, number: int, answer: list[float]) -> None:
    """A request and its response as Seldon's executor logs them: each event has an id, both one `requestid`."""
    more = {"endpoint": predictor, "requestid": f"r-{number}", "modelid": "classifier", "source": "http://:8000/"}
    binary(exporting, attributes(REQUESTS[1], id=f"{predictor}-1", **more), {"data": {"ndarray": [[1, 2]]}})
    binary(exporting, attributes(RESPONSES[1], id=f"{predictor}-2", **more), {"data": {"ndarray": [answer]}})


@pytest.mark.parametrize("first", ["main", "mirror"])
def test_seldons_shadow_under_one_id_forms_pairs(first: str) -> None:
    with Exporting(endpoints={"main": "stable", "mirror": "shadow"}) as exporting:
        payloads, clock = clocked(exporting)
        answers = {"main": SURE, "mirror": [9.0, 0.0, 0.0]}
        for predictor in sorted(answers, reverse=first == "mirror"):
            seldon(exporting, predictor, 1, answers[predictor])
        assert exporting["shadow_pairs_total agree"] == {"no": 1}
        assert exporting["predicted_class_total variant class"] == {"stable dog": 1, "canary cat": 1}
        assert exporting["latency_seconds_count variant"] == {"stable": 1, "canary": 1}
        assert exporting.post([{"type": "label", "id": "r-1", "truth": "dog"}]).json()["labels"] == {"matched": 1}
        assert exporting["paired_total stable canary"] == {"right wrong": 1}
        seldon(exporting, first, 2, SURE)
        assert exporting["exporter_held_payloads"] == {"": 1}
        clock.now += 2 * RESPONSE_TIMEOUT + 1
        payloads.expire()
        variant = "stable" if first == "main" else "canary"
        assert exporting.running.models is not None
        assert exporting["predictions_total variant"] == {"stable": 1, "canary": 1} | {variant: 2}
        assert len(payloads) == 0


def test_a_service_may_be_called_otherwise_than_the_model() -> None:
    two = settings(service="digits-prod"), settings("prices", task="regression")
    with Exporting(*two) as exporting:
        for name in ("digits-prod", "prices", "stranger"):
            for given, data in ((REQUEST, {}), (RESPONSE, {"predictions": [1.0]})):
                binary(exporting, {**given, "inferenceservicename": name}, data)
        assert exporting["predictions_total model"] == {"digits": 1, "prices": 1}
        assert exporting["exporter_refused_total reason"] == {"unknown_model": 1}


def test_what_waits_too_long_is_counted_without_the_other() -> None:
    with Exporting() as exporting:
        payloads, clock = clocked(exporting)
        binary(exporting, RESPONSE, V1)
        binary(exporting, {**REQUEST, "id": "b"}, {})
        assert exporting["exporter_held_payloads"] == {"": 2}
        assert exporting["predictions_total"] == {}
        clock.now += RESPONSE_TIMEOUT + 1
        payloads.expire()
        assert exporting["predictions_total variant"] == {"canary": 1}
        assert exporting["latency_seconds_count"] == {}
        assert exporting["failures_total variant reason"] == {"canary timeout": 1}
        assert exporting["exporter_refused_total reason"] == {}
        assert len(payloads) == 0
        for _ in range(2):
            said = binary(exporting, {**RESPONSE, "id": "b"}, V1).json()
            assert (said["accepted"], said["reasons"]) == (0, {"late_response": 1}), "the request counts once"
        clock.now += RESPONSE_TIMEOUT + 1
        payloads.expire()
        assert exporting["failures_total"] == {"": 1}


def test_every_example_of_a_request_without_a_response_failed() -> None:
    with Exporting(settings(features={"light": [0.5]}), response_timeout=5.0) as exporting:
        payloads, clock = clocked(exporting)
        binary(exporting, REQUEST, {"instances": [{"light": 0.1}, {"light": 0.9}, [1, 2]]})
        clock.now += 4
        payloads.expire()
        assert exporting["failures_total"] == {}
        clock.now += 1
        payloads.expire()
        assert exporting["failures_total variant reason"] == {"canary timeout": 3}
        assert exporting["feature_bin_total bin"] == {"00": 1, "01": 1}
        label = {"type": "label", "id": "a/1", "truth": "dog"}
        assert exporting.post([label]).json()["labels"] == {"matched": 1}
        assert exporting["labelled_total variant outcome"] == {"canary wrong": 1}


def test_an_answer_that_holds_no_prediction_is_no_lost_one() -> None:
    with Exporting() as exporting:
        payloads, clock = clocked(exporting)
        binary(exporting, REQUEST, {})
        assert binary(exporting, RESPONSE, {"error": "x"}).json()["reasons"] == {"no_prediction": 1}
        clock.now += RESPONSE_TIMEOUT + 1
        payloads.expire()
        assert exporting["failures_total"] == {}


def test_a_request_that_was_given_up_early_is_not_called_failed() -> None:
    with Exporting() as exporting:
        exporting.running.payloads._most = 10
        structured(exporting, *({**REQUEST, "id": str(n), "data": {}} for n in range(25)), batch=True)
        assert exporting["exporter_held_payloads"] == {"": 10}
    assert exporting["failures_total"] == {}
    assert exporting["exporter_refused_total reason"] == {"no_response": 25}


def test_seldons_shadow_that_never_answers_is_wrong_in_its_pair() -> None:
    with Exporting(endpoints={"main": "stable", "mirror": "shadow"}) as exporting:
        payloads, clock = clocked(exporting)
        more = {"requestid": "r-1", "source": "http://:8000/"}
        binary(exporting, attributes(REQUESTS[1], id="1", endpoint="main", **more), {})
        binary(exporting, attributes(RESPONSES[1], id="2", endpoint="main", **more), {"data": {"ndarray": [SURE]}})
        clock.now += 2
        binary(exporting, attributes(REQUESTS[1], id="3", endpoint="mirror", **more), {})
        for _ in range(2):
            clock.now += RESPONSE_TIMEOUT - 1
            payloads.expire()
        assert exporting["failures_total variant reason"] == {"canary timeout": 1}
        assert exporting["shadow_pairs_total agree"] == {"no": 1}
        assert exporting.post([{"type": "label", "id": "r-1", "truth": "dog"}]).json()["labels"] == {"matched": 1}
        assert exporting["paired_total stable canary"] == {"right wrong": 1}
        assert len(payloads) == 0


def test_an_orderly_end_counts_what_waits() -> None:
    with Exporting() as exporting:
        binary(exporting, RESPONSE, V1)
    assert exporting["predictions_total variant"] == {"canary": 1}


def test_no_more_than_a_bound_waits() -> None:
    with Exporting() as exporting:
        exporting.running.payloads._most = 10
        events = [{**RESPONSE, "id": str(number), "data": V1} for number in range(25)]
        structured(exporting, *events, batch=True)
        assert exporting["exporter_held_payloads"] == {"": 10}
        assert exporting["predictions_total variant"] == {"canary": 15}


def test_no_more_bytes_than_a_bound_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloudevents, "MOST_BYTES", 10_000)
    with Exporting() as exporting:
        for number in range(10):
            binary(exporting, {**RESPONSE, "id": str(number)}, {**V1, "more": "x" * 3000})
        assert exporting["exporter_held_payloads"] == {"": 3}
        assert exporting["predictions_total variant"] == {"canary": 7}
        for number in range(10):
            binary(exporting, {**REQUEST, "id": str(number)}, {})
        assert exporting["predictions_total variant"] == {"canary": 10}


def test_a_response_that_comes_twice_counts_once() -> None:
    with Exporting() as exporting:
        for _ in range(2):
            binary(exporting, RESPONSE, V1)
        binary(exporting, REQUEST, {})
        assert exporting["predictions_total variant"] == {"canary": 1}


def test_what_is_delivered_again_after_it_was_counted_counts_once() -> None:
    """A request that came again would else be one whose response does not come, and so a failed answer."""
    with Exporting() as exporting:
        payloads, clock = clocked(exporting)
        for _ in range(2):
            binary(exporting, REQUEST, {})
            binary(exporting, RESPONSE, V1)
        binary(exporting, {**RESPONSE, "id": "b"}, V1)
        clock.now += RESPONSE_TIMEOUT + 1
        payloads.expire()
        binary(exporting, {**REQUEST, "id": "b"}, {})  # late, and its answer is counted
        clock.now += RESPONSE_TIMEOUT + 1
        payloads.expire()
        assert exporting["predictions_total variant"] == {"canary": 2}
        assert exporting["failures_total"] == exporting["exporter_held_payloads"] == {}
        for _ in range(2):
            binary(exporting, {**REQUEST, "id": "c"}, {})
            clock.now += RESPONSE_TIMEOUT - 1
            payloads.expire()
            clock.now += 1
            payloads.expire()
        assert exporting["failures_total"] == {"": 1}


def test_of_what_was_counted_no_more_than_a_bound_is_known() -> None:
    with Exporting() as exporting:
        payloads, _ = clocked(exporting)
        payloads._most = 2
        for number in range(5):
            for given in (REQUEST, RESPONSE):
                binary(exporting, {**given, "id": str(number)}, V1)
        assert exporting["predictions_total"] == {"": 5}
        assert len(payloads._counted) == 2


def test_a_clock_that_goes_back_gives_no_latency() -> None:
    with Exporting() as exporting:
        binary(exporting, {**REQUEST, "time": "2031-01-01T00:00:00Z"}, {})
        binary(exporting, RESPONSE, V1)
        binary(exporting, {**REQUEST, "id": "b", "time": "yesterday"}, {})
        binary(exporting, {**RESPONSE, "id": "b"}, V1)
        assert exporting["predictions_total variant"] == {"canary": 2}
        assert exporting["latency_seconds_count"] == {}


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"predictions": [1, 0]}, [{"prediction": 1}, {"prediction": 0}]),
        ({"predictions": ["cat"]}, [{"prediction": "cat"}]),
        ({"predictions": [[0.2, 0.8]]}, [{"scores": [0.2, 0.8]}]),
        ({"predictions": [[3.5]]}, [{"prediction": 3.5}]),
        ({"predictions": [{"scores": [1, 2], "class": 1}]}, [{"scores": [1, 2]}]),
        ({"predictions": [{"class": "cat"}]}, [{"prediction": "cat"}]),
        ({"outputs": [{"name": "label", "shape": [2], "data": [1, 0]}]}, [{"prediction": 1}, {"prediction": 0}]),
        (
            {
                "outputs": [
                    {"name": "l", "shape": [1], "data": [1]},
                    {"name": "logits", "shape": [1, 2], "data": [3, 4]},
                ]
            },
            [{"scores": [3, 4]}],
        ),
        ({"outputs": [{"name": "s", "shape": [2, 2], "data": [1, 2, 3, 4]}]}, [{"scores": [1, 2]}, {"scores": [3, 4]}]),
        (
            {"outputs": [{"name": "s", "shape": [2, 2], "data": [[1, 2], [3, 4]]}]},
            [{"scores": [1, 2]}, {"scores": [3, 4]}],
        ),
        ({"outputs": [{"name": "s", "shape": [3, 2], "data": [1, 2]}]}, []),
        ({"outputs": [{"name": "s", "shape": [0, 2], "data": []}]}, []),
        ({"outputs": [{"name": "s", "shape": ["1", 2], "data": [1, 2]}]}, []),
        ({"outputs": [{"name": "s", "data": "text"}]}, []),
        ({"outputs": "none"}, []),
        ({"data": {"ndarray": [[1, 2]]}}, [{"scores": [1, 2]}]),
        ({"data": "text"}, []),
        ({}, []),
        ([1], []),
        (None, []),
    ],
)
def test_answers_of_every_form(data: Any, expected: list[Any]) -> None:
    assert answers(data) == expected


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"instances": [{"light": 1, "name": "x"}, [1, 2]]}, [{"light": 1}, {}]),
        ({"inputs": [{"name": "a", "shape": [2], "data": [1, 2]}, {"name": "b", "shape": [2, 1], "data": [3, 4]}]},
         [{"a": 1, "b": 3}, {"a": 2, "b": 4}]),
        ({"inputs": [{"name": "image", "shape": [1, 2], "data": [1, 2]}]}, [{}]),
        ({"inputs": [{"data": [1]}]}, []),
        ("text", []),
    ],
)  # fmt: skip
def test_inputs_of_every_form(data: Any, expected: list[Any]) -> None:
    assert inputs(data) == expected


@pytest.mark.parametrize(
    ("given", "data", "status", "reasons"),
    [
        ({**RESPONSE, "type": "io.seldon.serving.feedback"}, {}, 200, {"unknown_type": 1}),
        ({**RESPONSE, "id": ""}, V1, 400, None),
        (RESPONSE, b"{", 400, None),
        (RESPONSE, {"outputs": []}, 200, {"no_prediction": 1}),
    ],
)
def test_what_is_no_payload(given: dict[str, str], data: Any, status: int, reasons: Any) -> None:
    with Exporting() as exporting:
        answer = binary(exporting, given, data)
        assert answer.status == status
        assert answer.json().get("reasons") == reasons


def test_an_id_that_is_too_long_is_refused_and_the_answer_counts() -> None:
    with Exporting() as exporting:
        for given in (REQUEST, RESPONSE):
            said = binary(exporting, {**given, "id": "x" * 5000}, V1).json()
        assert said == {"accepted": 1, "refused": 0, "reasons": {"bad_id": 1}}


@pytest.mark.parametrize("event", [7, [], {**RESPONSE, "data_base64": "!"}, {**RESPONSE, "id": None}])
def test_what_is_no_structured_event(event: Any) -> None:
    with Exporting() as exporting:
        assert structured(exporting, event).status == (200 if event == [] else 400)


def test_a_body_that_is_no_cloudevent() -> None:
    with Exporting() as exporting:
        assert exporting.ask("POST", "/v1/cloudevents", [b"{}"], {"content-type": "application/json"}).status == 415


def test_several_examples_of_one_request_have_an_id_each() -> None:
    with Exporting() as exporting:
        binary(exporting, REQUEST, {})
        binary(exporting, RESPONSE, {"predictions": [SURE, [9.0, 0.0, 0.0]]})
        labels = [{"type": "label", "id": f"a/{index}", "truth": "dog"} for index in range(3)]
        assert exporting.post(labels).json()["labels"] == {"matched": 2, "unknown": 1}
        assert exporting["labelled_total outcome"] == {"right": 1, "wrong": 1}
