"""The pull request that lets the repository say again what is served: one for each canary, on a branch of its own."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from makeweight_base.forge.excerpt import short
from makeweight_base.forge.github import Client
from makeweight_monitors.rollback.case import Canary
from makeweight_monitors.rollback.github import canaries, shipping

_VERSIONS = 30
"""How far back a file is looked at."""
_TITLE = 200
_READS, _WRITES, _PULLS = "contents: read", "contents: write", "pull-requests: write"


@dataclass(frozen=True)
class _File:
    text: str
    blob: str


def put(client: Client, repository: str, path: str, into: str | None, canary: Canary, why: str) -> str:
    """Open it, where there was none yet; what is to be told of it, as a clause with its address.

    Args:
        path: of the file.
        into: the branch that it goes to; None: the repository's own.

    Raises:
        ForgeFailed: it could not be looked for, or made.
    """
    at = f"/repos/{repository}"
    branch = f"makeweight-rollback-{canaries.key(canary)}"
    head = f"{repository.partition('/')[0]}:{branch}"

    def found() -> dict[str, Any] | None:
        listed = client.pages(f"{at}/pulls", needs="pull-requests: read", state="all", head=head)
        return next((each for each in listed if each["head"]["ref"] == branch), None)

    if (pull := found()) is not None:
        return _told(pull)
    base = into or str(client.get(at, needs="metadata: read")["default_branch"])
    now = _file(client, at, path, base)
    before = None if now is None else shipping.before(path, now.text, _earlier(client, at, path, base), canary.sha256)
    if before is None:
        return f"no pull request: `{path}` on {base} does not ship this model, or always did"
    if _commit(client, at, branch) is None:
        client.post(
            f"{at}/git/refs",
            {"ref": f"refs/heads/{branch}", "sha": _commit(client, at, base)},
            needs=_WRITES,
            done=lambda: _commit(client, at, branch),
        )
    title = short(f"Roll back {canary}", _TITLE)
    there = _file(client, at, path, branch)
    if there is not None and there.text != before:
        content = base64.b64encode(before.encode()).decode()
        written = {"message": f"{title}\n\n{why}", "content": content, "sha": there.blob, "branch": branch}
        client.put(_place(at, path), written, needs=_WRITES)
    body = (
        f"{canaries.mark(canary)}\nThis canary gets no traffic any more. `{path}` becomes what it was before it, "
        f"whole: see whether anything else in it has to stay.\n\n{canaries.described(canary, why)}"
    )
    asked = {"title": title, "head": branch, "base": base, "body": body}
    return _told(client.post(f"{at}/pulls", asked, needs=_PULLS, done=found))


def _told(pull: dict[str, Any]) -> str:
    return f"the revert is {pull['html_url']}"


def _earlier(client: Client, at: str, path: str, base: str) -> Iterator[str]:
    """What stood in the file before, the latest first."""
    commits = client.pages(f"{at}/commits", needs=_READS, path=path, sha=base)
    for commit in itertools.islice(commits, 1, _VERSIONS):
        file = _file(client, at, path, str(commit["sha"]))
        if file is not None:
            yield file.text


def _file(client: Client, at: str, path: str, ref: str) -> _File | None:
    """None: there is none, or it is none that is read here (a folder, more than a megabyte, no text)."""
    told = client.find(_place(at, path), needs=_READS, ref=ref)
    if not isinstance(told, dict) or told.get("encoding") != "base64":
        return None
    try:
        return _File(base64.b64decode(told["content"]).decode(), str(told["sha"]))
    except ValueError:
        return None


def _commit(client: Client, at: str, branch: str) -> str | None:
    """What a branch is at; None: there is no such branch."""
    found = client.find(f"{at}/branches/{quote(branch)}", needs=_READS)
    return None if found is None else str(found["commit"]["sha"])


def _place(at: str, path: str) -> str:
    return f"{at}/contents/{quote(path)}"
