"""The Action, event by event: its steps run under bash, against a GitHub that remembers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from end_to_end.ci.attacks import attack
from end_to_end.ci.conftest import FORK, GROWTH, Hub, Run, grown

FLOAT16 = ("      - quantize: {method: dynamic}\n", "      - float16\n")
"""A recipe that makes int8 half as large instead of a quarter: over the budget's 0.3."""


def write(name: str, text: str):  # type: ignore[no-untyped-def]
    def edit(root: Path) -> None:
        (root / name).write_text(text)

    return edit


def following(run: Run) -> Run:
    """The next run, where this one left off."""
    return replace(run, started=replace(run.started, number=run.started.number + 1))


def test_a_change_of_words_takes_the_measurements_of_the_base(hub: Hub) -> None:
    head = hub.change("docs", write("README.md", "words\n"))
    run = hub.pull_request("docs")
    assert run.code == 0, run.log
    assert run.outputs["verdict"] == "pass"
    assert run.outputs["shipped-variant"] == "int8"
    assert run.outputs["comment-written"] == "true"
    assert "Running stage" not in run.log
    assert not (run.workspace / "artifacts").exists()
    (check,) = hub.github.checks
    assert (check["name"], check["head_sha"], check["status"], check["conclusion"]) == (
        "makeweight verdict",
        head,
        "completed",
        "success",
    )
    (comment,) = hub.github.comments
    assert "1 benchmark skipped" in comment["body"]
    assert "passed" in comment["body"].splitlines()[1]
    assert "passed" in run.result.summary
    known, now = json.loads((hub.work / "reports/verdict.json").read_text()), run.verdict()
    figures = {(m["variant"], m["metric"], m["comparison"]): m.get("value") for m in known["measurements"]}
    here = {(m["variant"], m["metric"], m["comparison"]): m.get("value") for m in now["measurements"]}
    assert figures.items() <= here.items()
    assert now["provenance"]["measured_at"] == hub.git("rev-parse", "main")

    written, read = (len(hub.github.calls(how, "comments")) for how in ("PATCH", "GET"))
    hub.phase(following(run), "gate")  # the second run of one commit: the run's link differs, and nothing else does
    assert len(hub.github.calls("GET", "comments")) > read
    assert len(hub.github.comments) == 1
    assert len(hub.github.calls("PATCH", "comments")) <= written + 1


def test_what_changed_is_made_and_measured_anew_and_nothing_else(hub_of_two: Hub) -> None:
    hub = hub_of_two
    hub.change("recipe", hub.config(("{method: dynamic}", "{method: static}")))
    run = hub.pull_request("recipe")
    assert run.outputs["verdict"] == "pass", run.log
    assert "makeweight compress int8" in run.log
    assert "makeweight compress other" not in run.log
    assert "int8 beside baseline on board" in run.log
    assert "other beside baseline on board" not in run.log
    assert "int8 beside the merge base's int8" in run.log
    rules = {rule["rule"]: rule for rule in run.verdict()["rules"] if rule["variant"] == "int8"}
    grown = rules["latency_p50.max_regression"]
    assert grown["verdict"] == "pass"
    assert grown["value"] is not None
    same = next(r for r in run.verdict()["rules"] if r["variant"] == "other" and r["rule"] == grown["rule"])
    assert same["value"] == 0.0


def test_a_broken_budget_blocks_with_its_line_and_the_same_comment_is_updated_by_the_fix(hub: Hub) -> None:
    head = hub.change("size", hub.config(FLOAT16))
    run = hub.pull_request("size")
    assert run.code == 1, run.log
    assert run.result.conclusion == "failure"
    assert run.outputs["verdict"] == "fail"
    assert run.outputs["shipped-variant"] == ""
    assert float(run.outputs["size-ratio"]) > 0.45
    (check,) = hub.github.checks
    assert (check["head_sha"], check["conclusion"]) == (head, "failure")
    (note,) = check["output"]["annotations"]
    assert (note["path"], note["start_line"]) == ("makeweight.yaml", hub.line("max_ratio: 0.3"))
    assert note["annotation_level"] == "failure"
    assert "size" in note["message"]
    (comment,) = hub.github.comments
    assert "blocked" in comment["body"].splitlines()[1]
    before = comment["id"]

    hub.change("size", hub.config((FLOAT16[1], FLOAT16[0])), onto="size")
    again = hub.pull_request("size")
    assert again.outputs["verdict"] == "pass", again.log
    (comment,) = hub.github.comments
    assert comment["id"] == before
    assert "passed" in comment["body"].splitlines()[1]
    assert hub.github.checks[-1]["conclusion"] == "success"


