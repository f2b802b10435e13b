"""What one phase hands on is what the next one takes, file by file; else it takes nothing."""

import contextlib
import os
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from makeweight.ci import handover
from makeweight.ci.base import Base
from makeweight.ci.changed import Change
from makeweight.ci.git import Git
from makeweight.layout import OWN
from makeweight.project.project import Project
from makeweight_base.errors import EnvironmentFailed, Exit, UsageError
from unit.ci.conftest import Made, base_of, laid

HANDED = {
    "makeweight.yaml": "name: tiny",
    "dvc.yaml": "stages:",
    "dvc.lock": "stages: {}",
    "artifacts/int8/model.onnx": "a model",
    "samples/int8/flips/flips.json": "[]",
    "reports/int8/evaluate.json": "figures",
    f"{OWN}/state.json": "{}",
    f"{OWN}/base/int8/manifest.json": "the base's",
    f"{OWN}/regressions/local.json": "growth",
}


def lay(root: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    lay(tmp_path / "root", HANDED)
    return tmp_path / "root"


def test_what_was_handed_on_is_taken_whoever_brings_it(root: Path, tmp_path: Path) -> None:
    digest = handover.close(root, "compress")
    made = {name for name in HANDED if name not in ("makeweight.yaml", "dvc.yaml")}
    assert set(handover.check(root, digest, "compress")) == made
    # the artifact of another job holds no more than what was made; the commit is checked out there
    root.rename(tmp_path / "artifact")
    for name in ("makeweight.yaml", "dvc.yaml"):
        lay(root, {name: HANDED[name]})
        (tmp_path / "artifact" / name).unlink()
    assert set(handover.check(tmp_path / "artifact", digest, "compress", root)) == made
    lay(root, {"makeweight.yaml": "name: other"})
    with pytest.raises(EnvironmentFailed, match=r"`makeweight\.yaml` changed since"):
        handover.check(tmp_path / "artifact", digest, "compress", root)


def test_what_no_phase_reads_may_change(root: Path) -> None:
    digest = handover.close(root, "compress")
    lay(root, {"notes.txt": "x", f"{OWN}/comment/comment.json": "{}", f"{OWN}/reports/report.md": "x"})
    handover.check(root, digest, "compress")


def refused(root: Path, digest: str, by: str = "compress") -> str:
    with pytest.raises(EnvironmentFailed) as told:
        handover.check(root, digest, by)
    assert told.value.exit_code == Exit.ENVIRONMENT
    return told.value.what


@pytest.mark.parametrize("name", sorted(HANDED))
def test_whatever_is_changed_is_named(root: Path, name: str) -> None:
    digest = handover.close(root, "compress")
    (root / name).write_text("forged")
    assert refused(root, digest) == f"what was handed over is not what `ci compress` made: `{name}` changed since"
    (root / name).unlink()
    assert refused(root, digest).endswith(f"`{name}` is missing")


@pytest.mark.parametrize("name", [f"{OWN}/failure.json", "reports/int8/local.json", "artifacts/other/manifest.json"])
def test_whatever_is_added_is_named(root: Path, name: str) -> None:
    digest = handover.close(root, "compress")
    lay(root, {name: "forged"})
    assert refused(root, digest).endswith(f"`{name}` was added since")


def test_the_record_is_no_more_to_be_changed_than_the_files(root: Path) -> None:
    digest = handover.close(root, "compress")
    (root / "reports/int8/evaluate.json").write_text("forged")
    assert handover.close(root, "compress") != digest
    assert refused(root, digest).endswith(f"`{handover.RECORD}` changed since")
    (root / handover.RECORD).unlink()
    assert refused(root, digest).endswith(f"`{handover.RECORD}` is missing")


def test_a_phase_that_did_not_end_handed_nothing_over(root: Path) -> None:
    """What the one before it handed on is no substitute."""
    assert refused(root, handover.close(root, "open")).endswith("it is of `ci open`")
    assert refused(root, "") == "`ci compress` handed nothing over, so nothing can be judged"


def test_what_a_link_leads_to_is_what_counts(root: Path, tmp_path: Path) -> None:
    lay(tmp_path / "cache", {"model": "a model", "deep/x": "x"})
    (root / "artifacts/int8/model.onnx").unlink()
    (root / "artifacts/int8/model.onnx").symlink_to(tmp_path / "cache/model")
    (root / "samples/other").symlink_to(tmp_path / "cache/deep")
    (root / "samples/back").symlink_to(root / "samples")
    digest = handover.close(root, "compress")
    handover.check(root, digest, "compress")
    lay(tmp_path / "cache", {"model": "another", "deep/x": "y"})
    told = refused(root, digest)
    assert "`artifacts/int8/model.onnx` changed since" in told
    assert "`samples/other/x` changed since" in told


def test_names_that_are_no_text_can_be_handed_on(root: Path) -> None:
    (root / "samples" / os.fsdecode(b"\xff\xfe")).write_text("x")
    handover.check(root, handover.close(root, "compress"), "compress")


BEGUN = """
git init -q
git config user.name A
git config user.email a@example.org
git add makeweight.yaml
git commit -q -m base
git add dvc.yaml
git commit -q -m head
"""
COMMITTED = "git add -A && git commit -q -m x"


def stage(root: Path, command: str, environment: Mapping[str, str], *, fails: bool = False) -> None:
    """Run a command as a stage of a run is run."""
    told = {"PATH": os.environ["PATH"], "HOME": str(root.parent), **environment}
    subprocess.run(["bash", "-euc", BEGUN], cwd=root, env=told, check=True)
    git = Git(root, told)
    with handover.unaltered(root, git.resolve("HEAD~"), git, told):
        subprocess.run(["bash", "-euc", command], cwd=root, env=told, check=True)
        if fails:
            raise UsageError("a stage failed")


@pytest.mark.parametrize(
    ("command", "named"),
    [
        ("echo x > makeweight.yaml", "`makeweight.yaml`"),
        ("rm dvc.yaml", "`dvc.yaml`"),
        (f"mv {OWN} away && ln -s away {OWN}", f"`{OWN}`"),
        ("git config core.fsmonitor ./evil", "the configuration of git"),
        ("git config --global filter.x.smudge ./evil", "the configuration of git"),
        ("git update-ref HEAD HEAD~", "what git holds of the commits"),
        (
            "name=$(git rev-parse HEAD~:makeweight.yaml); place=.git/objects/${name:0:2}/${name:2}; "
            "other=$(git hash-object -w --stdin <<< 'name: looser'); chmod u+w $place; "
            "cp .git/objects/${other:0:2}/${other:2} $place",
            "what git holds of the commits",
        ),
    ],
)
def test_no_stage_may_alter_what_the_gate_goes_by(root: Path, command: str, named: str) -> None:
    with pytest.raises(EnvironmentFailed, match="no stage may") as told:
        stage(root, command, {})
    assert f"while the stages ran, {named} changed" in told.value.what


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (f"mv makeweight.yaml real && ln -s real makeweight.yaml && {COMMITTED}", "makeweight.yaml"),
        (f"mv dvc.yaml real && ln -s real dvc.yaml && {COMMITTED}", "dvc.yaml"),
        ("git rm -q --cached makeweight.yaml && git commit -q -m x", "makeweight.yaml"),
        ("echo 'name: other' > makeweight.yaml", "makeweight.yaml"),
    ],
    ids=["a link", "a link to stages", "not in the commit", "written by a step"],
)
def test_what_is_judged_by_is_what_will_be_judged_by_once_it_is_merged(root: Path, command: str, name: str) -> None:
    """A base whose makeweight.yaml is a link, say, has a budget that nobody finds."""
    told = {"PATH": os.environ["PATH"], "HOME": str(root.parent)}
    subprocess.run(["bash", "-euc", BEGUN], cwd=root, env=told, check=True)
    handover.require_committed(root, Git(root, told))
    subprocess.run(["bash", "-euc", command], cwd=root, env=told, check=True)
    with pytest.raises(UsageError, match="what lies here is not what the commit holds") as refused:
        handover.require_committed(root, Git(root, told))
    assert refused.value.where == name


