"""What may be wrong with a repository, a token or GitHub: each told in words, none of it changing a verdict."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from end_to_end.ci.attacks import attack
from end_to_end.ci.conftest import GROWTH, OTHER, Hub
from end_to_end.ci.test_comments import TIGHT
from end_to_end.ci.test_events import FLOAT16, write


def test_a_missing_permission_is_named_and_fails_nothing(hub: Hub) -> None:
    hub.change("docs", write("README.md", "words\n"))
    hub.github.deny("checks: write")
    hub.github.deny("pull-requests: write")
    run = hub.pull_request("docs")
    assert run.code == 0, run.log
    assert run.outputs["verdict"] == "pass"
    assert "checks: write" in run.result.summary
    assert "pull-requests: write" in run.result.summary
    assert hub.github.comments == []
    assert hub.github.token not in run.log


def test_an_api_that_is_down_changes_no_verdict(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.change("size", hub.config(TIGHT))
    hub.environment["GITHUB_API_URL"] = "http://127.0.0.1:9"
    url, hub.github.url = hub.github.url, "http://127.0.0.1:9"
    run = hub.pull_request("size")
    hub.github.url = url
    assert run.code == 1, run.log
    assert run.outputs["verdict"] == "fail"
    # without a check, the annotations are in the log
    assert f"::error file=makeweight.yaml,line={hub.line(TIGHT[1])},title=" in run.log


def test_a_typo_in_the_configuration_is_annotated_where_it_stands(hub: Hub) -> None:
    hub.change("typo", hub.config(("  size:\n", "  sise:\n")))
    run = hub.pull_request("typo")
    assert run.result.conclusion == "failure"
    assert run.code == 2, run.log
    assert run.outputs["verdict"] == "error"
    (check,) = hub.github.checks
    assert check["conclusion"] == "failure"
    assert check["output"]["annotations"][0]["start_line"] == hub.line("sise:")
    assert "did you mean" in run.result.summary or "size" in run.result.summary
    assert "Traceback" not in run.log


@pytest.mark.parametrize("stored", [True, False], ids=["a remote", "no remote"])
def test_a_failing_stage_is_told_with_its_last_words(hub: Hub, stored: bool) -> None:
    def edit(root: Path) -> None:
        (root / "test.npz").write_bytes(b"no archive")
        if not stored:  # nobody's credentials would help then
            hub.run("dvc", "remote", "remove", "-q", "store")

    hub.change("broken", edit)
    run = hub.pull_request("broken")
    assert run.result.conclusion == "failure"
    assert run.outputs["verdict"] == "error"
    assert "test.npz" in run.result.summary
    assert "credentials" not in run.result.summary
    (comment,) = hub.github.comments
    assert "test.npz: cannot be read" in comment["body"]
    assert f"[run](https://github.com/{hub.github.repository}/actions/runs/" in comment["body"]
    assert hub.github.checks[0]["conclusion"] == "failure"


def test_a_commit_without_dvcs_own_folder_is_told_what_to_add(hub: Hub) -> None:
    hub.change("forgotten", lambda root: shutil.rmtree(root / ".dvc"))
    run = hub.pull_request("forgotten")
    assert run.code == 2, run.log
    assert run.outputs["verdict"] == "error"
    assert "commit .dvc/config and .dvc/.gitignore" in run.result.summary


def test_a_conflict_left_in_the_lock_is_told_by_its_line(hub: Hub) -> None:
    def edit(root: Path) -> None:
        text = (root / "dvc.lock").read_text()
        (root / "dvc.lock").write_text(text.replace("stages:\n", "stages:\n<<<<<<< HEAD\n", 1))

    hub.change("conflict", edit)
    run = hub.pull_request("conflict")
    assert run.code == 2, run.log
    assert "dvc.lock:3: a merge conflict was left in it" in run.log


def test_a_variant_that_is_gone_and_a_model_that_is_renamed(hub_of_two: Hub) -> None:
    hub = hub_of_two

    def edit(root: Path) -> None:
        hub.config(
            (OTHER, ""),
            ("name: tiny\n", "name: renamed\n"),
            ("onnx: tiny.onnx", "onnx: renamed.onnx"),
        )(root)
        (root / "tiny.onnx").rename(root / "renamed.onnx")
        hub.run("makeweight", "init")

    hub.change("renamed", edit)
    run = hub.pull_request("renamed")
    assert run.outputs["verdict"] == "pass", run.log
    assert {rule["variant"] for rule in run.verdict()["rules"]} == {"int8"}
    assert "other" in hub.github.comments[0]["body"]


def test_the_pull_request_that_brings_makeweight_has_nothing_to_be_compared_with(hub: Hub) -> None:
    hub.change("main", hub.config(GROWTH))
    hub.git("checkout", "-q", "--orphan", "bare", "main")
    hub.git("rm", "-q", "-r", "--cached", "-f", ".")
    (hub.work / "README.md").write_text("a model\n")
    hub.git("add", "README.md", "tiny.onnx", "test.npz", "calibration.npz")
    hub.git("commit", "-q", "-m", "a model, and nothing else")
    hub.git("branch", "-f", "old", "main")
    hub.git("clean", "-fdq", "-e", "artifacts", "-e", "samples")
    hub.git("branch", "-f", "main", "bare")
    hub.git("checkout", "-q", "-f", "main")
    hub.git("push", "-q", "-f", "origin", "main")
    hub.change("adopt", lambda _: hub.git("checkout", "-q", "old", "--", ".") and None)
    run = hub.pull_request("adopt")
    assert run.outputs["verdict"] == "pass", run.log
    grown = [rule for rule in run.verdict()["rules"] if rule["rule"] == "latency_p50.max_regression"]
    assert {rule["verdict"] for rule in grown} == {"not_applicable"}


@attack(
    "names of branches and variants hold shell commands or Markdown",
    "names stay text",
)
def test_names_that_are_meant_to_break_out_stay_names(hub: Hub) -> None:
    name = '"x](javascript:alert(1)) @everyone <img src=x> -->"'
    hub.change("main", hub.config(("name: tiny\n", f"name: {name}\n")))
    branch = "a;touch$IFS-owned&`b`"
    hub.change(branch, hub.config(FLOAT16))
    run = hub.pull_request(branch)
    assert run.code == 1, run.log
    assert not list(run.workspace.rglob("*owned*"))
    (comment,) = hub.github.comments
    assert "<img" not in comment["body"]
    assert "](javascript:" not in comment["body"]
    assert comment["body"].startswith("<!-- makeweight:")
    assert comment["body"].index("-->") == comment["body"].index("\n") - len("-->")


def test_on_a_terminal_nothing_of_the_users_is_touched(hub: Hub) -> None:
    hub.git("checkout", "-q", "-B", "mine", "main")
    hub.config(("{method: dynamic}", "{method: static}"))(hub.work)
    hub.git("commit", "-q", "-a", "-m", "a recipe")
    (hub.work / "notes.txt").write_text("not committed\n")
    (hub.work / "reports/int8/evaluate.json").write_text("mine\n")
    before = hub.git("status", "--short")
    said = hub.run("makeweight", "ci", "--base", "main")
    assert "pass: `int8` ships" in said
    assert hub.git("status", "--short") == before
    assert (hub.work / "reports/int8/evaluate.json").read_text() == "mine\n"
    report = hub.work / ".makeweight/reports/verdict.json"
    assert json.loads(report.read_text())["provenance"]["base"] == hub.git("rev-parse", "main")
    assert hub.git("worktree", "list").count("\n") == 0