def test_a_tightened_budget_is_judged_on_what_was_measured_before(hub: Hub) -> None:
    hub.change("tight", hub.config(("max_ratio: 0.3", "max_ratio: 0.1")))
    run = hub.pull_request("tight")
    assert run.code == 1, run.log
    assert "Running stage" not in run.log
    assert hub.github.checks[0]["output"]["annotations"][0]["start_line"] == hub.line("max_ratio: 0.1")


@pytest.fixture(scope="module")
def queued(
    seed: Path, tmp_path_factory: pytest.TempPathFactory, plain: dict[str, str]
) -> Iterator[tuple[Hub, Run, Path]]:
    """A merge group of another recipe, judged once with a key to sign with; and the other half of that key."""
    for hub in grown(seed, tmp_path_factory.mktemp("queued") / "hub", plain):
        key, public = hub.folder / "key.pem", hub.folder / "pub.pem"
        hub.run("openssl", "genpkey", "-algorithm", "ed25519", "-out", str(key))
        hub.run("openssl", "pkey", "-in", str(key), "-pubout", "-out", str(public))
        hub.change("recipe", hub.config(("{method: dynamic}", "{method: static}")))
        yield hub, hub.merge_group("recipe", signing_key=key.read_text()), public


def test_a_merge_group_is_judged_and_gets_no_comment(queued: tuple[Hub, Run, Path]) -> None:
    hub, run, _ = queued
    assert run.outputs["verdict"] == "pass", run.log
    assert run.outputs["comment-written"] == "false"
    assert hub.github.comments == []
    (check,) = hub.github.checks
    assert check["head_sha"] == hub.git("rev-parse", "HEAD")


def test_evidence_is_signed_and_can_be_verified_offline(queued: tuple[Hub, Run, Path]) -> None:
    hub, run, public = queued
    evidence = run.uploads["makeweight-report"] / "verdict.json"
    command = ("makeweight", "verify", str(evidence), "--key", str(public), "--project", str(run.workspace))
    said = hub.run(*command, cwd=run.workspace)
    assert "signature" in said
    evidence.write_text(evidence.read_text().replace('"pass"', '"fail"', 1))
    assert "FORGED" in hub.run(*command, cwd=run.workspace, ok=False)


def test_a_fork_is_judged_without_credentials_and_its_comment_is_relayed(hub: Hub) -> None:
    hub.change("main", hub.config(GROWTH))
    head = hub.change("stranger", hub.config(("{method: dynamic}", "{method: static}")))
    (hub.folder / "store").rename(hub.folder / "store-away")
    hub.github.deny("write")
    run = hub.pull_request("stranger", fork=True)
    assert run.outputs["verdict"] == "pass", run.log
    assert "making int8 of the base again" in run.log
    assert "int8 beside the merge base's int8" in run.log
    assert run.outputs["comment-written"] == "relayed"
    assert hub.github.comments == []
    assert "makeweight-report" in run.uploads
    left = json.loads((run.uploads["makeweight-comment"] / "comment.json").read_text())
    assert (left["number"], left["head"]) == (7, head)

    hub.github.allow()
    origin = {"full_name": FORK}
    payload = {"workflow_run": {"head_sha": head, "event": "pull_request", "head_repository": origin}}
    place, environment = hub.checkout("workflow_run", "refs/heads/main", payload)
    environment["MAKEWEIGHT_TOKEN"] = hub.github.token
    relay = Hub(hub.folder, environment, hub.github)
    relay.run("makeweight", "ci", "relay", str(run.uploads["makeweight-comment"]), cwd=place)
    (comment,) = hub.github.comments
    assert "fork" in comment["body"]
    assert "passed" in comment["body"]

    left["number"] = 8
    hub.github.pull(8, "c" * 40, head_repository="somebody/else")
    (run.uploads["makeweight-comment"] / "comment.json").write_text(json.dumps(left))
    said = relay.run("makeweight", "ci", "relay", str(run.uploads["makeweight-comment"]), cwd=place, ok=False)
    assert "not posted" in said
    assert len(hub.github.comments) == 1


