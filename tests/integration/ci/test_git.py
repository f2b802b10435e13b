"""Finding the base in clones as runners make them: one commit deep, of merges, after forced pushes."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from makeweight.ci import base as bases
from makeweight.ci import merge_base
from makeweight.ci.git import Git, authenticated
from makeweight.forge.event import Event
from makeweight_base.errors import EnvironmentFailed, UsageError

ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
    "GIT_CONFIG_GLOBAL": os.devnull,
    "no_proxy": "127.0.0.1",
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.org",
}


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def commit(folder: Path, name: str) -> str:
    (folder / name).write_text(name)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", name)
    return git(folder, "rev-parse", "HEAD")


class Origin:
    """main: a, b, c; the branch `change` leaves at b with d, e; `refs/pull/7/merge` merges it into c."""

    def __init__(self, folder: Path) -> None:
        self.work, self.bare, self.folder = folder / "work", folder / "origin.git", folder
        self.work.mkdir()
        git(self.work, "init", "-q", "-b", "main")
        self.a, self.b = commit(self.work, "a"), commit(self.work, "b")
        git(self.work, "checkout", "-q", "-b", "change")
        commit(self.work, "d")
        self.e = commit(self.work, "e")
        git(self.work, "checkout", "-q", "main")
        self.c = commit(self.work, "c")
        git(self.work, "checkout", "-q", "--detach", "main")
        git(self.work, "merge", "-q", "--no-ff", "-m", "try", "change")
        self.merge = git(self.work, "rev-parse", "HEAD")
        git(self.work, "checkout", "-q", "main")
        git(folder, "clone", "-q", "--bare", str(self.work), str(self.bare))
        git(self.bare, "config", "uploadpack.allowAnySHA1InWant", "true")
        git(self.work, "push", "-q", str(self.bare), f"{self.merge}:refs/pull/7/merge")

    def clone(self, ref: str, *depth: str) -> Git:
        place = self.folder / f"clone{len(list(self.folder.iterdir()))}"
        place.mkdir()
        git(place, "init", "-q")
        git(place, "remote", "add", "origin", f"file://{self.bare}")
        git(place, "fetch", "-q", "--no-tags", *depth, "origin", ref)
        git(place, "checkout", "-q", "--detach", "FETCH_HEAD")
        return Git(place, ENVIRONMENT)


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    return Origin(tmp_path)


def pull(origin: Origin) -> Event:
    return Event("pull_request", head=origin.e, base=origin.b, base_ref="main", default_branch="main", number=7)


def test_a_pull_request_is_held_against_what_it_would_be_merged_into(origin: Origin) -> None:
    clone = origin.clone("refs/pull/7/merge", "--depth=1")
    assert clone.resolve(origin.c) is None
    # not the base that the event names, which is older than the merge that is tried
    assert merge_base.find(pull(origin), clone) == origin.c
    assert clone.read(origin.c, "c") == b"c"


def test_a_checkout_of_the_head_alone_is_deepened_until_the_histories_meet(origin: Origin) -> None:
    clone = origin.clone("change", "--depth=1")
    event = Event("pull_request", head=origin.e, base=origin.c, base_ref="main", default_branch="main", number=7)
    assert merge_base.find(event, clone) == origin.b


def test_a_pull_request_that_was_given_another_base_is_never_held_against_the_old_one(origin: Origin) -> None:
    git(origin.bare, "branch", "lenient", origin.a)
    clone = origin.clone("refs/pull/7/merge", "--depth=1")
    into_main = replace(pull(origin), retargeted=True)  # the event tells of b, and main has moved on to c since
    assert merge_base.find(into_main, clone) == origin.c
    into_lenient = replace(into_main, base=origin.a, base_ref="lenient")
    with pytest.raises(EnvironmentFailed, match="is not yet one into `lenient`"):
        merge_base.find(into_lenient, clone)


def test_a_push_is_held_against_what_the_branch_was(origin: Origin) -> None:
    def pushed(base: str | None, branch: str = "main") -> Event:
        return Event("push", head=origin.c, base=base, base_ref=branch, default_branch="main")

    assert merge_base.find(pushed(origin.a), origin.clone("main", "--depth=1")) == origin.a
    assert (
        merge_base.find(pushed(None), origin.clone("main", "--depth=1")) == origin.b
    )  # the first push that is told of
    assert (
        merge_base.find(pushed("9" * 40), origin.clone("main", "--depth=2")) == origin.b
    )  # rewritten: what was is gone
    clone = origin.clone("change")
    git(clone.folder, "fetch", "-q", "origin", "main:refs/remotes/origin/main")
    assert merge_base.find(pushed(origin.a, "change"), clone) == origin.b


def test_a_commit_has_the_parents_that_it_names(origin: Origin) -> None:
    """A stage could have written that its branch was left elsewhere, where the budget was looser."""
    clone = origin.clone("change")
    git(clone.folder, "fetch", "-q", "origin", "main:refs/remotes/origin/main")
    (clone.folder / ".git/info/grafts").write_text(f"{origin.e} {origin.a}\n")
    assert git(clone.folder, "merge-base", origin.e, origin.c) == origin.a
    event = Event("pull_request", head=origin.e, base=origin.c, base_ref="main", default_branch="main", number=7)
    assert merge_base.find(event, clone) == origin.b


def test_a_merge_group_a_schedule_and_a_terminal(origin: Origin) -> None:
    queue = Event("merge_group", head=origin.merge, base=origin.c, base_ref="main", default_branch="main")
    assert merge_base.find(queue, origin.clone("refs/pull/7/merge", "--depth=1")) == origin.c
    nightly = Event("schedule", head=origin.c, base_ref="main", default_branch="main")
    assert merge_base.find(nightly, origin.clone("main", "--depth=1")) == origin.c
    git(origin.work, "checkout", "-q", "change")
    assert merge_base.find(Event("local"), Git(origin.work, ENVIRONMENT)) == origin.b


def test_a_base_that_is_asked_for_takes_the_place_of_the_events(origin: Origin) -> None:
    git(origin.work, "tag", "stable", origin.c)
    git(origin.work, "push", "-q", str(origin.bare), f"{origin.a}:refs/heads/stable", "refs/tags/stable")
    for clone in (origin.clone("refs/pull/7/merge", "--depth=2"), origin.clone("refs/pull/7/merge", "--tags")):
        assert merge_base.find(pull(origin), clone, "stable") == origin.a
        assert merge_base.find(pull(origin), clone, origin.b) == origin.b
        with pytest.raises(UsageError, match="no revision `unstable`, neither here nor as a branch of origin"):
            merge_base.find(pull(origin), clone, "unstable")
    assert merge_base.branch(pull(origin), "stable") == "stable"
    assert merge_base.find(Event("local"), Git(origin.work, ENVIRONMENT), "stable") == origin.c  # the tag that is here


def test_the_default_branch_is_held_against_what_it_was_whatever_is_asked(origin: Origin) -> None:
    clone = origin.clone("main", "--depth=1")
    push = Event("push", base=origin.a, base_ref="main", default_branch="main")
    assert merge_base.find(push, clone, "change") == origin.a
    assert merge_base.branch(push, "change") == "main"


def test_a_base_that_cannot_be_had_is_told(origin: Origin) -> None:
    clone = origin.clone("refs/pull/7/merge", "--depth=1")
    git(clone.folder, "remote", "set-url", "origin", "file:///nowhere")
    with pytest.raises(EnvironmentFailed, match="cannot be fetched") as told:
        merge_base.find(pull(origin), clone)
    assert "fetch-depth: 0" in str(told.value.do)


def test_histories_that_never_met_have_no_base(origin: Origin, tmp_path: Path) -> None:
    git(origin.work, "checkout", "-q", "--orphan", "alone")
    alone = commit(origin.work, "z")
    assert Git(origin.work, ENVIRONMENT).merge_base(alone, origin.c) is None


def test_a_folder_within_a_repository_reads_its_own_files(origin: Origin) -> None:
    folder = origin.work / "models" / "one"
    folder.mkdir(parents=True)
    (folder / "reports").mkdir()
    (folder / "reports" / "x.json").write_text("{}")
    (folder / "reports" / "link").symlink_to("x.json")
    sha = commit(folder, "makeweight.yaml")
    own = Git(folder, ENVIRONMENT)
    assert own.prefix == "models/one/"
    assert own.read(sha, "makeweight.yaml") == b"makeweight.yaml"
    assert own.read(sha, "a") is None
    assert own.files(sha, "reports") == ["reports/x.json"]
    assert own.tracked("reports")
    assert not own.tracked("elsewhere")


def test_one_process_reads_what_many_would_and_ends_with_the_block(origin: Origin) -> None:
    contents = {
        "empty": b"",
        "lines": b"\n\n",
        "bytes": bytes(range(256)) * 1000,
        "odd -- name: x": b"odd",
        "two\nlines": b"two",
        "ünïcode": b"u",
        f"{'0' * 40} blob 3": b"like a header",
        "folder/deep": b"deep",
    }
    for name, content in contents.items():
        (origin.work / name).parent.mkdir(exist_ok=True)
        (origin.work / name).write_bytes(content)
    sha = commit(origin.work, "many")
    clone = origin.clone("main", "--depth=1")
    own = Git(origin.work, ENVIRONMENT)
    with own.reading():
        assert {name: own.read(sha, name) for name in contents} == contents
        for absent in ("none", f"{'1' * 40} blob 3", "folder", "", "-x"):
            assert own.read(sha, absent) is None
        (origin.work / "later").write_text("later")
        later = commit(origin.work, "later")
        assert own.read(later, "later") == b"later"
        reader = own._reader
        assert reader is not None
    assert reader.returncode == 0
    assert own.read(sha, "odd -- name: x") == b"odd"
    with clone.reading():
        assert clone.read(sha, "empty") is None
        git(clone.folder, "fetch", "-q", "--depth=1", f"file://{origin.work}", later)
        assert clone.read(later, "later") == b"later"  # what is fetched meanwhile is seen
    with own.reading():
        assert own._reader is not None
        own._reader.kill()
        with pytest.raises(EnvironmentFailed, match="git ended while it was read from"):
            own.read(sha, "empty")


@pytest.mark.parametrize("name", ["--upload-pack=touch owned", "a;touch owned", "$(touch owned)", "ünïcode", "-x"])
def test_a_hostile_name_is_a_name(origin: Origin, name: str) -> None:
    own = Git(origin.work, ENVIRONMENT)
    assert own.resolve(name) is None
    assert own.obtain(name) is False
    assert own.tip(name) is None
    assert not list(origin.folder.rglob("owned"))


def test_a_file_whose_name_is_no_text_is_one(origin: Origin) -> None:
    name = os.fsdecode(b"reports/\xff")
    (origin.work / "reports").mkdir()
    (origin.work / name).write_text("odd")
    sha, own = commit(origin.work, "named"), Git(origin.work, ENVIRONMENT)
    assert [(each, own.read(sha, each)) for each in own.files(sha, "reports")] == [(name, b"odd")]


def test_a_bot_commits_under_its_own_name_and_a_push_that_is_refused_is_told(origin: Origin) -> None:
    clone = origin.clone("main")
    (clone.folder / "a").write_text("fresh")
    made = clone.commit(["a"], "fresh", {"NAME": "bot", "EMAIL": "bot@example.org"})
    assert git(clone.folder, "log", "-1", "--format=%an <%ae> %cn", str(made)) == "bot <bot@example.org> bot"
    assert clone.commit(["a"], "again", {"NAME": "bot", "EMAIL": "bot@example.org"}) is None
    assert clone.push("main") is None
    assert clone.tip("main") == made
    late = origin.clone(origin.c)
    (late.folder / "a").write_text("late")
    late.commit(["a"], "late", {"NAME": "bot", "EMAIL": "bot@example.org"})
    assert "rejected" in str(late.push("main")) or "fetch first" in str(late.push("main"))
    hook = origin.bare / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    said = str(late.push("other"))
    assert "declined" in said
    assert "deprecated" not in said  # what git would say first of a file of grafts


def test_a_token_is_in_no_message(origin: Origin) -> None:
    own = authenticated(ENVIRONMENT, "https://github.example", "s3cret")
    assert own["GIT_CONFIG_KEY_0"] == "http.https://github.example/.extraheader"
    assert "s3cret" not in " ".join(own.values())  # it is in base64 only
    clone = Git(origin.work, own)
    with pytest.raises(EnvironmentFailed) as told:
        clone.parents("no such thing")
    assert own["GIT_CONFIG_VALUE_1"] not in str(told.value)
    assert authenticated(ENVIRONMENT, "https://github.example", None) == ENVIRONMENT


def test_a_folder_without_git_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no git repository"):
        Git(tmp_path, ENVIRONMENT)


def test_a_project_is_the_folder_of_that_name_in_the_commit(origin: Origin, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a link or a submodule leads, the base has nothing: a budget that was there would be gone unseen."""
    (origin.work / "models/two").mkdir(parents=True)
    (origin.work / "models/one").symlink_to("two")
    (origin.work / "all").symlink_to("models")
    commit(origin.work / "models/two", "makeweight.yaml")
    git(origin.work, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(origin.bare), "models/sub")
    commit(origin.work, "submodule")
    (origin.folder / "aside").symlink_to(origin.work)  # no commit has that one
    for folder in (origin.work, origin.work / "models/two", origin.folder / "aside/models/two"):
        Git(folder, ENVIRONMENT).require_own()
    for folder in ("models/one", "all/two", "all/../models/two"):
        with pytest.raises(UsageError, match="is a link, and where it leads lies another project"):
            Git(origin.work / folder, ENVIRONMENT).require_own()
    with pytest.raises(UsageError, match="lies in a submodule"):
        Git(origin.work / "models/sub", ENVIRONMENT).require_own()
    monkeypatch.chdir(origin.work / "models/two")
    Git(Path(), ENVIRONMENT).require_own()
    with pytest.raises(UsageError, match="`one` is a link"):  # a shell that went there by the link
        Git(Path(), {**ENVIRONMENT, "PWD": str(origin.work / "models/one")}).require_own()


