"""docs/monitors/dashboards.md: its commands run as written, and what it says of files, marks and versions holds."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import rules_project
from dashboards_project import BUDGETS, loaded
from makeweight_monitors.dashboards.arguments import DATASOURCE, PLACE, PROMETHEUS

PAGE = rules_project.REPOSITORY / "docs/monitors/dashboards.md"


def test_the_commands_of_the_page_run(tmp_path: Path) -> None:
    grafana = tmp_path / "etc"
    (grafana / "provisioning").mkdir(parents=True)
    (tmp_path / "project").mkdir()
    blocks = re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    where = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    folder = rules_project.measured(tmp_path / "project")
    for block in blocks:
        script = block.replace("/etc/grafana", str(grafana))
        done = subprocess.run(
            ["sh", "-ec", script], cwd=folder, env={**os.environ, "PATH": where}, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
    named = set(re.findall(r"^\| `(\w+\.json)` \|", PAGE.read_text(), re.MULTILINE))
    assert {path.name for path in (grafana / "dashboards/makeweight").iterdir()} == named
    assert (grafana / "provisioning/alerting/makeweight.yaml").is_file()


def test_the_page_says_what_is_so() -> None:
    text = PAGE.read_text()
    for default in (PROMETHEUS, DATASOURCE, str(PLACE)):
        assert f"default: `{default}`" in text
    marks = loaded(BUDGETS["digits"])["canary.json"]["annotations"]["list"]
    assert len(marks) == 4
    assert "Four things are marked" in text
