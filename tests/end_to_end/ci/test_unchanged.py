"""What is told "unchanged": decided from git and the lock, where DVC would skip, and found again by the gate."""

from __future__ import annotations

import py_compile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from end_to_end.ci.attacks import attack
from end_to_end.ci.conftest import LOCAL, Hub, begin, grown
from made_once import made_once

LOADER = """\
import numpy as np

try:
    from faster.names import names
except ImportError:
    from mine.lib import names


def load(split):
    data = np.load("test.npz")
    return tuple(data[name] for name in names())
"""
LIB = 'def names():\n    return ["x", "target"]\n'
OTHER = 'raise SystemExit("other code than the base\'s ran")\n'
NPZ = "  npz: {test: test.npz, calibration: calibration.npz}\n"


@pytest.fixture(scope="session")
def whole_seed(seed: Path, tmp_path_factory: pytest.TempPathFactory, plain: dict[str, str]) -> Path:
    def edit(hub: Hub) -> None:
        for folder, files in (("models", ["tiny.onnx"]), ("data", ["test.npz", "calibration.npz"])):
            (hub.work / folder).mkdir()
            for file in files:
                hub.git("mv", file, f"{folder}/{file}")
            hub.git("rm", "-q", "-r", "--cached", folder)
            hub.run("dvc", "add", "-q", folder)
        moved = (("onnx: tiny", "onnx: models/tiny"), ("test: test", "test: data/test"), (": calib", ": data/calib"))
        hub.config(*moved, ("max_drop: 10 pt", "min: 50 %"))(hub.work)

    return made_once(tmp_path_factory, "whole", lambda folder: begin(seed, folder, plain, edit, ("commit", "--force")))


@pytest.fixture
def whole(whole_seed: Path, tmp_path: Path, plain: dict[str, str]) -> Iterator[Hub]:
    """Model and data lie in folders that DVC tracks whole."""
    yield from grown(whole_seed, tmp_path / "hub", plain)


@pytest.fixture(scope="session")
def coded_seed(seed: Path, tmp_path_factory: pytest.TempPathFactory, plain: dict[str, str]) -> Path:
    def edit(hub: Hub) -> None:
        for path, text in {"mine/data.py": LOADER, "mine/__init__.py": "", "shared/__init__.py": LIB}.items():
            (hub.work / path).parent.mkdir(exist_ok=True)
            (hub.work / path).write_text(text)
        (hub.work / "mine/lib").symlink_to("../shared")
        hub.config((NPZ, "  load: mine.data:load\n"), ("[notes.txt]", "[mine]"))(hub.work)

    return made_once(tmp_path_factory, "coded", lambda folder: begin(seed, folder, plain, edit))


@pytest.fixture
def coded(coded_seed: Path, tmp_path: Path, plain: dict[str, str]) -> Iterator[Hub]:
    """The examples are loaded by code, one module of which lies behind a link."""
    yield from grown(coded_seed, tmp_path / "hub", plain)


def save_a_model_that_does_not_shrink(path: Path) -> None:
    """Products of few weights: what quantizing adds to the file is more than it saves."""
    rng = np.random.default_rng(1)
    down, up = (rng.normal(size=shape).astype(np.float32) for shape in ((64, 2), (2, 10)))
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "down"], ["narrow"]), helper.make_node("MatMul", ["narrow", "up"], ["y"])],
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 64])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 10])],
        [onnx.numpy_helper.from_array(down, "down"), onnx.numpy_helper.from_array(up, "up")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), str(path))


def in_whole_folders(hub: Hub, folder: str, replace: Callable[[Path], None]) -> Callable[[Path], None]:
    def edit(root: Path) -> None:
        (root / folder).is_dir() or hub.run("dvc", "pull", "-q", folder)
        replace(root / folder)
        hub.run("dvc", "add", "-q", folder)
        hub.run("dvc", "push", "-q", folder)

    return edit


