"""Whether a run may still speak, by what GitHub says that its pull request is now."""

from __future__ import annotations

from dataclasses import replace

import pytest

from makeweight.forge.event import Event
from makeweight.github.pull import Pull
from makeweight.github.standing import moved_on, shared

HEAD, OTHER = "a" * 40, "c" * 40
EVENT = Event(
    "pull_request",
    repository="acme/model",
    head=HEAD,
    base="b" * 40,
    base_ref="main",
    number=7,
    updated="2026-05-01T10:00:00Z",
)
NOW = Pull(7, HEAD, "main", "acme/model", "acme/model", True, "2026-05-01T10:00:00Z")


@pytest.mark.parametrize(
    ("now", "why"),
    [
        (NOW, None),
        (replace(NOW, updated="2026-05-02T08:00:00Z"), None),  # a comment is a change too
        (replace(NOW, is_open=False), None),
        (replace(NOW, head=OTHER), "the pull request is at ccccccc by now"),
        (replace(NOW, base_ref="next"), "the pull request goes to `next` by now"),
        (replace(NOW, head=OTHER, updated="2026-05-01T09:59:59Z"), None),
        (replace(NOW, base_ref="next", updated="2026-05-01T09:59:59Z"), None),
    ],
    ids=["the same", "later", "closed", "another commit", "another base", "old answer", "old answer about the base"],
)
def test_what_a_pull_request_is_now(now: Pull, why: str | None) -> None:
    assert moved_on(EVENT, now) == why


def test_a_commit_that_is_proposed_twice() -> None:
    elsewhere = replace(NOW, number=8, base_ref="old")
    others = [NOW, elsewhere, replace(NOW, number=9), replace(elsewhere, number=10, head=OTHER)]
    assert shared(EVENT, others) == [elsewhere]
    assert shared(replace(EVENT, base_ref="old", number=8), others) == [NOW, others[2]]
