"""What can be set on each technique, read long before anything heavy is imported."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from makeweight.compress.cluster import Cluster
from makeweight.compress.distill import Distill
from makeweight.compress.factorize import Factorize
from makeweight.compress.finetune import Finetune
from makeweight.compress.float16 import Float16
from makeweight.compress.prune import Prune
from makeweight.compress.quantize import Quantize
from makeweight.compress.sparsify import Sparsify
from makeweight.project.reading import understand
from makeweight_base.errors import ConfigError

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("bits", [16, "8", 0, None, 8.5])
@pytest.mark.parametrize("method", ["static", "weights"])
def test_other_widths_are_not_offered(bits: object, method: object) -> None:
    with pytest.raises(ValidationError, match="bits are not offered, only 8, 7 with `method: static` or"):
        Quantize.Options(method=method, bits=bits)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"method": "weights", "per_channel": False}, "`per_channel` is of `method: static` and `method: dynamic`"),
        ({"method": "dynamic", "calibrate": "entropy"}, "`calibrate` is of `method: static`, and says nothing of"),
        ({"method": "dynamic", "signal_to_noise": 30}, "`signal_to_noise` is of `method: static` and"),
        ({"method": "dynamic", "equalize": True}, "`equalize` is of `method: static`, and says nothing of"),
        ({"method": "weights", "correct_bias": True}, "`correct_bias` is of `method: static`, and says nothing of"),
        ({"rounding": "gptq"}, "`rounding` is of `method: weights`, and says nothing of `static`"),
        ({"method": "dynamic", "max_drop": "1 pt"}, "`max_drop` is of `method: static` and"),
        ({"signal_to_noise": 30, "max_drop": "1 pt"}, "both say which layers stay in float; keep one"),
        ({"max_drop": "1 %"}, "% is ambiguous for a drop; write percentage points, such as `0.5 pt`"),
        ({"max_drop": "-1 pt"}, "greater than or equal to 0"),
        ({"group": 64}, "`group` is of `method: weights`, and says nothing of `static`; drop it"),
    ],
    ids=[
        "by channel",
        "calibrated",
        "searched",
        "equalized",
        "corrected",
        "rounded",
        "held",
        "two goals",
        "percent",
        "a gain",
        "grouped",
    ],
)
def test_what_says_nothing_of_the_method_is_refused(options: Any, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        Quantize.Options(**options)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"method": "hashing"}, "`method: hashing` takes `part`, how many values there are as a part of the weights"),
        ({"method": "hashing", "part": 0.5, "bits": 4}, "`bits` is of `method: kmeans`, and says nothing of `hashing`"),
        ({"part": 0.5}, "`part` is of `method: hashing`, and says nothing of `kmeans`"),
    ],
    ids=["of no size", "in bits", "in parts"],
)
def test_what_says_nothing_of_how_weights_are_put_together_is_refused(options: Any, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        Cluster.Options(**options)


def test_a_recipe_tells_the_options_of_its_method_alone() -> None:
    assert Quantize.Options(method="weights", bits=4).model_dump() == {
        "method": "weights", "bits": 4, "group": 32, "rounding": "nearest", "operators": (), "exclude": (),
        "signal_to_noise": None, "max_drop": None,
    }  # fmt: skip
    assert "group" not in Quantize.Options().model_dump()


def test_a_recipe_without_options_quantizes_statically_per_channel() -> None:
    options = Quantize.Options()
    assert (options.method, options.bits, options.calibrate, options.per_channel) == ("static", 8, "minmax", True)


@pytest.mark.parametrize(
    ("technique", "options"),
    [
        (Prune, {}),
        (Prune, {"ratio": 0}),
        (Prune, {"ratio": 1}),
        (Prune, {"macs": 1}),
        (Prune, {"ratio": 0.5, "macs": 0.5}),
        (Prune, {"ratio": 0.5, "rounds": 0}),
        (Prune, {"ratio": 0.5, "structure": "filter"}),
        (Prune, {"ratio": 0.5, "importance": "bn"}),
        (Prune, {"ratio": 0.5, "round_to": 0}),
        (Factorize, {}),
        (Factorize, {"energy": 0.9, "rank": 8}),
        (Factorize, {"energy": 1}),
        (Factorize, {"ratio": 0}),
        (Factorize, {"rank": 0}),
        (Factorize, {"rank": 8, "round_to": 8}),
        (Factorize, {"ratio": 0.5, "convolutions": "cp"}),
        (Cluster, {"bits": 1}),
        (Cluster, {"bits": 9}),
        (Sparsify, {}),
        (Sparsify, {"sparsity": 1}),
        (Sparsify, {"sparsity": 0}),
        (Sparsify, {"sparsity": 0.5, "structure": "1:4"}),
        (Sparsify, {"sparsity": 0.5, "structure": "2:4"}),
        (Sparsify, {"rounds": 2, "structure": "2:4"}),
        (Sparsify, {"scope": "global", "structure": "2:4"}),
        (Sparsify, {"importance": "movement", "structure": "2:4"}),
        (Sparsify, {"importance": "movement", "sparsity": 0.5}),
        (Sparsify, {"importance": "movement", "sparsity": 0.5, "rounds": 2, "epochs": 0}),
        (Finetune, {"precision": "float16"}),
        (Distill, {"teacher": "none"}),
        (Distill, {"teacher": "teacher.pt"}),
        (Distill, {"teacher": "a:b:c"}),
        (Distill, {"student": "a:b", "width": 0.5}),
        (Distill, {"student": "a:b", "depth": 0.5}),
        (Distill, {"width": 1}),
        (Distill, {"depth": 0}),
        (Distill, {"round_to": 8}),
        (Distill, {"teacher_weights": "t.pt"}),
        (Distill, {"teacher": "t.onnx", "hints": {"a": "b"}}),
        (Distill, {"labels": False, "loss": "a:b"}),
        (Finetune, {"optimizer": "adam"}),
        (Finetune, {"schedule": "step"}),
        (Finetune, {"clip": 0}),
        (Finetune, {"ema": 1}),
        (Finetune, {"label_smoothing": 1}),
        (Finetune, {"label_smoothing": 0.1, "loss": "a:b"}),
        (Finetune, {"label_smoothing": 0.1, "labels": False, "teacher": "baseline"}),
        (Finetune, {"patience": 0}),
        (Finetune, {"labels": False}),
        (Finetune, {"hints": {"a": "b"}}),
        (Finetune, {"teacher": "baseline", "attention": {"a": "b"}, "train": "a:b"}),
        (Prune, {"ratio": 0.5, "importance": "taylor", "teacher": "baseline", "labels": False}),
        (Finetune, {"epochs": 0}),
        (Finetune, {"lr": 0}),
        (Finetune, {"teacher": "somebody"}),
        (Finetune, {"loss": "no callable"}),
        (Finetune, {"temperature": 0}),
        (Finetune, {"teacher_weight": 1.1}),
        (Float16, {"bits": 16}),
        (Quantize, {"method": "qat"}),
        (Quantize, {"calibrate": "guess"}),
    ],
)
def test_nonsense_is_refused(technique: type, options: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        technique.Options(**options)  # type: ignore[attr-defined]


@given(epochs=st.integers(0, 50), rounds=st.integers(1, 20), lr=st.floats(1e-6, 1, allow_nan=False))
def test_the_control_trains_as_long_as_all_rounds_together(epochs: int, rounds: int, lr: float) -> None:
    options = Prune.Options(ratio=0.5, epochs=epochs, rounds=rounds, lr=lr, teacher="baseline")
    repeated = Prune().training(options)
    if epochs == 0:
        assert repeated is None
    else:
        assert repeated is not None
        assert (repeated.epochs, repeated.lr, repeated.teacher) == (epochs * rounds, lr, "baseline")
        assert Finetune().training(repeated) == repeated


def test_reading_a_project_loads_nothing_that_carries_it_out(tmp_path: Path) -> None:
    """Nor does making the target of a canary: what moves traffic serves nothing."""
    declared = (
        f"{(REPOSITORY / 'makeweight.yaml').read_text()}\ncanary: {{target: {{kind: pointer, path: now.json}}}}\n"
    )
    (tmp_path / "makeweight.yaml").write_text(declared)
    code = (
        "import pathlib, sys\n"
        "from makeweight.project import reading\n"
        "from makeweight_monitors.rollback import declared\n"
        "project = reading.load(pathlib.Path(sys.argv[1]))\n"
        "declared.target(project)\n"
        "steps = [step for variant in project.variants.values() for step in variant.plan.steps]\n"
        "print(*{step.transformation.name for step in steps})\n"
        "heavy = ('numpy', 'torch', 'torch_pruning', 'onnx', 'onnxruntime', 'rich', 'dvc')\n"
        "print(*(each for each in heavy if each in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    steps, loaded = done.stdout.splitlines()
    assert set(steps.split()) >= {"prune"}
    assert loaded == ""


def test_a_verb_that_carries_out_loads_what_is_heavy_when_it_does() -> None:
    code = (
        "import sys, makeweight.compress.channels, makeweight.compress.lowrank, makeweight.compress.make, "
        "makeweight.verbs.compress\n"
        "print([m for m in ('torch', 'torch_pruning', 'onnx', 'onnxruntime', 'rich', 'dvc') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_control_of_a_student_has_not_its_layers_and_learns_the_rest_alike() -> None:
    hints = {"stem": "0"}
    own = Distill.Options(student="a:b", hints=hints, labels=False, epochs=7)
    derived = Distill.Options(depth=0.5, hints=hints)
    assert [Distill().training(each).hints for each in (own, derived)] == [{}, hints]
    repeated = Distill().training(own)
    assert (repeated.epochs, repeated.teacher, repeated.labels) == (7, "baseline", False)


@pytest.mark.parametrize(
    ("step", "says"),
    [
        ("{distill: {student: 'a:b', teacher: big.onnx}}", "`big.onnx` is read, and nothing under `sources` covers it"),
        ("{distill: {student: 'a:b', depth: 0.5}}", "is as wide and deep as you build it; drop `depth`"),
        ("{distill: {labels: false}}", "training alone compresses nothing"),
    ],
    ids=["not tracked", "two students", "no student"],
)
def test_a_student_that_makes_no_sense_is_told_with_its_line(step: str, says: str) -> None:
    text = f"""\
