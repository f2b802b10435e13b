"""`makeweight-monitors dashboards`: what it writes, what it says, and what it refuses."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import yaml

import rules_project
from makeweight_monitors.cli import main

WRITTEN = {
    "grafana/dashboards/fleet.json",
    "grafana/dashboards/canary.json",
    "grafana/dashboards/drift.json",
    "grafana/dashboards/health.json",
    "grafana/provisioning/dashboards/makeweight.yaml",
    "grafana/provisioning/datasources/makeweight.yaml",
    "grafana/provisioning/alerting/makeweight.yaml",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The reference project, measured."""
    return rules_project.measured(tmp_path, ships=None)


def run(project: Path, *more: str) -> int:
    return main(["dashboards", "--project", str(project), "--variant", "int8", "--out", str(project / "out"), *more])


def test_it_writes_all_files_and_names_them(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(project) == 0
    out = project / "out"
    assert {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()} == WRITTEN
    said = capsys.readouterr()
    assert said.out.splitlines() == [str(out / name) for name in sorted(WRITTEN, key=said.out.index)]
    assert "no link leads to the runbooks" in said.err
    before = {name: (out / name).read_bytes() for name in WRITTEN}
    assert run(project) == 0
    assert before == {name: (out / name).read_bytes() for name in WRITTEN}


def test_options_reach_the_files(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = "https://example.org/runbooks"
    more = ("--prometheus", "https://prometheus:9090/x", "--datasource", "mine", "--place", "/srv/boards")
    assert run(project, *more, "--runbooks", page) == 0
    assert capsys.readouterr().err == ""
    folder = project / "out/grafana/provisioning"
    (source,) = yaml.safe_load((folder / "datasources/makeweight.yaml").read_text())["datasources"]
    assert (source["url"], source["uid"]) == ("https://prometheus:9090/x", "mine")
    (provider,) = yaml.safe_load((folder / "dashboards/makeweight.yaml").read_text())["providers"]
    assert provider["options"]["path"] == "/srv/boards"
    rule = yaml.safe_load((folder / "alerting/makeweight.yaml").read_text())["groups"][0]["rules"][0]
    assert rule["data"][0]["datasourceUid"] == "mine"
    assert rule["annotations"]["runbook_url"].startswith(page + "#")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--prometheus", "localhost:9090"), "`localhost:9090` is no address of a Prometheus"),
        (("--datasource", "a b"), "`a b` is no uid"),
        (("--variant", "int9"), "int9"),
    ],
)
def test_what_cannot_be_used_is_refused(
    more: tuple[str, ...], said: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = run(project, *more)
    except SystemExit as ended:  # argparse itself
        code = int(ended.code or 0)
    assert code == 2
    assert said in capsys.readouterr().err
    assert not (project / "out").exists()


def test_a_missing_extra_is_named(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name.startswith("grafana") else found(name))
    assert run(project) == 2
    assert "pip install 'makeweight[dashboards]'" in capsys.readouterr().err