@attack(
    "the model is replaced in a folder that DVC tracks whole, where DVC skips all that is made from it",
    "the pull request, the push after it and the scheduled run each make and measure the new model",
)
def test_a_model_replaced_in_a_folder_that_is_tracked_whole_is_measured(whole: Hub) -> None:
    def replace(folder: Path) -> None:
        (folder / "tiny.onnx").unlink()
        save_a_model_that_does_not_shrink(folder / "tiny.onnx")

    whole.change("model", in_whole_folders(whole, "models", replace))
    told = "`models/tiny.onnx` lies in `models`, which DVC tracks whole, and `models.dvc` names other content"
    run = whole.pull_request("model")
    assert run.code == 1, run.log
    assert told in run.log
    before, after = whole.land("model")
    landed = whole.push(before, after)
    assert told in landed.log
    assert landed.code != 0
    scheduled = whole.schedule()
    assert scheduled.code == 1, scheduled.log
    for each in (run, landed, scheduled):
        size = next(r for r in each.verdict()["rules"] if r["rule"] == "size.max_ratio" and r["variant"] == "int8")
        assert size["value"] > 0.5


@attack(
    "the test data are replaced in a folder that DVC tracks whole",
    "everything that is measured on them is measured on the new ones",
)
def test_data_replaced_in_a_folder_that_is_tracked_whole_are_measured_on(whole: Hub) -> None:
    def replace(folder: Path) -> None:
        held = dict(np.load(folder / "test.npz"))
        (folder / "test.npz").unlink()
        np.savez(folder / "test.npz", **{**held, "target": (held["target"] + 1) % 10})

    whole.change("data", in_whole_folders(whole, "data", replace))
    run = whole.pull_request("data")
    assert run.code == 1, run.log
    assert "`data/test.npz` lies in `data`, which DVC tracks whole, and `data.dvc` names other content" in run.log
    accuracy = next(r for r in run.verdict()["rules"] if r["rule"] == "accuracy.min" and r["variant"] == "int8")
    assert accuracy["value"] < 0.5


def shadow(root: Path) -> None:
    (root / "mine/data").mkdir()
    (root / "mine/data/__init__.py").write_text(OTHER)
    with (root / ".dvcignore").open("a") as ignored:
        ignored.write("mine/data/\n")


def compiled(hub: Hub) -> Callable[[Path], None]:
    def edit(root: Path) -> None:
        other = root / "other.py"
        other.write_text(OTHER)
        place = Path(__import__("importlib.util").util.cache_from_source(str(root / "mine/data.py")))
        place.unlink(missing_ok=True)
        mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
        py_compile.compile(str(other), str(place), invalidation_mode=mode, doraise=True)
        other.unlink()
        hub.git("add", "-f", str(place))

    return edit


@attack(
    "a package `mine/data/` shadows `mine/data.py`, and one line of `.dvcignore` hides it from DVC",
    "the line and the package count as a change, so everything is made with the code that really runs",
)
def test_a_package_that_shadows_a_module_under_dvcignore_is_run(coded: Hub) -> None:
    coded.change("shadow", shadow)
    refused(coded, "shadow", "`.dvcignore` is not as at the base|`mine/data/__init__.py`")


@attack(
    "byte code is committed beside an unchanged source, for Python to run in its place",
    "byte code counts as a change, so everything is made with what really runs",
)
def test_committed_byte_code_is_run(coded: Hub) -> None:
    coded.change("compiled", compiled(coded))
    refused(coded, "compiled", "is byte code, which may run in place of its source")


@attack(
    "the test data are replaced that code reads by a name of its own, where `makeweight.yaml` names none",
    "what code reads counts as what runs does, so everything is made and measured with the new data",
)
def test_data_that_code_alone_names_are_read_anew(coded: Hub) -> None:
    coded.change("data", lambda root: [(root / "test.npz").write_bytes(b"other data than the base's")])  # type: ignore[func-returns-value]
    run = coded.pull_request("data")
    assert "`test.npz` was read for the base, and `test.npz` is not as at the base" in run.log
    assert "mine/data.py:10" in run.log, "it was read"
    assert (run.result.conclusion, run.outputs["verdict"]) == ("failure", "error")