model: {{build: "a:b", weights: w.pt, inputs: {{x: [N, 4]}}}}
data: {{load: "a:load"}}
sources: [code/]
variants:
  small:
    steps:
      - {step}
budget: {{size: {{max: 1 MB}}}}
"""
    with pytest.raises(ConfigError) as caught:
        understand(text, "makeweight.yaml", Path("/no/such/folder"))
    assert "makeweight.yaml:7: variants.small.steps[0]" in str(caught.value)
    assert says in str(caught.value)


def test_a_rank_is_chosen_in_one_way_told_with_the_line() -> None:
    text = """\
model: {build: "a:b", weights: w.pt, inputs: {x: [N, 4]}}
data: {load: "a:load"}
variants:
  thin:
    steps:
      - factorize: {energy: 0.9, rank: 8}
budget: {size: {max: 1 MB}}
"""
    with pytest.raises(ConfigError) as caught:
        understand(text, "makeweight.yaml", Path("/no/such/folder"))
    said = "give exactly one of `energy`, `ratio`, `rank` and `latency`; it has"
    assert f"makeweight.yaml:6: variants.thin.steps[0].factorize: {said}" in str(caught.value)


def test_a_wrong_width_is_told_with_its_line() -> None:
    text = """\
model: {onnx: model.onnx}
data: {npz: {calibration: c.npz, test: t.npz}}
variants:
  int4:
    steps:
      - quantize: {bits: 4}
budget: {size: {max: 1 MB}}
"""
    with pytest.raises(ConfigError) as caught:
        understand(text, "makeweight.yaml", Path("/no/such/folder"))
    assert "makeweight.yaml:6: variants.int4.steps[0].quantize.bits: 4 bits are of `method: weights` and" in str(
        caught.value
    )
