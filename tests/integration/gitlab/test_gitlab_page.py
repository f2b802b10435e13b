"""The job of docs/gitlab.md: GitLab would take it, and what it calls exists. Its command is run end to end."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from makeweight import cli

PAGE = Path(__file__).resolve().parents[3] / "docs" / "gitlab.md"


def documented() -> dict[str, Any]:
    """The job, as it stands on the page."""
    (block,) = re.findall(r"^```yaml\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    job: dict[str, Any] = yaml.safe_load(block)["makeweight"]
    return job


def test_gitlab_can_read_it(tmp_path: Path) -> None:
    file = tmp_path / ".gitlab-ci.yml"
    for job, fits in ((documented(), True), ({**documented(), "scripts": ["x"], "rules": "always"}, False)):
        file.write_text(yaml.safe_dump({"makeweight": job}))
        command = [Path(sys.executable).parent / "check-jsonschema", "--builtin-schema", "vendor.gitlab-ci", file]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode == 0) == fits, done.stdout + done.stderr


def test_its_artifacts_are_what_its_command_writes() -> None:
    job = documented()
    called, *arguments = shlex.split(job["script"][-1])
    options = cli._parser().parse_args(arguments)
    assert (called, arguments[0]) == ("makeweight", "ci")
    reports = job["artifacts"]["reports"]
    assert (str(options.junit), str(options.code_quality)) == (reports["junit"], reports["codequality"])
    assert job["artifacts"]["when"] == "always"
