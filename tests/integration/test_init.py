"""`makeweight init` in folders as people have them, with real git, DVC and ONNX files."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import yaml
from onnx import TensorProto, helper

from makeweight.project import reading
from makeweight.starter import repository
from makeweight.starter.arguments import Given
from makeweight.verbs import init
from makeweight_base.errors import ConfigError, EnvironmentFailed, Exit, MissingExtra, UsageError

PIPELINE = ["baseline", "compress", "evaluate", "device", "benchmark", "report", "gate", "ship"]


class Said:
    """Progress that is kept."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)

    def over(self, items: Iterable[Any], label: str, total: int | None = None) -> Iterator[Any]:
        yield from items

    def __str__(self) -> str:
        return "\n".join(self.lines)


def run(root: Path, *, force: bool = False, **given: Any) -> str:
    said = Said()
    assert init.run(root, Given(**given), said, force=force) == Exit.PASS
    return str(said)


def files(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and not {".git", ".dvc"} & set(path.relative_to(root).parts)
    }


def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, preloaded_dvc: None) -> Path:
    """An empty git repository, in which one stands."""
    _quiet(monkeypatch)
    folder = tmp_path / "net"
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory, preloaded_commands: Path) -> Path:
    folder = tmp_path_factory.mktemp("begun") / "net"
    _, *options = repository.DVC
    with pytest.MonkeyPatch.context() as patch:
        _quiet(patch)
        patch.setattr(repository, "DVC", (str(preloaded_commands / "python3"), *options))
        subprocess.run(["git", "init", "-q", str(folder)], check=True)
        assert repository.start_dvc(folder).startswith("dvc init: ")
    return folder


@pytest.fixture
def tracked(begun: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, preloaded_dvc: None) -> Path:
    """An empty git repository that DVC was started in, and in which one stands."""
    _quiet(monkeypatch)
    folder = Path(shutil.copytree(begun, tmp_path / "net"))
    monkeypatch.chdir(folder)
    return folder


