"""Finding the base in clones as runners make them: one commit deep, of merges, after forced pushes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from makeweight.ci import base as bases
from makeweight.ci.git import Git, authenticated
from makeweight.errors import EnvironmentFailed, UsageError
from makeweight.github.event import Event

ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
    "GIT_CONFIG_GLOBAL": os.devnull,
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
    assert bases.find(pull(origin), clone) == origin.c
    assert clone.read(origin.c, "c") == b"c"


def test_a_checkout_of_the_head_alone_is_deepened_until_the_histories_meet(origin: Origin) -> None:
    clone = origin.clone("change", "--depth=1")
    event = Event("pull_request", head=origin.e, base=origin.c, base_ref="main", default_branch="main", number=7)
    assert bases.find(event, clone) == origin.b


def test_a_push_is_held_against_what_the_branch_was(origin: Origin) -> None:
    def pushed(base: str | None, branch: str = "main") -> Event:
        return Event("push", head=origin.c, base=base, base_ref=branch, default_branch="main")

    assert bases.find(pushed(origin.a), origin.clone("main", "--depth=1")) == origin.a
    assert bases.find(pushed(None), origin.clone("main", "--depth=1")) == origin.b  # the first push that is told of
    assert bases.find(pushed("9" * 40), origin.clone("main", "--depth=2")) == origin.b  # rewritten: what was is gone
    clone = origin.clone("change")
    git(clone.folder, "fetch", "-q", "origin", "main:refs/remotes/origin/main")
    assert bases.find(pushed(origin.a, "change"), clone) == origin.b


def test_a_merge_group_a_schedule_and_a_terminal(origin: Origin) -> None:
    queue = Event("merge_group", head=origin.merge, base=origin.c, base_ref="main", default_branch="main")
    assert bases.find(queue, origin.clone("refs/pull/7/merge", "--depth=1")) == origin.c
    nightly = Event("schedule", head=origin.c, base_ref="main", default_branch="main")
    assert bases.find(nightly, origin.clone("main", "--depth=1")) == origin.c
    git(origin.work, "checkout", "-q", "change")
    assert bases.find(Event("local"), Git(origin.work, ENVIRONMENT)) == origin.b


def test_a_base_that_cannot_be_had_is_told(origin: Origin) -> None:
    clone = origin.clone("refs/pull/7/merge", "--depth=1")
    git(clone.folder, "remote", "set-url", "origin", "file:///nowhere")
    with pytest.raises(EnvironmentFailed, match="cannot be fetched") as told:
        bases.find(pull(origin), clone)
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
    assert own.prefix() == "models/one/"
    assert own.read(sha, "makeweight.yaml") == b"makeweight.yaml"
    assert own.read(sha, "a") is None
    assert own.files(sha, "reports") == ["reports/x.json"]
    assert own.tracked("reports")
    assert not own.tracked("elsewhere")


@pytest.mark.parametrize("name", ["--upload-pack=touch owned", "a;touch owned", "$(touch owned)", "ünïcode", "-x"])
def test_a_hostile_name_is_a_name(origin: Origin, name: str) -> None:
    own = Git(origin.work, ENVIRONMENT)
    assert own.resolve(name) is None
    assert own.obtain(name) is False
    assert own.tip(name) is None
    assert not list(origin.folder.rglob("owned"))


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
