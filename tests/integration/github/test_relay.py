"""The comment of a run that may not write: what it leaves is posted, what it forges is not."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from integration.github.server import Server
from makeweight.forge.event import Event
from makeweight.github import comment, relay
from makeweight.github.client import Client
from makeweight_base.errors import UsageError
from makeweight_base.forge.client import Refused
from makeweight_base.forge.marker import marker

HEAD = "a" * 40
FORK = "stranger/model"
MARK = marker("digits")
PULL = Event("pull_request", repository="acme/model", head=HEAD, number=7, fork=True, head_repository=FORK)
FOLLOWS = Event(
    "workflow_run",
    repository="acme/model",
    head=HEAD,
    fork=True,
    head_repository=FORK,
    cause="pull_request",
    run="https://github.test/acme/model/1",
)


@pytest.fixture(autouse=True)
def _pulls(github: Server) -> None:
    github.pull(7, HEAD, head_repository=FORK)
    github.pull(8, "c" * 40, head_repository="victim/model")


def forge(folder: Path, **changed: Any) -> Path:
    """What a hostile run leaves; a key that is None is left out."""
    record = {"version": 2, "number": 7, "head": HEAD, "project": "digits", "opens": True, "body": f"{MARK}\nover"}
    record |= changed
    folder.mkdir(exist_ok=True)
    (folder / relay.FILE).write_text(json.dumps({key: value for key, value in record.items() if value is not None}))
    return folder


def posted(github: Server) -> str:
    (left,) = github.comments
    return str(left["body"])


def test_what_a_fork_leaves_is_posted_and_kept_up_to_date(github: Server, client: Client, tmp_path: Path) -> None:
    body = f"{MARK}\n### makeweight: over\n\n| size | 1 |\n|---|---|\n"
    assert relay.write(tmp_path, PULL, "digits", body) == tmp_path / "comment.json"
    assert relay.post(client, FOLLOWS, tmp_path) == "written"
    assert relay.post(client, FOLLOWS, tmp_path) == "unchanged"
    mark, notice, _, *rest = posted(github).split("\n")
    assert mark == MARK
    assert f"<code>{FORK}</code> at {HEAD[:12]}" in notice
    assert "could have written anything here" in notice
    assert rest == ["### makeweight: over", "", "| size | 1 |", "|---|---|", ""]
    assert github.comments[0]["number"] == 7


def test_it_takes_the_place_of_what_an_earlier_run_could_write_itself(
    github: Server, client: Client, tmp_path: Path
) -> None:
    comment.put(client, replace(PULL, fork=False), "digits", f"{MARK}\nbefore")
    relay.write(tmp_path, PULL, "digits", f"{MARK}\nafter")
    relay.post(client, FOLLOWS, tmp_path)
    assert posted(github).endswith("\nafter")


def test_a_branch_of_the_repository_whose_token_only_reads(github: Server, client: Client, tmp_path: Path) -> None:
    github.pull(7, HEAD)
    own = replace(FOLLOWS, fork=False, head_repository="acme/model")
    relay.write(tmp_path, PULL, "digits", f"{MARK}\nover")
    assert relay.post(client, own, tmp_path) == "written"
    assert f"the code of a branch of this repository at {HEAD[:12]}" in posted(github)


def test_of_what_need_not_be_begun_only_a_comment_that_is_there_is_changed(
    github: Server, client: Client, tmp_path: Path
) -> None:
    relay.write(tmp_path, PULL, "digits", f"{MARK}\npasses", opens=False)
    assert relay.post(client, FOLLOWS, tmp_path) == "absent"
    assert github.comments == []
    relay.post(client, FOLLOWS, forge(tmp_path))
    relay.write(tmp_path, PULL, "digits", f"{MARK}\npasses", opens=False)
    assert relay.post(client, FOLLOWS, tmp_path) == "written"
    assert posted(github).endswith("passes")


def test_of_several_that_were_left_one_is_posted(
    github: Server, client: Client, told: list[str], tmp_path: Path
) -> None:
    """One artifact is unpacked without a folder of its own, several with; a link to a folder is none."""
    for name in ("b", "a", "c"):
        forge(tmp_path / name, project=name, body=name)
    (tmp_path / "0").symlink_to(tmp_path / "c")
    assert relay.post(client, FOLLOWS, tmp_path) == "written"
    assert posted(github).endswith("\n\na")
    assert told == [f"3 comments were left, and no run posts more than one: {tmp_path}/a/comment.json"]
    forge(tmp_path, body="alone")
    relay.post(client, FOLLOWS, tmp_path)
    assert [each["body"].rpartition("\n")[2] for each in github.comments] == ["a", "alone"]


def test_a_run_that_left_nothing(github: Server, client: Client, tmp_path: Path) -> None:
    assert relay.post(client, FOLLOWS, tmp_path) == "absent"
    assert relay.post(client, FOLLOWS, tmp_path / "missing") == "absent"
    assert github.requests == []


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"number": 8}, "comes from victim/model"),
        ({"number": 8, "head": "c" * 40}, "is about commit"),
        ({"number": "7"}, "`number` is no number"),
        ({"number": 7.0}, "`number` is no number"),
        ({"number": True}, "`number` is no number"),
        ({"number": -7}, "no pull request"),
        ({"number": 0}, "no pull request"),
        ({"number": 10**30}, "no pull request"),
        ({"number": "7/../../../user"}, "`number` is no number"),
        ({"head": "a" * 39}, "is no commit"),
        ({"head": f"{HEAD}\n"}, "is no commit"),
        ({"head": "b" * 40}, "is about commit"),
        ({"head": None}, "not an object of"),
        ({"more": 1}, "not an object of"),
        ({"body": ["x"]}, "`body` is no text"),
        ({"project": ""}, "`project` has not"),
        ({"project": "x" * 1001}, "`project` has not"),
        ({"opens": 1}, "`opens` is no yes or no"),
        ({"opens": None}, "not an object of"),
        ({"version": 1}, "one version of makeweight"),
        ({"body": "x" * 600_000}, "larger than"),
    ],
)
def test_what_is_forged_is_not_posted(
    github: Server, client: Client, tmp_path: Path, changed: dict[str, Any], says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        relay.post(client, FOLLOWS, forge(tmp_path, **changed))
    assert github.comments == []


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{", b"\xff\xfe", b"[" * 100_000, b'"x"', b'{"number": ' + b"9" * 9000 + b"}"]
)
def test_what_is_no_record_is_not_posted(github: Server, client: Client, tmp_path: Path, content: bytes) -> None:
    (tmp_path / relay.FILE).write_bytes(content)
    with pytest.raises(UsageError, match="not posted"):
        relay.post(client, FOLLOWS, tmp_path)
    assert github.requests == []


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_what_is_no_file_is_not_read(github: Server, client: Client, tmp_path: Path, kind: str) -> None:
    file = tmp_path / relay.FILE
    if kind == "link":
        forge(tmp_path)
        file.rename(tmp_path / "elsewhere")
        file.symlink_to(tmp_path / "elsewhere")
    elif kind == "pipe":
        os.mkfifo(file)
    else:
        file.mkdir()
    with pytest.raises(UsageError, match="not posted"):
        relay.post(client, FOLLOWS, tmp_path)
    assert github.requests == []


def test_a_pull_request_that_is_not_there(github: Server, client: Client, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="404"):
        relay.post(client, FOLLOWS, forge(tmp_path, number=9))
    assert github.comments == []


@pytest.mark.parametrize("origin", [None, "other/model", "acme/model"])
def test_a_pull_request_from_elsewhere(github: Server, client: Client, tmp_path: Path, origin: str | None) -> None:
    github.pull(7, HEAD, head_repository=origin)
    with pytest.raises(UsageError, match="pull request 7 comes from"):
        relay.post(client, FOLLOWS, forge(tmp_path))
    assert github.comments == []


def test_a_fork_that_is_gone_matches_nothing(github: Server, client: Client, tmp_path: Path) -> None:
    github.pull(7, HEAD, head_repository=None)
    with pytest.raises(UsageError, match="a repository that is gone"):
        relay.post(client, replace(FOLLOWS, head_repository=None), forge(tmp_path))
    assert github.comments == []


@pytest.mark.parametrize(("head", "state"), [("d" * 40, "open"), (HEAD, "closed")])
def test_what_came_too_late_is_not_posted(
    github: Server, client: Client, tmp_path: Path, head: str, state: str
) -> None:
    github.pull(7, head, head_repository=FORK, state=state)
    assert relay.post(client, FOLLOWS, forge(tmp_path)) == "outdated"
    assert github.comments == []


@pytest.mark.parametrize("event", [PULL, replace(FOLLOWS, cause="push"), replace(FOLLOWS, cause=None)])
def test_only_a_run_after_one_of_a_pull_request_posts(
    github: Server, client: Client, tmp_path: Path, event: Event
) -> None:
    with pytest.raises(UsageError, match="on: workflow_run"):
        relay.post(client, event, forge(tmp_path))
    assert github.requests == []


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("@acme/owners look", "@\u200bacme/owners look"),
        ("&#64;owner and &commat;owner and &#x40;owner", "@\u200bowner and @\u200bowner and @\u200bowner"),
        ("@&#111;wner", "@\u200bowner"),
        ("fixes #12, acme/model#12, GH-12", "fixes #\u200b12, acme/model#\u200b12, GH-\u200b12"),
        ("&#35;12 &num;12 #&#49;2", "&#35;\u200b12 &#35;\u200b12 #\u200b12"),
        ("https://github.com/o/r/issues/1", "https:/\u200b/github.com/o/r/\u200bissues/1"),
        ("github.com/o/r/pull/1", "github.com/o/r/\u200bpull/1"),
        ("![x](https://spy.test)", "!\u200b[x]\u200b(https:/\u200b/spy.test)"),
        ("<IMG src=x>", "<\u200bIMG src=x>"),
        ("a\u202eb\x00c\x1b[31m", "a b c [31m"),
        # what an honest report holds comes through as it was
        ("### head\n\n1 &lt; 2 &#124; 3&nbsp;%", "### head\n\n1 &#60; 2 &#124; 3\xa0%"),
        ("[run](https://github.com/acme/model/actions/runs/1)", "[run](https://github.com/acme/model/actions/runs/1)"),
        ("[run](https://github.com/o/r/actions/runs/1)", "[run]\u200b(https:/\u200b/github.com/o/r/actions/runs/1)"),
    ],
)
def test_what_it_says_reaches_nobody_else(
    github: Server, client: Client, tmp_path: Path, said: str, shown: str
) -> None:
    relay.post(client, FOLLOWS, forge(tmp_path, body=f"{MARK}\n{said}"))
    assert posted(github).split("\n\n", 1)[1] == shown


def test_half_a_character_does_not_stop_it(github: Server, client: Client, tmp_path: Path) -> None:
    relay.post(client, FOLLOWS, forge(tmp_path, body="\ud800x"))
    assert posted(github).endswith("\n\n x")


@pytest.mark.parametrize(
    "line", ["x" * 90, "@" * 90, "\N{GRINNING FACE}" * 45, "&lt;" * 20], ids=["letters", "names", "emoji", "entities"]
)
def test_what_is_too_long_is_cut(github: Server, client: Client, tmp_path: Path, line: str) -> None:
    relay.post(client, FOLLOWS, forge(tmp_path, body=f"{MARK}\n" + f"{line}\n" * 800))
    assert posted(github).endswith("*More than a comment holds: the rest is in the report of the run.*")
    assert 60_000 < len(posted(github).encode("utf-16-le")) // 2 <= comment.LIMIT


def test_the_mark_of_another_project_is_only_text(github: Server, client: Client, tmp_path: Path) -> None:
    comment.put(client, PULL, "other", f"{marker('other')}\nours")
    relay.post(client, FOLLOWS, forge(tmp_path, body=f"{marker('other')}\nforged"))
    assert [each["body"].split("\n")[0] for each in github.comments] == [marker("other"), MARK]
    assert github.comments[0]["body"].endswith("ours")


def test_nothing_to_leave_without_a_pull_request(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no pull request"):
        relay.write(tmp_path, replace(PULL, number=None), "digits", MARK)