def save_net(path: Path, shape: list[int | str], *, external: bool = False) -> None:
    """A linear layer on flattened inputs, not made by any exporter."""
    weights = np.random.default_rng(0).normal(size=(64, 10)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("Reshape", ["x", "flat"], ["f"]), helper.make_node("MatMul", ["f", "w"], ["y"])],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 10])],
        [
            helper.make_tensor("w", TensorProto.FLOAT, [64, 10], weights.tobytes(), raw=True),
            helper.make_tensor("flat", TensorProto.INT64, [2], [-1, 64]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path, save_as_external_data=external, location="w.bin" if external else None, size_threshold=0)


def save_package(root: Path) -> None:
    (root / "digits").mkdir()
    (root / "digits" / "model.py").write_text("import torch_that_is_not_there\n\ndef build(): ...\n")
    (root / "digits" / "data.py").write_text("def load(split): ...\n")
    (root / "base.pt").write_bytes(b"weights")


MODULE: dict[str, Any] = {
    "build": "digits.model:build",
    "weights": "base.pt",
    "data": "digits.data:load",
    "inputs": ("image=N,1,8,8",),
}


def test_a_module_becomes_a_pipeline_that_dvc_reads(root: Path) -> None:
    save_package(root)
    (root / "requirements.txt").touch()
    said = run(root, **MODULE)
    loaded = reading.load(root)
    assert loaded.sources == ("digits/", "requirements.txt")
    assert loaded.name == "net"
    pipeline = yaml.safe_load((root / "dvc.yaml").read_text())
    assert list(pipeline["stages"]) == PIPELINE
    assert pipeline["stages"]["baseline"]["deps"] == ["base.pt", "digits", "requirements.txt"]
    assert next(name for plot in pipeline["plots"] for name in plot) == "accuracy against size"
    assert (root / ".gitignore").read_text().splitlines()[1:] == ["/artifacts/", "/samples/", "/shipped"]
    assert "__pycache__/" in (root / ".dvcignore").read_text()
    listed = repository.dvc(root, "stage", "list", "--name-only")
    assert "benchmark@local-slim-int8" in listed.stdout.split(), listed.stderr
    for part in (
        "dvc init: ",
        "makeweight.yaml: written",
        "dvc.yaml: added",
        ".gitignore: added",
        ".dvcignore: added",
    ):
        assert part in said
    assert said.splitlines()[-1] == "next: dvc repro"


def test_a_second_call_changes_nothing_and_says_so(tracked: Path) -> None:
    save_package(tracked)
    run(tracked, **MODULE)
    before = files(tracked)
    again = run(tracked)
    assert again.splitlines()[0] == "nothing to change: makeweight.yaml and dvc.yaml agree"
    same = run(tracked, **MODULE)
    assert "makeweight.yaml: kept as it is" in same
    assert files(tracked) == before


def test_edited_sources_reach_dvc_yaml(tracked: Path) -> None:
    save_package(tracked)
    run(tracked, **MODULE)
    config = tracked / "makeweight.yaml"
    config.write_text(config.read_text().replace("  - digits/\n", "  - digits/\n  - tool.lock\n"))
    said = run(tracked)
    assert "dvc.yaml: brought stage baseline up to date (deps); brought stage compress up to date (deps)" in said
    assert "not there yet: tool.lock" in said
    assert "- tool.lock" in (tracked / "dvc.yaml").read_text()
    assert "makeweight.yaml:" not in said


def test_an_onnx_file_is_found_and_read(tracked: Path) -> None:
    save_net(tracked / "models" / "net.onnx", ["batch", 1, 8, 8])
    said = run(tracked)
    loaded = reading.load(tracked)
    assert (loaded.model.onnx, loaded.model.inputs) == ("models/net.onnx", {"x": ["N", 1, 8, 8]})
    assert list(loaded.variants) == ["fp16", "int8", "int8-dynamic"]
    assert "found models/net.onnx" in said
    assert "not there yet: data/test.npz (arrays `x` [examples, 1, 8, 8] and `target` [examples])" in said
    assert said.splitlines()[-1] == "next: put them there, or mend makeweight.yaml; then: dvc repro"


def test_an_onnx_file_with_its_examples_is_ready_to_run(tracked: Path) -> None:
    save_net(tracked / "net.onnx", [1, 1, 8, 8], external=True)
    np.savez(tracked / "test.npz", x=np.zeros((2, 1, 8, 8)), target=np.zeros(2))
    np.savez(tracked / "cal.npz", x=np.zeros((2, 1, 8, 8)))
    said = run(
        tracked,
        onnx=str(tracked / "net.onnx"),
        npz_test="test.npz",
        npz_calibration="cal.npz",
        task="regression",
        name="R",
    )
    loaded = reading.load(tracked)
    assert (loaded.name, loaded.model.onnx, loaded.task.kind) == ("R", "net.onnx", "regression")
    assert loaded.model.inputs == {"x": [1, 1, 8, 8]}
    assert loaded.data.npz == {"test": "test.npz", "calibration": "cal.npz"}
    assert loaded.sources == ("w.bin",), "the weights beside the model are a dependency as well"
    assert said.splitlines()[-1] == "next: dvc repro"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "there is no model to start from; old.pt may be weights"),
        ({"build": "digits.model:build"}, "a PyTorch model needs --weights and --data as well"),
        ({**MODULE, "build": "digits.model:biuld"}, "did you mean `build`?"),
        (
            {**MODULE, "weights": "gone.pt"},
            "--weights gone.pt: no such file, and no stage or .dvc file makes it",
        ),
        ({**MODULE, "inputs": ("image=0,1",)}, "--inputs: `image=0,1` is no input"),
        ({**MODULE, "inputs": ("image",)}, "--inputs: `image` is no input"),
        ({**MODULE, "inputs": ("i=N,1", "i=N,2")}, "--inputs: `i` is given twice"),
        ({**MODULE, "task": "segment"}, "`--task segment` is no task"),
        ({**MODULE, "onnx": "net.onnx"}, "several models are given"),
        ({**MODULE, "npz_test": "t.npz"}, "examples are given twice"),
        ({"onnx": "half.onnx"}, "half.onnx: the ONNX file is cut short or damaged"),
        ({"onnx": "old.pt"}, "old.pt: this is no ONNX file"),
        ({"onnx": "gone.onnx"}, "gone.onnx: no such file"),
        ({**MODULE, "constants": ("sr=fast",)}, "--constants: `sr=fast` is no constant"),
        ({"onnx": "free.onnx", "inputs": ("y=N,1,8,8",)}, "the model's inputs are x, and y were given"),
        ({"onnx": "free.onnx", "inputs": ("x=N,2,8,8",)}, "`x` is ?,1,?,8 there, and N,2,8,8 was given"),
        ({"npz_calibration": "c.npz"}, "leaves nothing to measure accuracy on"),
        ({"onnx": "whole.onnx", "npz_test": "gone.npz"}, "--npz-test gone.npz: no such file"),
    ],
)
def test_what_does_not_suffice_is_told_and_nothing_is_written(root: Path, given: dict[str, Any], says: str) -> None:
    save_package(root)
    (root / "base.pt").rename(root / "old.pt")
    if given.get("weights") == "base.pt":
        (root / "old.pt").rename(root / "base.pt")
    if "onnx" in given:
        save_net(root / "whole.onnx", ["N", 1, 8, 8])
        save_net(root / "free.onnx", ["N", 1, "h", 8])
        (root / "half.onnx").write_bytes((root / "whole.onnx").read_bytes()[:150])
        (root / "old.pt").write_bytes(b"x")
    before = files(root)
    with pytest.raises(UsageError) as caught:
        run(root, **given)
    assert says in str(caught.value)
    assert caught.value.exit_code == 2
    assert files(root) == before
    assert not (root / ".dvc").exists()


