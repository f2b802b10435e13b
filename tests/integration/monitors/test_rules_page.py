"""docs/monitors/rules.md: its commands run as written, beside a Prometheus that has a healthy past."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import prometheus
import rules_project
from makeweight_monitors.backtest.replay import openmetrics
from makeweight_monitors.prometheus import throwaway
from makeweight_monitors.prometheus.queries import Series

PAGE = rules_project.REPOSITORY / "docs/monitors/rules.md"
START, STEP, STEPS = 1_700_000_000, 15, 120


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The reference project, measured, with int8 to ship."""
    return rules_project.measured(tmp_path)


def healthy() -> list[Series]:
    """Half an hour of pairs that are all right."""
    labels = {"__name__": "makeweight_paired_total", "model": "digits", "revision": "r2", "boot": "c"}
    times = [float(START + STEP * i) for i in range(STEPS + 1)]
    return [
        Series(
            {**labels, "stable": stable, "canary": canary},
            tuple((time, 20.0 * i * (stable == canary == "right")) for i, time in enumerate(times)),
        )
        for stable in ("right", "wrong")
        for canary in ("right", "wrong")
    ]


def test_the_commands_of_the_page_run(project: Path, tmp_path: Path) -> None:
    programs = prometheus.install()
    blocks = re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    store = tmp_path / "store"
    prometheus.backfill(programs, store, openmetrics(healthy()) or "")
    with throwaway.running(programs, store) as client:
        where = f"{Path(sys.executable).parent}:{programs.prometheus.parent}:{os.environ['PATH']}"
        for block in blocks:
            script = block.replace("http://localhost:9090", client.url).replace("2030-12-30", str(START))
            script = script.replace(f"--start {START}", f"--start {START} --end {START + STEP * STEPS}")
            done = subprocess.run(
                ["bash", "-ec", script], cwd=project, env={**os.environ, "PATH": where}, capture_output=True, text=True
            )
            assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
    assert "MakeweightAccuracyDropPaired" in done.stdout.split("never fired:")[1], done.stdout
