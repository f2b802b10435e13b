"""Every request that we send, held against GitHub's own description of its API.

Prism stands between the client and a GitHub with a memory, and notes what a request has wrong; then it answers itself,
by the examples of the description, so that what we read in an answer is held against it too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import node
from integration.github import openapi, prism
from integration.github.server import _ROUTES, Server
from makeweight.forge.annotation import Annotation
from makeweight.forge.event import Event
from makeweight.github import check, comment, issue, labels, pull, queue, relay, standing
from makeweight.github.client import Client
from makeweight_base.errors import UsageError
from makeweight_base.forge.marker import marker
from makeweight_monitors.rollback.case import Canary
from makeweight_monitors.rollback.github import deployment, revert
from makeweight_monitors.rollback.github import issue as rolled_back

HEAD = "a" * 40
CANARY = Canary("prod", "digits", "b" * 64, "1", "r2")
FORK = "stranger/model"
REPOSITORY = "/repos/{owner}/{repo}"
CALLS = {
    "/user": ("GET",),
    f"{REPOSITORY}/issues": ("GET", "POST"),
    f"{REPOSITORY}/issues/{{issue_number}}": ("PATCH",),
    f"{REPOSITORY}/issues/{{issue_number}}/comments": ("GET", "POST"),
    f"{REPOSITORY}/issues/comments/{{comment_id}}": ("PATCH", "DELETE"),
    f"{REPOSITORY}/issues/{{issue_number}}/labels": ("GET",),
    f"{REPOSITORY}/issues/{{issue_number}}/events": ("GET",),
    f"{REPOSITORY}/commits/{{ref}}/check-runs": ("GET",),
    f"{REPOSITORY}/check-runs": ("POST",),
    f"{REPOSITORY}/check-runs/{{check_run_id}}": ("GET", "PATCH"),
    REPOSITORY: ("GET",),
    f"{REPOSITORY}/branches/{{branch}}": ("GET",),
    f"{REPOSITORY}/rules/branches/{{branch}}": ("GET",),
    f"{REPOSITORY}/git/refs": ("POST",),
    f"{REPOSITORY}/commits": ("GET",),
    f"{REPOSITORY}/contents/{{path}}": ("GET", "PUT"),
    f"{REPOSITORY}/deployments": ("GET",),
    f"{REPOSITORY}/deployments/{{deployment_id}}/statuses": ("GET", "POST"),
    f"{REPOSITORY}/pulls": ("GET", "POST"),
    f"{REPOSITORY}/pulls/{{pull_number}}": ("GET",),
    f"{REPOSITORY}/collaborators/{{username}}/permission": ("GET",),
}
EVENT = Event(
    "pull_request",
    repository="acme/model",
    head=HEAD,
    base="b" * 40,
    base_ref="main",
    number=7,
    head_repository=FORK,
    run="https://github.test/acme/model/actions/runs/1",
)
REMARKS = [Annotation("makeweight.yaml", line, "failure", "size", "over") for line in range(1, 61)]


@pytest.fixture(scope="module")
def folder() -> Path:
    packages = json.loads((Path(__file__).parent / "package.json").read_text())["dependencies"]
    return node.install("prism", packages, prism.SCRIPT)


@pytest.fixture(scope="module")
def behind() -> Iterator[Server]:
    """A person's token: how an app asks who it is, GitHub describes elsewhere (GraphQL)."""
    with Server(login="a-person") as server:
        yield server


