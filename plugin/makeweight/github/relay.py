"""The comment of a run that may not write, carried to one that may: the one leaves a file, the other trusts nothing."""

from __future__ import annotations

import json
import os
import re
import stat
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_type_hints

from makeweight.forge.event import Event
from makeweight.github import comment, pull, stranger
from makeweight.github.client import Client
from makeweight_base import atomic
from makeweight_base.errors import UsageError, reason
from makeweight_base.forge.excerpt import cut
from makeweight_base.forge.marker import marker

FILE = "comment.json"
LIMIT = 512 * 1024
"""Bytes of the file: the longest comment, every character of it escaped, and some."""
_VERSION = 2
_LONGEST_ID = 1000
_HASH = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_LARGEST = 2**53
_KINDS = {int: "number", str: "text", bool: "yes or no"}
_CUT = "*More than a comment holds: the rest is in the report of the run.*"


@dataclass(frozen=True)
class _Left:
    """What the file holds."""

    version: int
    number: int
    head: str
    project: str
    opens: bool
    """Whether a comment is begun where there is none."""
    body: str


def write(folder: Path, event: Event, project_id: str, body: str, *, opens: bool = True) -> Path:
    """Leave what the comment would say for a run that may write it; the file.

    Args:
        opens: whether one is begun where there is none.

    Raises:
        EnvironmentFailed: it cannot be written.
        ValueError: the event has no pull request.
    """
    if event.number is None or event.head is None:
        raise ValueError("there is no pull request to comment on")
    file = folder / FILE
    left = _Left(_VERSION, event.number, event.head, project_id, opens, body)
    atomic.write_text(file, json.dumps(asdict(left)) + "\n")
    return file


def post(client: Client, event: Event, folder: Path) -> Literal["written", "unchanged", "outdated", "absent"]:
    """Write the comment that a run left, on the pull request which that run was of: one, whatever it left.

    The files may have been made by anybody. Only what GitHub itself says about the run (the event's head and where it
    comes from) decides which pull request they can be about.

    Args:
        folder: what the run left, as actions/download-artifact unpacks it: one artifact without a folder of its own,
            several with one each.

    Returns:
        `outdated` where the pull request has moved on or is closed, `absent` where there is nothing to be written.

    Raises:
        UsageError: the event is not a workflow_run of a pull request, or the file is not to be trusted.
        ForgeFailed: the pull request could not be read, or the comment not be written.
    """
    if event.name != "workflow_run" or event.cause != "pull_request" or event.repository is None:
        raise UsageError(
            "only a run that follows one of a pull request posts its comment",
            where=f"the event {event.name}",
            do="Start this workflow by `on: workflow_run`, after the workflow that runs on `pull_request`.",
        )
    files = _files(folder)
    if not files:
        return "absent"
    file = files[0]
    if len(files) > 1:
        client.tell(f"{len(files)} comments were left, and no run posts more than one: {file}")
    left = _parse(_content(file), file)
    if left.head != event.head:
        raise _distrust(file, f"it is about commit {left.head}, the run was of {event.head}")
    about = pull.now(client, event.repository, left.number)
    if about.into != event.repository:
        raise _distrust(file, f"pull request {left.number} is not one of {event.repository}")
    if event.head_repository is None or about.origin != event.head_repository:
        raise _distrust(
            file,
            f"pull request {left.number} comes from {about.origin or 'a repository that is gone'}, "
            f"the run from {event.head_repository or 'one that is gone'}",
        )
    if about.head != left.head or not about.is_open:
        return "outdated"
    own, said = replace(event, number=left.number), _body(left, event)
    return comment.put(client, own, left.project, said, opens=left.opens)


def _files(folder: Path) -> list[Path]:
    if os.path.lexists(folder / FILE):
        return [folder / FILE]
    apart = sorted(folder.iterdir()) if folder.is_dir() else []
    return [each / FILE for each in apart if not each.is_symlink() and os.path.lexists(each / FILE)]


def _content(file: Path) -> bytes:
    """What the file holds, if it is a file: an archive may hold links and pipes too."""
    try:
        handle = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise _distrust(file, f"it cannot be opened: {reason(error)}") from error
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise _distrust(file, "it is not a file")
    with os.fdopen(handle, "rb") as opened:
        content = opened.read(LIMIT + 1)
    if len(content) > LIMIT:
        raise _distrust(file, f"it is larger than {LIMIT:,} bytes")
    return content


def _parse(content: bytes, file: Path) -> _Left:
    try:
        record: Any = json.loads(content.decode())
    except (ValueError, RecursionError) as error:
        raise _distrust(file, "it is not JSON") from error
    shape = get_type_hints(_Left)
    if not isinstance(record, dict) or record.keys() != shape.keys():
        raise _distrust(file, f"it is not an object of {', '.join(shape)}")
    for name, kind in shape.items():
        # not isinstance: True is an int to Python, and no number to anybody else
        if type(record[name]) is not kind:
            raise _distrust(file, f"its `{name}` is no {_KINDS[kind]}")
    left = _Left(**record)
    if left.version != _VERSION:
        raise _distrust(file, f"its version is not {_VERSION}: both workflows must use one version of makeweight")
    if not 0 < left.number < _LARGEST:
        raise _distrust(file, "its `number` is that of no pull request")
    if not _HASH.fullmatch(left.head):
        raise _distrust(file, "its `head` is no commit")
    if not 0 < len(left.project) <= _LONGEST_ID:
        raise _distrust(file, f"its `project` has not 1 to {_LONGEST_ID} characters")
    return left


def _body(left: _Left, event: Event) -> str:
    """What the file says, below a line of ours that tells whose word it is."""
    mark = marker(left.project)
    said = stranger.harmless(left.body.removeprefix(mark).lstrip("\n"), f"{event.server}/{event.repository}")
    fork = f"the fork <code>{event.head_repository}</code>" if event.fork else "a branch of this repository"
    opening = (
        f"{mark}\n<sub>Reported by a run of the code of {fork} at {left.head[:12]}, "
        "which could have written anything here: the check of that run is what counts.</sub>\n\n"
    )
    return opening + cut(said, comment.LIMIT - len(opening), _CUT)


def _distrust(file: Path, why: str) -> UsageError:
    return UsageError(
        f"not posted: {why}", where=str(file), do="The verdict stands in the check and the summary of that run."
    )
