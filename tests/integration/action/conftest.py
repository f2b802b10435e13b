"""GitHub's own parser, a machine to run steps on, and the files that are held against both."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from integration.action.machine import Machine
from integration.action.runner import REPOSITORY
from node import install

PACKAGES = {
    "@actions/languageservice": "0.3.61",
    "@actions/workflow-parser": "0.3.61",
    "@actions/expressions": "0.3.61",
}
Grammar = Callable[[Mapping[str, Any]], dict[str, Any]]


@pytest.fixture(scope="session")
def grammar() -> Grammar:
    """Asks GitHub's language service; see grammar.mjs for what may be asked."""
    here = Path(__file__).with_name("grammar.mjs")
    script = install("actions", PACKAGES, here) / here.name

    def ask(question: Mapping[str, Any]) -> dict[str, Any]:
        done = subprocess.run(
            ["node", str(script)], input=json.dumps(question), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    return ask


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture(scope="session")
def ours() -> dict[str, str]:
    """Every action and workflow of this repository, by path."""
    found = [REPOSITORY / "action.yml", REPOSITORY / "setup" / "action.yml"]
    found += sorted((REPOSITORY / ".github" / "workflows").glob("*.yml"))
    return {path.relative_to(REPOSITORY).as_posix(): path.read_text() for path in found}