def test_free_sizes_are_taken_from_the_call(tracked: Path) -> None:
    save_net(tracked / "net.onnx", ["N", 1, "h", "w"])
    run(tracked, inputs=("x=N,1,8,8",))
    assert reading.load(tracked).model.inputs == {"x": ["N", 1, 8, 8]}


def test_several_models_ask_which(root: Path) -> None:
    save_net(root / "a.onnx", ["N", 1, 8, 8])
    save_net(root / "b.onnx", ["N", 1, 8, 8])
    with pytest.raises(
        UsageError, match=r"2 models here: a\.onnx, b\.onnx\n  Say which: makeweight init --onnx a\.onnx"
    ):
        run(root)


@pytest.mark.parametrize("missing", ["onnx", "onnxruntime"])
def test_a_model_file_whose_runtime_is_not_installed_is_told(
    root: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    save_net(root / "net.onnx", ["N", 1, 8, 8])
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == missing else find_spec(name))
    with pytest.raises(MissingExtra, match=r"makeweight\[onnx\]"):
        run(root)
    assert set(files(root)) == {"net.onnx"}


def test_force_writes_anew_and_keeps_the_old(tracked: Path) -> None:
    save_package(tracked)
    run(tracked, **MODULE)
    (tracked / "makeweight.yaml").write_text((tracked / "makeweight.yaml").read_text() + "# mine\n")
    mine = (tracked / "makeweight.yaml").read_bytes()
    said = run(tracked, force=True, **MODULE)
    assert "written anew; the old one is makeweight.yaml.bak" in said
    assert (tracked / "makeweight.yaml.bak").read_bytes() == mine
    assert b"# mine" not in (tracked / "makeweight.yaml").read_bytes()
    (tracked / "makeweight.yaml").write_bytes(mine)
    run(tracked, force=True, **MODULE)
    assert (tracked / "makeweight.yaml.bak1").exists()


