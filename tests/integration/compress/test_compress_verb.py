"""`makeweight compress`: a recipe becomes an artifact, or a manifest that says why not; and nothing in between."""

from __future__ import annotations

import errno
import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from makeweight import registry
from makeweight.artifact import artifact
from makeweight.artifact.ports import Port
from makeweight.compress.baseline import write_baseline
from makeweight.compress.float16 import Float16
from makeweight.compress.optimizing import Optimizer
from makeweight.compress.prune import Prune
from makeweight.compress.technique import Needs
from makeweight.project.project import Project
from makeweight.project.reading import understand
from makeweight.runtimes.format import FLOAT32
from makeweight.runtimes.onnxruntime import float16
from makeweight.runtimes.onnxruntime.runtime import OnnxRuntime
from makeweight.runtimes.runtime import RecipeFailed
from makeweight.verbs import compress
from makeweight_base import atomic
from makeweight_base.errors import EnvironmentFailed, Exit, MissingExtra, UsageError
from makeweight_base.progress import Silent

pytestmark = pytest.mark.usefixtures("probed_here")

VARIANTS = """
seed: 3
variants:
  fp16: {steps: [float16]}
  int8: {steps: [quantize]}
  dynamic: {steps: [quantize: {method: dynamic}]}
  slim-int8:
    steps:
      - prune: {ratio: 0.5, rounds: 2, epochs: 1}
      - finetune: {epochs: 1, teacher: baseline}
      - quantize
  untrained: {steps: [prune: {ratio: 0.5, epochs: 0}]}
  impossible: {steps: [prune: {ratio: 0.1, epochs: 0}, quantize]}
"""


