"""A registry with a memory, as far as a push asks it (OCI distribution spec 1.1), that goes wrong where told to."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

Answer = tuple[int, bytes, dict[str, str]]
"""Status, body and headers."""
DROP = 0
"""The connection ends when half of a body has come."""


class SmallRegistry:
    """What it holds, what it was asked, and what it does next."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, bytes] = {}
        """By tag and by digest."""
        self.calls: list[tuple[str, str, str]] = []
        """Method, path and `Authorization`."""
        self.forms: list[dict[str, list[str]]] = []
        """What was posted to the server of tokens."""
        self.fails: list[tuple[str, str, int, str]] = []
        """Method, part of a path, status and body of answers that are still to come."""
        self.retry_after = "no number"
        """What those ask for."""
        self.password: str | None = None
        """Of `robot`, who alone may come in where it is set."""
        self.challenge = "bearer"
        self.token = 0
        self.uploads = ""
        """Where to upload to; "": here."""
        self.url = ""

    def count(self, method: str, part: str = "") -> int:
        return sum(1 for asked, path, _ in self.calls if asked == method and part in path)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    registry: SmallRegistry

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self._respond()

    def do_HEAD(self) -> None:
        self._respond()

    def do_POST(self) -> None:
        self._respond()

    def do_PUT(self) -> None:
        self._respond()

    def _respond(self) -> None:
        status, body, headers = self._answer()
        if status == DROP:
            self.close_connection = True
            return
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _answer(self) -> Answer:
        held, there = self.registry, urlsplit(self.path)
        who = self.headers.get("Authorization", "")
        held.calls.append((self.command, there.path, who))
        length = int(self.headers.get("Content-Length") or 0)
        for index, (method, part, status, said) in enumerate(held.fails):
            if method == self.command and part in there.path:
                del held.fails[index]
                self.rfile.read(length // 2 if status == DROP else length)
                return status, said.encode(), {"Retry-After": held.retry_after}
        body = self.rfile.read(length)
        if there.path == "/token":
            return self._token(body, who)
        if held.password is not None and who != self._welcome():
            bearer = f'Bearer realm="{held.url}/token",service="small",scope="repository:x:pull"'
            challenge = bearer if held.challenge == "bearer" else "Basic realm=x"
            return 401, b"", {"WWW-Authenticate": challenge}
        _, kind, name = there.path.rsplit("/", 2)
        if kind == "manifests":
            return self._manifest(name, body)
        if self.command == "HEAD":
            return 200 if name in held.blobs else 404, b"", {}
        if self.command == "POST":
            return 202, b"", {"Location": held.uploads or f"{there.path}one?state=a"}
        asked, digest = parse_qs(there.query), f"sha256:{hashlib.sha256(body).hexdigest()}"
        if asked != {"state": ["a"], "digest": [digest]}:
            return 400, b'{"errors": [{"code": "DIGEST_INVALID"}]}', {}
        held.blobs[digest] = body
        return 201, b"", {}

    def _manifest(self, name: str, body: bytes) -> Answer:
        held = self.registry
        if self.command == "GET":
            return (200, held.manifests[name], {}) if name in held.manifests else (404, b"", {})
        told = json.loads(body)
        if any(each["digest"] not in held.blobs for each in [told["config"], *told["layers"]]):
            return 404, b'{"errors": [{"code": "MANIFEST_BLOB_UNKNOWN"}]}', {}
        held.manifests[name] = held.manifests[f"sha256:{hashlib.sha256(body).hexdigest()}"] = body
        return 201, b"", {}

    def _basic(self) -> str:
        return "Basic " + base64.b64encode(f"robot:{self.registry.password}".encode()).decode()

    def _welcome(self) -> str:
        return self._basic() if self.registry.challenge == "basic" else f"Bearer token-{self.registry.token}"

    def _token(self, body: bytes, who: str) -> Answer:
        held = self.registry
        form = parse_qs(body.decode() if self.command == "POST" else urlsplit(self.path).query)
        held.forms.append(form)
        if who != self._basic() and form.get("refresh_token") != [held.password]:
            return 401, json.dumps({"errors": [{"message": f"no, {held.password}"}]}).encode(), {}
        held.token += 1
        return 200, json.dumps({"token": f"token-{held.token}"}).encode(), {}


@contextmanager
def running() -> Iterator[SmallRegistry]:
    registry = SmallRegistry()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"registry": registry}))
    server.daemon_threads = True
    registry.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield registry
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
