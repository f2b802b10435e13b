"""Events as the runner tells them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from makeweight.forge.event import Event
from makeweight.github.event import load, read
from makeweight_base.errors import UsageError

HEAD, BASE, MERGE = "a" * 40, "b" * 40, "c" * 40
ZEROS = "0" * 40
REPOSITORY = {"full_name": "acme/model", "default_branch": "main"}


def environ(name: str, **more: str) -> dict[str, str]:
    return {
        "GITHUB_ACTIONS": "true",
        "GITHUB_EVENT_NAME": name,
        "GITHUB_REPOSITORY": "acme/model",
        "GITHUB_SHA": MERGE,
        "GITHUB_REF": "refs/heads/main",
        "GITHUB_ACTOR": "somebody",
        "GITHUB_API_URL": "https://github.test/api/v3",
        "GITHUB_SERVER_URL": "https://github.test",
        "GITHUB_RUN_ID": "42",
        "GITHUB_RUN_ATTEMPT": "3",
        **more,
    }


def pull_request(origin: Any, **changed: Any) -> dict[str, Any]:
    head = {"sha": HEAD, "ref": "change", "repo": origin}
    base = {"sha": BASE, "ref": "main", "repo": {"full_name": "acme/model"}}
    return {"repository": REPOSITORY, "pull_request": {"number": 7, "head": head, "base": base, **changed}}


def merge_group(ref: str) -> dict[str, Any]:
    group = {"head_sha": HEAD, "head_ref": ref, "base_sha": BASE, "base_ref": "refs/heads/main"}
    return {"repository": REPOSITORY, "merge_group": group}


def test_a_pull_request() -> None:
    assert read(environ("pull_request"), pull_request({"full_name": "acme/model"})) == Event(
        name="pull_request",
        repository="acme/model",
        head=HEAD,  # and not GITHUB_SHA, which is a merge that nobody pushed
        base=BASE,
        base_ref="main",
        default_branch="main",
        number=7,
        fork=False,
        api="https://github.test/api/v3",
        server="https://github.test",
        run="https://github.test/acme/model/actions/runs/42",
        run_id=42,
        attempt=3,
        head_repository="acme/model",
    )


def test_a_pull_request_that_is_given_another_base() -> None:
    payload = pull_request({"full_name": "acme/model"}, updated_at="2026-05-01T10:00:00Z")
    edited = read(environ("pull_request"), {**payload, "action": "edited", "changes": {"base": {"ref": {"from": "x"}}}})
    assert (edited.retargeted, edited.base, edited.updated) == (True, BASE, "2026-05-01T10:00:00Z")
    assert not read(environ("pull_request"), {**payload, "action": "edited", "changes": {"title": {}}}).retargeted


@pytest.mark.parametrize(
    "action", ["opened", "labeled", "ready_for_review", "converted_to_draft", "closed", "of_tomorrow"]
)
@pytest.mark.parametrize("draft", [True, False])
def test_whatever_a_run_of_a_pull_request_was_started_by_it_is_judged(action: str, draft: bool) -> None:
    """What is not judged must not be green, and the job's result is what is required."""
    payload = pull_request({"full_name": "acme/model"})
    other = pull_request({"full_name": "acme/model"}, draft=draft, state="closed" if action == "closed" else "open")
    assert read(environ("pull_request"), {**other, "action": action}) == read(environ("pull_request"), payload)


@pytest.mark.parametrize(("told", "count"), [("7", 7), ("", 0), ("x", 0), ("-1", 0), ("7\n", 0), ("9" * 30, 0)])
def test_the_number_of_a_run(told: str, count: int) -> None:
    assert read(environ("push", GITHUB_RUN_ID=told), {}).run_id == count
    assert read(environ("push", GITHUB_RUN_ATTEMPT=told), {}).attempt == (count or 1)


@pytest.mark.parametrize("origin", [{"full_name": "stranger/model"}, {"full_name": "acme/model-2"}, {}, None])
def test_a_pull_request_from_a_fork_or_from_what_is_gone(origin: Any) -> None:
    event = read(environ("pull_request"), pull_request(origin))
    assert event.fork
    assert not event.on_default_branch
    assert event.head_repository == (origin or {}).get("full_name")


@pytest.mark.parametrize(
    ("before", "ref", "base", "base_ref", "on_default"),
    [
        (BASE, "refs/heads/main", BASE, "main", True),
        (BASE, "refs/heads/feature/x", BASE, "feature/x", False),
        (ZEROS, "refs/heads/new", None, "new", False),
        (ZEROS, "refs/tags/main", None, None, False),
    ],
)
def test_a_push(before: str, ref: str, base: str | None, base_ref: str | None, on_default: bool) -> None:
    event = read(environ("push", GITHUB_REF=ref), {"repository": REPOSITORY, "before": before, "after": HEAD})
    assert (event.head, event.base, event.base_ref, event.number) == (HEAD, base, base_ref, None)
    assert event.on_default_branch is on_default
    assert not event.fork


def test_the_push_that_removes_a_branch_has_no_commit_of_its_own() -> None:
    assert read(environ("push"), {"before": BASE, "after": ZEROS}).head == MERGE


