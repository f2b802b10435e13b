"""A small GitHub with a memory, for tests: comments, checks, issues, labels, pull requests, and ways to fail.

What it takes and refuses follows GitHub's own description of its API; `test_openapi.py` holds our requests against that
description itself, which has no memory.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, ClassVar
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from requests.structures import CaseInsensitiveDict

ACTIONS = "github-actions[bot]"
_NOT_ACCESSIBLE = "Resource not accessible by integration"
_BODY_LIMIT = 65_536
_SUMMARY_LIMIT = 65_535


@dataclass
class Failure:
    """One way in which requests go wrong, so many times."""

    status: int
    times: int
    method: str
    path: str
    message: str
    headers: dict[str, str]
    carried_out: bool
    """Whether the request takes effect although its answer is an error."""


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, str]
    body: Any
    headers: CaseInsensitiveDict[str]


class Answer(Exception):
    """Ends a request early."""

    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers or {}


DROP = 0
"""As the status of a failure: the connection is closed without an answer."""
HANG = -1
"""As the status of a failure: nothing is answered as long as the server runs."""


@dataclass
class Server:
    """`with Server() as github:` listens on loopback at `github.url`, until the block ends."""

    repository: str = "acme/model"
    token: str = field(default_factory=lambda: secrets.token_hex(20))
    login: str = ACTIONS
    """Whose token it is; one that ends in [bot] is an installation's, which may not ask for /user."""
    comments: list[dict[str, Any]] = field(default_factory=list)
    """As the API shows them, with the number of their issue as `number`."""
    checks: list[dict[str, Any]] = field(default_factory=list)
    """As the API shows them, with all annotations in `output.annotations`."""
    issues: list[dict[str, Any]] = field(default_factory=list)
    pulls: dict[int, dict[str, Any]] = field(default_factory=dict)
    labels: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    events: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    permissions: dict[str, str] = field(default_factory=dict)
    """By login: admin, write, read or none."""
    branches: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """By name: commits, the latest first, each with its `sha` and all `files` by their paths."""
    rules: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Those of rulesets, by branch, as the API shows them."""
    deployments: list[dict[str, Any]] = field(default_factory=list)
    """As the API shows them, with their statuses, the latest first, as `statuses`."""
    requests: list[Request] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.url = ""
        self._denied: set[str] = set()
        self._failures: list[Failure] = []
        self._lock = threading.RLock()
        self._over = threading.Event()
        self._next_id = 1000

    def __enter__(self) -> Server:
        handler = type("Handler", (_Handler,), {"github": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join(10)

    # --- what a test sets up ---

    def deny(self, permission: str) -> None:
        """The token lacks this, such as `pull-requests: write`; `write` stands for all that writes, as for a fork."""
        self._denied.add(permission)

    def allow(self) -> None:
        """The token may do everything again."""
        self._denied.clear()

    def fail_with(
        self,
        status: int,
        *,
        times: int = 1,
        method: str = "",
        path: str = "",
        message: str = "made to fail",
        headers: dict[str, str] | None = None,
        carried_out: bool = False,
    ) -> None:
        """Let the next requests of this method, to a path in which this pattern is found, fail so many times.

        `status` may be DROP or HANG too.
        """
        self._failures.append(Failure(status, times, method, path, message, headers or {}, carried_out))

    def limit_rate(self, *, times: int = 1, after: int | None = None) -> None:
        """The secondary rate limit, with or without the seconds to wait."""
        headers = {} if after is None else {"Retry-After": str(after)}
        self.fail_with(403, times=times, message="You have exceeded a secondary rate limit.", headers=headers)

    def pull(
        self,
        number: int,
        head: str,
        base: str = "b" * 40,
        *,
        head_repository: str | None = "",
        base_ref: str = "main",
        state: str = "open",
        updated: str = "2026-01-01T00:00:00Z",
    ) -> dict[str, Any]:
        """A pull request; of this repository unless `head_repository` names another, or None for one that is gone."""
        origin = self.repository if head_repository == "" else head_repository
        made = {
            "number": number,
            "state": state,
            "updated_at": updated,
            "head": {"sha": head, "ref": "change", "repo": None if origin is None else {"full_name": origin}},
            "base": {"sha": base, "ref": base_ref, "repo": {"full_name": self.repository}},
        }
        self.pulls[number] = made
        return made

    def commit(self, files: dict[str, str], branch: str = "main") -> str:
        """Somebody commits files to a branch; the commit."""
        there = self.branches.setdefault(branch, [])
        there.insert(0, {"sha": f"{self._id():040x}", "files": {**(there[0]["files"] if there else {}), **files}})
        return str(there[0]["sha"])

    def deploy(self, environment: str, ref: str, sha: str) -> dict[str, Any]:
        """Somebody deploys."""
        made = {"id": self._id(), "environment": environment, "ref": ref, "sha": sha, "statuses": []}
        self.deployments.insert(0, made)
        return made

    def label(self, number: int, name: str, by: str, description: str = "") -> None:
        """Somebody sets a label on a pull request."""
        self.unlabel(number, name, by)
        self.labels.setdefault(number, []).append({"name": name, "description": description or None})
        self._event(number, "labeled", name, by)

    def unlabel(self, number: int, name: str, by: str) -> None:
        there = self.labels.get(number, [])
        kept = [each for each in there if each["name"] != name]
        if len(kept) < len(there):
            self.labels[number] = kept
            self._event(number, "unlabeled", name, by)

    def comment(self, number: int, login: str, body: str) -> dict[str, Any]:
        """Somebody comments."""
        with self._lock:
            made = {"id": self._id(), "number": number, "user": {"login": login}, "body": body}
            self.comments.append(made)
            return made

    def check(self, name: str, head: str, *, external_id: str, status: str = "in_progress") -> dict[str, Any]:
        """A check that is there already."""
        return self._made_check({"name": name, "head_sha": head, "external_id": external_id, "status": status})

    def calls(self, method: str, path: str = "") -> list[Request]:
        """The requests so far of this method, to a path in which this pattern is found."""
        return [each for each in self.requests if each.method == method and re.search(path, each.path)]

    # --- what it answers ---

    def answer(self, request: Request) -> tuple[int, Any, dict[str, str]]:
        """Status, content and headers; raises Answer for what is refused."""
        with self._lock:
            self.requests.append(request)
            failing = self._failing(request)
        if failing is not None and failing.status == HANG:
            self._over.wait(60)
        if failing is not None and not failing.carried_out:
            raise Answer(failing.status, failing.message, failing.headers)
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            raise Answer(401, "Bad credentials")
        with self._lock:
            found = self._route(request)
        if failing is not None:
            raise Answer(failing.status, failing.message, failing.headers)
        return found

    def _failing(self, request: Request) -> Failure | None:
        for failure in self._failures:
            if failure.times > 0 and failure.method in ("", request.method) and re.search(failure.path, request.path):
                failure.times -= 1
                return failure
        return None

    def _route(self, request: Request) -> tuple[int, Any, dict[str, str]]:
        if request.path == "/user" and request.method == "GET":
            if self.login.endswith("[bot]"):
                raise Answer(403, _NOT_ACCESSIBLE)
            return 200, {"login": self.login}, {}
        if request.path == "/graphql" and request.method == "POST":
            return 200, {"data": {"viewer": {"login": self.login}}}, {}
        prefix = f"/repos/{self.repository}"
        for method, pattern, needs, handle in _ROUTES:
            found = re.fullmatch(prefix + pattern, request.path)
            if method == request.method and found:
                self._permit(needs, request)
                return handle(self, request, *(unquote(each) for each in found.groups()))
        raise Answer(404, "Not Found")

    def _permit(self, needs: tuple[str, ...], request: Request) -> None:
        """`needs`: GitHub takes any of them; here a token that lacks one lacks the others too."""
        writes = needs[0].endswith("write")
        if needs == ("",):
            return
        if (writes and "write" in self._denied) or any(each in self._denied for each in needs):
            raise Answer(403, _NOT_ACCESSIBLE)

    def _page(self, request: Request, listed: list[dict[str, Any]], wrap: str = "") -> tuple[int, Any, dict[str, str]]:
        size = min(100, int(request.query.get("per_page", "30")))
        page = int(request.query.get("page", "1"))
        shown: Any = listed[(page - 1) * size : page * size]
        last = max(1, -(-len(listed) // size))
        links = []
        for relation, number in (("next", page + 1), ("last", last)):
            if page < last:
                query = urlencode({**request.query, "page": number})
                links.append(f'<{self.url}{request.path}?{query}>; rel="{relation}"')
        if wrap:
            shown = {"total_count": len(listed), wrap: shown}
        return 200, shown, {"Link": ", ".join(links)} if links else {}

    def _list_comments(self, request: Request, number: str) -> tuple[int, Any, dict[str, str]]:
        return self._page(request, [each for each in self.comments if each["number"] == int(number)])

    def _add_comment(self, request: Request, number: str) -> tuple[int, Any, dict[str, str]]:
        return 201, self.comment(int(number), self.login, _text(request, "body", _BODY_LIMIT)), {}

    def _change_comment(self, request: Request, found: str) -> tuple[int, Any, dict[str, str]]:
        comment = _one(self.comments, "id", found)
        comment["body"] = _text(request, "body", _BODY_LIMIT)
        return 200, comment, {}

    def _remove_comment(self, request: Request, found: str) -> tuple[int, Any, dict[str, str]]:
        self.comments.remove(_one(self.comments, "id", found))
        return 204, None, {}

    def _list_checks(self, request: Request, head: str) -> tuple[int, Any, dict[str, str]]:
        wanted = {"name": request.query.get("check_name"), "status": request.query.get("status")}
        listed = [
            each
            for each in self.checks
            if each["head_sha"] == head and all(value in (None, each[key]) for key, value in wanted.items())
        ]
        if request.query.get("filter", "latest") == "latest":
            listed = list({each["name"]: each for each in listed}.values())
        return self._page(request, listed, "check_runs")

    def _get_check(self, request: Request, found: str) -> tuple[int, Any, dict[str, str]]:
        return 200, _one(self.checks, "id", found), {}

    def _add_check(self, request: Request) -> tuple[int, Any, dict[str, str]]:
        body = request.body
        if not {"name", "head_sha"} <= body.keys():
            raise Answer(422, 'Invalid request. "name", "head_sha" weren\'t supplied.')
        made = self._made_check(body)
        return 201, self._write_check(made, body), {}

    def _change_check(self, request: Request, found: str) -> tuple[int, Any, dict[str, str]]:
        return 200, self._write_check(_one(self.checks, "id", found), request.body), {}

    def _made_check(self, body: dict[str, Any]) -> dict[str, Any]:
        made: dict[str, Any] = {"id": self._id(), "status": "queued", "conclusion": None, "external_id": "", **body}
        made["app"] = {"slug": self.login.removesuffix("[bot]")}
        made["output"] = {"title": None, "summary": None, "annotations": [], "annotations_count": 0}
        self.checks.append(made)
        return made

    def _write_check(self, check: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
        output = body.get("output")
        if output is not None:
            added = output.get("annotations", [])
            if len(added) > 50 or len(output["summary"]) > _SUMMARY_LIMIT:
                raise Answer(422, "Invalid request: too long")
            annotations = check["output"]["annotations"] + added
            check["output"] = {**output, "annotations": annotations, "annotations_count": len(annotations)}
        check.update({key: value for key, value in body.items() if key != "output"})
        if "conclusion" in body:
            check["status"] = "completed"
        elif check["status"] == "completed":
            raise Answer(422, "A completed check has a conclusion")
        return check

    def _list_issues(self, request: Request) -> tuple[int, Any, dict[str, str]]:
        state = request.query.get("state", "open")
        pulls = [
            {"number": each["number"], "state": each["state"], "user": {"login": "somebody"}, "pull_request": {}}
            for each in self.pulls.values()
        ]
        wanted = {name for name in request.query.get("labels", "").split(",") if name}
        listed = [
            each
            for each in [*self.issues, *pulls]
            if state in ("all", each["state"]) and wanted <= {label["name"] for label in each.get("labels", [])}
        ]
        return self._page(request, listed)

    def _add_issue(self, request: Request) -> tuple[int, Any, dict[str, str]]:
        number = self._id()
        made = {"number": number, "state": "open", "user": {"login": self.login}, "title": _text(request, "title", 256)}
        made["body"] = _text(request, "body", _BODY_LIMIT)
        made["labels"] = [{"name": name} for name in request.body.get("labels", [])]
        made["html_url"] = f"https://github.test/{self.repository}/issues/{number}"
        self.issues.append(made)
        return 201, made, {}

    def _change_issue(self, request: Request, number: str) -> tuple[int, Any, dict[str, str]]:
        issue = _one(self.issues, "number", number)
        issue.update(request.body)
        return 200, issue, {}

    def _list_labels(self, request: Request, number: str) -> tuple[int, Any, dict[str, str]]:
        return self._page(request, self.labels.get(int(number), []))

    def _list_events(self, request: Request, number: str) -> tuple[int, Any, dict[str, str]]:
        return self._page(request, self.events.get(int(number), []))

    def _permission(self, request: Request, login: str) -> tuple[int, Any, dict[str, str]]:
        if login not in self.permissions:
            raise Answer(404, f"{login} is not a user")
        return 200, {"permission": self.permissions[login], "role_name": "custom", "user": {"login": login}}, {}

    def _get_pull(self, request: Request, number: str) -> tuple[int, Any, dict[str, str]]:
        if int(number) not in self.pulls:
            raise Answer(404, "Not Found")
        return 200, self.pulls[int(number)], {}

    def _list_pulls(self, request: Request) -> tuple[int, Any, dict[str, str]]:
        state, head = request.query.get("state", "open"), request.query.get("head", "").partition(":")[2]
        listed = [each for each in self.pulls.values() if state in ("all", each["state"])]
        return self._page(request, [each for each in listed if head in ("", each["head"]["ref"])])

    def _add_pull(self, request: Request) -> tuple[int, Any, dict[str, str]]:
        body, number = request.body, self._id()
        if body["head"] not in self.branches or body["base"] not in self.branches:
            raise Answer(422, "Validation Failed")
        made = self.pull(number, self.branches[body["head"]][0]["sha"], base_ref=body["base"])
        made["head"]["ref"] = body["head"]
        made |= {"title": _text(request, "title", 256), "body": _text(request, "body", _BODY_LIMIT)}
        made["html_url"] = f"https://github.test/{self.repository}/pull/{number}"
        return 201, made, {}

    def _get_repository(self, request: Request) -> tuple[int, Any, dict[str, str]]:
        return 200, {"full_name": self.repository, "default_branch": "main"}, {}

    def _get_branch(self, request: Request, branch: str) -> tuple[int, Any, dict[str, str]]:
        if branch not in self.branches:
            raise Answer(404, "Branch not found")
        return 200, {"name": branch, "commit": {"sha": self.branches[branch][0]["sha"]}}, {}

    def _list_rules(self, request: Request, branch: str) -> tuple[int, Any, dict[str, str]]:
        return self._page(request, self.rules.get(branch, []))

    def _add_ref(self, request: Request) -> tuple[int, Any, dict[str, str]]:
        branch = request.body["ref"].removeprefix("refs/heads/")
        if branch in self.branches:
            raise Answer(422, "Reference already exists")
        self.branches[branch] = list(self._commits(request.body["sha"]))
        return 201, {"ref": request.body["ref"]}, {}

    def _list_commits(self, request: Request) -> tuple[int, Any, dict[str, str]]:
        path, listed = request.query["path"], self._commits(request.query["sha"])
        earlier = [*(each["files"].get(path) for each in listed[1:]), None]
        changed = [each for each, was in zip(listed, earlier, strict=True) if each["files"].get(path) != was]
        return self._page(request, [{"sha": each["sha"]} for each in changed])

    def _get_content(self, request: Request, path: str) -> tuple[int, Any, dict[str, str]]:
        text = self._commits(request.query["ref"])[0]["files"].get(path)
        if text is None:
            raise Answer(404, "Not Found")
        content = base64.encodebytes(text.encode()).decode()
        return 200, {"type": "file", "encoding": "base64", "content": content, "sha": _blob(text)}, {}

    def _put_content(self, request: Request, path: str) -> tuple[int, Any, dict[str, str]]:
        body, branch = request.body, request.body["branch"]
        if body["sha"] != _blob(self.branches[branch][0]["files"][path]):
            raise Answer(409, f"{path} does not match {body['sha']}")
        made = self.commit({path: base64.b64decode(body["content"]).decode()}, branch)
        return 200, {"commit": {"sha": made}}, {}

    def _commits(self, ref: str) -> list[dict[str, Any]]:
        """From a branch or a commit on, the latest first."""
        if ref in self.branches:
            return self.branches[ref]
        for listed in self.branches.values():
            for index, each in enumerate(listed):
                if each["sha"] == ref:
                    return listed[index:]
        raise Answer(404, "Not Found")

    def _list_deployments(self, request: Request) -> tuple[int, Any, dict[str, str]]:
        wanted = request.query["environment"]
        return self._page(request, [each for each in self.deployments if each["environment"] == wanted])

    def _list_statuses(self, request: Request, found: str) -> tuple[int, Any, dict[str, str]]:
        return self._page(request, _one(self.deployments, "id", found)["statuses"])

    def _add_status(self, request: Request, found: str) -> tuple[int, Any, dict[str, str]]:
        _text(request, "description", 140)
        _one(self.deployments, "id", found)["statuses"].insert(0, dict(request.body))
        return 201, dict(request.body), {}

    def _event(self, number: int, kind: str, name: str, by: str) -> None:
        made = {"id": self._id(), "event": kind, "actor": {"login": by}, "label": {"name": name}}
        self.events.setdefault(number, []).append(made)

    def _id(self) -> int:
        with self._lock:
            self._next_id += 1
            return self._next_id


def _one(listed: list[dict[str, Any]], key: str, value: str) -> dict[str, Any]:
    for each in listed:
        if each[key] == int(value):
            return each
    raise Answer(404, "Not Found")


def _blob(text: str) -> str:
    """As git calls a file's content."""
    return hashlib.sha1(f"blob {len(text.encode())}\0{text}".encode(), usedforsecurity=False).hexdigest()


