"""docs/monitors/exporter.md: its commands run as written, they answer what it says, and its lists are complete."""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

import prometheus
import rules_project
from makeweight_monitors import metrics
from makeweight_monitors.exporter.arguments import add_arguments
from makeweight_monitors.exporter.described import of_file

PAGE = (rules_project.REPOSITORY / "docs/monitors/exporter.md").read_text()


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for variant in ("baseline", "int8"):
        path = tmp_path / "reports" / variant / "reference.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(rules_project.content(variant)))
    return tmp_path


@pytest.fixture
def served(project: Path) -> Iterator[str]:
    """The page's first command, on a free port; host and port."""
    (command,) = [line for line in blocks("sh")[0].splitlines() if line]
    where = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    log = project / "log"
    with log.open("w") as said:
        process = subprocess.Popen(
            ["bash", "-c", f"exec {command} --port 0"], cwd=project, env=where, stdout=said, stderr=subprocess.STDOUT
        )

    def listening() -> str:
        assert process.poll() is None, log.read_text()
        found = re.search(r"counting for digits; listening on http://(\S+)", log.read_text())
        return found[1] if found else ""

    try:
        yield prometheus.until(listening)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()


def test_the_commands_of_the_page_run(served: str) -> None:
    script = blocks("sh")[1].replace("127.0.0.1:9464", served)
    assert served in script
    done = subprocess.run(["bash", "-ec", script], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    (promised,) = re.findall(r"^The first answers `(.*)`", PAGE, re.MULTILINE)
    answer, _, page = done.stdout.partition("# HELP")
    assert answer == promised
    assert re.search(r'outcome="right",revision="r2",sha256="\w*",variant="canary"} 1.0', page)
    assert re.search(
        r'^makeweight_calibration_accuracy{[^}]*\bbin="00",[^}]*\bmodel="digits",[^}]*\bvariant="stable"}',
        page,
        re.MULTILINE,
    )


def test_the_files_of_the_page_are_what_they_are_meant_to_be(project: Path) -> None:
    models, scrape = blocks("yaml")
    (project / "models.yaml").write_text(models)
    assert [one.name for one in of_file(project / "models.yaml")] == ["digits", "prices"]
    (project / "prometheus.yaml").write_text(scrape)
    programs = prometheus.install()
    checked = programs.tool("check", "config", "--syntax-only", str(project / "prometheus.yaml"))
    assert checked.returncode == 0, checked.stdout
    (job,) = yaml.safe_load(scrape)["scrape_configs"]
    assert job["static_configs"][0]["targets"] == ["127.0.0.1:9464"]


def test_the_page_names_every_reason_and_only_options_that_there_are() -> None:
    named = set(re.findall(r"`(\w+)`", "\n".join(re.findall(r"^\| (`.*?) \|", PAGE, re.MULTILINE))))
    assert set(metrics.EXPORTER_REFUSALS) <= named
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    options = {option for action in parser._actions for option in action.option_strings}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", PAGE)) - {"--data-binary"} <= options
    for metric in metrics.EXPORTER_CATALOGUE:
        assert f"`{metric.series}`" in PAGE or f"`{metric.series.removeprefix('makeweight_exporter')}`" in PAGE
