"""A small GitLab with a memory, for tests: the notes on merge requests, and ways to fail.

What it takes and refuses follows docs.gitlab.com, "Notes API" and "REST API authentication".
"""

from __future__ import annotations

import json
import re
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

_NOTES = re.compile(r"/api/v4/projects/(?P<project>[^/]+)/merge_requests/(?P<number>\d+)/notes(?:/(?P<note>\d+))?")
_COMMAND = re.compile(r"^/\w+", re.MULTILINE)


@dataclass
class Gitlab:
    """One project, and one token of it."""

    project: str = "acme/models/digits"
    token: str = field(default_factory=lambda: secrets.token_hex(10))
    user: int = 42
    notes: list[dict[str, Any]] = field(default_factory=list)
    """As the API shows them, with the number of their merge request as `number`."""
    commands: list[str] = field(default_factory=list)
    """Quick actions that were carried out."""
    scope: str = "api"
    calls: list[tuple[str, str]] = field(default_factory=list)
    url: str = ""

    def note(self, number: int, user: int, body: str) -> dict[str, Any]:
        """Somebody writes a note; its quick actions are carried out, and no part of it any more."""
        self.commands += _COMMAND.findall(body)
        made = {
            "id": 100 + len(self.calls) + len(self.notes),
            "number": number,
            "author": {"id": user},
            "system": False,
        }
        self.notes.append({**made, "body": _COMMAND.sub("", body).strip()})
        return self.notes[-1]

    def answer(self, method: str, path: str, query: dict[str, str], body: Any, token: str | None) -> tuple[int, Any]:
        """Status and content."""
        if token != self.token:
            return 401, {"message": "401 Unauthorized"}
        if (method, path) == ("GET", "/api/v4/user"):
            return 200, {"id": self.user, "username": "project_1_bot"}
        found = _NOTES.fullmatch(path)
        if found is None or unquote(found["project"]) != self.project:
            return 404, {"message": "404 Project Not Found"}
        own = [each for each in self.notes if each["number"] == int(found["number"])]
        if method == "GET" and not found["note"]:
            size, page = int(query.get("per_page", "20")), int(query.get("page", "1"))
            return 200, own[(page - 1) * size : page * size]
        if self.scope != "api":
            return 403, {"message": "403 Forbidden"}
        if method == "POST" and not found["note"]:
            return 201, self.note(int(found["number"]), self.user, body["body"])
        one = next((each for each in own if str(each["id"]) == found["note"]), None)
        if one is None:
            return 404, {"message": "404 Not Found"}
        if method == "PUT":
            one["body"] = body["body"]
            return 200, one
        if method == "DELETE":
            self.notes.remove(one)
            return 204, None
        return 405, {"error": "405 Not Allowed"}


@contextmanager
def running(gitlab: Gitlab) -> Iterator[Gitlab]:
    """The server on loopback, at `gitlab.url`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def serve(self) -> None:
            asked = urlsplit(self.path)
            sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            query = {key: values[-1] for key, values in parse_qs(asked.query).items()}
            token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
            gitlab.calls.append((self.command, asked.path))
            status, content = gitlab.answer(
                self.command, asked.path, query, json.loads(sent) if sent else None, token or None
            )
            written = b"" if content is None else json.dumps(content).encode()
            self.send_response(status)
            size, page = int(query.get("per_page", "20")), int(query.get("page", "1"))
            if isinstance(content, list) and len(content) == size:
                following = f"{gitlab.url}{asked.path.removeprefix('/api/v4')}?per_page={size}&page={page + 1}"
                self.send_header("Link", f'<{following}>; rel="next"')
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(written)))
            self.end_headers()
            self.wfile.write(written)

        do_GET = do_POST = do_PUT = do_DELETE = serve  # noqa: N815 - as http.server calls them

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: a test reads `calls`."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    gitlab.url = f"http://127.0.0.1:{http.server_address[1]}/api/v4"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield gitlab
    finally:
        http.shutdown()
        http.server_close()
        thread.join(10)