@pytest.fixture(scope="module")
def prisms(folder: Path, behind: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    at = tmp_path_factory.mktemp("prisms")
    whole = folder / "node_modules/@octokit/openapi/generated/api.github.com.json"
    requests, answers = at / "requests.json", at / "answers.json"
    openapi.reduce(whole, CALLS, requests, answers=False)
    openapi.reduce(whole, CALLS, answers)
    with prism.running(folder, at / "prism.log", (requests, behind.url), (answers, None)) as urls:
        yield urls


@pytest.fixture
def between(prisms: list[str]) -> str:
    """One that passes on what it holds against the description."""
    return prisms[0]


@pytest.fixture
def instead(prisms: list[str]) -> str:
    """One that answers itself."""
    return prisms[1]


@pytest.fixture
def watching() -> Iterator[prism.Watching]:
    with prism.Watching() as session:
        yield session


def test_all_that_we_send_is_as_github_describes_it(
    between: str, behind: Server, watching: prism.Watching, tmp_path: Path
) -> None:
    client = Client(between, behind.token, watching, sleep=lambda _: None)
    behind.pull(7, HEAD, head_repository=FORK)
    mark = marker("digits")

    stale = check.begin(client, EVENT, "makeweight", "digits")
    own = check.begin(client, EVENT, "makeweight", "digits")
    assert check.find(client, EVENT, "makeweight", "digits") == own
    behind.fail_with(502, method="PATCH", carried_out=True)
    check.complete(client, EVENT, "makeweight", "digits", own, "failure", "over", "### over", REMARKS)
    for conclusion in ("success", "action_required", "cancelled"):
        check.complete(client, EVENT, "makeweight", "digits", None, conclusion, "told", "told")  # type: ignore[arg-type]
    assert standing.successor(client, EVENT, "makeweight", "digits") is None
    assert pull.every_open(client, "acme/model") == [pull.now(client, "acme/model", 7)]
    reached = {each["id"]: each["conclusion"] for each in behind.checks}
    assert (reached.pop(own), reached.pop(stale)) == ("failure", "cancelled")
    assert [*reached.values()] == ["success", "action_required", "cancelled"]

    for _ in range(120):
        behind.comment(7, "somebody", "talk")
    for said in ("over", "passes"):
        comment.put(client, EVENT, "digits", f"{mark}\n{said}")
    behind.comment(7, behind.login, mark)
    comment.put(client, EVENT, "digits", f"{mark}\npasses")
    relay.write(tmp_path, EVENT, "other", "over")
    follows = Event("workflow_run", repository="acme/model", head=HEAD, head_repository=FORK, cause="pull_request")
    assert relay.post(client, follows, tmp_path) == "written"

    for title in ("size over", "latency over"):
        issue.put(client, EVENT, "digits", title, "by 3 %")
    assert issue.close(client, EVENT, "digits", "It holds again.") is not None

    behind.permissions["owner"] = "admin"
    behind.label(7, f"devices:{HEAD}", "owner")
    behind.label(7, "devices:x", "triage-app[bot]")
    assert labels.approves_devices(labels.on(client, EVENT, ["devices:"]), HEAD)
    assert queue.lands_by_its_last(client, "acme/model", "main") is None

    behind.commit({"current.json": "a" * 64})
    behind.commit({"current.json": "b" * 64})
    behind.deploy("production", "r2", HEAD)
    for _ in range(2):
        revert.put(client, "acme/model", "current.json", None, CANARY, "it fails")
        rolled_back.put(client, "acme/model", CANARY, "it fails", "")
        deployment.put(client, "acme/model", "production", CANARY, False, "it fails")
    assert len(behind.deployments[0]["statuses"]) == 1

    assert watching.violations == []
    # the double knows every call of ours: what it answered here is all that there is
    sent = {(call.method, call.path) for call in behind.requests}
    for method, pattern, *_ in _ROUTES:
        assert any(method == verb and re.fullmatch(f"/repos/acme/model{pattern}", path) for verb, path in sent), pattern
    assert len(_ROUTES) + 1 == sum(len(methods) for methods in CALLS.values())


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/repos/acme/model/check-runs", {"name": "x", "head_sha": HEAD, "status": "going on"}),
        ("POST", "/repos/acme/model/issues/7/comments", {"text": "x"}),
        ("GET", "/repos/acme/model/issues?state=broken", None),
        ("GET", "/repos/acme/model/issue", None),
    ],
)
def test_a_wrong_request_would_be_noticed(
    between: str, behind: Server, watching: prism.Watching, method: str, path: str, body: dict[str, str] | None
) -> None:
    watching.request(method, between + path, json=body, headers={"Authorization": f"Bearer {behind.token}"})
    assert [(each.method, each.path) for each in watching.violations] == [(method, path)]


def test_what_github_answers_is_what_we_read(instead: str, watching: prism.Watching, tmp_path: Path) -> None:
    client = Client(instead, "any", watching, sleep=lambda _: None)

    opened = check.begin(client, EVENT, "mighty_readme", "digits")
    assert opened > 0
    assert check.find(client, EVENT, "mighty_readme", "digits") is None  # the example's is not ours
    assert check.newer_run(client, EVENT, "mighty_readme", "digits") is None
    at = f"/repos/acme/model/check-runs/{opened}"
    assert check._holds(client, at, 1)() is not None
    assert check._holds(client, at, 10**6)() is None
    assert check._where(client, at, lambda opened: opened["status"] == "completed")() is not None
    completed = check.complete(client, EVENT, "mighty_readme", "digits", opened, "failure", "over", "over", REMARKS)
    assert completed == opened
    listed, *_ = pull.every_open(client, "acme/model")
    assert (listed.number, listed.base_ref, listed.into) == (1347, "master", "octocat/Hello-World")
    assert pull.now(client, "acme/model", 7).updated == "2011-01-26T19:01:12Z"

    assert comment.put(client, EVENT, "digits", f"{marker('digits')}\nover") == "written"
    assert issue.put(client, EVENT, "digits", "over", "by 3 %") > 0

    (bug,) = labels.on(client, EVENT, ["bug"])
    assert bug == labels.Label("bug", bug.description, None, False)
    happened, *_ = client.pages("/repos/acme/model/issues/7/events")
    assert (happened["event"], happened["label"]["name"], happened["actor"]["login"]) == ("closed", "label", "octocat")
    assert labels._writes(client, "acme/model", "octocat")

    assert revert.put(client, "acme/model", "README", None, CANARY, "it fails").startswith(
        "no pull request: `README` on"
    )
    assert "https://" in rolled_back.put(client, "acme/model", CANARY, "it fails", "")
    by_commit = replace(CANARY, revision="a84d88e7554fc1fa21bcbc4efae3c782a70d2b9d")
    assert deployment.put(client, "acme/model", "production", by_commit, True, "well").endswith("is a success")

    relay.write(tmp_path, EVENT, "digits", "over")
    follows = Event("workflow_run", repository="acme/model", head=HEAD, head_repository=FORK, cause="pull_request")
    with pytest.raises(UsageError, match="is not one of acme/model"):
        relay.post(client, follows, tmp_path)
    assert watching.violations == []
