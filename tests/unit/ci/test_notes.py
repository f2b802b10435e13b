"""What the phases tell each other lies where the model's own code may write: it is read as if a stranger wrote it."""

import contextlib
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from makeweight.ci import compress
from makeweight.ci import state as states
from makeweight.ci.state import State
from makeweight.layout import OWN, Layout
from makeweight_base.errors import ConfigError, EnvironmentFailed, Exit, Problem, UsageError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / OWN).mkdir()
    return tmp_path


@pytest.mark.parametrize(
    "notes",
    [
        "",
        "{",
        "[]",
        "null",
        '{"skipped": 1}',
        '{"base": 1}',
        '{"base": null, "lacking": 1}',
        '{"base": null, "notices": "abc"}',
        '{"base": null, "notices": [1]}',
        '{"base": null, "refused": ["pi5"]}',
        '{"base": null, "skipped": "many"}',
        "\udcff",
    ],
)
def test_notes_of_another_shape_are_damaged(root: Path, notes: str) -> None:
    (root / OWN / "state.json").write_text(notes, errors="surrogateescape")
    with pytest.raises(UsageError, match="damaged"):
        states.read(root)


def told(root: Path) -> tuple[str, Exit]:
    failure = states.read_failure(root)
    assert failure is not None
    return str(failure), failure.exit_code


@pytest.mark.parametrize("code", [Exit.PASS, Exit.FAIL, Exit.INCONCLUSIVE, 7, -1, 256])
def test_a_phase_that_failed_never_opens_the_gate(root: Path, code: int) -> None:
    """An exit code of 0 would be taken for a verdict that passes."""
    (root / OWN / "failure.json").write_text(json.dumps({"what": "all is well", "code": int(code), "problems": []}))
    assert told(root) == ("all is well", Exit.ENVIRONMENT)


def test_a_failure_keeps_the_places_of_what_is_wrong(root: Path) -> None:
    states.write_failure(root, ConfigError([Problem("dvc.yaml", 3, "odd", "x: y")], do="Mend it."))
    failure = states.read_failure(root)
    assert failure is not None
    assert (str(failure), failure.exit_code) == ("dvc.yaml:3: odd\n    3 | x: y\n  Mend it.", Exit.USAGE)
    assert failure.problems == (Problem("dvc.yaml", 3, "odd", "x: y"),)


@pytest.mark.parametrize("error", [UsageError("it broke"), EnvironmentFailed("it broke")])
def test_a_failure_keeps_its_own_exit_code(root: Path, error: UsageError | EnvironmentFailed) -> None:
    states.write_failure(root, error)
    assert told(root) == ("it broke", error.exit_code)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"what": "x"}',
        '{"what": "x", "code": "y", "problems": []}',
        '{"what": "x", "code": 2, "problems": [1]}',
        '{"what": "x", "code": 2, "problems": [{"source": "dvc.yaml", "line": "last", "what": "odd"}]}',
        pytest.param("[" * 10**5, id="nested without end"),
    ],
)
def test_a_damaged_failure_is_a_failure(root: Path, text: str) -> None:
    (root / OWN / "failure.json").write_text(text)
    assert told(root) == ("an earlier phase failed", Exit.ENVIRONMENT)


def test_no_failure_is_none_and_nothing_is_noted_where_no_run_was_begun(tmp_path: Path) -> None:
    states.write_failure(tmp_path, UsageError("before anything"))
    assert list(tmp_path.iterdir()) == []
    assert states.read_failure(tmp_path) is None


def git_of(files: dict[str, bytes], *tracked: str) -> Any:
    return SimpleNamespace(
        reading=contextlib.nullcontext,
        files=lambda _, folder: [name for name in files if name.startswith(f"{folder}/")],
        read=lambda _, name: files.get(name),
        tracked=lambda path: path in tracked,
    )


def based(lock: str | None) -> Any:
    return SimpleNamespace(sha="b" * 40, lock=lock)


