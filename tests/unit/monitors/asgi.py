"""An application asked without a server around it, by the letter of the ASGI specification."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def ask(
    app: Any, method: str, path: str, chunks: Iterable[bytes] = (b"",), headers: Mapping[str, str] | None = None
) -> Answer:
    """One request."""
    return asyncio.run(asked(app, method, path, chunks, headers))


async def asked(
    app: Any, method: str, path: str, chunks: Iterable[bytes] = (b"",), headers: Mapping[str, str] | None = None
) -> Answer:
    parts = list(chunks)
    messages = [
        {"type": "http.request", "body": part, "more_body": number < len(parts)} for number, part in enumerate(parts, 1)
    ]
    waiting = iter(messages)
    sent: list[Any] = []

    async def receive() -> Any:
        for message in waiting:
            return message
        await asyncio.sleep(3600)
        return None

    async def send(message: Any) -> None:
        sent.append(message)

    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in (headers or {}).items()]
    scope = {
        "type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b"",
        "headers": raw, "http_version": "1.1", "scheme": "http", "server": ("127.0.0.1", 1),
        "client": ("127.0.0.1", 2), "root_path": "", "asgi": {"version": "3.0"},
    }  # fmt: skip
    await app(scope, receive, send)
    told = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return Answer(sent[0]["status"], told, b"".join(one.get("body", b"") for one in sent[1:]))
