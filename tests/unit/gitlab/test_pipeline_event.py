"""Pipelines as GitLab's runner tells of them, each as the event that it is."""

from __future__ import annotations

import pytest

from makeweight.gitlab import event
from makeweight_base.errors import UsageError

HEAD, TIP, BASE, MERGE = ("a" * 40, "b" * 40, "c" * 40, "d" * 40)
JOB = {
    "GITLAB_CI": "true",
    "CI_API_V4_URL": "https://git.test/api/v4",
    "CI_SERVER_URL": "https://git.test",
    "CI_PROJECT_PATH": "acme/models/digits",
    "CI_DEFAULT_BRANCH": "main",
    "CI_COMMIT_SHA": HEAD,
    "CI_JOB_URL": "https://git.test/acme/models/digits/-/jobs/1",
}
REQUEST = {
    **JOB,
    "CI_PIPELINE_SOURCE": "merge_request_event",
    "CI_MERGE_REQUEST_EVENT_TYPE": "detached",
    "CI_MERGE_REQUEST_IID": "7",
    "CI_MERGE_REQUEST_PROJECT_PATH": "acme/models/digits",
    "CI_MERGE_REQUEST_SOURCE_PROJECT_PATH": "acme/models/digits",
    "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
    "CI_MERGE_REQUEST_DIFF_BASE_SHA": BASE,
    "CI_MERGE_REQUEST_SOURCE_BRANCH_SHA": "",
    "CI_MERGE_REQUEST_TARGET_BRANCH_SHA": "",
}
TRIED = {
    "CI_COMMIT_SHA": MERGE,
    "CI_MERGE_REQUEST_SOURCE_BRANCH_SHA": HEAD,
    "CI_MERGE_REQUEST_TARGET_BRANCH_SHA": TIP,
}


def test_a_merge_request_is_a_pull_request() -> None:
    found = event.read(REQUEST)
    assert (found.name, found.number, found.head, found.base, found.base_ref) == ("pull_request", 7, HEAD, BASE, "main")
    assert (found.repository, found.fork, found.on_default_branch) == ("acme/models/digits", False, False)
    assert (found.api, found.run) == ("https://git.test/api/v4", JOB["CI_JOB_URL"])


def test_where_gitlab_tries_the_merge_both_tips_are_known() -> None:
    found = event.read({**REQUEST, **TRIED, "CI_MERGE_REQUEST_EVENT_TYPE": "merged_result"})
    assert (found.name, found.head, found.base) == ("pull_request", HEAD, TIP)
    train = event.read({**REQUEST, **TRIED, "CI_MERGE_REQUEST_EVENT_TYPE": "merge_train"})
    assert (train.name, train.head, train.base) == ("merge_group", MERGE, TIP)


@pytest.mark.parametrize("given", [REQUEST, {**REQUEST, **TRIED}], ids=["detached", "merged results"])
def test_a_child_pipeline_is_of_the_merge_request_of_its_parent(given: dict[str, str]) -> None:
    """Else it would be held against the default branch, whatever branch the merge request goes to."""
    own = {**given, "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "release"}
    child = {**own, "CI_PIPELINE_SOURCE": "parent_pipeline"}
    assert event.read(child) == event.read(own)
    assert event.read(child).base_ref == "release"


@pytest.mark.parametrize("origin", ["stranger/digits", None])
def test_a_fork_is_one(origin: str | None) -> None:
    given = {**REQUEST, "CI_PROJECT_PATH": "stranger/digits", "CI_MERGE_REQUEST_SOURCE_PROJECT_PATH": origin or ""}
    found = event.read(given)
    assert (found.fork, found.repository) == (True, "acme/models/digits")


@pytest.mark.parametrize(
    ("source", "name", "base"),
    [
        ("push", "push", TIP),
        ("schedule", "schedule", None),
        ("web", "workflow_dispatch", None),
        ("trigger", "workflow_dispatch", None),
    ],
)
def test_the_default_branch_itself(source: str, name: str, base: str | None) -> None:
    given = {**JOB, "CI_PIPELINE_SOURCE": source, "CI_COMMIT_BRANCH": "main", "CI_COMMIT_BEFORE_SHA": TIP}
    found = event.read(given)
    assert (found.name, found.base, found.base_ref, found.number) == (name, base, "main", None)
    assert found.on_default_branch


@pytest.mark.parametrize(("before", "name"), [(TIP, "push"), ("0" * 40, "workflow_dispatch")])
def test_a_child_pipeline_of_a_push_has_landed_as_well(before: str, name: str) -> None:
    given = {**JOB, "CI_COMMIT_BRANCH": "main", "CI_COMMIT_BEFORE_SHA": before, "CI_PIPELINE_SOURCE": "parent_pipeline"}
    assert event.read(given).name == name


def test_a_branch_that_was_just_made_has_nothing_before_it() -> None:
    given = {**JOB, "CI_PIPELINE_SOURCE": "push", "CI_COMMIT_BRANCH": "new", "CI_COMMIT_BEFORE_SHA": "0" * 40}
    assert event.read(given).base is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CI_COMMIT_SHA", "main"),
        ("CI_MERGE_REQUEST_IID", "7/../8"),
        ("CI_MERGE_REQUEST_IID", "0"),
        ("CI_MERGE_REQUEST_DIFF_BASE_SHA", ""),
    ],
)
def test_what_is_no_value_is_told(name: str, value: str) -> None:
    with pytest.raises(UsageError, match=name):
        event.read({**REQUEST, name: value})


def test_only_gitlab_is_gitlab() -> None:
    assert event.here(JOB)
    assert not event.here({"CI": "true"})
