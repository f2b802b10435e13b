"""Whose machine a runner's labels may lead to: in doubt, somebody's."""

import pytest

from makeweight.ci import runners
from makeweight.ci.runners import Runner
from makeweight.forge.event import Event
from makeweight.github.labels import Label
from unit.ci.conftest import Made

HEAD = "a" * 40


@pytest.mark.parametrize(
    ("runner", "own"),
    [
        (None, False),
        ("ubuntu-latest", False),
        ("ubuntu-24.04", False),
        ("ubuntu-24.04-arm", False),
        ("ubuntu-slim", False),
        ("macos-15", False),
        ("macos-latest-xlarge", False),
        ("windows-2025", False),
        ("windows-11-arm", False),
        (["ubuntu-latest"], False),
        ("self-hosted", True),
        (["self-hosted", "ubuntu-latest"], True),
        (["ubuntu-latest", "pi5"], True),
        ("pi5", True),
        # a runner of one's own may be given such labels, and nobody else's
        ("ubuntu-lab", True),
        ("ubuntu-latest-gpu", True),
        ("windows-desk", True),
        ("macos-mini", True),
        ("ubuntu-latest\n", True),
        (" ubuntu-latest", True),
        ("my-ubuntu-latest", True),
        ("", True),
        ([], True),
        ([""], True),
    ],
)
def test_only_what_is_github_s_for_certain_is_no_machine_of_ones_own(runner: Runner | None, own: bool) -> None:
    assert runners.is_own(runner) is own


@pytest.mark.parametrize(
    ("labels", "head", "fork", "count"),
    [
        ([], HEAD, False, 2),
        ([], HEAD, True, 1),
        ([Label(f"devices:{HEAD}", "", "boss", True)], HEAD, True, 2),
        ([Label(f"devices:{HEAD}", "", "guest", False)], HEAD, True, 1),
        ([Label(f"devices:{HEAD[:39]}", "", "boss", True)], HEAD, True, 1),
        ([Label(f"devices:{HEAD.upper()}", "", "boss", True)], HEAD, True, 1),
        ([Label(f"devices:{'b' * 40}", "", "boss", True)], HEAD, True, 1),
        ([Label("devices:None", "", "boss", True)], None, True, 1),
        ([Label("devices:", "", "boss", True)], "", True, 1),
    ],
)
def test_a_fork_reaches_a_machine_of_ones_own_by_its_very_commit(
    made: Made, labels: list[Label], head: str | None, fork: bool, count: int
) -> None:
    project = made(("  local: {kind: local}\n", "  local: {kind: local}\n  pi5: {kind: local, runner: pi5}\n"))
    found, refused = runners.allowed(project, Event("pull_request", head=head, fork=fork), labels)
    assert (len(found), len(refused)) == (count, 2 - count)
    assert set(found) | set(refused) == set(project.devices)
