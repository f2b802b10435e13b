"""A machine on which the Action's steps run, with a stand-in for makeweight that notes how it was called."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from integration.action.runner import Runner, Used

# A Python that makes environments with the stand-in in them, and of pip only notes what it was asked for.
PYTHON = """#!/usr/bin/env bash
if [[ "$1 $2 $3" == "-I -m venv" ]]; then mkdir -p "$4/bin"; cp "$0" "$4/bin/python"; exit; fi
if [[ "$1 $2 $3" == "-I -m makeweight" ]]; then exec makeweight "${@:4}"; fi
if [[ "$1 $2" == "-I -c" ]]; then echo 3.12; exit; fi
if [[ "$1 $2 $3 $4" == "-I -m pip cache" ]]; then echo "$HOME/pip-cache"; exit; fi
printf '%s\\n' "$@" > "$HOME/pip"
"""
# Says what it was called with and which doors were open to it, and hands on; `FAIL` names the verb that fails, and how.
# In bash, since hundreds of these run: that Python begins would be most of what they take.
STAND_IN = """#!/usr/bin/env bash
{ printf '%s\\0' "$#" "$@"; env -0 | grep -zE '^(MAKEWEIGHT|INPUT|GH)_'; printf '\\0'; } >> "$CALLS"
if [[ $2 == open ]]; then echo 'devices=[{"device": "pi5", "runner": ["self-hosted", "pi5"]}]' >> "$GITHUB_OUTPUT"; fi
if [[ $2 == compress ]]; then echo changed=true >> "$GITHUB_OUTPUT"; fi
if [[ $2 != gate && $2 != "${FAIL%:*}" ]]; then echo "handed=what $2 made" >> "$GITHUB_OUTPUT"; fi
if [[ $2 == gate ]]; then
  printf '%s\\n' verdict=pass report-path=r.html verdict-json=v.json shipped-variant=int8 size-ratio=0.26 \\
    latency-ratio=0.41 comment-written="${RELAYED:-true}" >> "$GITHUB_OUTPUT"
fi
if [[ $2 == "${FAIL%:*}" ]]; then exit "${FAIL#*:}"; fi
"""


class Machine:
    """A runner, what was called on it, and which actions were used with what."""

    def __init__(self, folder: Path) -> None:
        self.workspace = folder / "workspace"
        self.workspace.mkdir()
        self.calls = folder / "calls"
        self.calls.touch()
        self.used: list[Used] = []
        binary = folder / "bin" / "makeweight"
        binary.parent.mkdir()
        binary.write_text(STAND_IN)
        binary.chmod(0o755)
        self.environment = {
            "PATH": f"{binary.parent}:{os.environ['PATH']}",
            "HOME": str(folder),
            "CALLS": str(self.calls),
            "GITHUB_EVENT_NAME": "pull_request",
            "GITHUB_REPOSITORY": "somebody/models",
            "GITHUB_RUN_ID": "7",
            "GITHUB_RUN_ATTEMPT": "1",
        }
        names = ("checkout", "setup-python", "cache", "upload-artifact", "download-artifact")
        stands = {f"actions/{name}": self._note for name in names}
        self.runner = Runner(self.workspace, folder / "temp", self.environment, stands)

    def has_python(self) -> None:
        """Give it a Python to set makeweight up with."""
        python = self.workspace.parent / "bin" / "python3"
        python.write_text(PYTHON)
        python.chmod(0o755)

    def _note(self, used: Used) -> None:
        self.used.append(used)

    @property
    def verbs(self) -> dict[str, dict[str, Any]]:
        """What each phase of `makeweight ci` was called with, in order."""
        parts, found = iter(self.calls.read_text().split("\0")), {}
        while count := next(parts):
            arguments = [next(parts) for _ in range(int(count))]
            seen = dict(each.split("=", 1) for each in iter(lambda: next(parts), ""))
            found[arguments[1]] = {"arguments": arguments, "seen": seen}
        return found

    def named(self, action: str) -> list[Mapping[str, str]]:
        """What an action was given, each time it was used."""
        return [used.given for used in self.used if used.action == f"actions/{action}"]
