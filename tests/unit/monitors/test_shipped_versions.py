"""Which version of a file was before the canary."""

from __future__ import annotations

import pytest

from makeweight_monitors.rollback.github import shipping

BAD, GOOD = "b" * 64, "a" * 64


def pointer(*served: str) -> str:
    return '{"served": ["' + '", "'.join(served) + '"]}'


def lock(md5: str, other: str = "1") -> str:
    return f"stages:\n  report: {{outs: [{{md5: '{other}'}}]}}\n  ship: {{outs: [{{path: shipped, md5: {md5}}}]}}\n"


VERSIONS = {
    "a pointer with the canary at two shares": (
        "serving/current.json",
        [pointer(GOOD, BAD, "50 %"), pointer(GOOD, BAD, "5 %"), pointer(GOOD), pointer("c" * 64)],
        2,
    ),
    "a pointer that names it no more": ("current.json", [pointer(GOOD), pointer(GOOD, BAD)], None),
    "a pointer that always did": ("current.json", [pointer(BAD), pointer(GOOD, BAD)], None),
    "a lock whose other stages changed since": ("dvc.lock", [lock("b", "3"), lock("b", "2"), lock("a"), lock("c")], 2),
    "a lock in a folder, with one that nobody reads": ("a/dvc.lock", [lock("b"), "stages: [", "{}", lock("a")], 3),
    "a lock without the stage": ("dvc.lock", ["stages: {}", lock("a")], None),
    "no lock": ("dvc.lock", ["[" * 1200, lock("a")], None),
}


@pytest.mark.parametrize(("path", "versions", "wanted"), VERSIONS.values(), ids=VERSIONS)
def test_the_latest_version_that_ships_another_model(path: str, versions: list[str], wanted: int | None) -> None:
    now, *earlier = versions
    assert shipping.before(path, now, iter(earlier), BAD) == (None if wanted is None else versions[wanted])