@pytest.mark.parametrize(
    ("ref", "number"),
    [
        (f"refs/heads/gh-readonly-queue/main/pr-7-{BASE}", 7),
        (f"refs/heads/gh-readonly-queue/release/1.0/pr-7-{BASE}", 7),
        (f"refs/heads/gh-readonly-queue/fix/pr-3-{HEAD}/pr-7-{BASE}", 7),
        (f"refs/heads/gh-readonly-queue/main/pr-7-{BASE[:-1]}", None),
        (f"refs/heads/gh-readonly-queue/main/pr-x-{BASE}", None),
        (f"refs/heads/gh-readonly-queue/main/pr-7-{BASE}\n", None),
        (f"refs/heads/gh-readonly-queue/pr-7-{BASE}", None),
        ("refs/heads/main", None),
    ],
)
def test_a_merge_group_names_its_pull_request(ref: str, number: int | None) -> None:
    event = read(environ("merge_group"), merge_group(ref))
    assert (event.head, event.base, event.base_ref, event.number) == (HEAD, BASE, "main", number)
    assert not event.on_default_branch


@pytest.mark.parametrize("name", ["schedule", "workflow_dispatch"])
def test_what_runs_a_branch_as_it_stands(name: str) -> None:
    event = read(environ(name), {"repository": REPOSITORY})
    assert (event.name, event.head, event.base, event.base_ref) == (name, MERGE, None, "main")
    assert event.on_default_branch


@pytest.mark.parametrize("name", ["issue_comment", "release", "of_tomorrow"])
def test_what_is_not_known_is_like_a_dispatch(name: str) -> None:
    assert read(environ(name), {"repository": REPOSITORY}) == read(
        environ("workflow_dispatch"), {"repository": REPOSITORY}
    )


@pytest.mark.parametrize(("origin", "fork"), [("stranger/model", True), ("acme/model", False), (None, True)])
def test_a_run_that_follows_another(origin: str | None, fork: bool) -> None:
    run = {"head_sha": HEAD, "event": "pull_request", "head_repository": {"full_name": origin} if origin else None}
    event = read(environ("workflow_run"), {"repository": REPOSITORY, "workflow_run": run})
    assert (event.name, event.head, event.cause, event.fork) == ("workflow_run", HEAD, "pull_request", fork)
    assert (event.head_repository, event.number) == (origin, None)
    assert not event.on_default_branch


def test_pull_request_target_is_refused_with_the_way_out() -> None:
    with pytest.raises(UsageError, match="stranger's code") as caught:
        read(environ("pull_request_target"), pull_request({"full_name": "acme/model"}))
    assert "on: pull_request" in str(caught.value)
    assert "workflow_run" in str(caught.value)


@pytest.mark.parametrize("given", [{}, {"GITHUB_ACTIONS": "true"}, {"GITHUB_EVENT_NAME": "pull_request"}])
def test_a_terminal(given: dict[str, str]) -> None:
    event = load({**given, "GITHUB_EVENT_PATH": "/nowhere"})
    assert event == Event("local")
    assert not event.on_default_branch
    assert not event.fork


def test_what_the_runner_does_not_say_is_that_of_github() -> None:
    event = read({"GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "push"}, None)
    assert (event.api, event.server, event.run) == ("https://api.github.com", "https://github.com", None)
    assert (event.repository, event.head, event.base_ref) == (None, None, None)


@pytest.mark.parametrize(
    ("name", "payload", "lacks"),
    [
        ("pull_request", None, "pull_request.head.sha"),
        ("pull_request", {"pull_request": []}, "pull_request.head.sha"),
        ("pull_request", pull_request(None, head={"sha": "--upload-pack=x"}), "pull_request.head.sha"),
        ("pull_request", pull_request(None, head={"sha": ZEROS}), "pull_request.head.sha"),
        ("pull_request", pull_request(None, base={"sha": 7}), "pull_request.base.sha"),
        ("pull_request", pull_request(None, number="7"), "pull_request.number"),
        ("pull_request", pull_request(None, number=True), "pull_request.number"),
        ("merge_group", {}, "merge_group.head_sha"),
        ("workflow_run", {"workflow_run": {"head_sha": None}}, "workflow_run.head_sha"),
    ],
)
def test_what_an_event_lacks_is_named(name: str, payload: Any, lacks: str) -> None:
    with pytest.raises(UsageError, match=f"no usable `{lacks}`"):
        read(environ(name), payload)


@pytest.mark.parametrize("repository", ["acme", "acme/model/pulls", "../user", "acme/..", "acme/mo del", "acme/x\n"])
def test_a_repository_must_be_one(repository: str) -> None:
    with pytest.raises(UsageError, match="owner/name"):
        read(environ("push", GITHUB_REPOSITORY=repository), {})


def test_the_payload_is_read_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "event.json"
    path.write_text(json.dumps(pull_request(None)))
    assert load(environ("pull_request", GITHUB_EVENT_PATH=str(path))) == read(
        environ("pull_request"), pull_request(None)
    )


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"[" * 100_000])
def test_a_damaged_payload_is_told_with_its_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "event.json"
    path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        load(environ("push", GITHUB_EVENT_PATH=str(path)))
    assert caught.value.where == str(path)


def test_a_missing_payload_is_told_with_its_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        load(environ("push", GITHUB_EVENT_PATH=str(tmp_path / "event.json")))