def test_keys_that_dvc_needs_are_added_to_a_file_written_by_hand(tracked: Path) -> None:
    save_net(tracked / "net.onnx", ["N", 1, 8, 8])
    mine = (
        "model: {onnx: net.onnx}   # net\ndata: {npz: {test: t.npz}}\n"
        "variants: {a: {steps: [float16]}}\nbudget: {size: {max: 1 kB}}\n"
    )
    (tracked / "makeweight.yaml").write_text(mine)
    said = run(tracked)
    assert "makeweight.yaml: added name, sources, task, seed, devices" in said
    assert (tracked / "makeweight.yaml").read_text().startswith(mine)
    assert reading.load(tracked).devices["local"].kind == "local"
    listed = repository.dvc(tracked, "stage", "list", "--name-only")
    assert "benchmark@local-a" in listed.stdout, listed.stderr


def test_a_file_with_problems_is_not_touched(root: Path) -> None:
    (root / "makeweight.yaml").write_text("model: {onxx: net.onnx}\n")
    before = files(root)
    with pytest.raises(ConfigError, match=r"makeweight\.yaml:1: model\.onxx: unknown key; did you mean `onnx`"):
        run(root)
    assert files(root) == before


def test_a_file_by_the_other_ending_is_not_passed_over(root: Path) -> None:
    (root / "makeweight.yml").write_text("model: {}\n")
    before = files(root)
    with pytest.raises(UsageError, match=r"Rename it to makeweight\.yaml"):
        run(root, **MODULE)
    assert files(root) == before


def test_names_that_params_yaml_holds_are_refused(root: Path) -> None:
    save_package(root)
    (root / "params.yaml").write_text("lr: 1\nvariants: {small: {}}\n")
    before = files(root)
    with pytest.raises(ConfigError, match=r"params\.yaml:2: `variants` would be mixed"):
        run(root, **MODULE)
    assert files(root) == before


def test_weights_that_a_stage_makes_need_not_be_there_yet(tracked: Path) -> None:
    save_package(tracked)
    (tracked / "base.pt").unlink()
    theirs = "stages:\n  train:   # ours\n    cmd: python train.py\n    outs: [base.pt]\n"
    (tracked / "dvc.yaml").write_text(theirs)
    said = run(tracked, **MODULE)
    assert (tracked / "dvc.yaml").read_text().startswith(theirs)
    assert said.splitlines()[-1] == "next: dvc repro"


def test_what_dvc_objects_to_is_undone(tracked: Path) -> None:
    save_package(tracked)
    theirs = "stages:\n  mine:\n    cmd: echo\n    outs: [reports]\n"
    (tracked / "dvc.yaml").write_text(theirs)
    with pytest.raises(UsageError, match=r"^dvc\.yaml: DVC refuses the pipeline: .*overlap"):
        run(tracked, **MODULE)
    assert (tracked / "dvc.yaml").read_text() == theirs


def test_a_folder_without_git_gets_dvc_without_git(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, preloaded_dvc: None
) -> None:
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    if repository.git_root(tmp_path) is not None:
        pytest.fail("the temporary folder lies in a git repository; set --basetemp elsewhere")
    save_net(tmp_path / "net.onnx", ["N", 1, 8, 8])
    said = run(tmp_path)
    assert "dvc init --no-scm" in said
    assert not (tmp_path / ".gitignore").exists()
    assert "no_scm = True" in (tmp_path / ".dvc" / "config").read_text()
    (tmp_path / ".dvc" / "config.local").touch()  # where DVC keeps what opens a remote
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    listed = ("git", "ls-files", "--others", "--exclude-standard", ".dvc")
    found = subprocess.run(listed, cwd=tmp_path, check=True, capture_output=True, text=True).stdout.split()
    assert found == [".dvc/.gitignore", ".dvc/config"]
    assert "warning: DVC was begun here without git" in run(tmp_path)