def test_a_fork_without_the_data_is_undecided_and_says_who_can_help(hub: Hub) -> None:
    hub.git("checkout", "-q", "main")
    hub.git("rm", "-q", "--cached", "tiny.onnx")
    hub.run("dvc", "add", "-q", "tiny.onnx")
    hub.run("dvc", "push", "-q")
    hub.git("add", "-A")
    hub.git("commit", "-q", "-m", "the model is DVC's")
    hub.git("push", "-q", "origin", "main")
    hub.change("stranger", hub.config(("{method: dynamic}", "{method: static}")))
    (hub.folder / "store").rename(hub.folder / "store-away")
    hub.github.deny("write")
    run = hub.pull_request("stranger", fork=True)
    assert run.code == 3, run.log
    assert run.outputs["verdict"] == "inconclusive"
    assert "maintainer" in run.result.summary
    assert "undecided" in run.result.summary


@attack(
    "a change that makes another model brings a verdict.json that tells of other ones, from which the growth of later "
    "changes would be counted",
    "the push of the merge is refused, with the command that puts it right",
)
def test_a_push_stores_what_was_made_and_commits_the_lock_when_asked(hub: Hub) -> None:
    hub.change("recipe", hub.config(("{method: dynamic}", "{method: static}")))
    before, after = hub.land("recipe")
    stale = hub.push(before, after)
    assert stale.code == 2, stale.log
    assert "dvc repro" in stale.log
    assert "compress@int8" in stale.log
    assert "`reports/verdict.json` tells otherwise of the models" in stale.log

    hub.phase(stale, "gate", "--push", "--commit-lock")  # as the same run would with `commit-lock: true`
    hub.git("fetch", "-q", "origin")
    told = hub.git("log", "-1", "--format=%an|%B", "origin/main")
    assert told.startswith("makeweight[bot]|")
    assert "[skip ci]" in told
    hub.git("reset", "-q", "--hard", "origin/main")
    drawn = json.loads((hub.work / "reports/history/history.json").read_text())
    assert [(each["commit"], each["variant"]) for each in drawn][-1] == (after, "int8")
    assert len(drawn) == 2  # with that of the first commit, which a clone of one commit has to ask for
    hub.run("dvc", "pull", "-q", "--force")
    assert "didn't change" in hub.run("dvc", "repro", "--dry", "compress@int8")
    assert hub.github.comments == []

    tip = hub.git("rev-parse", "HEAD")
    words = hub.change("main", write("README.md", "words\n"))
    settled = hub.push(tip, words, commit_lock="true")
    assert settled.code == 0, settled.log
    assert "Running stage" not in settled.log
    hub.git("fetch", "-q", "origin")
    assert hub.git("rev-parse", "origin/main") == words  # nothing to commit, so nothing that runs again

    hub.change("main", write("README.md", "more words\n"))
    late = hub.push(tip, words, commit_lock="true", ref=words)
    assert late.code == 0, late.log
    assert "has moved on" in late.log


def test_a_scheduled_run_measures_again_and_keeps_one_issue(hub: Hub) -> None:
    hub.change("main", hub.config(("max_ratio: 0.3", "max_ratio: 0.1")))
    broken = hub.schedule()
    assert broken.code == 1, broken.log
    hub.phase(following(broken), "gate")  # which finds the same: its link is another
    assert len(hub.github.calls("PATCH", "/issues/")) == 1
    (issue,) = hub.github.issues
    assert issue["state"] == "open"
    assert "tiny" in issue["title"]

    hub.change("main", hub.config(("max_ratio: 0.1", "max_ratio: 0.3")))
    run = hub.schedule()
    assert run.outputs["verdict"] == "pass", run.log
    assert "int8 beside baseline on board" in run.log
    assert hub.github.issues[0]["state"] == "closed"
    hub.github.issues.clear()
    hub.phase(run, "gate")  # one that passes begins none
    assert hub.github.issues == []


@attack(
    "the workflow runs on `pull_request_target`, beside a token that may write",
    "it is refused",
)
def test_pull_request_target_is_refused(hub: Hub) -> None:
    hub.change("docs", write("README.md", "words\n"))
    run = hub.start("pull_request_target", "refs/heads/docs", {})
    assert run.result.conclusion == "failure"
    assert "pull_request_target is refused" in run.log
    assert "Running stage" not in run.log
