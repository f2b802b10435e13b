"""The exporter's HTTP interface: events in, metrics out."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Mapping
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from makeweight_monitors.exporter import openapi
from makeweight_monitors.exporter.cloudevents import BATCH, STRUCTURED
from makeweight_monitors.exporter.counting import Outcome
from makeweight_monitors.exporter.events import of_json, of_lines
from makeweight_monitors.exporter.running import Running
from makeweight_monitors.http.bodies import received, unpacked
from makeweight_monitors.http.refusal import Refusal, let_in
from makeweight_monitors.http.scraping import scraped

_log = logging.getLogger("makeweight_monitors")
JSON = "application/json"
LINES = ("application/x-ndjson", "application/ndjson", "application/jsonl")
Job = Callable[[bytes], Outcome]


def build(exporter: Running) -> Starlette:
    """The application."""

    async def events(request: Request) -> Response:
        return await _taken(exporter, request, "events", lambda: _of_events(exporter, request))

    async def cloudevents(request: Request) -> Response:
        return await _taken(exporter, request, "cloudevents", lambda: _of_cloudevents(exporter, request))

    async def scrape(request: Request) -> Response:
        return await scraped(request, exporter.metrics_bearer, exporter.models, exporter.reader)

    async def healthy(_: Request) -> Response:
        return Response("healthy\n", media_type="text/plain")

    async def ready(_: Request) -> Response:
        if exporter.ready:
            return Response("ready\n", media_type="text/plain")
        return Response("stopping\n", 503, media_type="text/plain")

    description = orjson.dumps(openapi.description(exporter.bounds.body), option=orjson.OPT_INDENT_2)

    async def described(_: Request) -> Response:
        return Response(description, media_type=JSON)

    return Starlette(
        routes=[
            Route("/v1/events", events, methods=["POST"]),
            Route("/v1/cloudevents", cloudevents, methods=["POST"]),
            Route("/metrics", scrape, methods=["GET"]),
            Route("/-/healthy", healthy, methods=["GET"]),
            Route("/-/ready", ready, methods=["GET"]),
            Route("/openapi.json", described, methods=["GET"]),
        ]
    )


async def _taken(exporter: Running, request: Request, endpoint: str, job: Callable[[], Job]) -> Response:
    """Take a body in and count it; whatever becomes of it is counted as well."""
    try:
        outcome = await _counted(exporter, request, job)
    except Refusal as refusal:
        exporter.figures.request(endpoint, refusal.outcome)
        return refusal.answer()
    except ClientDisconnect:
        exporter.figures.request(endpoint, "malformed")
        return Response(status_code=400)  # nobody is there to read it
    except Exception:  # noqa: BLE001 - one body must not stop the others
        exporter.figures.request(endpoint, "failed")
        _log.exception("a body could not be counted")
        return Refusal(500, "failed", "the exporter itself failed; its log says more").answer()
    exporter.figures.request(endpoint, "counted")
    return Response(orjson.dumps(outcome.data()), media_type=JSON)


async def _counted(exporter: Running, request: Request, job: Callable[[], Job]) -> Outcome:
    let_in(request, exporter.bearer, "send events")
    wait = exporter.rate.take()
    if wait:
        what = f"more than {exporter.bounds.requests:g} requests a second; send more events in each"
        raise Refusal(429, "too_many", what, retry=math.ceil(wait))
    count = job()
    most = exporter.bounds.body
    encoding = request.headers.get("content-encoding", "").strip().lower()
    async with received(request, most, exporter.bounds.seconds, exporter.inflight) as body:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(exporter.worker, lambda: count(unpacked(body, encoding, most)))


def _of_events(exporter: Running, request: Request) -> Job:
    kind = _content_type(request)
    if kind in LINES:
        return lambda body: exporter.counting.body(body, "http", of_lines)
    if kind == JSON:
        return lambda body: _whole(lambda: exporter.counting.body(body, "http", of_json))
    raise Refusal(415, "malformed", f"content-type `{kind[:80]}`; {JSON} or {LINES[0]} is understood")


def _of_cloudevents(exporter: Running, request: Request) -> Job:
    kind = _content_type(request)
    if kind in (STRUCTURED, BATCH):
        return lambda body: _whole(lambda: exporter.payloads.structured(body))
    if "ce-type" not in request.headers:
        what = f"neither a header `ce-type` (binary mode) nor content-type {STRUCTURED}"
        raise Refusal(415, "malformed", what)
    attributes = _attributes(request.headers)
    return lambda body: _whole(lambda: exporter.payloads.binary(attributes, body))


def _whole(count: Callable[[], Outcome]) -> Outcome:
    try:
        return count()
    except ValueError as error:
        raise Refusal(400, "malformed", f"the body cannot be read: {error}") from error


def _attributes(headers: Mapping[str, str]) -> dict[str, Any]:
    return {name[3:].lower(): value for name, value in headers.items() if name.lower().startswith("ce-")}


def _content_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()
