"""Models of every make through the verbs, as DVC runs them: what works for one kind works for all, or is told."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models

from makeweight.cli import main
from makeweight.measurement import Measurement, loads
from makeweight_probe import inputs

pytestmark = pytest.mark.usefixtures("probed_here")

N = 24
RNG = np.random.default_rng(1)
X = RNG.standard_normal((N, tiny_models.FEATURES)).astype(np.float32)
BUDGETS = {
    "classification": "accuracy: {max_drop: 50 pt}, worst_class_accuracy: {max_drop: 90 pt}",
    "regression": "mae: {max_ratio: 3}, rmse: {max_ratio: 3}, r2: {max_drop: 1}",
    "custom": "metric: {max_drop: 1}",
}
CONFIG = """\
name: odd
model: {{onnx: model.onnx{model}}}
data: {{npz: {{test: test.npz, calibration: test.npz}}}}
task: {task}
variants: {{small: {{steps: {steps}}}}}
devices: {{here: {{kind: local, processes: 1}}}}
budget: {{size: {{max: 1 MB}}, {budget}{more}}}
"""


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    monkeypatch.chdir(tmp_path)

    def make(
        arrays: dict[str, Any],
        *,
        task: str = "classification",
        kind: str | None = None,
        model: str = "",
        steps: str = "[{quantize: {method: dynamic}}]",
        more: str = "",
    ) -> Path:
        np.savez(tmp_path / "test.npz", **arrays)
        budget = BUDGETS[kind or task]
        (tmp_path / "makeweight.yaml").write_text(
            CONFIG.format(task=task, model=model, steps=steps, budget=budget, more=more)
        )
        return tmp_path

    return make


def figures(root: Path, name: str = "small") -> dict[str, Measurement]:
    path = root / "reports" / name / "evaluate.json"
    return {m.measurand.name: m for m in loads(path.read_text(), str(path)) if m.variant == name}


def run(*verbs: str) -> None:
    for verb in verbs:
        assert main(verb.split()) == 0, verb


def verdict(root: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((root / "reports" / "verdict.json").read_text())
    return found


@pytest.mark.parametrize(
    ("build", "arrays", "options"),
    [
        (tiny_models.dense, {"x": X, "target": np.arange(N) % 3}, {}),
        (lambda path: tiny_models.dense(path, batch=5), {"x": X, "target": np.arange(N) % 3}, {}),
        (
            lambda path: tiny_models.dense(path, batch=4),
            {"x": X, "target": np.arange(N) % 3},
            {"steps": "[quantize]"},
        ),
        (lambda path: tiny_models.dense(path, outputs=1), {"x": X, "target": np.arange(N) % 2}, {}),
        (
            tiny_models.embedding,
            {"tokens": RNG.integers(0, 20, (N, 5)), "target": np.arange(N) % 3},
            {"steps": "[float16]"},
        ),
        (tiny_models.dense, {"x": X.astype(np.float64), "target": np.arange(N, dtype=float) % 3}, {}),
        (
            tiny_models.dense,
            {"x": X[:1], "target": np.array([2])},
            {"task": "{kind: classification, absent_classes: allow}", "kind": "classification"},
        ),
        (tiny_models.dense, {"x": X, "target": RNG.standard_normal((N, 3))}, {"task": "regression"}),
        (
            lambda path: tiny_models.dense(path, outputs=1),
            {"x": X, "target": RNG.standard_normal(N)},
            {"task": "regression"},
        ),
        (tiny_models.parts, {"x": X, "target": np.arange(N) % 3}, {}),
        (tiny_models.rankless, {"x": X, "target": np.arange(N) % 3}, {"model": ", inputs: {x: [N, 8]}"}),
    ],
    ids=[
        "free",
        "batch of 5",
        "batch of 4, static",
        "one score",
        "integers",
        "doubles",
        "one example",
        "3 outputs",
        "1 output",
        "a list of tensors",
        "no rank",
    ],
)
def test_it_is_evaluated(
    repository: Callable[..., Path],
    build: Callable[[Path], Path],
    arrays: dict[str, Any],
    options: dict[str, str],
) -> None:
    root = repository(arrays, **options)
    build(root / "model.onnx")
    run("baseline", "compress small", "evaluate small", "report")
    found = figures(root)
    expected = (
        {"accuracy", "accuracy_drop", "worst_class_accuracy_drop", "negative_flips"}
        if "regression" not in options.values()
        else {"mae", "mae_ratio", "rmse_ratio", "r2_drop"}
    )
    assert {name for name in expected if found[name].status == "measured"} == expected
    assert found["nonfinite_outputs"].value == 0
    assert verdict(root)["verdict"] == "pass"
    assert (root / "reports" / "report.html").exists()


@pytest.mark.parametrize("better", ["higher", "lower"])
def test_a_metric_of_the_users_own(repository: Callable[..., Path], better: str) -> None:
    task = f"{{kind: custom, metric: 'own_{better}:spread', better: {better}}}"
    root = repository({"x": X, "target": np.zeros(N)}, task=task, kind="custom")
    (root / "makeweight.yaml").write_text((root / "makeweight.yaml").read_text() + f"sources: [own_{better}.py]\n")
    (root / f"own_{better}.py").write_text("def spread(outputs, targets): return outputs['scores'].std(axis=1)\n")
    tiny_models.dense(root / "model.onnx")
    run("baseline", "compress small", "evaluate small")
    own, base, drop = (
        figures(root)["metric"].value,
        figures(root, "baseline")["metric"].value,
        figures(root)["metric_drop"].value,
    )
    assert own is not None
    assert base is not None
    assert drop == pytest.approx((base - own) * (1 if better == "higher" else -1), abs=1e-9)


def test_from_file_to_verdict_and_back_to_stale(
    short_tails: None, repository: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """The whole way with a device; then a touched model file, and nothing of it counts any more."""
    root = repository(
        {"x": X, "target": np.arange(N) % 3}, more=", latency_p50: {max_ratio: 20x}, peak_memory: {max: 500 MB}"
    )
    tiny_models.dense(root / "model.onnx")
    run(
        "baseline", "compress small", "evaluate small", "device here", "benchmark small --device here", "report", "gate"
    )
    decided = verdict(root)
    outcomes = {rule["rule"]: rule["verdict"] for rule in decided["rules"]}
    assert (outcomes["size.max"], outcomes["latency_p50.max_ratio"]) == ("pass", "pass")
    assert decided["ship"] == "small"
    assert main(["report"]) == 0
    assert verdict(root) == decided, "the same evidence, the same verdict"

    model = root / "artifacts" / "small" / "model.onnx"
    model.write_bytes(model.read_bytes() + b"\0")
    capsys.readouterr()
    assert main(["report"]) == 0
    assert main(["gate"]) == 3
    assert {rule["verdict"] for rule in verdict(root)["rules"]} == {"inconclusive"}
    assert all(m["value"] is None for m in verdict(root)["measurements"] if m["variant"] == "small")


@pytest.mark.parametrize(
    ("build", "arrays", "options", "said"),
    [
        (
            tiny_models.dense,
            {"x": X, "target": np.zeros(N, int)},
            {},
            "no example of class 1, 2 (2 of 3 classes are absent)",
        ),
        (tiny_models.dense, {"x": X, "target": np.arange(N)}, {}, "target 23 is beyond the model's 3 classes (0 to 2)"),
        (
            tiny_models.dense,
            {"x": X[:, :5], "target": np.arange(N) % 3},
            {},
            "input `x` wants shape [N, 8], and the data",
        ),
        (
            tiny_models.dense,
            # the one that is drawn for the benchmark, by its number in the split
            {"x": np.where(np.arange(N)[:, None] == 20, np.nan, X), "target": np.arange(N) % 3},
            {},
            "example 20 of `x` holds NaN",
        ),
        (
            tiny_models.dense,
            {"x": X, "target": np.arange(N) % 3},
            {"model": ", output: logits"},
            "the model has no output `logits`; it has scores",
        ),
        (
            tiny_models.dense,
            {"x": X, "target": np.zeros((N, 2))},
            {"task": "regression"},
            "gives 3 numbers an example, and the targets have shape [2]",
        ),
        (
            tiny_models.speech,
            {"sound": np.ones((4, 16)), "state": np.ones((4, 1, 4)), "rate": np.ones(4), "target": np.ones(4)},
            {"task": "regression"},
            "begins with 2, and not with the batch as sound [N, 16] does",
        ),
        (
            lambda path: tiny_models.zipped(path, inside=True),
            {"x": X, "target": np.arange(N) % 3},
            {},
            "options={'zipmap': False}",
        ),
        (
            tiny_models.rankless,
            {"x": X, "target": np.arange(N) % 3},
            {},
            "input `x` has no shape in the file, which does not even say how many axes it has",
        ),
        (
            tiny_models.drawn,
            {"x": X, "target": np.arange(N) % 3},
            {},
            "`scores` is another each time that the same example is asked: it draws random numbers",
        ),
        (tiny_models.unknown_operator, {"x": X, "target": np.arange(N) % 3}, {}, "FlashFusion"),
        (lambda path: path.write_bytes(b""), {"x": X, "target": np.arange(N) % 3}, {}, "this is an empty file"),
        (lambda _: None, {"x": X, "target": np.arange(N) % 3}, {}, "no such file"),
    ],
    ids=[
        "absent",
        "beyond",
        "shape",
        "NaN",
        "output",
        "targets",
        "scalar input",
        "ZipMap",
        "no rank",
        "random numbers",
        "operator",
        "empty",
        "missing",
    ],
)
def test_what_cannot_work_is_told_and_leaves_no_report(
    repository: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
    build: Callable[[Path], object],
    arrays: dict[str, Any],
    options: dict[str, str],
    said: str,
) -> None:
    root = repository(arrays, **options)
    build(root / "model.onnx")
    assert main(["baseline"]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert "Traceback" not in err
    assert not (root / "reports").exists()


def test_a_voice_detector(
    short_tails: None, repository: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Its state and its sampling rate are fed in each verb: with others its answers are twice as large, or shifted."""
    sound = RNG.standard_normal((N, 40)).astype(np.float32)
    given = {"sound": sound, "target": 3 * np.abs(sound).mean(1)}
    root = repository(given, task="regression", model=", constants: {sr: 16000}, states: [state]")
    tiny_models.voice(root / "model.onnx")
    run("baseline", "compress small", "evaluate small", "device here", "benchmark small --device here")
    assert figures(root, "baseline")["mae"].value == pytest.approx(0, abs=1e-6)
    made = json.loads((root / "artifacts" / "small" / "manifest.json").read_text())
    assert made["status"] == "ready"
    assert [port["shape"] for port in made["model"]["inputs"]] == [["N", None], [2, "N", 4], []]
    assert [port["constant"] for port in made["model"]["inputs"]] == [None, 0, 16000]
    fed = str(root / "artifacts" / "baseline" / "inputs.npz")
    assert inputs.axes(fed) == {"state": 1, "sr": None}
    assert [values.shape for values in inputs.read(fed)[0].values()] == [(1, 40), (2, 1, 4), ()]


def test_verbs_in_the_wrong_order_name_what_is_missing(
    repository: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    root = repository({"x": X, "target": np.arange(N) % 3})
    tiny_models.dense(root / "model.onnx")
    for verb, said in (
        ("compress small", "artifacts/baseline/manifest.json: no such artifact yet"),
        ("evaluate small", "manifest.json: no such artifact yet"),
        ("benchmark small --device here", "manifest.json: no such artifact yet"),
        ("evaluate smal", "no variant `smal` in makeweight.yaml; did you mean `small`?"),
        ("device her", "no device `her` in makeweight.yaml; did you mean `here`?"),
    ):
        assert main(verb.split()) == 2, verb
        assert said in capsys.readouterr().err
