"""The job of docs/gitlab.md: GitLab would take it, and what it calls exists. Its command is run end to end."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import yaml
from click.testing import CliRunner

from makeweight import cli

PAGE = Path(__file__).resolve().parents[3] / "docs" / "gitlab.md"


def documented() -> dict[str, Any]:
    """The job, as it stands on the page."""
    (block,) = re.findall(r"^```yaml\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    job: dict[str, Any] = yaml.safe_load(block)["makeweight"]
    return job


def test_gitlab_can_read_it(tmp_path: Path) -> None:
    from check_jsonschema import main

    file = tmp_path / ".gitlab-ci.yml"
    for job, fits in ((documented(), True), ({**documented(), "scripts": ["x"], "rules": "always"}, False)):
        file.write_text(yaml.safe_dump({"makeweight": job}))
        done = CliRunner().invoke(main, ["--builtin-schema", "vendor.gitlab-ci", str(file)], catch_exceptions=False)
        assert (done.exit_code == 0) == fits, done.output


def test_its_artifacts_are_what_its_command_writes() -> None:
    job = documented()
    called, *arguments = shlex.split(job["script"][-1])
    options = cli._parser().parse_args(arguments)
    assert (called, arguments[0]) == ("makeweight", "ci")
    reports = job["artifacts"]["reports"]
    assert (str(options.junit), str(options.code_quality)) == (reports["junit"], reports["codequality"])
    assert job["artifacts"]["when"] == "always"
