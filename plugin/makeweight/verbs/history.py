"""`makeweight history`: a badge of the verdict, and a chart of what the commits of this branch came to."""

from __future__ import annotations

import os
from pathlib import Path

from makeweight.ci.git import Git
from makeweight.decide import verdict
from makeweight.decide.verdict import Verdict
from makeweight.layout import Layout
from makeweight.proof import fresh
from makeweight.report import badge, brief, history
from makeweight.report.history import Entry
from makeweight_base import atomic
from makeweight_base.errors import Exit, UsageError

LAST = 100
"""Commits that a chart tells of where nobody says how many."""


def run(root: Path, last: int) -> Exit:
    """Write both beside the reports, from git alone; the verdict of the work tree is the newest.

    Args:
        last: so many commits that touched the verdict, at most.

    Raises:
        UsageError: there is no verdict, it is damaged, or this is no git repository.
    """
    layout = Layout(root)
    newest = fresh.as_decided(root)
    entries = of_commits(Git(root, os.environ), last)
    if not entries or entries[-1].brief != brief.of(newest):
        entries.append(Entry("", "now", brief.of(newest)))
    write(newest, entries, layout)
    print(f"{len(entries)} verdict{'' if len(entries) == 1 else 's'} drawn in {layout.history}")
    return Exit.PASS


def of_commits(git: Git, last: int) -> list[Entry]:
    """What the commits of HEAD's own line say that touched the verdict, the oldest first.

    One that cannot be read, as another version wrote it, is left out.
    """
    path = Layout(Path()).verdict.as_posix()
    entries = []
    with git.reading():
        for sha, day in reversed(git.history(path, last)):
            text = git.read(sha, path)
            try:
                entries.append(Entry(sha, day, brief.of(verdict.loads((text or b"").decode(errors="replace"), sha))))
            except UsageError:
                continue
    return entries


def write(newest: Verdict, entries: list[Entry], at: Layout) -> None:
    """The badge; and where there are entries, the chart and its rows.

    Raises:
        EnvironmentFailed: the disk does not take them.
    """
    known = brief.of(newest)
    files = {"badge.svg": badge.draw(known), "badge.json": badge.endpoint(known)}
    if entries:
        files |= {"history.svg": history.draw(newest.project, entries), "history.json": history.rows(entries)}
    for name, text in files.items():
        atomic.write_text(at.history / name, text)