class Told(Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


def _with_baseline(project: Project) -> Project:
    with atomic.replacing_folder(project.layout.artifact("baseline")) as folder:
        artifact.write(folder, write_baseline(project.declared, folder, Silent()))
    return project


@pytest.fixture
def make_exported(make_project: Any, small_baseline: Path) -> Callable[..., Project]:
    """The small project with its baseline."""

    def make(more: str, **options: Any) -> Project:
        project: Project = make_project(more, **options)
        shutil.copytree(small_baseline, project.layout.artifact("baseline"))
        return project

    return make


@pytest.fixture
def project(make_exported: Any) -> Project:
    exported: Project = make_exported(VARIANTS)
    return exported


def _made(project: Project, variant: str) -> tuple[artifact.Manifest, Path]:
    folder = project.layout.artifact(variant)
    return artifact.read(folder), folder


def test_a_recipe_on_the_graph(project: Project, capfd: pytest.CaptureFixture[str]) -> None:
    told = Told()
    assert compress.run(project, "int8", told) == Exit.PASS
    manifest, folder = _made(project, "int8")
    baseline, _ = _made(project, "baseline")
    assert sorted(path.name for path in folder.iterdir()) == ["manifest.json", "model.onnx"]
    assert (manifest.status, manifest.parent, manifest.seed, manifest.control) == ("ready", baseline.sha256, 3, None)
    assert manifest.recipe == [
        {
            "quantize": {
                "method": "static",
                "bits": 8,
                "calibrate": "minmax",
                "per_channel": True,
                "equalize": False,
                "correct_bias": False,
                "operators": [],
                "exclude": [],
                "signal_to_noise": None,
                "max_drop": None,
            }
        }
    ]
    assert (manifest.quantized, manifest.floating) == (4, 0)
    assert (manifest.parameters, manifest.macs) == (baseline.parameters, baseline.macs)
    assert manifest.size is not None
    assert baseline.size is not None
    assert manifest.size < 0.5 * baseline.size
    assert (manifest.weights, manifest.trained, manifest.calibrated) == ("int8", False, True)
    assert "torch" not in manifest.versions
    assert told.lines == ["int8: quantize", f"int8: {manifest.size:,} bytes, the baseline has {baseline.size:,}"]
    assert capfd.readouterr() == ("", "")


def test_a_recipe_that_trains_leaves_a_control(
    project: Project, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told, loaded = Told(), list[str]()
    users = sys.modules[str(project.model.build).split(":")[0]]
    plain = users.load
    monkeypatch.setattr(users, "load", lambda split: (loaded.append(split), plain(split))[1])
    assert compress.run(project, "slim-int8", told) == Exit.PASS
    assert loaded == ["train", "validation"], "each once, whatever is drawn of it and traced on it"
    manifest, folder = _made(project, "slim-int8")
    assert sorted(path.name for path in folder.iterdir()) == ["control.onnx", "manifest.json", "model.onnx"]
    assert manifest.control is not None
    assert manifest.control.path == folder / "control.onnx"
    assert (manifest.trained, manifest.calibrated) == (True, True)
    assert (manifest.quantized, manifest.floating) == (4, 0)
    assert {"torch", "torch-pruning", "onnxscript", "onnx", "onnxruntime"} < set(manifest.versions)
    assert manifest.notes["prune"]["channels"]["3"] == [48, 16]
    baseline, _ = _made(project, "baseline")
    assert baseline.parameters is not None
    control = OnnxRuntime().inspect(manifest.control)
    # the untrained baseline's normalization folds into biases of zero, which are left out; the trained control has them
    assert (control.macs, control.parameters) == (baseline.macs, baseline.parameters + 32 + 48 + 32)
    assert manifest.control.sha256 != baseline.sha256
    # two rounds of one epoch, then one: the control trains as much
    assert [line.split(":")[0] for line in told.lines if "epoch" in line] == [
        "prune, round 1 of 2",
        "prune, round 2 of 2",
        "finetune",
        "control for prune",
        "control for finetune",
    ]
    assert any(line.startswith("control for prune: 2 epochs") for line in told.lines)
    assert capfd.readouterr() == ("", "")


def test_an_equal_control_is_made_once(make_exported: Any) -> None:
    steps = "{steps: [factorize: {ratio: 0.5}, finetune: {epochs: 1}%s]}"
    project = make_exported(f"variants:\n  low: {steps % ''}\n  low-int8: {steps % ', quantize'}\n")
    told = Told()
    for variant in ("low", "low-int8"):
        compress.run(project, variant, told)
    taken_up = "taken up again after epoch 1 of 1"
    assert [line for line in told.lines if taken_up in line] == [
        f"finetune: {taken_up}",
        f"control for finetune: {taken_up}",
    ]
    (first, one), (second, other) = (_made(project, name) for name in ("low", "low-int8"))
    assert (one / "control.onnx").read_bytes() == (other / "control.onnx").read_bytes()
    assert first.notes["finetune"] == second.notes["finetune"]
    assert not any(project.layout.trainings("x").parent.iterdir())
    curves = [project.layout.curves(name) / "validation_accuracy.tsv" for name in ("low", "low-int8")]
    assert curves[0].read_text() == curves[1].read_text()
    assert [len(line.split("\t")[2]) > 0 for line in curves[0].read_text().splitlines()] == [True, True]


def test_pruning_without_training_has_no_control(project: Project) -> None:
    compress.run(project, "untrained", Silent())
    manifest, folder = _made(project, "untrained")
    assert (manifest.status, manifest.control, manifest.trained) == ("ready", None, False)
    assert not (folder / "control.onnx").exists()


AGAIN = """
import sys
from pathlib import Path
from makeweight_base.progress import Silent
from makeweight.project.reading import understand
from makeweight.verbs import compress
root = Path(sys.argv[1])
project = understand((root / "makeweight.yaml").read_text(), "makeweight.yaml", root)
for variant in sys.argv[2:]:
    compress.run(project, variant, Silent())
"""


class Killed(BaseException):
    """Ends a run between two steps, with nothing done on the way out."""


def test_the_same_recipe_gives_the_same_bytes_in_another_process(
    make_exported: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of another hash seed, which this process has of its own, and another number of threads, and neither says a word:
    not while it exports either. One recipe is begun here and broken off in its third training; the other process takes
    up the two before."""
    config = """
name: tiny
model: {{build: "{module}:build", weights: weights.pt, inputs: {{image: [N, 1, 6, 6]}}}}
data: {{load: "{module}:load", calibration: {{samples: 64}}}}
{more}
budget: {{size: {{max: 1 MB}}}}
"""
    variants = ("slim-int8", "int8", "fp16", "dynamic")
    project = make_exported(VARIANTS, config=config)
    module = str(project.model.build).split(":")[0]
    (tmp_path / "makeweight.yaml").write_text(config.format(module=module, more=VARIANTS))

    def made() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in sorted((tmp_path / "artifacts").rglob("*.*"))}

    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        for variant in variants:
            compress.run(project, variant, Silent())
    finally:
        torch.set_num_threads(threads)
    assert capfd.readouterr() == ("", "")
    here = made()
    kept = project.layout.trainings("slim-int8")
    assert not kept.exists()
    steps, step = itertools.count(), Optimizer.step

    def broken_off(self: Any, loss: Any) -> None:
        step(self, loss)
        if next(steps) == 7:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Optimizer, "step", broken_off)
        with pytest.raises(Killed):
            compress.run(project, "slim-int8", Silent())
    assert made() == here
    assert len([*kept.iterdir()]) == 2
    environment = {**os.environ, "PYTHONHASHSEED": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", AGAIN, str(tmp_path), *variants]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
    assert made() == here
    assert len(here) == 2 * 5 + 1
    assert not kept.exists()


def test_a_recipe_that_cannot_be_carried_out_is_data(project: Project) -> None:
    told = Told()
    assert compress.run(project, "impossible", told) == Exit.PASS
    manifest, folder = _made(project, "impossible")
    assert [path.name for path in folder.iterdir()] == ["manifest.json"]
    assert (manifest.status, manifest.model, manifest.sha256) == ("failed", None, None)
    assert manifest.reason is not None
    assert told.lines[-1] == f"impossible: failed, {manifest.reason}"
    with pytest.raises(UsageError, match="variant `impossible` has no model file"):
        manifest.made()


def test_a_recipe_that_once_worked_and_now_fails_leaves_no_old_file(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    compress.run(project, "int8", Silent())

    def fails(*_: Any) -> None:
        raise RecipeFailed("not any more")

    monkeypatch.setattr(OnnxRuntime, "lower", fails)
    compress.run(project, "int8", Silent())
    manifest, folder = _made(project, "int8")
    assert (manifest.status, manifest.reason) == ("failed", "not any more")
    assert [path.name for path in folder.iterdir()] == ["manifest.json"]


def test_a_recipe_that_changes_nothing_fails(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Float16, "format", lambda *_: FLOAT32)
    compress.run(project, "fp16", Silent())
    manifest, _ = _made(project, "fp16")
    assert manifest.reason == "the recipe changed nothing: the file is the baseline's, byte by byte"


def test_a_file_that_the_runtime_refuses_fails_the_recipe(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(source: Path, target: Path) -> None:
        target.write_bytes(source.read_bytes()[:-50])

    monkeypatch.setattr(float16, "to_float16", broken)
    compress.run(project, "fp16", Silent())
    manifest, _ = _made(project, "fp16")
    assert manifest.reason == "the runtime refuses what the recipe made: the ONNX file is cut short or damaged"


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), EnvironmentFailed),
        (MemoryError(), MemoryError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
)
def test_a_machine_that_fails_loses_nothing_and_leaves_nothing(
    project: Project, monkeypatch: pytest.MonkeyPatch, raised: BaseException, expected: type[BaseException]
) -> None:
    compress.run(project, "int8", Silent())
    before, folder = _made(project, "int8")
    content = (folder / "model.onnx").read_bytes()

    def breaks(*_: Any) -> None:
        raise raised

    monkeypatch.setattr(OnnxRuntime, "lower", breaks)
    with pytest.raises(expected):
        compress.run(project, "int8", Silent())
    assert _made(project, "int8")[0] == before
    assert (folder / "model.onnx").read_bytes() == content
    assert sorted(path.name for path in folder.parent.iterdir()) == ["baseline", "int8"]


def test_techniques_do_not_get_the_test_split(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    handed: list[dict[str, int]] = []

    def looks(self: Any, subject: Any, options: Any, given: Any) -> Any:
        handed.append({name: split.count for name, split in given.splits.items()})
        raise RecipeFailed("seen enough")

    monkeypatch.setattr(Prune, "apply", looks)
    compress.run(project, "slim-int8", Silent())
    assert handed == [{"calibration": 64, "train": 96, "validation": 48}]
    monkeypatch.setattr(Prune, "needs", lambda *_: Needs(splits=("test",)))
    compress.run(project, "untrained", Silent())
    assert len(handed) == 1
    manifest, _ = _made(project, "untrained")
    assert manifest.reason == "a technique asked for the test split, which is the gate's alone"


def test_a_missing_extra_is_named_before_anything_is_done(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    find = registry.importlib.util.find_spec
    monkeypatch.setattr(
        registry.importlib.util, "find_spec", lambda name: None if name == "torch_pruning" else find(name)
    )
    with pytest.raises(MissingExtra, match=r"the technique `prune` needs `pip install 'makeweight\[torch\]'`"):
        compress.run(project, "slim-int8", Silent())
    assert not project.layout.artifact("slim-int8").exists()
    assert compress.run(project, "int8", Silent()) == Exit.PASS


def test_a_baseline_that_is_missing_or_was_changed(make_project: Any, small_baseline: Path) -> None:
    project = make_project(VARIANTS)
    with pytest.raises(UsageError, match="no such artifact yet"):
        compress.run(project, "int8", Silent())
    shutil.copytree(small_baseline, project.layout.artifact("baseline"))
    path = project.layout.artifact("baseline") / "model.onnx"
    path.write_bytes(path.read_bytes() + b"\x00")
    with pytest.raises(
        UsageError, match="the model of `baseline` is missing, or not the one that its manifest tells of"
    ):
        compress.run(project, "int8", Silent())


def test_an_unknown_variant(project: Project) -> None:
    with pytest.raises(UsageError, match="no variant `int9`"):
        compress.run(project, "int9", Silent())


def test_a_training_loss_that_diverges_fails_the_variant_only(make_exported: Any) -> None:
    more = "variants:\n  wild: {steps: [finetune: {epochs: 1, lr: 1.0e+30}, quantize]}\n  int8: {steps: [quantize]}"
    project = make_exported(more)
    assert compress.run(project, "wild", Silent()) == Exit.PASS
    manifest, _ = _made(project, "wild")
    assert manifest.status == "failed"
    assert "a smaller `lr` may help" in str(manifest.reason)
    assert compress.run(project, "int8", Silent()) == Exit.PASS
    assert _made(project, "int8")[0].status == "ready"


def test_a_module_with_two_inputs(make_project: Any) -> None:
    code = """

class Both(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right, self.head = nn.Linear(4, 32), nn.Linear(6, 32), nn.Linear(32, 3)

    def forward(self, left, right):
        return self.head(torch.relu(self.left(left) + self.right(right)))


def build():
    torch.manual_seed(1)
    return Both()


def load(split):
    rng = np.random.default_rng(0)
    left, right = rng.normal(size=(64, 4)), rng.normal(size=(64, 6))
    return {"right": right, "left": left}, np.arange(64) % 3
"""
    config = """
model: {{build: "{module}:build", weights: weights.pt, inputs: {{right: [N, 6], left: [N, 4]}}}}
data: {{load: "{module}:load"}}
{more}
budget: {{size: {{max: 1 MB}}}}
"""
    more = "variants: {all: {steps: [prune: {ratio: 0.5, importance: taylor}, quantize: {calibrate: percentile}]}}"
    project = _with_baseline(make_project(more, code=code, config=config))
    compress.run(project, "all", Silent())
    manifest, _ = _made(project, "all")
    assert (manifest.status, manifest.quantized, manifest.floating) == ("ready", 3, 0)
    assert [str(port) for port in manifest.made().inputs] == ["right [N, 6]", "left [N, 4]"]


def test_a_model_file_with_a_fixed_batch(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["image", "w"], ["c"], pads=[1, 1, 1, 1]),
            helper.make_node("Relu", ["c"], ["r"]),
            helper.make_node("GlobalAveragePool", ["r"], ["g"]),
            helper.make_node("Flatten", ["g"], ["f"]),
            helper.make_node("Gemm", ["f", "h"], ["scores"]),
        ],
        "g",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [4, 1, 6, 6])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [4, 3])],
        [
            numpy_helper.from_array(rng.standard_normal((8, 1, 3, 3)).astype(np.float32), "w"),
            numpy_helper.from_array(rng.standard_normal((8, 3)).astype(np.float32), "h"),
        ],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8), tmp_path / "m.onnx")
    images = rng.random((10, 1, 6, 6), dtype=np.float32)
    np.savez(tmp_path / "test.npz", image=images, target=np.arange(10) % 3)
    np.savez(tmp_path / "cal.npz", image=images)
    text = """
model: {onnx: m.onnx}
data: {npz: {calibration: cal.npz, test: test.npz}}
variants: {int8: {steps: [quantize]}, entropy: {steps: [quantize: {calibrate: entropy}]}, fp16: {steps: [float16]}}
budget: {size: {max: 1 MB}}
"""
    project = _with_baseline(understand(text, "makeweight.yaml", tmp_path))
    for variant in ("int8", "entropy", "fp16"):
        compress.run(project, variant, Silent())
        manifest, _ = _made(project, variant)
        assert manifest.made().inputs == (Port("image", (4, 1, 6, 6), "float32"),)
    assert _made(project, "int8")[0].quantized == 2
    np.savez(tmp_path / "cal.npz", image=images[:3])
    with pytest.raises(UsageError, match="the model takes batches of 4, and there are only 3 calibration examples"):
        compress.run(project, "int8", Silent())
