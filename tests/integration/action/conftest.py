"""GitHub's own parser, a machine to run steps on, and the files that are held against both."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
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
def grammar() -> Iterator[Grammar]:
    """Asks GitHub's language service; see grammar.mjs for what may be asked."""
    here = Path(__file__).with_name("grammar.mjs")
    command = ["node", str(install("actions", PACKAGES, here) / here.name)]
    # loading it takes longer than most answers; it ends with its standard input
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as service:

        def ask(question: Mapping[str, Any]) -> dict[str, Any]:
            assert service.stdin is not None
            assert service.stdout is not None
            print(json.dumps(question), file=service.stdin, flush=True)
            told = service.stdout.readline()
            assert told, service.communicate()[1]
            answer: dict[str, Any] = json.loads(told)
            return answer

        yield ask


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture(scope="session")
def ours() -> dict[str, str]:
    """Every action and workflow of this repository, by path."""
    found = [REPOSITORY / "action.yml", REPOSITORY / "setup" / "action.yml"]
    found += sorted((REPOSITORY / ".github" / "workflows").glob("*.yml"))
    return {path.relative_to(REPOSITORY).as_posix(): path.read_text() for path in found}
