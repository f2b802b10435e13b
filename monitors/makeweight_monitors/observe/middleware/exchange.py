"""One request and its answer, and how predictions are found in them."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from makeweight_monitors.observe import failure
from makeweight_monitors.observe.failure import Failure
from makeweight_monitors.observe.observer import Observer

App = TypeVar("App")
MOST_BYTES = 1 << 20
"""Of a body that is kept for the hook; predictions in longer ones are refused and counted."""


@dataclass
class Exchange:
    """What a hook looks at."""

    path: str
    request_headers: Mapping[str, str]
    """By name in lower case."""
    status: int = 0
    request: bytes = b""
    """As far as the application read it."""
    response: bytes = b""
    seconds: float = 0.0
    """From the request to the last of the answer."""
    too_long: bool = field(default=False, repr=False)

    def keep(self, which: str, more: bytes) -> None:
        """Add to a body, `request` or `response`, up to the limit."""
        before = getattr(self, which)
        if len(before) + len(more) > MOST_BYTES:
            self.too_long = True
        else:
            setattr(self, which, before + more)


Extract = Callable[[Exchange], Mapping[str, Any] | None]
"""From a request and its answer to what `Observer.record` is called with (`latency` apart); None: no prediction."""


def json_fields(*, id_header: str | None = "x-request-id", **fields: str) -> Extract:
    """A hook for answers in JSON.

    Args:
        id_header: the request's header with an id by which the label will come, unless `id` is a field.
        fields: where in the answer the arguments of `Observer.record` lie, each a path: `scores="outputs.0.data"`.
    """

    def extract(exchange: Exchange) -> Mapping[str, Any] | None:
        answer = json.loads(exchange.response)
        arguments = {name: _at(answer, path) for name, path in fields.items()}
        if id_header is not None and "id" not in arguments:
            arguments["id"] = exchange.request_headers.get(id_header)
        return arguments

    return extract


class Middleware(Generic[App]):
    """Times each request to an application and records the predictions that a hook finds in its answer.

    Args:
        extract: the hook, such as `json_fields(scores="scores")`.
        paths: those that predict; None: all.
    """

    def __init__(self, app: App, observer: Observer, extract: Extract, paths: Collection[str] | None = None) -> None:
        self._app = app
        self._observer = observer
        self._extract = extract
        self._paths = None if paths is None else frozenset(paths)

    def watches(self, path: str) -> bool:
        return self._paths is None or path in self._paths

    def done(self, exchange: Exchange) -> None:
        """Record an answer; a hook that fails is counted, and the server goes on. What the client did wrong (4xx) is no
        answer of the model's.
        """
        if exchange.status >= 500:
            self._observer.record(Failure("status"))
        if not 200 <= exchange.status < 300:
            return
        if exchange.too_long:
            self._refused(f"a body of more than {MOST_BYTES} bytes at {exchange.path}")
            return
        try:
            arguments = self._extract(exchange)
            if arguments is not None:
                self._observer.record(**{"latency": exchange.seconds, **arguments})
        except Exception as error:  # noqa: BLE001 - the hook is not ours, nor what it calls things
            self._refused(f"no prediction found in an answer of {exchange.path}: {error!r}")

    def raised(self, error: Exception) -> None:
        """Count a request that the application ended with an exception."""
        self._observer.record(failure.of(error))

    def _refused(self, what: str) -> None:
        self._observer.refused(None, "bad_shape", 1, what)


def _at(value: Any, path: str) -> Any:
    for part in path.split("."):
        value = value[int(part)] if isinstance(value, list) else value[part]
    return value