@pytest.mark.parametrize("told", [("-c", "safe.bareRepository=explicit"), ()], ids=["this git", "before 2.38"])
def test_a_repository_that_a_commit_holds_is_not_the_one_around_it(
    origin: Origin, monkeypatch: pytest.MonkeyPatch, told: tuple[str, ...]
) -> None:
    """git would take the folder for one, and run what its `config` names, beside the token of the gate."""
    monkeypatch.setattr("makeweight.ci.git._GIT", ("git", *told))
    folder = origin.work / "models/one"
    folder.mkdir(parents=True)
    for name, text in {
        "HEAD": "ref: refs/heads/main\n",
        "config": f"[core]\n\trepositoryformatversion = 0\n\tbare = false\n\tworktree = ../one\n"
        f"\tfsmonitor = touch '{origin.folder}/ran'\n",
        "objects/kept": "",
        "refs/heads/kept": "",
        "makeweight.yaml": "name: one\n",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    git(origin.work, "add", "-A")
    git(origin.work, "commit", "-q", "-m", "two in one")
    assert git(folder, "rev-parse", "--is-inside-work-tree", "--git-dir").split() == ["true", "."]
    with pytest.raises(UsageError, match="holds a git repository of its own"):
        Git(folder, ENVIRONMENT)
    with pytest.raises(UsageError, match="without a work tree") as refused:
        Git(origin.bare, ENVIRONMENT)
    assert str(refused.value.do).startswith("Run it in a checkout.")
    assert not (origin.folder / "ran").exists()


def test_a_broken_base_is_no_base_and_says_so(origin: Origin) -> None:
    (origin.work / "reports").mkdir()
    (origin.work / "reports/verdict.json").write_text("{")
    (origin.work / "makeweight.yaml").write_text("budget: [")
    sha = commit(origin.work, "broken")
    known = bases.read(sha, "main", Git(origin.work, ENVIRONMENT), origin.work)
    assert known.project is None
    assert known.measurements == ()
    assert len(known.notices) == 2
    assert "makeweight.yaml at" in known.notices[0]
    assert known.unusable is not None
    (origin.work / "makeweight.yaml").unlink()
    (origin.work / "makeweight.yaml").symlink_to("a")
    linked = commit(origin.work, "linked")
    assert bases.read(linked, "main", Git(origin.work, ENVIRONMENT), origin.work).asks_for_review
    assert not bases.read(origin.c, "main", Git(origin.work, ENVIRONMENT), origin.work).asks_for_review


WHOLE: dict[str, Any] = {
    "verdict": "pass", "sentence": "", "ship": None, "policy": "best", "prefer": "size", "project": "tiny",
    "variants": [], "rules": [], "measurements": [{"metric": "size", "variant": "int8", "unit": "B", "value": 1.0}],
    "provenance": {"artifacts": {"int8": "i"}, "failed": {}, "code": {"a.py": None}},
}  # fmt: skip
RULE: dict[str, Any] = {
    **dict.fromkeys(("rule", "metric", "operator", "variant", "limit_text", "sentence"), "x"),
    **dict.fromkeys(("device", "slice", "value", "interval")),
    **{"verdict": "pass", "level": "error"},
}


@pytest.mark.parametrize(
    "other",
    [
        {},
        {"measurements": [{"metric": "size"}]},
        {"measurements": [{"metric": "size", "variant": "int8", "unit": "B", "value": "1"}]},
        {"measurements": [{"metric": "size", "variant": "int8", "unit": "B", "value": 1.0, "odd": 1}]},
        {"provenance": {"artifacts": {"int8": 7}}},
        {"measurements": [{"metric": "size", "variant": "int8", "unit": "B", "value": 10**400}]},
        {"measurements": [{"metric": "size", "variant": "int8", "unit": "B", "value": 1.0, "interval": [0, 10**400]}]},
        {"measurements": [{"metric": ["size"], "variant": "int8", "unit": "B", "value": 1.0}]},
        {"rules": [{**RULE, "limit": 10**400}]},
        {"provenance": {"code": ["a.py"]}},
        {"provenance": {"devices": ["pi5"]}},
    ],
    ids=[
        *("a sound one", "a part of a figure", "a text for a number", "a key of another version", "a hash"),
        *("a number beyond all", "an end beyond all", "a list for a name", "a limit beyond all", "code", "devices"),
    ],
)
def test_whatever_the_bases_verdict_holds_is_read_or_told(origin: Origin, other: dict[str, Any]) -> None:
    (origin.work / "reports").mkdir()
    (origin.work / "reports/verdict.json").write_text(json.dumps({**WHOLE, **other}))
    known = bases.read(commit(origin.work, "told"), "main", Git(origin.work, ENVIRONMENT), origin.work)
    assert (len(known.measurements), len(known.notices)) == ((0, 1) if other else (1, 0))
    assert known.artifacts == ({} if other else {"int8": "i"})


def test_a_branch_whose_name_ends_like_another_is_not_that_other(origin: Origin) -> None:
    """What `ls-remote` is asked for is a pattern, and branches are named by all who may push."""
    git(origin.work, "push", "-q", str(origin.bare), f"{origin.e}:refs/heads/a/refs/heads/main")
    clone = origin.clone("main")
    assert len(git(clone.folder, "ls-remote", "origin", "refs/heads/main").splitlines()) == 2
    assert clone.tip("main") == origin.c
    assert clone.tip("a/refs/heads/main") == origin.e
    assert clone.tip("refs/heads/main") is None


def test_a_tag_that_is_called_like_the_default_branch_is_not_it(origin: Origin) -> None:
    clone = origin.clone("change")
    git(clone.folder, "fetch", "-q", "origin", "main:refs/remotes/origin/main")
    for name in ("main", "origin/main"):
        git(clone.folder, "tag", name, origin.e)
    event = Event("workflow_dispatch", head=origin.e, base_ref="change", default_branch="main")
    assert merge_base.find(event, clone) == origin.b
    git(origin.work, "tag", "main", origin.e)
    git(origin.work, "checkout", "-q", "change")
    assert merge_base.find(Event("local"), Git(origin.work, ENVIRONMENT)) == origin.b


def test_a_branch_is_held_against_a_default_branch_that_was_not_fetched(origin: Origin) -> None:
    clone = origin.clone("change", "--depth=1")
    event = Event("push", head=origin.e, base=origin.b, base_ref="change", default_branch="main")
    assert merge_base.find(event, clone) == origin.b


def test_a_history_of_its_own_does_not_get_rid_of_the_budget(origin: Origin) -> None:
    """With no base, a change would be judged by its own budget alone."""
    git(origin.work, "checkout", "-q", "--orphan", "alone")
    alone = commit(origin.work, "z")
    git(origin.work, "push", "-q", str(origin.bare), "alone")
    event = Event("pull_request", head=alone, base=origin.c, base_ref="main", default_branch="main", number=8)
    for depth in ((), ("--depth=1",)):
        assert merge_base.find(event, origin.clone("alone", *depth)) == origin.c


def test_where_histories_met_and_it_cannot_be_told_the_branch_as_it_is_counts(origin: Origin) -> None:
    clone = origin.clone("change", "--depth=1")
    assert clone.obtain(origin.c)
    git(clone.folder, "remote", "set-url", "origin", "file:///nowhere")
    event = Event("pull_request", head=origin.e, base=origin.c, base_ref="main", default_branch="main", number=7)
    assert merge_base.find(event, clone) == origin.c


def test_a_branch_that_is_long_behind_is_deepened_step_by_step(origin: Origin) -> None:
    who = "committer A <a@example.org> 0 +0000"
    log = "".join(f"commit refs/heads/long\n{who}\ndata 1\nx\n" + "\n" * (n > 0) for n in range(150))
    stream = f"reset refs/heads/long\nfrom {origin.b}\n\n{log}"
    subprocess.run(
        ["git", "fast-import", "--quiet"], cwd=origin.bare, env=ENVIRONMENT, input=stream.encode(), check=True
    )
    assert git(origin.bare, "rev-list", "--count", f"{origin.b}..long") == "150"
    clone = origin.clone("long", "--depth=1")
    head = clone.resolve("HEAD")
    event = Event("pull_request", head=head, base=origin.c, base_ref="main", default_branch="main", number=9)
    assert merge_base.find(event, clone) == origin.b


def test_nobodys_hooks_run_for_a_work_tree_or_a_commit_of_ours(origin: Origin) -> None:
    clone = origin.clone("main")
    hooks = clone.folder / ".git/hooks"
    for name in ("post-checkout", "post-commit", "pre-commit", "prepare-commit-msg", "commit-msg", "post-index-change"):
        (hooks / name).write_text(f"#!/bin/sh\ntouch '{origin.folder}/{name}-ran'\n")
        (hooks / name).chmod(0o755)
    with clone.second(origin.b) as tree:
        assert (tree / "b").exists()
        assert not (tree / "c").exists()
    assert not tree.exists()
    assert len(git(clone.folder, "worktree", "list").splitlines()) == 1
    (clone.folder / "a").write_text("fresh")
    assert clone.commit(["a"], "fresh", {"NAME": "bot", "EMAIL": "bot@example.org"}) is not None
    ran = {path.name for path in origin.folder.glob("*-ran")}
    assert ran <= {"post-index-change-ran"}  # `git add` is no commit yet


def test_only_what_is_ours_is_committed(origin: Origin) -> None:
    clone = origin.clone("main")
    for name in ("a", "b"):
        (clone.folder / name).write_text("fresh")
    git(clone.folder, "add", "b")
    made = clone.commit(["a"], "fresh", {"NAME": "bot", "EMAIL": "bot@example.org"})
    assert git(clone.folder, "show", "--name-only", "--format=", str(made)) == "a"


def test_a_repository_of_another_user_is_told_for_what_it_is(origin: Origin) -> None:
    """As in a job that runs in a container; git itself offers to play it."""
    with pytest.raises(EnvironmentFailed, match="belongs to another user") as told:
        Git(origin.work, {**ENVIRONMENT, "GIT_TEST_ASSUME_DIFFERENT_OWNER": "1"})
    assert "safe.directory" in str(told.value.do)


def test_of_two_tokens_only_ours_is_sent(origin: Origin) -> None:
    """A checkout may have kept its own; GitHub refuses a request with two as bad."""
    seen: list[list[str] | None] = []

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.headers.get_all("Authorization"))
            self.send_error(404)

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            address = f"http://127.0.0.1:{server.server_port}"
            clone = origin.clone("main")
            git(clone.folder, "config", f"http.{address}/.extraheader", "AUTHORIZATION: basic kept")
            git(clone.folder, "remote", "set-url", "origin", f"{address}/owner/name")
            earlier = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "http.userAgent", "GIT_CONFIG_VALUE_0": "tests"}
            for environment in (ENVIRONMENT, {**ENVIRONMENT, **earlier}, {**ENVIRONMENT, "GIT_CONFIG_COUNT": ""}):
                own = Git(clone.folder, authenticated(environment, f"{address}/", "s3cret"))
                assert own.tip("main") is None
                assert own.obtain("9" * 40) is False
                assert "s3cret" not in str(own.push("main"))
        finally:
            server.shutdown()
    expected = base64.b64encode(b"x-access-token:s3cret").decode()
    assert len(seen) >= 9
    assert all(each == [f"basic {expected}"] for each in seen)


