"""The exporter's HTTP interface: what comes in is bounded, who comes in is known, and what goes out is Prometheus's."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest
from exporter_app import Exporting, prediction, settings
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from makeweight_base.errors import EnvironmentFailed, UsageError
from makeweight_monitors import metrics
from makeweight_monitors.exporter.limits import Bounds, Rate
from makeweight_monitors.http.inflight import Inflight
from makeweight_monitors.http.server import listen

LINES = {"content-type": "application/x-ndjson"}
PACKED = gzip.compress(b"{}", mtime=0)
LARGE = gzip.compress(b" " * 20_000, mtime=0)


@pytest.fixture
def token(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text("s3cret\n")
    return path


@pytest.mark.parametrize(
    ("accept", "kind", "parse"),
    [
        ("", "text/plain", parse_text),
        ("application/openmetrics-text; version=1.0.0", "application/openmetrics-text", parse_openmetrics),
    ],
)
def test_metrics_are_read_by_the_reference_parsers(accept: str, kind: str, parse: Any) -> None:
    two = (settings(slices=["day"], weight=0.1), settings("prices", task="regression", error_edges=[1, 2]))
    with Exporting(*two) as exporting:
        assert exporting.post([prediction(model="digits", id="a")]).json()["accepted"] == 1
        page = exporting.ask("GET", "/metrics", headers={"accept": accept})
        assert page.headers["content-type"].startswith(kind)
        families = {family.name: family for family in parse(page.body.decode())}
    own = {metric.name for metric in metrics.EXPORTER_CATALOGUE} - {"makeweight_exporter_tail_lag_bytes"}
    assert own <= families.keys()
    assert {sample.labels["model"] for sample in families["makeweight_predictions"].samples} == {"digits", "prices"}


def test_all_series_of_a_declared_revision_are_there_from_the_start() -> None:
    with Exporting() as exporting:
        page = exporting.ask("GET", "/metrics").body.decode()
    for variant in ("stable", "canary"):
        told = {'model="digits"', 'revision="r1"', f'variant="{variant}"', 'weight=""'}
        lines = [line for line in page.splitlines() if "makeweight_predictions_total{" in line]
        assert any(line.endswith("} 0.0") and all(one in line for one in told) for line in lines)
    assert "makeweight_paired_total{" in page


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        pytest.param({"content-type": "application/json"}, b"{", 400, id="cut short"),
        pytest.param({"content-type": "application/json"}, b"", 400, id="empty JSON"),
        pytest.param({"content-type": "text/plain"}, b"{}", 415, id="plain text"),
        pytest.param({}, b"{}", 415, id="no content type"),
        pytest.param({"content-type": "application/json; charset=utf-8"}, b"[]", 200, id="an empty list"),
        pytest.param(LINES, b"", 200, id="no line"),
        pytest.param(LINES, b"\n\n", 200, id="empty lines"),
        pytest.param({**LINES, "content-encoding": "br"}, b"{}", 415, id="brotli"),
        pytest.param({**LINES, "content-encoding": "gzip"}, b"{}", 400, id="gzip that is none"),
        pytest.param({**LINES, "content-encoding": "gzip"}, PACKED[:-4], 400, id="gzip cut short"),
        pytest.param({**LINES, "content-encoding": "gzip"}, PACKED + b"more", 400, id="more after gzip"),
        pytest.param({**LINES, "content-encoding": "gzip"}, LARGE, 413, id="too large unpacked"),
        pytest.param(LINES, b" " * 20_000, 413, id="too large"),
        pytest.param({**LINES, "content-length": "20000"}, b" " * 20_000, 413, id="said to be too large"),
        pytest.param({**LINES, "content-length": "9" * 30}, b" " * 20_000, 413, id="said to be endless"),
    ],
)
def test_bodies_that_are_taken_and_that_are_not(headers: dict[str, str], body: bytes, status: int) -> None:
    with Exporting(bounds=Bounds(body=10_000)) as exporting:
        answer = exporting.ask("POST", "/v1/events", [body[:5], body[5:]], headers)
        assert answer.status == status
        assert ("error" in answer.json()) == (status != 200)
        outcome = {200: "counted", 413: "too_large"}.get(status, "malformed")
        assert exporting["exporter_requests_total endpoint outcome"] == {f"events {outcome}": 1}
        assert exporting["exporter_inflight_bytes"] == {}
        assert exporting.post([prediction()]).json()["accepted"] == 1


def test_gzip_is_understood() -> None:
    with Exporting() as exporting:
        answer = exporting.post(gzip.compress(json.dumps([prediction()]).encode(), mtime=0), content_encoding="gzip")
        assert answer.json()["accepted"] == 1


def test_the_largest_body_is_taken_and_one_byte_more_is_not() -> None:
    body = json.dumps([prediction()]).encode()
    with Exporting(bounds=Bounds(body=len(body))) as exporting:
        assert exporting.post(body).status == 200
        assert exporting.post(body + b" ").status == 413


@pytest.mark.parametrize(("leaves", "status"), [(False, 408), (True, 400)], ids=["stays silent", "leaves"])
def test_a_body_that_does_not_come_whole_is_given_up(leaves: bool, status: int) -> None:
    with Exporting(bounds=Bounds(seconds=0.05)) as exporting:
        sent: list[Any] = []
        come = [{"type": "http.request", "body": b"[", "more_body": True}]
        if leaves:
            come.append({"type": "http.disconnect"})

        async def receive() -> Any:
            if not come:
                await asyncio.sleep(3600)
            return come.pop(0)

        async def send(message: Any) -> None:
            sent.append(message)

        headers = [(b"content-type", b"application/json"), (b"content-length", b"500")]
        scope = {"type": "http", "method": "POST", "path": "/v1/events", "query_string": b"", "root_path": "",
                 "headers": headers, "http_version": "1.1"}  # fmt: skip
        asyncio.run(exporting.app(scope, receive, send))
        assert sent[0]["status"] == status
        assert exporting.running.inflight.held == 0
        assert exporting["predictions_total"] == {}


def test_more_than_may_be_in_flight_is_sent_away_and_the_rest_goes_on() -> None:
    body = json.dumps([prediction()] * 50).encode()
    headers = {"content-type": "application/json", "content-length": str(len(body))}
    with Exporting(bounds=Bounds(body=len(body), inflight=2 * len(body))) as exporting:

        async def all_at_once() -> list[Any]:
            return await asyncio.gather(
                *(exporting.asked("POST", "/v1/events", [body], headers) for _ in range(8)),
                exporting.asked("GET", "/metrics"),
            )

        answers = asyncio.run(all_at_once())
        statuses = [answer.status for answer in answers[:-1]]
        taken = statuses.count(200)
        assert 2 <= taken < 8
        assert statuses.count(503) == 8 - taken
        assert {answer.headers["retry-after"] for answer in answers if answer.status == 503} == {"1"}
        assert answers[-1].status == 200
        assert exporting["predictions_total variant"] == {"canary": 50 * taken}
        assert exporting["exporter_requests_total outcome"] == {"counted": taken, "busy": 8 - taken}


def test_more_requests_than_may_come_are_told_when_to_come_again() -> None:
    with Exporting(bounds=Bounds(requests=3)) as exporting:
        answers = [exporting.post([prediction()]) for _ in range(5)]
        refused = [answer for answer in answers if answer.status == 429]
        assert refused
        assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
        assert exporting.ask("GET", "/metrics").status == 200


def test_a_rate_is_a_bucket_that_fills() -> None:
    now = 0.0
    rate = Rate(2, clock=lambda: now)
    assert [rate.take() for _ in range(3)] == [0, 0, 0.5]
    now = 0.5
    assert [rate.take(), rate.take()] == [0, 0.5]
    now = 100
    assert [rate.take() for _ in range(3)] == [0, 0, 0.5]


def test_what_was_given_back_can_be_taken_again() -> None:
    inflight = Inflight(10)
    assert [inflight.take(6), inflight.take(5), inflight.take(4)] == [True, False, True]
    inflight.give_back(6)
    assert inflight.take(6)


@pytest.mark.parametrize(
    "shown", [None, "", "Bearer", "Bearer ", "Bearer wrong", "Basic s3cret", "s3cret", "Bearer \xe9"]
)
def test_nobody_sends_events_without_the_token(token: Path, shown: str | None) -> None:
    with Exporting(bearer=token) as exporting:
        headers = {} if shown is None else {"authorization": shown}
        answer = exporting.post([prediction()], **headers)
        assert answer.status == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert exporting["exporter_requests_total outcome"] == {"unauthorized": 1}
        assert exporting["predictions_total"] == {}
        assert exporting.post([prediction()], authorization="bearer s3cret").status == 200
        assert exporting.ask("GET", "/metrics").status == 200
        assert exporting.ask("POST", "/v1/cloudevents", [b"{}"], headers).status == 401


def test_metrics_have_a_token_of_their_own(token: Path) -> None:
    with Exporting(metrics_bearer=token) as exporting:
        assert exporting.post([prediction()]).status == 200
        assert exporting.ask("GET", "/metrics").status == 401
        assert exporting.ask("GET", "/metrics", headers={"authorization": "Bearer s3cret"}).status == 200


def test_a_token_is_read_again_when_it_changes_and_none_lets_nobody_in(token: Path) -> None:
    with Exporting(bearer=token) as exporting:

        def sent(word: str) -> int:
            return exporting.post([prediction()], authorization=f"Bearer {word}").status

        assert sent("s3cret") == 200
        token.write_text("another")
        os.utime(token, (1, 1))
        assert [sent("s3cret"), sent("another")] == [401, 200]
        token.write_text(" \n")
        os.utime(token, (2, 2))
        assert [sent("another"), sent("")] == [401, 401]
        token.unlink()
        assert [sent("another"), sent("")] == [401, 401]
        token.write_text("third")
        assert sent("third") == 200


@pytest.mark.parametrize("text", ["", " \n", None])
def test_an_exporter_does_not_start_with_an_empty_token(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "token"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UsageError, match="token"):
        Exporting(bearer=path)


def test_health_and_readiness() -> None:
    with Exporting() as exporting:
        assert [exporting.ask("GET", path).status for path in ("/-/healthy", "/-/ready")] == [200, 200]
        exporting.running.not_ready()
        assert [exporting.ask("GET", path).status for path in ("/-/healthy", "/-/ready")] == [200, 503]
        assert exporting.post([prediction()]).status == 200, "what still comes is counted"


def test_an_exporter_that_fails_says_so_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    with Exporting() as exporting:
        with monkeypatch.context() as broken:
            broken.setattr("makeweight_monitors.exporter.counting.group", lambda _: 1 / 0)
            assert exporting.post([prediction()]).status == 500
        assert exporting["exporter_requests_total outcome"] == {"failed": 1}
        assert exporting.post([prediction()]).status == 200


def test_paths_and_methods_that_there_are_not() -> None:
    with Exporting() as exporting:
        assert exporting.ask("GET", "/").status == 404
        assert exporting.ask("GET", "/v1/events").status == 405


def test_the_description_names_every_status_and_path() -> None:
    with Exporting() as exporting:
        said = exporting.ask("GET", "/openapi.json").json()
        assert said["paths"].keys() == {route.path for route in exporting.app.routes}
    statuses = said["paths"]["/v1/events"]["post"]["responses"].keys()
    assert statuses == {"200", "400", "401", "408", "413", "415", "429", "500", "503"}


def test_a_port_that_is_taken() -> None:
    with listen("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(EnvironmentFailed, match=r"Something listens there already; .*--port"):
            listen("127.0.0.1", port)


def test_scores_and_events_of_several_models_stay_apart() -> None:
    with Exporting(settings(), settings("prices", task="regression")) as exporting:
        said = exporting.lines(
            prediction(model="digits"), prediction(model="prices", scores=None, prediction=2.5), prediction()
        ).json()
        assert said["reasons"] == {"unknown_model": 1}
        assert exporting["predictions_total model"] == {"digits": 1, "prices": 1}
