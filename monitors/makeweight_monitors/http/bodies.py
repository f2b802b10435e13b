"""The body of a request, received within bounds: of its size, of the time it takes, of what all of them hold."""

from __future__ import annotations

import asyncio
import contextlib
import zlib
from collections.abc import AsyncIterator

from starlette.requests import Request

from makeweight_monitors.http.inflight import Inflight
from makeweight_monitors.http.refusal import Refusal

DISCARD = 2.0
"""Seconds for which the rest of a refused body is read away, so that its sender comes to see the answer."""


@contextlib.asynccontextmanager
async def received(request: Request, most: int, seconds: float, inflight: Inflight) -> AsyncIterator[bytes]:
    """The body, which counts as in flight until the block ends.

    Args:
        most: bytes.
        seconds: how long it may take to come.

    Raises:
        Refusal: it is too large (413) or too slow (408), or all of them together hold too much (503).
    """
    declared = request.headers.get("content-length", "")
    size = int(declared) if declared.isdecimal() and len(declared) < 19 else 0
    too_large = Refusal(413, "too_large", f"a body of more than {most:,} bytes; send it in parts")
    busy = Refusal(503, "busy", f"bodies of {inflight.most:,} bytes are being counted; nothing was taken", retry=1)
    if size > most:
        await _discard(request, most)
        raise too_large
    if not inflight.take(size):
        await _discard(request, most)
        raise busy
    held, chunks, length = size, [], 0
    try:
        try:
            async with asyncio.timeout(seconds):
                async for chunk in request.stream():
                    length += len(chunk)
                    if length > most:
                        raise too_large
                    if length > held:  # sent in chunks, without its length
                        if not inflight.take(length - held):
                            raise busy
                        held = length
                    chunks.append(chunk)
        except TimeoutError:
            raise Refusal(408, "slow", f"the body did not come within {seconds:g} s") from None
        yield b"".join(chunks)
    finally:
        inflight.give_back(held)


def unpacked(body: bytes, encoding: str, most: int) -> bytes:
    """A body as it was before it was packed.

    Raises:
        Refusal: it is packed in another way than gzip (415), damaged (400), or too large once unpacked (413).
    """
    if encoding in ("", "identity"):
        return body
    if encoding != "gzip":
        raise Refusal(415, "malformed", f"content-encoding `{encoding[:40]}`; gzip or none is understood")
    unpacker = zlib.decompressobj(wbits=31)
    try:
        plain = unpacker.decompress(body, most + 1)
    except zlib.error as error:
        raise Refusal(400, "malformed", f"the body is no gzip: {error}") from error
    if len(plain) > most:
        raise Refusal(413, "too_large", f"more than {most:,} bytes once unpacked; send it in parts")
    if not unpacker.eof or unpacker.unused_data:
        raise Refusal(400, "malformed", "the body is no whole gzip")
    return plain


async def _discard(request: Request, most: int) -> None:
    """Read away what a sender is sending already; one that asks first (100-continue) is answered instead."""
    if request.headers.get("expect"):
        return
    length = 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DISCARD):
            async for chunk in request.stream():
                length += len(chunk)
                if length > 4 * most:
                    return
