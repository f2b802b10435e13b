"""A GitHub on loopback that knows nothing, takes everything and counts: our work is timed then, and no network."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOKEN = "opens-nothing"  # noqa: S105 - as it says


@dataclass
class SilentGithub:
    url: str
    requests: int = 0
    pull: dict[str, object] = field(default_factory=dict)
    """The one pull request, as it stands."""


@contextmanager
def listening() -> Iterator[SilentGithub]:
    """Answers until the block ends."""
    github = SilentGithub("")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # an answer is two small pieces, the second of which would wait for the other side's acknowledgement
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            one = "/pulls/" in self.path and self.path.rpartition("/")[2].isdecimal()
            self._answer(200, {"login": "somebody"} if self.path == "/user" else github.pull if one else [])

        def do_POST(self) -> None:
            self._answer(201, {"id": 1})

        def do_PATCH(self) -> None:
            self._answer(200, {"id": 1})

        def _answer(self, status: int, answer: object) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            github.requests += 1
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *values: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    github.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield github
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