def _text(request: Request, key: str, most: int) -> str:
    text = request.body.get(key)
    if not isinstance(text, str) or not text.strip():
        raise Answer(422, f"{key} can't be blank")
    if len(text) > most:
        raise Answer(422, f"{key} is too long (maximum is {most} characters)")
    return text


_Handle = Callable[..., tuple[int, Any, dict[str, str]]]
_READS = ("pull-requests: read", "issues: read")
_WRITES = ("pull-requests: write", "issues: write")
_ROUTES: tuple[tuple[str, str, tuple[str, ...], _Handle], ...] = (
    ("GET", r"/issues/(\d+)/comments", _READS, Server._list_comments),
    ("POST", r"/issues/(\d+)/comments", _WRITES, Server._add_comment),
    ("PATCH", r"/issues/comments/(\d+)", _WRITES, Server._change_comment),
    ("DELETE", r"/issues/comments/(\d+)", _WRITES, Server._remove_comment),
    ("GET", r"/issues", ("issues: read",), Server._list_issues),
    ("POST", r"/issues", ("issues: write",), Server._add_issue),
    ("PATCH", r"/issues/(\d+)", ("issues: write",), Server._change_issue),
    ("GET", r"/issues/(\d+)/labels", _READS, Server._list_labels),
    ("GET", r"/issues/(\d+)/events", _READS, Server._list_events),
    ("GET", r"/commits/([0-9a-f]{40})/check-runs", ("checks: read",), Server._list_checks),
    ("POST", r"/check-runs", ("checks: write",), Server._add_check),
    ("GET", r"/check-runs/(\d+)", ("checks: read",), Server._get_check),
    ("PATCH", r"/check-runs/(\d+)", ("checks: write",), Server._change_check),
    ("GET", r"/pulls", ("pull-requests: read",), Server._list_pulls),
    ("GET", r"/pulls/(\d+)", ("pull-requests: read",), Server._get_pull),
    ("POST", r"/pulls", ("pull-requests: write",), Server._add_pull),
    ("GET", "", ("",), Server._get_repository),
    ("GET", r"/branches/([^/]+)", ("contents: read",), Server._get_branch),
    ("GET", r"/rules/branches/([^/]+)", ("",), Server._list_rules),
    ("POST", r"/git/refs", ("contents: write",), Server._add_ref),
    ("GET", r"/commits", ("contents: read",), Server._list_commits),
    ("GET", r"/contents/(.+)", ("contents: read",), Server._get_content),
    ("PUT", r"/contents/(.+)", ("contents: write",), Server._put_content),
    ("GET", r"/deployments", ("deployments: read",), Server._list_deployments),
    ("GET", r"/deployments/(\d+)/statuses", ("deployments: read",), Server._list_statuses),
    ("POST", r"/deployments/(\d+)/statuses", ("deployments: write",), Server._add_status),
    ("GET", r"/collaborators/([^/]+)/permission", ("",), Server._permission),
)


class _Handler(BaseHTTPRequestHandler):
    github: ClassVar[Server]
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_PATCH(self) -> None:
        self._serve()

    def do_PUT(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: a test reads `requests`."""

    def _serve(self) -> None:
        asked = urlsplit(self.path)
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        request = Request(
            self.command,
            asked.path,
            {key: values[-1] for key, values in parse_qs(asked.query).items()},
            json.loads(sent) if sent else None,
            CaseInsensitiveDict(self.headers.items()),
        )
        try:
            status, content, headers = self.github.answer(request)
            written = b"" if content is None else json.dumps(content).encode()
        except Answer as answer:
            if answer.status in (DROP, HANG):
                self.close_connection = True
                return
            status, headers = answer.status, answer.headers
            written = json.dumps({"message": answer.message}).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(written)))
        self.end_headers()
        self.wfile.write(written)