@pytest.mark.parametrize("kind", ["link", "file", "folder", "nothing"])
def test_a_place_for_a_folder_is_cleared_whatever_stands_there(tmp_path: Path, kind: str) -> None:
    elsewhere, place = tmp_path / "elsewhere", tmp_path / "place"
    elsewhere.mkdir()
    (elsewhere / "kept").write_text("x")
    if kind == "link":
        place.symlink_to(elsewhere)
    elif kind == "file":
        place.write_text("in the way")
    elif kind == "folder":
        (place / "deep").mkdir(parents=True)
        (place / "deep/link").symlink_to(elsewhere)
    states.remove(place)
    assert not place.exists()
    assert not place.is_symlink()
    assert (elsewhere / "kept").read_text() == "x"


def test_a_run_begins_where_a_file_of_that_name_lies(tmp_path: Path) -> None:
    (tmp_path / OWN).write_text("in the way")
    states.clear(tmp_path, git_of({}))
    assert [entry.name for entry in (tmp_path / OWN).iterdir()] == [".gitignore"]


def test_nothing_that_the_change_says_of_figures_is_left(tmp_path: Path) -> None:
    for path in ("reports/int8/evaluate.json", "reports/verdict.json", "samples/int8/local.npz", "artifacts/int8/x"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("forged")
    (tmp_path / "dvc.lock").write_text("stages: {train: {cmd: new}, compress@int8: {cmd: forged}}")
    base = based("stages: {train: {cmd: old}, compress@int8: {cmd: honest}}")
    head = compress.lay(tmp_path, base, git_of({"reports/int8/evaluate.json": b"honest"}))
    assert head == {"train": {"cmd": "new"}, "compress@int8": {"cmd": "forged"}}
    found = {path.relative_to(tmp_path).as_posix(): path.read_text() for path in tmp_path.rglob("*") if path.is_file()}
    assert set(found) == {"dvc.lock", "reports/int8/evaluate.json"}
    assert found["reports/int8/evaluate.json"] == "honest"
    assert "forged" not in found["dvc.lock"]
    assert "new" in found["dvc.lock"]


def test_folders_of_ours_that_are_links_lead_nowhere(tmp_path: Path) -> None:
    forged = tmp_path / "forged"
    forged.mkdir()
    (forged / "verdict.json").write_text("kept")
    root = tmp_path / "root"
    root.mkdir()
    (root / "reports").symlink_to(forged)
    (root / "samples").write_text("a file")
    compress.lay(root, based(None), git_of({"reports/verdict.json": b"honest"}))
    assert (forged / "verdict.json").read_text() == "kept"
    assert (root / "reports/verdict.json").read_text() == "honest"
    assert not (root / "samples").exists()


@pytest.mark.parametrize("content", [b"\xff\xfe", b"stages: [", b"\x00"])
def test_a_lock_that_is_no_text_is_told_and_nothing_was_removed(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "dvc.lock").write_bytes(content)
    (tmp_path / "reports").mkdir()
    with pytest.raises(UsageError, match="no lock file"):
        compress.lay(tmp_path, None, git_of({}))
    assert (tmp_path / "reports").exists()
    (tmp_path / "dvc.lock").write_text("stages: {}")
    with pytest.raises(UsageError, match="no lock file") as told:
        compress.lay(tmp_path, based(content.decode(errors="replace")), git_of({}))
    assert told.value.where == "dvc.lock of the base"


def test_notes_that_are_written_are_read(root: Path) -> None:
    noted = State(None, lacking="the data are elsewhere", skipped=3, notices=["größer"], refused={"p": "q"})
    states.write(root, noted)
    assert states.read(root) == noted


def test_a_run_at_home_leaves_broken_off_trainings_and_searches_there(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    reached = layout.trainings("slim") / "step" / "state.pt"
    tried = tmp_path / OWN / "search" / "of" / "0001.json"
    stale = tmp_path / OWN / "reports" / "verdict.json"
    for file in (reached, tried, stale, tmp_path / OWN / "state.json"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("of before")
    states.forget(tmp_path / OWN)
    assert {path for path in (tmp_path / OWN).rglob("*") if path.is_file()} == {reached, tried}


def test_what_is_forgotten_is_no_folder_behind_a_link(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "file").touch()
    (tmp_path / OWN).symlink_to(elsewhere)
    states.forget(tmp_path / OWN)
    assert (elsewhere / "file").exists()
    assert not (tmp_path / OWN).is_symlink()
