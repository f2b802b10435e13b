"""When a pull request is commented on, and by whom: the run itself, or one that may write where it may not."""

from __future__ import annotations

import json

from end_to_end.ci.attacks import attack
from end_to_end.ci.conftest import FORK, Hub, Run
from end_to_end.ci.test_events import write

TIGHT = ("max_ratio: 0.3", "max_ratio: 0.1")


def relayed(hub: Hub, run: Run, head: str, repository: str) -> str:
    """What the workflow says that follows the run, in whose folder lies what the run left."""
    origin = {"full_name": repository}
    payload = {"workflow_run": {"head_sha": head, "event": "pull_request", "head_repository": origin}}
    place, environment = hub.checkout("workflow_run", "refs/heads/main", payload)
    hub.github.allow()
    environment["MAKEWEIGHT_TOKEN"] = hub.github.token
    folder = next(iter(run.uploads.values())).parent
    return Hub(hub.folder, environment, hub.github).run("makeweight", "ci", "relay", str(folder), cwd=place, ok=False)


def test_a_comment_is_begun_when_it_is_asked_for_and_kept_up_to_date_always(hub: Hub) -> None:
    hub.change("docs", write("README.md", "words\n"))
    quiet = hub.pull_request("docs", comment="on-change")
    assert quiet.outputs["comment-written"] == "false", quiet.log
    assert hub.github.comments == []

    hub.change("tight", hub.config(TIGHT))
    blocked = hub.pull_request("tight", comment="on-failure")
    assert blocked.code == 1, blocked.log
    (comment,) = hub.github.comments
    assert "blocked" in comment["body"].splitlines()[1]
    hub.change("tight", write("README.md", "words\n"))
    mended = hub.pull_request("tight", comment="on-failure")
    assert mended.outputs["comment-written"] == "true", mended.log
    (kept,) = hub.github.comments
    assert kept["id"] == comment["id"]
    assert "passed" in kept["body"].splitlines()[1]


def test_a_token_that_may_only_read_leaves_its_comment_to_one_that_may_write(hub: Hub) -> None:
    """As Dependabot's, whose branch lies in the repository itself."""
    head = hub.change("dependabot/pip/x", write("README.md", "words\n"))
    hub.github.deny("write")
    run = hub.pull_request("dependabot/pip/x")
    assert run.outputs["verdict"] == "pass", run.log
    assert run.outputs["comment-written"] == "relayed"
    assert "pull-requests: write" in run.result.summary
    assert hub.github.comments == []
    assert "comment written" in relayed(hub, run, head, hub.github.repository)
    (comment,) = hub.github.comments
    assert "a branch of this repository" in comment["body"]
    assert "passed" in comment["body"]


@attack(
    "a fork's run leaves many comments to be posted, with links, pictures and names in them",
    "one is posted for a run, and it leads to no other site, loads nothing and notifies nobody",
)
def test_what_a_fork_leaves_is_posted_once_and_leads_nowhere(hub: Hub) -> None:
    head = hub.change("stranger", write("README.md", "words\n"))
    hub.github.deny("write")
    run = hub.pull_request("stranger", fork=True)
    assert run.outputs["comment-written"] == "relayed", run.log
    own = run.uploads["makeweight-comment"]
    said = "[sign in](https://spy.test) ![x](https://spy.test/x.png) <https://spy.test> @owner #1"
    for name in ("a", "b", "c"):
        left = json.loads((own / "comment.json").read_text()) | {"project": name, "body": said}
        (folder := own.parent / f"makeweight-comment-{name}").mkdir()
        (folder / "comment.json").write_text(json.dumps(left))
    (own / "comment.json").write_text(json.dumps(json.loads((own / "comment.json").read_text()) | {"body": said}))
    assert "4 comments were left" in relayed(hub, run, head, FORK)
    (comment,) = hub.github.comments
    assert FORK in comment["body"]
    for part in ("](https", "![", "<https", "://", "@owner", "#1"):
        assert part not in comment["body"]
    assert "sign in" in comment["body"]
