"""Where things are told: lines of makeweight.yaml, runners of devices, folders of a run."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from makeweight import measurement
from makeweight.ci import collected, handover, lines, runners, telling
from makeweight.ci import state as states
from makeweight.ci.git import Git
from makeweight.ci.state import State
from makeweight.decide.verdict import RuleVerdict, VariantVerdict, Verdict
from makeweight.forge.event import Event
from makeweight.github.labels import Label
from makeweight_base.errors import EnvironmentFailed, Problem, UsageError
from unit.ci.conftest import CONFIG, Made, figure

RICH = (
    CONFIG
    + """\
  accuracy:
    - {min: 90 %, max_drop: 1 pt}
    - slice: night
      max_drop: 2 pt
      confidence: 95 %
  latency_p99: [{max: 5 ms, device: local}, {max: 9 ms, level: warn}]
  negative_flips: {max: 1 %}
"""
)
SLICED = ("npz: {test: test.npz, calibration: calibration.npz}", "load: 'code:load', slices: 'code:slices'")


def test_every_rule_has_its_line(made: Made) -> None:
    text = RICH.replace(*SLICED)
    found = lines.of(text).rules
    assert found.keys() == {rule.id for rule in made(config=text).rules}
    listed = text.splitlines()
    for rule in made(config=text).rules:
        assert rule.operator.name in listed[found[rule.id] - 1]
    assert lines.of(text).variants == {
        "int8": listed.index("  int8: {steps: [{quantize: {method: dynamic}}]}") + 1,
        "other": 9,
    }


def test_devices_go_where_their_runners_are_and_a_forks_code_only_to_github(made: Made) -> None:
    project = made(
        ("  local: {kind: local}\n", "  local: {kind: local}\n  big: {kind: local, runner: ubuntu-24.04-arm}\n"
         "  pi5: {kind: local, runner: [self-hosted, pi5]}\n  odd: {kind: local, runner: our-lab}\n")
    )  # fmt: skip
    own, refused = runners.allowed(project, Event("pull_request", head="a" * 40), [])
    assert json.loads(runners.matrix(own)) == [
        {"device": "local", "runner": "ubuntu-latest"},
        {"device": "big", "runner": "ubuntu-24.04-arm"},
        {"device": "pi5", "runner": ["self-hosted", "pi5"]},
        {"device": "odd", "runner": "our-lab"},
    ]
    assert refused == {}
    fork = Event("pull_request", head="a" * 40, fork=True)
    few, refused = runners.allowed(project, fork, [Label(f"devices:{'b' * 40}", "", "boss", True)])
    assert list(few) == ["local", "big"]
    assert set(refused) == {"pi5", "odd"}
    assert f"devices:{'a' * 40}" in refused["pi5"]
    assert len(runners.allowed(project, fork, [Label(f"devices:{'a' * 40}", "", "boss", True)])[0]) == 4
    assert len(runners.allowed(project, fork, [Label(f"devices:{'a' * 40}", "", "guest", False)])[0]) == 2
    assert runners.reachable(project) == ["local"]


def verdict(*rules: RuleVerdict) -> Verdict:
    return Verdict(
        "fail", "`int8` does not make weight.", None, "int8", "size", "tiny",
        [VariantVerdict("int8", "fail", False, "breaks it")], list(rules), [],
    )  # fmt: skip


def rule(name: str, outcome: str, level: str = "error", limit: float | None = 0.5, **more: object) -> RuleVerdict:
    metric, operator = name.split(".") if "." in name else (name, "holds")
    return RuleVerdict(
        name,
        metric,
        operator,
        "int8",
        None,
        None,
        limit,
        "at most 0.5x",
        0.7,
        None,
        outcome,
        level,
        "It is so.",
        **more,
    )  # type: ignore[arg-type]


def test_annotations_stand_on_the_lines_of_their_rules_the_worst_first() -> None:
    at = lines.Lines({"size.max_ratio": 13, "latency_p50.max_ratio": 14}, {"int8": 8}, 12, "models/makeweight.yaml")
    found = telling.marks(
        verdict(
            rule("accuracy.max_drop", "inconclusive", "warn"),
            rule("latency_p50.max_ratio", "inconclusive"),
            rule("size.max_ratio", "fail"),
            rule("recipe", "fail", limit=None),
            rule("macs.max", "pass"),
        ),
        at,
    )
    places = [(each.line, each.level) for each in found]
    assert sorted(places[:2]) == [(8, "failure"), (13, "failure")]
    assert places[2:] == [(14, "warning"), (12, "notice")]
    assert {each.path for each in found} == {"models/makeweight.yaml"}
    assert all("It is so." in each.message for each in found)


def test_problems_of_files_are_annotated_where_they_stand() -> None:
    wrong = Problem("makeweight.yaml", 12, "`sise` is no metric", "  sise:"), Problem("dvc.yaml", 3, "stage `x`: odd")
    found = telling.problems(wrong, "models/")
    assert [(each.path, each.line) for each in found] == [("models/makeweight.yaml", 12), ("models/dvc.yaml", 3)]


def test_an_undecided_check_is_not_neutral() -> None:
    assert telling.CONCLUSIONS["inconclusive"] == "action_required"
    assert set(telling.CONCLUSIONS.values()) <= {"success", "failure", "action_required"}


def repository(folder: Path) -> Git:
    import os
    import subprocess

    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    return Git(folder, os.environ)


def test_the_notes_of_a_run_are_its_own(tmp_path: Path) -> None:
    git = repository(tmp_path)
    with pytest.raises(UsageError, match="no run was begun here"):
        states.read(tmp_path)
    (tmp_path / ".makeweight").mkdir()
    (tmp_path / ".makeweight/old.json").write_text("{}")
    states.clear(tmp_path, git)
    assert [entry.name for entry in (tmp_path / ".makeweight").iterdir()] == [".gitignore"]
    noted = State("b", notices=["x"], refused={"pi5": "no"})
    states.write(tmp_path, noted)
    assert states.read(tmp_path) == noted
    (tmp_path / ".makeweight/state.json").write_text('{"head": 1, "strange": 2}')
    with pytest.raises(UsageError, match="damaged"):
        states.read(tmp_path)
    states.write_failure(tmp_path, UsageError("it broke", where="here"))
    failure = states.read_failure(tmp_path)
    assert failure is not None
    assert (str(failure), failure.exit_code) == ("here: it broke", 2)


def test_a_folder_that_the_change_brings_or_a_link_is_not_ours(tmp_path: Path) -> None:
    git = repository(tmp_path / "one")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept").write_text("x")
    (tmp_path / "one/.makeweight").symlink_to(elsewhere)
    states.clear(tmp_path / "one", git)
    assert (elsewhere / "kept").exists()
    import subprocess

    subprocess.run(["git", "add", "-f", ".makeweight/.gitignore"], cwd=tmp_path / "one", check=True)
    with pytest.raises(UsageError, match="git tracks this folder"):
        states.clear(tmp_path / "one", git)


def handed(root: Path, name: str, *paths: str) -> None:
    figures = measurement.dumps([figure("latency_p50", device="local", comparison="ratio")])
    for path in paths:
        (root / name / path).parent.mkdir(parents=True, exist_ok=True)
        (root / name / path).write_text(figures if path.endswith("local.json") else "{}")


def test_only_what_a_devices_job_may_hand_over_is_taken(tmp_path: Path, made: Made) -> None:
    project = replace(
        made(("  local: {kind: local}\n", "  local: {kind: local}\n  pi5: {kind: local}\n")), root=tmp_path / "checkout"
    )
    given = tmp_path / "given"
    handed(given, "compressed", ".makeweight/state.json", "reports/int8/evaluate.json", "artifacts/int8/model.onnx")
    handed(
        given,
        "local",
        ".makeweight/regressions/local.json",
        "reports/int8/local.json",
        "reports/int8/pi5.json",
        "reports/int8/evaluate.json",
    )
    (given / "local/samples/int8").mkdir(parents=True)
    (given / "local/samples/int8/local.npz").symlink_to("/etc/hostname")
    handed(given, "stranger", "reports/int8/stranger.json")
    (project.root / "reports/int8").mkdir(parents=True)
    (project.root / "reports/int8/forged.json").write_text("{}")

    collected.lay(project.root, given, handover.close(given / "compressed", "compress"))
    assert not (project.root / "reports/int8/forged.json").exists()
    (project.root / "reports/int8/evaluate.json").write_text("made by the first job")
    silent, notices = collected.lay_devices(project, given)
    assert silent == ("pi5",)
    assert "stranger" in notices[0]
    assert (project.root / "reports/int8/local.json").exists()
    assert not (project.root / "reports/int8/pi5.json").exists()
    assert not (project.root / "samples/int8/local.npz").exists()
    assert (project.root / "reports/int8/evaluate.json").read_text() == "made by the first job"


def test_figures_of_another_device_count_for_nobody(tmp_path: Path, made: Made) -> None:
    project = replace(made(("local: {kind: local}", "pi5: {kind: local}")), root=tmp_path / "checkout")
    given = tmp_path / "given"
    handed(given, "pi5", ".makeweight/regressions/local.json")
    (given / "pi5/.makeweight/regressions/local.json").rename(given / "pi5/.makeweight/regressions/pi5.json")
    silent, notices = collected.lay_devices(project, given)
    assert silent == ("pi5",)
    assert "holds more than its own figures" in notices[0]


def test_a_job_that_handed_nothing_over_is_told(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFailed, match="handed nothing over"):
        collected.lay(tmp_path, tmp_path / "given", "")
    with pytest.raises(EnvironmentFailed, match=r"handed\.json` is missing"):
        collected.lay(tmp_path, tmp_path / "given", "a" * 64)
