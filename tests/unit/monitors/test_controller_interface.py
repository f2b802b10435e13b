"""What the controller says of its interface, held against it, by requests that are made from what it says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from served_controller import SECRET, TOKEN, Served

from makeweight_monitors.rollback import openapi, signing
from makeweight_monitors.rollback.running import MOST_BODY

EXAMPLES = 7
MODES = ("positive", "negative")
POSTED = {"/v1/alertmanager": TOKEN, "/api/v2/alerts": TOKEN, "/v1/orders": None}
NO_TOKEN = [{}, {"authorization": "Bearer open"}, {signing.SIGNATURE: "v1=" + "0" * 64}]


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    served = Served(tmp_path_factory.mktemp("controller"))
    yield served
    served.running.close()


@pytest.fixture(scope="module")
def described(one: Served) -> Any:
    import schemathesis

    return schemathesis.openapi.from_dict(one.ask("GET", "/openapi.json").json())


def test_the_description_is_openapi_and_has_every_path(one: Served) -> None:
    answer = one.ask("GET", "/openapi.json", headers={})
    assert (answer.status, answer.json()) == (200, openapi.description(MOST_BODY))
    for schema in answer.json()["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
    routes = {route.path: set(route.methods or ()) - {"HEAD"} for route in one.app.routes}
    assert routes == {path: {verb.upper() for verb in verbs} for path, verbs in answer.json()["paths"].items()}


def raw(body: Any) -> bytes:
    import schemathesis

    if isinstance(body, bytes):
        return body
    return b"" if isinstance(body, schemathesis.core.NotSet) else json.dumps(body, default=str).encode()


@pytest.mark.parametrize("sent", MODES)
@pytest.mark.parametrize(("path", "token"), POSTED.items(), ids=POSTED)
def test_what_is_sent_is_answered_as_described_and_does_nothing_without_a_token(
    one: Served, described: Any, path: str, token: dict[str, str] | None, sent: str
) -> None:
    import schemathesis
    from schemathesis import GenerationMode

    mode = GenerationMode(sent)
    assert {each.value for each in GenerationMode} == {*MODES}
    operation = described[path]["POST"]
    components, answers = openapi.description(1)["components"], operation.definition.raw["responses"]
    statuses: set[int] = set()

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        deadline=None,
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: schemathesis.Case) -> None:
        body, before = raw(case.body), (one.epoch, one.journal.hold())
        for headers in NO_TOKEN:
            assert one.ask("POST", path, body, headers).status == 401
        assert (one.epoch, one.journal.hold()) == before
        answer = one.ask("POST", path, body, token or signing.headers(SECRET, "POST", path, body))
        statuses.add(answer.status)
        assert answer.status < 500, answer.body
        schema = answers[str(answer.status)]["content"]["application/json"]["schema"]
        jsonschema.Draft202012Validator({**schema, "components": components}).validate(answer.json())

    ask()
    if mode is GenerationMode.POSITIVE:
        assert 200 in statuses
    else:
        assert statuses & {400, 422}
