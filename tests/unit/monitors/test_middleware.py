"""Middleware and the watched session: the server answers as before, and what it answered is counted."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pytest
from observing import Watched

from makeweight_monitors.observe.middleware import asgi, exchange, wsgi
from makeweight_monitors.observe.middleware.exchange import Exchange, json_fields
from makeweight_monitors.observe.onnx_session import watch

SCORES = {"outputs": [{"scores": [[0.0, 9.0, 0.0], [9.0, 0.0, 0.0]]}]}
HOOK = json_fields(scores="outputs.0.scores")


def ask_asgi(app: Any, path: str = "/predict", body: bytes = b"{}", headers: Any = ()) -> tuple[int, bytes]:
    """One request by the letter of the specification; status and body."""
    sent: list[dict[str, Any]] = []
    requests = iter([{"type": "http.request", "body": body[:1], "more_body": True},
                     {"type": "http.request", "body": body[1:]}])  # fmt: skip

    async def receive() -> Any:
        return next(requests)

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(app({"type": "http", "path": path, "headers": list(headers)}, receive, send))
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent)


def answering(answer: bytes, status: int = 200) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": answer[:3], "more_body": True})
        await send({"type": "http.response.body", "body": answer[3:]})

    return app


def ask_wsgi(app: Any, path: str = "/predict", body: bytes = b"{}", **environ: Any) -> tuple[str, bytes]:
    began: list[str] = []
    written = io.BytesIO()

    def start_response(status: str, headers: Any, exc_info: Any = None) -> Any:
        began.append(status)
        return written.write

    parts = app({"PATH_INFO": path, "wsgi.input": io.BytesIO(body), **environ}, start_response)
    answer = b"".join(parts)
    close = getattr(parts, "close", None)
    if close:
        close()
    return began[0], written.getvalue() + answer


def test_asgi_answers_are_passed_on_timed_and_recorded() -> None:
    seen = Watched(labels="memory")
    hook = json_fields(scores="outputs.0.scores", id="ids")
    answer = json.dumps({**SCORES, "ids": ["a", "b"]}).encode()
    app = asgi.ObserverMiddleware(answering(answer), seen.observer, hook, paths=["/predict"])
    assert ask_asgi(app) == (200, answer)
    assert ask_asgi(app, "/health") == (200, answer)
    assert seen["predicted_class_total class"] == {"cat": 1, "dog": 1}
    assert seen["latency_seconds_count"] == {"": 2}
    assert 0 < seen["latency_seconds_sum"][""] < 60
    assert seen.observer.label("a", "dog") == "matched"


def test_wsgi_answers_are_passed_on_timed_and_recorded() -> None:
    seen = Watched(labels="memory")
    answer = json.dumps({"class": "owl", "sure": 0.9}).encode()
    closed = []

    class Parts:
        def __iter__(self) -> Iterator[bytes]:
            yield answer

        def close(self) -> None:
            closed.append(True)

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        assert environ["wsgi.input"].read() == b"{}"
        start_response("200 OK", [])
        return Parts()

    hook = json_fields(predictions="class", confidence="sure")
    watched = wsgi.ObserverMiddleware(app, seen.observer, hook, paths=["/predict"])
    assert ask_wsgi(watched, HTTP_X_REQUEST_ID="a") == ("200 OK", answer)
    assert closed == [True]
    assert seen["predicted_class_total class"] == {"owl": 1}
    assert seen["score_bin_total bin"] == {"02": 1}
    assert seen["latency_seconds_count"] == {"": 1}
    assert seen.observer.label("a", "owl") == "matched"


def test_a_wsgi_application_of_the_old_kind_that_writes() -> None:
    seen = Watched()

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])(b'{"class": ')
        return [b'"cat"}']

    watched = wsgi.ObserverMiddleware(app, seen.observer, json_fields(predictions="class"))
    assert ask_wsgi(watched) == ("200 OK", b'{"class": "cat"}')
    assert seen["predicted_class_total class"] == {"cat": 1}


@pytest.mark.parametrize(
    ("body", "status", "rejected"),
    [
        (b"no json", 200, {"bad_shape": 1}),
        (b'{"outputs": []}', 200, {"bad_shape": 1}),
        (b'{"outputs": [{"scores": "high"}]}', 200, {"bad_shape": 1}),
        (b'{"outputs": [{"scores": [NaN, 1, 2]}]}', 200, {"not_finite": 1}),
        (b'{"detail": "no such model"}', 404, {}),
        (b"x" * (exchange.MOST_BYTES + 1), 200, {"bad_shape": 1}),
    ],
    ids=["no JSON", "no such field", "no numbers", "NaN", "an error", "too long"],
)
def test_an_answer_without_a_prediction_is_passed_on_all_the_same(body: bytes, status: int, rejected: Any) -> None:
    seen = Watched()
    assert ask_asgi(asgi.ObserverMiddleware(answering(body, status), seen.observer, HOOK)) == (status, body)

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response(f"{status} said", [])
        return [body]

    assert ask_wsgi(wsgi.ObserverMiddleware(app, seen.observer, HOOK)) == (f"{status} said", body)
    assert seen["rejected_total reason"] == {reason: 2 * count for reason, count in rejected.items()}
    assert seen["predictions_total"] == {}


def test_a_hook_may_look_at_the_request_and_say_that_there_is_no_prediction() -> None:
    seen = Watched(features={"light": [0.5]})

    def hook(found: Exchange) -> Any:
        asked = json.loads(found.request)
        return {"predictions": asked["wanted"], "features": {"light": asked["light"]}} if "wanted" in asked else None

    app = asgi.ObserverMiddleware(answering(b"done"), seen.observer, hook)
    ask_asgi(app, body=b'{"wanted": "cat", "light": 0.9}')
    ask_asgi(app, body=b"{}")
    assert seen["predicted_class_total class"] == {"cat": 1}
    assert seen["feature_bin_total bin"] == {"01": 1}


def test_a_hook_that_calls_things_otherwise_fails_no_request() -> None:
    seen, answer = Watched(), json.dumps(SCORES).encode()
    hook = json_fields(scores="outputs.0.scores", answers="outputs.0.scores")
    assert ask_asgi(asgi.ObserverMiddleware(answering(answer), seen.observer, hook)) == (200, answer)

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        return [answer]

    assert ask_wsgi(wsgi.ObserverMiddleware(app, seen.observer, hook)) == ("200 OK", answer)
    assert seen["rejected_total reason"] == {"bad_shape": 2}
    session = watch(Session(), seen.observer, output="scores", about=lambda _: {"colour": "red"})
    assert len(session.run(None, {"image": 1})) == 2
    assert seen["predictions_total"] == {"": 2}
    assert seen["rejected_total reason"] == {"bad_shape": 3}


def test_an_application_that_fails_fails_as_before() -> None:
    seen = Watched()

    async def failing(scope: Any, receive: Any, send: Any) -> None:
        raise LookupError("theirs")

    def failing_at_once(environ: Any, start_response: Any) -> Iterable[bytes]:
        raise TimeoutError("theirs")

    def failing_late(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        yield b"{"
        raise LookupError("theirs")

    with pytest.raises(LookupError, match="theirs"):
        ask_asgi(asgi.ObserverMiddleware(failing, seen.observer, HOOK))
    for app in (failing_at_once, failing_late):
        with pytest.raises((LookupError, TimeoutError), match="theirs"):
            ask_wsgi(wsgi.ObserverMiddleware(app, seen.observer, HOOK))
    assert seen["rejected_total reason"] == {}
    assert seen["failures_total reason"] == {"exception": 2, "timeout": 1}


def test_every_failing_request_leaves_its_trace() -> None:
    """500 of 1,000 left none."""
    seen = Watched()
    answer = json.dumps(SCORES).encode()
    for number in range(1000):
        status = 503 if number % 2 else 200
        ask_asgi(asgi.ObserverMiddleware(answering(answer, status), seen.observer, HOOK))
    assert seen["failures_total reason"] == {"status": 500}
    assert seen["latency_seconds_count"] == {"": 1000}, "two answers in each that went well"


def test_what_a_client_did_wrong_is_no_failure_of_the_model() -> None:
    seen = Watched()
    for status in (301, 400, 404, 429):
        ask_asgi(asgi.ObserverMiddleware(answering(b"{}", status), seen.observer, HOOK))
    assert seen["failures_total"] == {}


def test_lifespan_and_websockets_pass_untouched() -> None:
    kinds = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        kinds.append(scope["type"])

    watched = asgi.ObserverMiddleware(app, Watched().observer, HOOK)
    for kind in ("lifespan", "websocket"):
        asyncio.run(watched({"type": kind}, None, None))  # type: ignore[arg-type]
    assert kinds == ["lifespan", "websocket"]


class Session:
    """What of ONNX Runtime's session is used; the real one is in tests/integration/monitors."""

    marker = "theirs"

    class Port:
        def __init__(self, name: str) -> None:
            self.name = name

    def get_outputs(self) -> list[Port]:
        return [self.Port("embedding"), self.Port("scores")]

    def run(self, names: Any, feeds: Any, options: Any = None) -> list[Any]:
        if "image" not in feeds:
            raise ValueError("missing input")
        outputs = {"embedding": np.zeros((2, 8)), "scores": np.array(SCORES["outputs"][0]["scores"])}
        return [outputs[name] for name in names or ["embedding", "scores"]]


