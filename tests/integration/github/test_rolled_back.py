"""What the controller's target tells a repository when a trial is over, beside a GitHub with a memory."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from integration.github.server import Server
from makeweight.project import reading
from makeweight_base.errors import ConfigError, UsageError
from makeweight_base.forge.client import Unreachable
from makeweight_monitors.rollback.case import Canary
from makeweight_monitors.rollback.targets.github import TOKEN, GithubOptions, GithubTarget
from makeweight_monitors.rollback.targets.pointer import PointerTarget
from makeweight_monitors.rollback.targets.target import Rehearsing
from makeweight_monitors.serving import pointer
from makeweight_monitors.serving.pointer import Pointer, Served

STABLE = Served("digits", "baseline", "r1", "a" * 64, "models/a", 0.95, 0)
CANDIDATE = Served("digits", "int8", "r2", "b" * 64, "models/b", 0.05, 1)
CANARY = Canary("prod", "digits", "b" * 64, "1", "r2")
WHY = "rolls prod: digits r2 back from 5%: MakeweightFailuresAboveStable fires `@everyone` <b>"
FILE = "serving/current.json"


@pytest.fixture
def target(github: Server, tmp_path: Path) -> GithubTarget:
    """A pointer that moves the traffic; in the repository it got the canary, then a larger share."""
    pointer.write(tmp_path / "current.json", Pointer(STABLE, CANDIDATE))
    github.commit({FILE: "a" * 64, "other": "1"})
    github.commit({FILE: "a" * 64 + "b" * 64})
    github.commit({FILE: "a" * 64 + "b" * 64 + " more"})
    github.commit({"other": "2"})
    github.deploy("production", "r1", "1" * 40)
    github.deploy("production", "r2", "2" * 40)
    return made(github, tmp_path)


def made(github: Server, folder: Path, **given: Any) -> GithubTarget:
    (folder / "token").write_text(github.token)
    options: dict[str, Any] = {
        "traffic": {"kind": "pointer", "path": "current.json"},
        "repository": "acme/model",
        "file": FILE,
        "environment": "production",
        "token_file": "token",
        "api": github.url,
    }
    return GithubTarget(GithubOptions(**{**options, **given}), folder)


def test_after_a_rollback_there_is_a_revert_an_issue_and_a_failed_deployment_and_each_once(
    github: Server, target: GithubTarget, tmp_path: Path
) -> None:
    assert target.get().share == 0.05
    target.set(target.get(), 0.0)
    target.verify(0.0)
    assert github.requests == []  # traffic does not wait for GitHub
    told = target.finalize(CANARY, False, WHY)
    (pull,), (issue,) = github.pulls.values(), github.issues
    latest, first = github.deployments
    assert (
        told
        == f"the revert is {pull['html_url']}; the issue is {issue['html_url']}; deployment {latest['id']} is a failure"
    )
    assert (pull["base"]["ref"], pull["title"]) == ("main", "Roll back prod: digits r2")
    reverted, base = github.branches[pull["head"]["ref"]], github.branches["main"]
    assert reverted[0]["files"] == {FILE: "a" * 64, "other": "2"}
    assert reverted[1:] == base
    assert [status["state"] for status in latest["statuses"]] == ["failure"]
    assert first["statuses"] == []
    for said in (pull["body"], issue["body"]):
        assert f"```text\n{WHY.replace('`', chr(39))}\n" in said
        assert "sha256: " + "b" * 64 in said
    assert issue["body"].endswith(f"The revert is {pull['html_url']}.")
    pull["state"] = issue["state"] = "closed"  # people are done with it
    assert made(github, tmp_path).finalize(CANARY, False, WHY) == told
    assert (len(github.pulls), len(github.issues), len(latest["statuses"])) == (1, 1, 1)
    other = Canary("prod", "digits", "b" * 64, "2", "r2")
    target.finalize(other, False, WHY)
    assert (len(github.pulls), len(github.issues)) == (2, 2)


STEPS = ["/git/refs", "/contents/", "/pulls", "/issues", "/statuses"]


@pytest.mark.parametrize("carried_out", [True, False], ids=["done and the answer lost", "not done"])
@pytest.mark.parametrize("path", STEPS)
def test_what_does_not_answer_is_tried_again_and_nothing_is_made_twice(
    github: Server, target: GithubTarget, path: str, carried_out: bool
) -> None:
    method = "PUT" if path == "/contents/" else "POST"
    github.fail_with(502, method=method, path=path, carried_out=carried_out)
    with pytest.raises(Unreachable, match="GitHub answered 502"):
        target.finalize(CANARY, False, WHY)
    told = target.finalize(CANARY, False, WHY)
    assert told is not None
    assert re.fullmatch(r"the revert is \S+; the issue is \S+; deployment \d+ is a failure", told)
    assert (len(github.pulls), len(github.issues), len(github.branches)) == (1, 1, 2)
    assert len(github.deployments[0]["statuses"]) == 1
    assert sum(len(commits) for commits in github.branches.values()) == 4 + 5


def test_the_advice_is_for_who_runs_the_controller_not_for_a_job(
    github: Server, target: GithubTarget, tmp_path: Path
) -> None:
    github.fail_with(502, method="POST", path="/issues")
    with pytest.raises(Unreachable) as lost:
        target.finalize(CANARY, False, WHY)
    assert str(lost.value).endswith("Gave up after 1 try and 0 s. The controller tries it again.")
    with pytest.raises(Unreachable) as nowhere:
        made(github, tmp_path, api="http://[").finalize(CANARY, False, WHY)
    assert nowhere.value.do == "Mend `canary.target.api`, such as https://api.github.com."


def test_what_is_refused_is_told_and_stops_nothing_else(github: Server, target: GithubTarget) -> None:
    github.deny("contents: write")
    github.deny("deployments: read")
    told = target.finalize(CANARY, False, WHY)
    assert told is not None
    assert [one.partition(":")[0].partition(" is ")[0] for one in told.split("; ")] == [
        "no pull request",
        "the issue",
        "no status of the deployment",
    ]
    assert github.token not in told


def test_after_a_promotion_the_deployment_is_a_success_and_nothing_is_reverted(
    github: Server, target: GithubTarget
) -> None:
    target.set(target.get(), 1.0)
    told = target.finalize(CANARY, True, "promotes it")
    latest = github.deployments[0]
    assert told == f"deployment {latest['id']} is a success"
    assert pointer.load(target.traffic.path).stable.sha256 == "b" * 64  # type: ignore[attr-defined]
    assert (github.pulls, github.issues) == ({}, [])


def test_where_nothing_can_be_reverted_the_issue_says_so(github: Server, target: GithubTarget, tmp_path: Path) -> None:
    unknown = Canary("prod", "digits", "c" * 64)
    told = target.finalize(unknown, False, WHY)
    assert told is not None
    assert told.startswith(f"no pull request: `{FILE}` on main does not ship this model, or always did; the issue is ")
    assert told.endswith("no deployment to production is of revision none")
    assert "does not ship this model" in github.issues[0]["body"]
    with_none = made(github, tmp_path, file=None, environment=None)
    assert (
        with_none.finalize(Canary("prod", "digits", "d" * 64), False, WHY)
        == "the issue is " + github.issues[1]["html_url"]
    )


def test_a_stranger_s_issue_with_our_mark_is_not_taken_for_ours(github: Server, target: GithubTarget) -> None:
    target.finalize(CANARY, False, WHY)
    github.issues[0]["user"] = {"login": "stranger"}
    target.finalize(CANARY, False, WHY)
    assert len(github.issues) == 2


def test_it_rehearses_where_what_moves_the_traffic_does(
    github: Server, target: GithubTarget, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not isinstance(target, Rehearsing)
    monkeypatch.setattr(PointerTarget, "rehearse", lambda *given: asked.append(given[1:]), raising=False)
    asked: list[object] = []
    rehearsing = made(github, tmp_path)
    assert isinstance(rehearsing, Rehearsing)
    rehearsing.rehearse(rehearsing.get(), 0.0)
    assert asked == [(rehearsing.get(), 0.0)]


def test_the_token(github: Server, target: GithubTarget, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN, github.token)
    assert made(github, tmp_path, token_file=None).finalize(CANARY, True, WHY) is not None
    monkeypatch.setenv(TOKEN, " ")
    for given, said in ((None, "there is no token for GitHub"), ("none", "the token cannot be read: No such file")):
        with pytest.raises(UsageError, match=said):
            made(github, tmp_path, token_file=given)


DECLARED = {
    "no other target": ("traffic: {}", "`kind` is wanted, of what moves the traffic itself"),
    "itself": ("traffic: {kind: github}", "`kind` is wanted, of what moves the traffic itself"),
    "a target that is none": ("traffic: {kind: pointr}", "unknown target `pointr`; did you mean `pointer`?"),
    "a target without its options": ("traffic: {kind: pointer}", "path"),
    "a file outside": ("traffic: {kind: pointer, path: a}, file: ../x", "a path from the top of the repository on"),
    "no repository": ("traffic: {kind: pointer, path: a}, repository: acme", "canary.target.repository"),
}


@pytest.mark.parametrize(("declared", "said"), DECLARED.values(), ids=DECLARED)
def test_what_is_wrong_with_its_declaration_is_told_where_the_file_is_read(
    tmp_path: Path, declared: str, said: str
) -> None:
    text = (Path(__file__).resolve().parents[3] / "makeweight.yaml").read_text()
    repository = "" if "repository:" in declared else "repository: acme/model, "
    text += f"\ncanary: {{target: {{kind: github, {repository}{declared}}}}}\n"
    with pytest.raises(ConfigError, match=re.escape(said)):
        reading.understand(text, "makeweight.yaml", tmp_path)
