"""The controller's HTTP interface: alerts and orders in, its own health out."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from makeweight_base.errors import MakeweightError
from makeweight_monitors.http.bodies import received
from makeweight_monitors.http.refusal import Refusal, let_in
from makeweight_monitors.http.scraping import scraped
from makeweight_monitors.rollback import alerts, openapi, orders, signing
from makeweight_monitors.rollback.alerts import Sent
from makeweight_monitors.rollback.running import MOST_BODY, Running

_log = logging.getLogger("makeweight_monitors")
JSON = "application/json"
_SECONDS = 10.0
"""Within which a body has to come."""
Answered = Callable[[Request], Awaitable[dict[str, Any]]]


def build(running: Running) -> Starlette:
    """The application."""

    async def webhook(request: Request) -> dict[str, Any]:
        let_in(request, running.bearer, "send alerts")
        body = await _body(running, request)
        sent = _read(alerts.of_webhook, body)
        refused = [running.declared.refused(one) for one in sent]
        # somebody routed these here: what is not ours is a mistake of theirs
        strange = [why for one, why in zip(sent, refused, strict=True) if why and not one.resolved]
        if strange and all(refused):
            raise Refusal(422, "unknown", f"no alert that asks for a rollback of what is declared here: {strange[0]}")
        told = await _told(running, sent)
        if await asyncio.get_running_loop().run_in_executor(running.worker, running.strange, sent):
            raise Refusal(422, "unknown", "a rollback is asked for of a file (`sha256`) that never was on trial here")
        return told

    async def prometheus(request: Request) -> dict[str, Any]:
        let_in(request, running.bearer, "send alerts")
        return await _told(running, _read(alerts.of_prometheus, await _body(running, request)))

    async def order(request: Request) -> dict[str, Any]:
        if running.secret is None:
            raise Refusal(401, "unauthorized", "this controller has no secret, and so takes no orders")
        body = await _body(running, request)
        nonce = _signed(running.secret, request, body)
        what, who, reason = orders.read(body)
        loop = asyncio.get_running_loop()
        came = await loop.run_in_executor(running.worker, running.controller.order, what, who, reason, nonce)
        if came is None:
            raise Refusal(401, "unauthorized", "this very order came before")
        return {"sentence": came}

    async def status(request: Request) -> dict[str, Any]:
        if running.secret is not None and signing.SIGNATURE in request.headers:
            _signed(running.secret, request, b"")
        else:
            let_in(request, running.bearer, "read the status")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(None, running.controller.status)

    async def scrape(request: Request) -> Response:
        return await scraped(request, running.metrics_bearer, running, None)

    description = orjson.dumps(openapi.description(MOST_BODY), option=orjson.OPT_INDENT_2)

    async def described(_: Request) -> Response:
        return Response(description, media_type=JSON)

    async def healthy(_: Request) -> Response:
        return Response("healthy\n", media_type="text/plain")

    async def ready(_: Request) -> Response:
        why = running.not_ready()
        return Response(f"{why or 'ready'}\n", 503 if why else 200, media_type="text/plain")

    def route(path: str, endpoint: str, answer: Answered, method: str = "POST") -> Route:
        async def taken(request: Request) -> Response:
            return await _taken(running, request, endpoint, answer)

        return Route(path, taken, methods=[method])

    return Starlette(
        routes=[
            route("/v1/alertmanager", "alertmanager", webhook),
            route("/api/v2/alerts", "prometheus", prometheus),
            route("/v1/orders", "orders", order),
            route("/v1/status", "status", status, "GET"),
            Route("/metrics", scrape, methods=["GET"]),
            Route("/healthz", healthy, methods=["GET"]),
            Route("/readyz", ready, methods=["GET"]),
            Route("/openapi.json", described, methods=["GET"]),
        ]
    )


async def _taken(running: Running, request: Request, endpoint: str, answer: Answered) -> Response:
    """One request, answered; whatever becomes of it is counted, and stands in the audit log if it was refused."""
    try:
        content = await answer(request)
    except Refusal as refusal:
        running.requests[endpoint, refusal.outcome] += 1
        sender = request.client.host if request.client else ""
        try:
            loop = asyncio.get_running_loop()
            noted = (endpoint, refusal.status, refusal.what, sender)
            await loop.run_in_executor(running.worker, running.refusals.note, *noted)
        except MakeweightError as error:
            _log.error("%s", error)
        return refusal.answer()
    except ClientDisconnect:
        running.requests[endpoint, "malformed"] += 1
        return Response(status_code=400)  # nobody is there to read it
    except MakeweightError as error:
        running.requests[endpoint, "failed"] += 1
        return Refusal(503, "failed", str(error), retry=1).answer()
    except Exception:  # noqa: BLE001 - one request must not stop the others
        running.requests[endpoint, "failed"] += 1
        _log.exception("a request could not be answered")
        return Refusal(503, "failed", "the controller itself failed; its log says more", retry=1).answer()
    running.requests[endpoint, "taken"] += 1
    return Response(orjson.dumps(content), media_type=JSON)


async def _told(running: Running, sent: list[Sent]) -> dict[str, Any]:
    """Alerts that were read: a look if any is a reason for one. Until it has been, they are not taken."""
    ignored: dict[str, int] = {}
    for one in sent:
        if why := running.declared.refused(one):
            ignored[why] = ignored.get(why, 0) + 1
    looked = sum(ignored.values()) < len(sent)
    if looked:
        loop = asyncio.get_running_loop()
        health = await loop.run_in_executor(running.worker, running.look, time.monotonic())
        if health.trouble or health.blind:
            # 5xx: Alertmanager tries again at once; after 4xx it would wait for its next interval
            raise Refusal(503, "failed", f"could not look now: {health.trouble or health.blind}", retry=1)
    return {"looked": looked, "ignored": ignored}


def _read(read: Callable[[bytes], list[Sent]], body: bytes) -> list[Sent]:
    try:
        return read(body)
    except alerts.Unreadable as error:
        raise Refusal(400, "malformed", str(error)) from error
    except alerts.NoAlerts as error:
        raise Refusal(422, "malformed", str(error)) from error


async def _body(running: Running, request: Request) -> bytes:
    async with received(request, MOST_BODY, _SECONDS, running.inflight) as body:
        return body


def _signed(secret: bytes, request: Request, body: bytes) -> tuple[str, float]:
    """The nonce. Refusal: it is not signed, or not well."""
    try:
        return signing.checked(secret, request.headers, request.method, request.url.path, body, time.time())
    except signing.Forged as error:
        raise Refusal(401, "unauthorized", f"the request is refused: {error}") from error
