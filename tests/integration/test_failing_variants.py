"""A variant that goes wrong fails by itself: the others are made, measured and shipped."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import tiny_models
from onnx import numpy_helper

from makeweight.artifact import artifact
from makeweight.cli import main
from makeweight.devices.device import DeviceFailed
from makeweight.evidence import benchmark

pytestmark = pytest.mark.usefixtures("probed_here")

CONFIG = """\
name: mixed
model: {onnx: model.onnx}
data: {npz: {test: test.npz, calibration: test.npz}}
task: classification
variants:
  good: {steps: [{quantize: {method: dynamic}}]}
  bad: {steps: [float16]}
devices: {here: {kind: local, processes: 1}}
budget: {size: {max: 1 MB}, latency_p50: {max: 1 s}}
"""


@pytest.fixture(scope="module")
def made(short_tails: None, probed_here: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both variants, the good one evaluated and measured."""
    root = tmp_path_factory.mktemp("made")
    tiny_models.dense(root / "model.onnx")
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((30, tiny_models.FEATURES)).astype(np.float32)
    classes = np.arange(30) % tiny_models.CLASSES
    np.savez(root / "test.npz", x=inputs, target=classes)
    (root / "makeweight.yaml").write_text(CONFIG)
    for verb in ("baseline", "compress good", "compress bad", "evaluate good", "device here"):
        assert main([*verb.split(), "--project", str(root)]) == 0
    assert main(["benchmark", "good", "--device", "here", "--project", str(root)]) == 0
    return root


@pytest.fixture
def repository(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(made, tmp_path / "own")
    monkeypatch.chdir(tmp_path / "own")
    return tmp_path / "own"


def judged(root: Path) -> dict:
    for verb in ("evaluate bad", "benchmark bad --device here", "report"):
        assert main(verb.split()) == 0
    return json.loads((root / "reports/verdict.json").read_text())


def of(verdict: dict, name: str) -> dict:
    return next(each for each in verdict["variants"] if each["variant"] == name)


def _fail(root: Path, reason: str) -> None:
    """Leave what `compress` leaves of a recipe that cannot be carried out."""
    folder = root / "artifacts/bad"
    (folder / "model.onnx").unlink()
    failed = replace(artifact.read(folder), status="failed", reason=reason, model=None)
    artifact.write(folder, failed)


def test_a_gate_says_that_figures_are_older_than_the_last_attempt(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """They stay, and so does what was decided on them."""

    def lost(*_: object, **__: object) -> None:
        raise DeviceFailed("the connection was lost", where="device `here`")

    assert main(["report"]) == 0
    decided = main(["gate"])
    monkeypatch.setattr(benchmark, "carry_out", lost)
    capsys.readouterr()
    assert main(["benchmark", "good", "--device", "here"]) == 4
    assert main(["gate"]) == decided
    told = " ".join(capsys.readouterr().out.split())
    assert "note: `good` was to be measured anew on `here`, and was not: device `here`: the connection was lost" in told


def test_a_variant_that_answers_nan_fails_though_no_rule_speaks_of_accuracy(repository: Path) -> None:
    folder = repository / "artifacts/bad"
    model = onnx.load(folder / "model.onnx")
    for weights in model.graph.initializer:
        values = numpy_helper.to_array(weights)
        if values.dtype.kind == "f" and values.ndim == 2:
            weights.CopyFrom(numpy_helper.from_array(np.full_like(values, np.nan), weights.name))
    onnx.save(model, folder / "model.onnx")
    manifest = artifact.read(folder)
    artifact.write(folder, replace(manifest, model=manifest.model and manifest.model.at_hand()))

    verdict = judged(repository)

    assert (verdict["verdict"], verdict["ship"]) == ("pass", "good")
    assert of(verdict, "bad")["verdict"] == "fail"
    (broken,) = [rule for rule in verdict["rules"] if rule["variant"] == "bad" and rule["verdict"] == "fail"]
    assert broken["rule"] == "finite_outputs"
    assert "30 of 30 examples" in broken["sentence"]
    assert main(["gate"]) == 0


def test_a_recipe_that_cannot_be_carried_out_is_told_and_blocks_nobody_else(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _fail(repository, "nothing to quantize")

    verdict = judged(repository)

    assert (verdict["verdict"], verdict["ship"]) == ("pass", "good")
    (broken,) = [rule for rule in verdict["rules"] if rule["variant"] == "bad"]
    assert (broken["rule"], broken["verdict"]) == ("recipe", "fail")
    assert broken["sentence"] == "`bad` could not be made: nothing to quantize"
    assert "nothing to quantize" in (repository / "reports/report.md").read_text()
    capsys.readouterr()
    assert main(["gate"]) == 0
    assert "bad" in capsys.readouterr().out


def test_a_runtime_that_a_device_does_not_compute_by_is_told_and_blocks_nobody_else(repository: Path) -> None:
    config = repository / "makeweight.yaml"
    text = config.read_text().replace("devices: {", "devices: {gpu: {kind: local, execution_provider: cuda}, ")
    config.write_text(text.replace("{max: 1 s}", "[{max: 1 s, device: here}, {max: 2 s, level: warn}]"))
    folder = repository / "artifacts/bad"
    manifest = artifact.read(folder)
    artifact.write(folder, replace(manifest, runtime="litert"))
    assert main(["device", "gpu"]) == main(["benchmark", "bad", "--device", "gpu"]) == 0
    artifact.write(folder, manifest)

    verdict = judged(repository)

    (held,) = [each for each in verdict["rules"] if each["variant"] == "bad" and each.get("device") == "gpu"]
    assert (held["verdict"], held["reason"]) == ("inconclusive", "`litert` has no `execution_provider: cuda`")
    assert verdict["verdict"] == "pass", "a rule that only warns"


def test_a_named_variant_that_failed_blocks(repository: Path) -> None:
    config = repository / "makeweight.yaml"
    config.write_text(CONFIG + "ship: bad\n")
    _fail(repository, "it broke")
    verdict = judged(repository)
    assert (verdict["verdict"], verdict["ship"]) == ("fail", None)
    assert main(["gate"]) == 1