def test_line_ends_that_git_turns_are_no_other_content(root: Path) -> None:
    told = {"PATH": os.environ["PATH"], "HOME": str(root.parent)}
    (root / "makeweight.yaml").write_bytes(b"name: tiny\nseed: 0\n")
    subprocess.run(["bash", "-euc", BEGUN], cwd=root, env=told, check=True)
    (root / "makeweight.yaml").write_bytes(b"name: tiny\r\nseed: 0\r\n")
    handover.require_committed(root, Git(root, told))


@pytest.mark.parametrize("fails", [True, False], ids=["a stage fails", "none fails"])
def test_the_runners_files_are_put_back_in_any_case(root: Path, tmp_path: Path, fails: bool) -> None:
    files = {name: tmp_path / name for name in ("GITHUB_ENV", "GITHUB_PATH", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    for name, path in files.items():
        path.write_text("OURS=1\n" if name == "GITHUB_ENV" else "")
    environment = {**{name: str(path) for name, path in files.items()}, "GITHUB_SHA": "makeweight.yaml"}
    with pytest.raises(UsageError if fails else EnvironmentFailed) as told:
        stage(root, f"for f in {tmp_path}/GITHUB_*; do echo BASH_ENV=/evil >> $f; done", environment, fails=fails)
    assert files["GITHUB_ENV"].read_text() == "OURS=1\n"
    assert [files[name].read_text() for name in ("GITHUB_PATH", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")] == [""] * 3
    assert fails or "the runner's file GITHUB_ENV" in str(told.value)


@pytest.mark.parametrize(
    "turn", ["ln -s $GITHUB_OUTPUT", "ln $GITHUB_OUTPUT", "mkfifo"], ids=["a link", "a second name", "a pipe"]
)
def test_nothing_takes_the_place_of_a_runners_file(root: Path, tmp_path: Path, turn: str) -> None:
    """What makeweight itself writes into one of them must not be read as another."""
    output, path = tmp_path / "output", tmp_path / "path"
    output.touch()
    path.touch()
    told = {"GITHUB_OUTPUT": str(output), "GITHUB_PATH": str(path)}
    with pytest.raises(EnvironmentFailed, match="the runner's file GITHUB_PATH"):
        stage(root, f"rm $GITHUB_PATH; {turn} $GITHUB_PATH", told)
    output.write_text("changed=true\n")
    assert path.read_text() == ""


def test_what_a_stage_makes_is_no_objection(root: Path) -> None:
    """And what git is told to take for another object is none for us."""
    replace_base = "git replace $(git rev-parse HEAD~:makeweight.yaml) $(git rev-parse HEAD:dvc.yaml)"
    told = {"GITHUB_ENV": str(root / "absent"), "GITHUB_PATH": ""}
    stage(root, f"echo made > reports/int8/evaluate.json; {replace_base}", told)


MEASURED = "reports/int8/local.json"


@pytest.mark.parametrize("written", [MEASURED, "samples/int8/local.npz", "elsewhere.txt"])
def test_what_a_measuring_writes_is_no_objection(root: Path, written: str) -> None:
    with handover.only(root, [MEASURED, "samples/int8"]):
        lay(root, {written: "measured"})


@pytest.mark.parametrize(
    "forged", ["reports/int8/pi5.json", "reports/int8/evaluate.json", "artifacts/int8/model.onnx", "dvc.lock"]
)
def test_code_that_writes_what_is_judged_is_refused(root: Path, forged: str) -> None:
    lay(root, {MEASURED: "before", "reports/int8/evaluate.json": "before"})
    with pytest.raises(EnvironmentFailed, match=f"`{forged}` changed") as refused, handover.only(root, [MEASURED]):
        lay(root, {MEASURED: "measured", forged: "forged"})
    assert "`pipeline`" in str(refused.value)


def test_what_is_taken_away_is_missed(root: Path) -> None:
    lay(root, {MEASURED: "before", "reports/int8/pi5.json": "before"})
    with pytest.raises(EnvironmentFailed, match=r"`reports/int8/pi5\.json`"), handover.only(root, [MEASURED]):
        (root / "reports/int8/pi5.json").unlink()


@pytest.fixture
def project(root: Path, made: Made) -> Project:
    return replace(made(), root=root)


def holding(files: Mapping[str, bytes]) -> Any:
    """A git whose every commit has these files."""
    return SimpleNamespace(reading=contextlib.nullcontext, read=lambda _, name: files.get(name))


def had(project: Project, *names: str) -> Base:
    """A base whose models of these names are at hand, and those of the others are not."""
    hashes = {name: laid(project.layout.artifact(name), name.encode()) for name in ("baseline", "int8", "other")}
    return base_of(project, provenance={"artifacts": {name: hashes[name] for name in names}})


SAME = Change({}, "the devices changed")
"""Something is to be measured, and all models are made from what the base's are."""


def test_figures_of_devices_are_the_bases_until_they_are_measured(project: Project) -> None:
    """What runs in a stage can write any file; what its own stage makes is all that is taken from it."""
    honest = {"reports/int8/local.json": b"timed", "reports/devices/local.json": b"this machine"}
    git, base = holding(honest), had(project, "baseline", "int8")
    forged = ("reports/int8/local.json", "reports/other/local.json", "samples/int8/local.npz")
    lay(project.root, {**dict.fromkeys(forged, "forged"), "reports/mine.json": "x"})
    before = {p: p.read_bytes() for p in project.root.rglob("*") if p.is_file()}
    handover.put_back(project, base, SAME, git)
    left = {p.relative_to(project.root).as_posix(): p.read_bytes() for p in project.root.rglob("*") if p.is_file()}
    kept = {p.relative_to(project.root).as_posix(): content for p, content in before.items()}
    gone = {*forged, f"{OWN}/regressions/local.json"}
    assert left == {**{name: kept[name] for name in kept.keys() - gone}, **honest}
    handover.put_back(project, None, SAME, git)
    assert not (project.root / "reports/int8/local.json").exists()


@pytest.mark.parametrize("same", [("baseline",), ("int8",)], ids=["another variant", "another baseline"])
def test_figures_of_a_model_that_the_base_did_not_have_are_no_bases(project: Project, same: tuple[str, ...]) -> None:
    """Whoever knows which model the next change makes can have its figures merged with the change before."""
    told = ("reports/int8/local.json", "samples/int8/local.npz", "reports/devices/local.json")
    handover.put_back(project, had(project, *same), SAME, holding(dict.fromkeys(told, b"forged")))
    assert [name for name in told if (project.root / name).exists()] == ["reports/devices/local.json"]


@pytest.mark.parametrize("remade", ["int8", "baseline"])
def test_equal_bytes_are_the_bases_by_its_own_word_only_where_they_are_made_from_the_same(
    project: Project, remade: str
) -> None:
    """That word, too, can be merged with the change before."""
    told = ("reports/int8/local.json", "reports/other/local.json", "reports/devices/local.json")
    change = Change({f"compress@{remade}": "another recipe"}, models=frozenset({remade}))
    git = holding(dict.fromkeys(told, b"forged"))
    handover.put_back(project, had(project, "baseline", "int8", "other"), change, git)
    assert (project.root / told[0]).exists() is False
    assert (project.root / told[1]).exists() is (remade == "int8")
    assert (project.root / told[2]).exists()


def test_of_other_examples_or_other_code_around_the_models_its_figures_are_no_ground(project: Project) -> None:
    """They are no part of a model, and of the keys of its figures: somebody may have known these too."""
    told = ("reports/int8/local.json", "samples/int8/local.npz", "reports/devices/local.json")
    change, git = Change({"baseline": "other examples"}, fed_otherwise=True), holding(dict.fromkeys(told, b"forged"))
    handover.put_back(project, had(project, "baseline", "int8", "other"), change, git)
    assert [name for name in told if (project.root / name).exists()] == ["reports/devices/local.json"]


@pytest.mark.parametrize(
    "before", [("local:", "pi5:"), ("{kind: local}", "{kind: local, threads: 4}")], ids=["another", "set otherwise"]
)
def test_of_a_device_that_the_base_did_not_have_so_its_figures_are_no_ground(
    project: Project, made: Made, before: tuple[str, str]
) -> None:
    """Figures and a record of it can have been merged with the change before, and then nobody would ask it."""
    base = had(project, "baseline", "int8", "other")
    base = replace(base, project=made(("  local: {kind: local}\n", "  local: {kind: local}\n".replace(*before))))
    told = ("reports/int8/local.json", "samples/int8/local.npz", "reports/devices/local.json")
    handover.put_back(project, base, SAME, holding(dict.fromkeys(told, b"forged")))
    assert [name for name in told if (project.root / name).exists()] == []


def test_nothing_is_written_where_a_link_leads(project: Project, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("kept")
    (project.root / "reports/int8/local.json").symlink_to(tmp_path / "elsewhere")
    git = holding({"reports/int8/local.json": b"timed"})
    handover.put_back(project, had(project, "baseline", "int8"), SAME, git)
    assert (tmp_path / "elsewhere").read_text() == "kept"
    assert (project.root / "reports/int8/local.json").read_text() == "timed"