def test_a_subfolder_gets_a_dvc_of_its_own_unless_there_is_one_above(root: Path) -> None:
    for name in ("one", "two"):
        save_net(root / name / "net.onnx", ["N", 1, 8, 8])
    assert "dvc init --subdir" in run(root / "one")
    assert (root / "one" / ".dvc").is_dir()
    assert repository.start_dvc(root).startswith("dvc init: ")
    said = run(root / "two")
    assert "dvc init" not in said
    assert said.splitlines()[-1].startswith(f"next, in {root / 'two'}: ")
    assert not (root / "two" / ".dvc").exists()
    assert (root / "two" / ".gitignore").read_text().splitlines()[1:] == ["/artifacts/", "/samples/", "/shipped"]
    # the folder stands before our names, where the user's own are the same
    (root / "dvc.yaml").write_text("stages:\n  gate:\n    cmd: echo\n")
    listed = repository.dvc(root, "stage", "list", "--name-only", "--recursive", ".")
    assert {"gate", "two/dvc.yaml:gate", "two/dvc.yaml:compress@int8"} <= set(listed.stdout.split()), listed.stderr


def test_a_dvc_from_beyond_the_git_repository_is_none_of_it(tmp_path: Path) -> None:
    for folder in ("whole/.git", "whole/.dvc", "whole/part", "whole/module"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "whole/module/.git").write_text("gitdir: ../.git/modules/module\n")
    lacking = {name: repository.lacks_dvc(tmp_path / name) for name in ("whole", "whole/part", "whole/module")}
    assert lacking == {"whole": False, "whole/part": False, "whole/module": True}
    (tmp_path / "whole/.git").rmdir()
    assert not repository.lacks_dvc(tmp_path / "whole/part")


def test_a_git_that_ignores_reports_is_told(tracked: Path) -> None:
    save_package(tracked)
    (tracked / ".gitignore").write_text("reports\nartifacts/")
    said = run(tracked, **MODULE)
    assert "warning: git ignores reports/" in said
    assert (tracked / ".gitignore").read_text().splitlines() == [
        "reports",
        "artifacts/",
        "# made by the pipeline; DVC keeps them",
        "/samples/",
        "/shipped",
    ]


def test_a_gitignore_keeps_its_bytes_and_what_it_hides_is_told(root: Path) -> None:
    theirs = "# g\xe9n\xe9r\xe9s\n*.log\n".encode("latin-1")
    (root / ".gitignore").write_bytes(theirs)
    (root / "artifacts").mkdir()
    (root / "samples").mkdir()
    (root / "artifacts" / "model.pt").touch()
    said = "\n".join(repository.ignore_what_is_made(root))
    assert (root / ".gitignore").read_bytes().startswith(theirs + b"# made by the pipeline; DVC keeps them\n/artif")
    assert "warning: artifacts/ holds files already" in said
    assert "samples/ holds" not in said
    assert "warning" not in "\n".join(repository.ignore_what_is_made(root))


def test_why_dvc_does_not_begin_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(_: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        said = "" if "--quiet" in arguments else "ERROR: unexpected error - Read-only file system: '.dvc'\n"
        return subprocess.CompletedProcess(arguments, 255, "", said)

    monkeypatch.setattr(repository, "dvc", refusing)
    with pytest.raises(EnvironmentFailed, match=r"`dvc init.*` failed: unexpected error - Read-only file system"):
        repository.start_dvc(root)


def test_without_dvc_the_extra_is_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repository.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingExtra, match=r"pip install 'makeweight\[dvc\]'"):
        run(root)


def test_the_command_line_reaches_it(root: Path, preloaded_commands: Path) -> None:
    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [preloaded_commands / "makeweight", "init", *arguments]
        return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)

    nothing = call()
    assert nothing.returncode == 2
    assert "there is no model to start from" in nothing.stderr
    assert "makeweight init --onnx model.onnx" in nothing.stderr
    assert "Traceback" not in nothing.stderr
    save_net(root / "net.onnx", ["N", 1, "h", 8])
    done = call("--onnx", "net.onnx", "--inputs", "x=N,1,8,8", "--name", "mine")
    assert done.returncode == 0, done.stderr
    assert reading.load(root).name == "mine"
