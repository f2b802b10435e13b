"""What a Prometheus reads, in the format that it asks for."""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor

from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

from makeweight_monitors.http.bearer import Bearer
from makeweight_monitors.http.refusal import Refusal, let_in


async def scraped(request: Request, bearer: Bearer | None, collector: Collector, reader: Executor | None) -> Response:
    """All metrics of a collector.

    Args:
        reader: where they are collected; None: in any thread of the event loop's own.
    """
    try:
        let_in(request, bearer, "read metrics")
    except Refusal as refusal:
        return refusal.answer()
    encode, kind = choose_encoder(request.headers.get("accept", ""))
    page = await asyncio.get_running_loop().run_in_executor(reader, encode, collector)
    return Response(page, headers={"content-type": kind})
