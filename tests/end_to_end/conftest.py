"""A bare user: an own HOME, no global configuration, the installed commands on the path."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

import preloaded

REPOSITORY = Path(__file__).resolve().parents[2]
Shell = Callable[..., subprocess.CompletedProcess[str]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest file first: beside it, the other worker makes what both need for the many others."""
    items.sort(key=lambda item: item.path.name != "test_demo.py")


@pytest.fixture(scope="session")
def user_environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    home = tmp_path_factory.mktemp("home")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DVC_", "GIT_", "MAKEWEIGHT_"))}
    return {
        **kept,
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "DVC_NO_ANALYTICS": "1",
        "GIT_AUTHOR_NAME": "A User",
        "GIT_AUTHOR_EMAIL": "user@example.org",
        "GIT_COMMITTER_NAME": "A User",
        "GIT_COMMITTER_EMAIL": "user@example.org",
        "COLUMNS": "120",
        "MAKEWEIGHT_LOCK": "",  # what other workers of pytest measure is not waited for
    }


@pytest.fixture(scope="session")
def shell(user_environment: dict[str, str], preloaded_commands: Path) -> Shell:
    return shell_in(preloaded.first(preloaded_commands, user_environment))


def shell_in(environment: Mapping[str, str]) -> Shell:
    """Run a line of bash as the user would; the answer holds stdout and stderr in the order they came."""

    def run(line: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", line],
            cwd=cwd,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    return run