def test_a_watched_session_answers_as_the_session_does() -> None:
    seen = Watched(features={"light": [0.5]}, labels="memory")

    def about(feeds: Any) -> dict[str, Any]:
        return {"features": {"light": feeds["image"].mean(axis=1)}, "id": ["a", "b"]}

    session = watch(Session(), seen.observer, output="scores", about=about)
    image = np.array([[0.0, 0.2], [0.9, 0.9]])
    assert len(session.run(None, {"image": image})) == 2
    assert session.run(["embedding"], {"image": image})[0].shape == (2, 8)
    assert session.marker == "theirs"
    assert seen["predicted_class_total class"] == {"cat": 1, "dog": 1}
    assert seen["latency_seconds_count"] == {"": 2}
    assert seen["feature_bin_total bin"] == {"00": 1, "01": 1}
    assert seen.observer.label("b", "cat") == "matched"
    with pytest.raises(ValueError, match="missing input"):
        session.run(None, {"picture": image})
    assert seen["failures_total reason"] == {"exception": 2}, "one for each answer of the batch"


def test_a_watched_session_whose_hook_fails_still_counts() -> None:
    seen = Watched()
    session = watch(Session(), seen.observer, output="scores", about=lambda feeds: feeds["nothing"])
    session.run(["scores"], {"image": 1})
    assert seen["predictions_total"] == {"": 2}
    assert seen["rejected_total reason"] == {"bad_shape": 1}
    with pytest.raises(ValueError, match="no output `logits`; it has embedding, scores"):
        watch(Session(), seen.observer, output="logits")