def test_no_hook_runs_and_what_git_itself_starts_has_no_use_for_our_secrets(origin: Origin, tmp_path: Path) -> None:
    clone, seen = origin.clone("main"), tmp_path / "seen"
    hook = clone.folder / ".git/hooks/pre-push"
    hook.write_text(f"#!/bin/sh\nenv > {seen}\n")
    hook.chmod(0o755)
    git(clone.folder, "config", "core.fsmonitor", f"env > {seen}; false")
    secret = {"MAKEWEIGHT_TOKEN": "s3cret", "MAKEWEIGHT_SIGNING_KEY": "k3y"}
    held = Git(clone.folder, {**ENVIRONMENT, **secret})
    (clone.folder / "c").write_text("changed")
    assert held.commit(["c"], "more", {"NAME": "bot", "EMAIL": "bot@example.org"}) is not None
    assert "s3cret" not in seen.read_text()
    assert "k3y" not in seen.read_text()
    seen.unlink()
    assert held.push("main") is None
    assert not seen.exists()


def test_whatever_git_is_told_by_files_is_its_configuration(origin: Origin, tmp_path: Path) -> None:
    clone = origin.clone("main")
    known = Git(clone.folder, {**ENVIRONMENT, "GIT_CONFIG_GLOBAL": str(tmp_path / "global")})
    before = known.configuration()
    with_token = authenticated(
        {**ENVIRONMENT, "GIT_CONFIG_GLOBAL": str(tmp_path / "global")}, "https://x.org", "s3cret"
    )
    assert Git(clone.folder, with_token).configuration() == before
    (tmp_path / "global").write_text(f"[include]\n    path = {tmp_path / 'more'}\n")
    included = known.configuration()
    assert included != before
    (tmp_path / "more").write_text("[core]\n    sshCommand = evil\n")
    assert known.configuration() not in (before, included)