@attack(
    "a `.gitattributes` is a link to `mine/data.py working-tree-encoding=UTF-16`, which git reads as a line of it",
    "the link counts as a change, so everything is made with what git lays there",
)
def test_a_link_that_git_reads_for_attributes_counts(coded: Hub) -> None:
    line = "mine/data.py working-tree-encoding=UTF-16"
    coded.change("link", lambda root: [(root / ".gitattributes").symlink_to(line)])  # type: ignore[func-returns-value]
    run = coded.pull_request("link")
    assert "`.gitattributes` is not as at the base" in run.log
    assert b"\0" in (run.workspace / "mine/data.py").read_bytes(), "git lays other content"
    assert (run.result.conclusion, run.outputs["verdict"]) == ("failure", "error")


@attack(
    "code tries to import a module that is not there, and a later change brings it, in a folder that is no package",
    "what is new where an import would find it counts as a change, so everything is made with it",
)
def test_a_module_that_was_looked_for_in_vain_is_run(coded: Hub) -> None:
    def bring(root: Path) -> None:
        (root / "faster").mkdir()
        (root / "faster/names.py").write_text(OTHER)

    coded.change("bring", bring)
    refused(coded, "bring", "`faster/names.py` is new")


@attack(
    "code is edited behind a link, into which DVC does not look",
    "the edit counts as a change, so everything is made with it",
)
def test_an_edit_behind_a_link_is_run(coded: Hub) -> None:
    coded.change("behind", lambda root: [(root / "shared/__init__.py").write_text(OTHER)])  # type: ignore[func-returns-value]
    refused(coded, "behind", "`shared/__init__.py`")


@attack(
    "`sources` is emptied, so that DVC sees no code change at all",
    "`baseline` refuses to run, and names the code that ran with the lines to add",
)
def test_code_that_no_source_covers_is_refused(coded: Hub) -> None:
    def empty(root: Path) -> None:
        coded.config(("[mine]", "[]"))(root)
        coded.run("makeweight", "init")

    coded.change("emptied", empty)
    run = coded.pull_request("emptied")
    assert (run.result.conclusion, run.outputs["verdict"]) == ("failure", "error"), run.log
    assert "makeweight.yaml: sources: code ran that no entry covers" in run.log
    assert "mine/data.py" in run.log


def refused(hub: Hub, branch: str, why: str) -> None:
    """The code that ends the process was run, and so nothing passed."""
    run = hub.pull_request(branch, number=9)
    assert any(each in run.log for each in why.split("|")), run.log
    assert "other code than the base's ran" in run.log
    assert run.result.conclusion == "failure"
    assert run.outputs["verdict"] == "error"


def noted(hub: Hub, vendor: Path, text: str) -> None:
    (vendor / "notes.txt").write_text(text)
    hub.git("add", "-A", cwd=vendor)
    hub.git("commit", "-q", "-m", text, cwd=vendor)


@pytest.fixture
def vendored(seed: Path, tmp_path: Path, plain: dict[str, str]) -> Iterator[Hub]:
    """A source lies in a submodule, whose own repository is `vendor`."""

    def add(hub: Hub) -> None:
        hub.git("init", "-q", str(tmp_path / "vendor"))
        noted(hub, tmp_path / "vendor", "what the model is made of")
        hub.git(*LOCAL, "submodule", "--quiet", "add", str(tmp_path / "vendor"), "vendor")
        hub.config(("sources: [notes.txt]", "sources: [vendor/notes.txt]"))(hub.work)

    begin(seed, tmp_path / "seed", plain, add, ("commit", "--force"))
    yield from grown(tmp_path / "seed", tmp_path / "hub", plain)


@attack(
    "a submodule that a stage reads moves to another commit, of which this repository shows one line",
    "what reads it is made anew; where the checkout left it empty, the run fails and names what is missing",
)
def test_a_submodule_at_another_commit_is_read_anew(vendored: Hub, tmp_path: Path) -> None:
    noted(vendored, tmp_path / "vendor", "and what else")
    vendored.change("moved", lambda _: vendored.git(*LOCAL, "submodule", "update", "--remote"))  # type: ignore[arg-type, return-value]
    empty = vendored.pull_request("moved")
    assert empty.code == 2, empty.log
    assert "`vendor/notes.txt`" in vendored.github.comments[0]["body"]
    vendored.submodules = True
    run = vendored.pull_request("moved")
    assert run.outputs["verdict"] == "pass", run.log
    assert "the submodule `vendor` is at another commit" in run.log
    assert "Running stage 'baseline'" in run.log
