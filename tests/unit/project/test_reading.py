"""The configuration loader: a good file becomes a Project, any other becomes sentences with line and way out."""

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from makeweight.project.project import Project
from makeweight.project.reading import load, understand
from makeweight.runtimes.format import Format, SourceKind
from makeweight.runtimes.onnxruntime.runtime import OnnxRuntime
from makeweight_base.errors import ConfigError, UsageError

pytestmark = pytest.mark.long

ROOT = Path("/no/such/folder/digits")

GOOD = """\
name: digits
model:
  build: digits.model:build
  weights: models/baseline.pt
  inputs: {image: [N, 1, 8, 8]}
  runtime: onnxruntime
sources: [digits/, requirements.lock]
data:
  load: digits.data:load
  calibration: {split: train, samples: 256}
  slices: digits.data:slices
task: classification
seed: 7
variants:
  int8:
    steps:
      - quantize: {method: static, bits: 8}
  slim-int8:
    runtime: onnxruntime
    steps:
      - prune: {structure: channel, ratio: 0.5, rounds: 3}
      - finetune: {epochs: 3}
      - quantize
ship: best
prefer: size
devices:
  local: {kind: local, threads: 1, seconds: 5}
  other: {kind: local, threads: 2}
budget:
  size: {max: 400 kB, max_ratio: 0.35}
  accuracy:
    - {min: 95 %, max_drop: 0.5 pt}
    - slice: night
      min: 90 %
      level: warn
  negative_flips: {max: 1 %}
  latency_p50: {max_ratio: 0.7, max_regression: 5 %}
  latency_p99: {max: 20 ms, device: local, level: warn}
  energy: {max: 12 mJ, when_unmeasured: warn}
waivers:
  - {rule: size.max, variant: int8, reason: the fix is on its way, until: 2030-01-31}
canary: {traffic: 5 %, false_rollback_rate: 0.001, max_accuracy_drop: 0.5 pt}
"""

ONNX = """\
model: {onnx: model.onnx}
data:
  npz: {test: data/test.npz}
variants:
  half: {steps: [float16]}
budget:
  size: {max: 1 MB}
"""


def read(text: str) -> Project:
    return understand(text, "makeweight.yaml", ROOT)


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        read(text)
    return [str(problem) for problem in refused.value.problems]


def changed(*edits: tuple[str, str], text: str = GOOD) -> str:
    for old, new in edits:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def lines_of(told: list[str]) -> list[int]:
    found = [re.match(r"makeweight\.yaml:(\d+): ", problem) for problem in told]
    assert all(found), told
    return [int(match[1]) for match in found if match]


# What a good file says


def test_a_good_file_becomes_a_project() -> None:
    project = read(GOOD)
    assert project.name == "digits"
    assert project.model.inputs == {"image": ["N", 1, 8, 8]}
    assert list(project.variants) == ["int8", "slim-int8"]
    plan = project.variants["slim-int8"].plan
    assert [step.name for step in plan.steps] == ["prune", "finetune"]
    assert str(plan.format) == "int8, static"
    assert project.devices["other"].options.threads == 2
    assert [rule.id for rule in project.rules][:3] == ["size.max", "size.max_ratio", "accuracy.min"]
    assert (project.seed, project.prefer, project.canary and project.canary.traffic) == (7, "size", 0.05)


def test_a_recipe_in_the_manifest_has_every_default_filled_in() -> None:
    (quantize,) = read(GOOD).variants["int8"].recipe
    assert quantize["quantize"] == {
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


def test_what_is_not_said_has_a_default() -> None:
    project = read(ONNX)
    assert project.name == "digits", "the folder's"
    assert project.devices["local"].options.threads == 1
    assert (project.ship, project.task.kind, project.seed) == ("best", "classification", 0)


@pytest.mark.parametrize(
    ("task", "kind", "metric"),
    [
        ("regression", "regression", None),
        ("my.metrics:score", "custom", "my.metrics:score"),
        ("{kind: custom, metric: 'my.metrics:score', better: lower}", "custom", "my.metrics:score"),
    ],
)
def test_the_task_may_be_written_short(task: str, kind: str, metric: str | None) -> None:
    text = ONNX + f"task: {task}\n"
    project = read(text)
    assert (project.task.kind, project.task.metric) == (kind, metric)


def test_no_file_and_no_text_are_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no makeweight\.yaml in .*\n.*makeweight init"):
        load(tmp_path)
    (tmp_path / "makeweight.yml").touch()
    with pytest.raises(UsageError, match=r"there is a makeweight\.yml in .*\n.*Rename it to makeweight\.yaml"):
        load(tmp_path)
    (tmp_path / "makeweight.yaml").write_bytes(b"# x\nname: caf\xe9\n")
    with pytest.raises(UsageError, match=r"cannot be read: line 2 is no UTF-8 \(byte 0xe9\); save the file as UTF-8"):
        load(tmp_path)
    (tmp_path / "makeweight.yaml").unlink()
    (tmp_path / "makeweight.yaml").mkdir()
    with pytest.raises(UsageError, match="cannot be read"):
        load(tmp_path)


def test_unknown_names_suggest_the_near_one() -> None:
    project = read(GOOD)
    with pytest.raises(UsageError, match=r"no variant `slim-int` in makeweight\.yaml; did you mean `slim-int8`?"):
        project.variant("slim-int")
    with pytest.raises(UsageError, match=r"no device `zzz` in makeweight\.yaml; known here: local, other"):
        project.device("zzz")


# What a bad one is told


@pytest.mark.parametrize(
    ("edit", "line", "said"),
    [
        (("prefer: size", "preffer: size"), 25, "preffer: unknown key; did you mean `prefer`?"),
        (("    runtime:", "    runtimes:"), 19, "variants.slim-int8.runtimes: unknown key; did you mean `runtime`?"),
        (
            ("negative_flips:", "negativ_flips:"),
            36,
            "budget.negativ_flips: unknown key; did you mean `negative_flips`?",
        ),
        (("level: warn}", "levl: warn}"), 38, "budget.latency_p99.levl: unknown key; did you mean `level`?"),
        (
            ("      level: warn", "      levle: warn"),
            35,
            "budget.accuracy[1].levle: unknown key; did you mean `level`?",
        ),
        (("threads: 2", "thread: 2"), 28, "devices.other.thread: unknown key; did you mean `threads`?"),
        (
            ("ratio: 0.5", "ration: 0.5"),
            21,
            "variants.slim-int8.steps[0].prune.ration: unknown key; did you mean `ratio`?",
        ),
        (("samples: 256", "sample: 256"), 10, "data.calibration.sample: unknown key; did you mean `samples`?"),
        (("false_rollback_rate", "false_rolback_rate"), 42, "did you mean `false_rollback_rate`?"),
        (("- quantize\n", "- quantise\n"), 23, "unknown technique `quantise`; did you mean `quantize`?"),
        (
            ("other: {kind: local", "other: {kind: locl"),
            28,
            "devices.other.kind: unknown device `locl`; did you mean `local`?",
        ),
        (("  runtime: onnxruntime\nsources", "  runtime: onxruntime\nsources"), 6, "did you mean `onnxruntime`?"),
        (("    runtime: onnxruntime", "    runtime: onxruntime"), 19, "unknown runtime `onxruntime`; did you mean"),
        (
            ("kind: local, threads: 2", "kind: command, threads: 2, run: trtexec"),
            28,
            "devices.other.run: neither `{model}` nor its `{folder}` stands in it",
        ),
        (("kind: local, threads: 2", "kind: ssh, threads: 2"), 28, "devices.other.host: missing, and required"),
        (("ship: best", "ship: slim"), 24, "ship: no variant `slim`; did you mean `slim-int8`?"),
        (("device: local", "device: locla"), 38, "budget.latency_p99.device: no device `locla`; did you mean `local`?"),
        (("max: 400 kB", "max: 400"), 30, "budget.size.max: `400` has no unit; write it like `400 kB`"),
        (("max: 1 %", "max: 1 ms"), 36, "`ms` is no unit of share"),
        (("seed: 7", "seed: seven"), 13, "seed: a whole number is wanted here, not `'seven'`"),
        (("seed: 7", "seed: 1.5"), 13, "seed: a whole number is wanted here, not `1.5`"),
        (("seed: 7", "seed: -1"), 13, "seed: `-1` is not greater than or equal to 0"),
        (("name: digits\n", "name: [digits]\n"), 1, "name: a text is wanted here, not `['digits']`; quote it"),
        (
            ("sources: [digits/, requirements.lock]", "sources: digits/"),
            7,
            "sources: a list is wanted here, not `'digits/'`",
        ),
        (
            ("task: classification", "task: clasification"),
            12,
            "task.kind: `'clasification'` is none of 'classification', 'multilabel', 'regression',",
        ),
        (("prefer: size", "prefer: speed"), 25, "`'speed'` is none of 'size', 'latency' or 'accuracy'"),
        (("load: digits.data:load", "load: digits.data.load"), 9, "`digits.data.load` is no `module:callable`"),
        (
            ("load: digits.data:load", "load: ./digits/data.py:load"),
            9,
            "data.load: `./digits/data.py:load` names a file; write its module, `digits.data:load`",
        ),
        (("image: [N, 1, 8, 8]", "image: []"), 2, "inputs.image: a shape begins with the batch"),
        (("image: [N, 1, 8, 8]", "image: [8, N, 1]"), 2, "inputs.image: the batch stands first"),
        (("image: [N, 1, 8, 8]", "image: [N, 8], mask: [8]"), 2, "inputs.mask: the batch stands first"),
        (("image: [N, 1, 8, 8]", "image: [N, 'H x W']"), 2, "and `H x W` is neither"),
        (("image: [N, 1, 8, 8]", "image: [N, 0, 8]"), 2, "every size is at least 1"),
        (
            ("inputs: {image: [N, 1, 8, 8]}", "inputs: {image: [N, T]}\n  largest: {N: 8}"),
            2,
            "`N` is no free size of `inputs` b",
        ),
        (
            ("inputs: {image: [N, 1, 8, 8]}", "inputs: {image: [N, T]}\n  largest: {S: 8}"),
            2,
            "`S` is no free size of `inputs` b",
        ),
        (("  weights: models/baseline.pt\n", ""), 2, "`weights` is missing"),
        (("  build: digits.model:build\n", "  build: digits.model:build\n  onnx: m.onnx\n"), 2, "exactly one source"),
        (("  int8:\n", "  in.t8:\n"), 15, "`in.t8` is no usable name"),
        (("  int8:\n", "  baseline:\n"), 15, "`baseline` is a name that makeweight uses itself"),
        (("  int8:\n", "  best:\n"), 15, "`best` is a name that makeweight uses itself"),
        (("  slim-int8:\n", "  INT8:\n"), 18, "variants.INT8: only capitals tell it from `int8`"),
        (("  other: {", "  Local: {"), 28, "devices.Local: only capitals tell it from `local`"),
        (("  int8:\n", "  history:\n"), 15, "`history` is a name that makeweight uses itself"),
        (("  int8:\n", "  8:\n"), 15, "variants.8: a key is text, and YAML reads `8` as something else; quote it"),
        (("seed: 7", "on: 7"), 13, "on: a key is text"),
        (("  other: {", "  evaluate: {"), 28, "`evaluate` is a name that makeweight uses itself"),
        (("      - quantize: {method: static, bits: 8}", "      []"), 16, "a variant needs at least one step"),
        (
            ("- quantize: {method: static, bits: 8}", "- quantize: {method: static, bits: 4}"),
            17,
            "4 bits are of `method: weights` and `method: dynamic`; `static` has 8",
        ),
        (
            ("- quantize: {method: static, bits: 8}", "- quantize: []"),
            17,
            "steps[0].quantize: a mapping (`key: value`) is wanted here",
        ),
        (("- quantize: {method: static, bits: 8}", "- {quantize: {}, float16: {}}"), 17, "a step is one technique"),
        (("- quantize: {method: static, bits: 8}", "- 5"), 17, "a step is one technique"),
        (("- quantize: {method: static, bits: 8}", "- [quantize, float16]"), 17, "to choose from stands under `search"),
        (("ratio: 0.5", "ratio: [0.3, 0.5]"), 21, "prune.ratio: a variant says one of each; what `makeweight search`"),
        (("ratio: 0.5", "ratio: {from: 0.3, to: 0.5}"), 21, "ratio: a variant says one of each; what `makeweight"),
        (
            ("- quantize: {method: static, bits: 8}", "- float16: {bits: 8}"),
            17,
            "float16.bits: unknown key; nothing can be set here",
        ),
        (("- quantize: {method: static, bits: 8}", "- finetune"), 17, "training alone compresses nothing"),
        (("      - quantize\n", "      - quantize\n      - float16\n"), 24, "the number format is already set"),
        (("      - quantize\n", "      - quantize\n      - finetune: {epochs: 1}\n"), 24, "put it first"),
        (
            ("  slices: digits.data:slices\n", ""),
            30,
            "budget.accuracy.slice: slices are named, but `data.slices` is not declared",
        ),
        (
            ("until: 2030-01-31", "until: soon"),
            41,
            "waivers[0].until: a date is wanted here, such as 2030-12-31, not `'soon'`",
        ),
        (("until: 2030-01-31", "until: 2030-02-31"), 41, "`2030-02-31` cannot be read"),
        (("until: 2030-01-31", "until: 2030-01-31, til: 1"), 41, "waivers[0].til: unknown key; did you mean `until`?"),
        (("traffic: 5 %", "traffic: 50"), 42, "canary.traffic: `50` is more than 100 %"),
        (("traffic: 5 %", "traffic: 5 %, target: {kind: pointer}"), 42, "canary.target.path: "),
        (
            ("traffic: 5 %", "target: {kind: pointr, path: a}"),
            42,
            "canary.target.kind: unknown target `pointr`;",
        ),
        (("traffic: 5 %", "target: {path: a.json}"), 42, "canary.target: `kind` is missing, one of pointer, webhook"),
        (("traffic: 5 %", "target: {kind: haproxy, socket: s, backend: 'a b'}"), 42, "canary.target.backend: "),
        (("traffic: 5 %", "steps: [5 %, 5 %]"), 42, "canary: `steps` should rise, such as [5 %, 25 %, 50 %, 100 %]"),
        (("traffic: 5 %", "step_for: 6"), 42, "canary.step_for: `6` has no unit; write it like `6 h`"),
        (("max_accuracy_drop: 0.5 pt", "max_accuracy_drop: 0.5 %"), 42, "% is ambiguous for a drop"),
        (("  energy: {max: 12 mJ,", "  size: {max: 12 kB,"), 39, "`size` is given twice; the first is on line 30"),
        (
            ("  negative_flips: {max: 1 %}", "  mae: {max: 1}"),
            36,
            "`mae` goes with regression, and the task is classification",
        ),
        (
            ("ratio: 0.5", "latency: {max_ratio: 0.5, device: lcal}"),
            21,
            "no device `lcal`; declared: local, other. Name one by `device:`.",
        ),
        (("ratio: 0.5", "latency: {max: 2 ms}"), 21, "which of the devices it is about is not said; declared: local"),
        (("ratio: 0.5", "latency: {max: 2}"), 21, "`2` has no unit; write it like `20 ms`"),
        (("ratio: 0.5", "latency: {max_ratio: 0}"), 21, "greater than 0"),
        (("ratio: 0.5", "latency: {device: local}"), 21, "exactly one of `max_ratio` and `max`; it has neither"),
        (("ratio: 0.5", "ratio: 0.5, latency: {max: 2 ms}"), 21, "it has `ratio` and `latency`"),
        (
            ("kind: local, threads: 2", "kind: local, execution_provider: gpu"),
            28,
            "execution_provider: `'gpu'` is none of 'cpu' or 'cuda'",
        ),
        (
            ("  energy: {max: 12 mJ", "  gpu_memory: {max: 1 GB"),
            39,
            "is of devices with `execution_provider: cuda`; name",
        ),
        (("      level: warn", "    - max_drop: 1 pt"), 31, "`accuracy.max_drop` is limited twice"),
        (("  slices: ", "  augment: flip\n  slices: "), 11, "data.augment: a list is wanted here, not `'flip'`"),
        (("  slices: ", "  augment: flip\n  slices: "), 11, "data.augment: `flip` is no `module:callable`"),
        (("image: [N, 1, 8, 8]", "image: [N, 1.5]"), 5, "inputs.image[1]: a whole number or a text is wanted here"),
        (("traffic: 5 %", "silence: wait"), 42, "canary.silence: `'wait'` is none of 'hold' or 'rollback'"),
    ],
)
def test_a_mistake_is_told_with_its_line_and_the_way_out(edit: tuple[str, str], line: int, said: str) -> None:
    told = problems(changed(edit))
    assert (line, True) in [(at, said in problem) for at, problem in zip(lines_of(told), told, strict=True)], told


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (("ratio: 0.5", "ratio: 50"), "prune.ratio: `50` is not less than 1"),
        (("ratio: 0.5", "ratio: 50 %"), "prune.ratio: a number is wanted here, not `'50 %'`"),
        (("ratio: 0.5", "latency: 2 ms"), "prune.latency: a mapping (`key: value`) is wanted here, not `'2 ms'`"),
        (("bits: 8", "exclude: fc"), "quantize.exclude: a list is wanted here, not `'fc'`"),
        (("  slices: ", "  augment: [rotate]\n  slices: "), "data.augment[0]: `'rotate'` is none of 'crop' or 'flip'"),
        (("traffic: 5 %", "silence: {rules: stay}"), "canary.silence.rules: `'stay'` is none of 'hold' or 'rollback'"),
        (("threads: 2", "runner: {a: b}"), "other.runner: a text or a list is wanted here, not `{'a': 'b'}`"),
        (("load: digits.data:load", "images: {test: t, size: [8]}"), "more entries are wanted here than `[8]` has"),
        (("load: digits.data:load", "images: {test: t, size: []}"), "more entries are wanted here than `[]` has"),
        (("load: digits.data:load", "images: {test: t, size: [8, 8, 3]}"), "at most 2 entries are wanted here, not 3"),
    ],
)
def test_a_value_of_which_several_kinds_are_taken_is_told_of_once(edit: tuple[str, str], said: str) -> None:
    """In the words of what was meant, and of no alternative beside: `ratio.none: None`, `a valid tuple`."""
    (told,) = problems(changed(edit))
    assert said in told


def test_where_the_model_is_misspelt_no_step_is_said_to_be_out_of_place() -> None:
    """`prune` works on a PyTorch module, and this model is a file without one: it is not."""
    for edit in (("  build:", "  biuld:"), ("  build: digits.model:build\n  weights:", "  onx:")):
        told = problems(changed(edit))
        assert any("did you mean" in problem for problem in told)
        assert [problem for problem in told if "steps" in problem] == []


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (("model: {onnx: model.onnx}", "model: {onx: model.onnx}"), "model.onx: unknown key; did you mean `onnx`?"),
        (
            ("model: {onnx: model.onnx}", "model: {keras: model.keras}"),
            "model.keras: this is a model of TensorFlow or Keras. Two commands make a file of it that makeweight "
            "takes: `pip install tensorflow`, then `tflite_convert --keras_model_file=FILE",
        ),
        (
            ("model: {onnx: model.onnx}", "model: {tflite: model.tflite, runtime: onnxruntime}"),
            "`tflite` files are opened by litert, and onnxruntime opens those that end in .onnx; leave `runtime` out",
        ),
        (("model: {onnx: model.onnx}", "model: {onnx: a.onnx, tflite: b.tflite}"), "it has onnx and tflite"),
        (("model: {onnx: model.onnx}", "model: {}"), "a model has exactly one source"),
        (("model: {onnx: model.onnx}", "model: {pt2: model.pt2}"), "a PyTorch module needs `inputs` to be exported"),
        (("model: {onnx: model.onnx}", "model: {onnx: model.onnx, weights_key: ema}"), "there are none"),
        (("model: {onnx: model.onnx}\n", ""), "model: missing, and required"),
        (("npz: {test: data/test.npz}", "npz: {train: data/test.npz}"), "`npz` needs a `test` file"),
        (("npz: {test: data/test.npz}", "npz: {tset: data/test.npz}"), "`'tset'` is none of 'train'"),
        (("  npz: {test: data/test.npz}", "  slices: a:b"), "give one of them"),
        (("steps: [float16]", "steps: [{prune: {ratio: 0.5}}]"), "`prune` works on a PyTorch module"),
        (("steps: [float16]", "steps: [quantize]"), "quantization calibrates on `train`, and no such file is given"),
        (
            ("steps: [float16]", "steps: [{quantize: {method: weights, signal_to_noise: 30}}]"),
            "`signal_to_noise` is measured on the validation split, and no such file is given",
        ),
        (
            ("steps: [float16]", "steps: [{quantize: {method: weights, max_drop: 0.5 pt}}]"),
            "`max_drop` is measured on the validation split, and no such file is given",
        ),
        (("size: {max: 1 MB}", "size: {max: 1 MB, device: local}"), "the same on every device"),
        (("  size: {max: 1 MB}", "  {}"), "no rule is declared: nothing could ever fail"),
    ],
)
def test_a_repository_with_a_model_file_alone(edit: tuple[str, str], said: str) -> None:
    assert any(said in problem for problem in problems(changed(edit, text=ONNX))), problems(changed(edit, text=ONNX))


def test_points_are_of_a_share_and_not_of_an_error() -> None:
    recipe = ("steps: [float16]", "steps: [{quantize: {method: weights, max_drop: 0.5 pt}}]")
    told = problems(changed(recipe, text=f"{ONNX}\ntask: regression\n"))
    assert any("`max_drop` is in percentage points, and `" in each and "use `signal_to_noise`" in each for each in told)


class Frozen(OnnxRuntime):
    """A runtime whose files cannot be quantized again, as ExecuTorch's."""

    name = "frozen"
    suffix = ".ice"

    def objection(self, format: Format, source: SourceKind) -> str | None:
        return f"{format} is not to be had of a file" if format.ranges and source == "graph" else None


@pytest.fixture
def frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    offered = SimpleNamespace(name="frozen", load=lambda: Frozen)
    monkeypatch.setattr(
        "importlib.metadata.entry_points", lambda group: [offered] if group == "makeweight.runtimes" else []
    )


@pytest.mark.usefixtures("frozen")
def test_a_format_that_the_runtime_does_not_offer_is_told_at_its_step() -> None:
    frozen_file = ("model: {onnx: model.onnx}", "model: {ice: model.ice}")
    (told,) = problems(changed(frozen_file, ("steps: [float16]", "steps: [{quantize: {method: dynamic}}]"), text=ONNX))
    assert "variants.half.steps[0]: int8, dynamic is not to be had of a file" in told
    assert read(changed(frozen_file, text=ONNX)).model.runtime == "frozen"
    module = changed(("      - quantize: {method: static, bits: 8}", "      - quantize: {}\n    runtime: frozen"))
    assert read(module).variants["int8"].runtime == "frozen", "of a module it is to be had"


@pytest.mark.usefixtures("frozen")
def test_another_runtime_makes_a_variant_of_no_step() -> None:
    int8 = "    steps:\n      - quantize: {method: static, bits: 8}\n"
    elsewhere = read(changed((int8, "    runtime: frozen\n    steps: []\n"))).variants["int8"]
    assert (elsewhere.plan.steps, elsewhere.recipe) == ((), [])
    assert "a variant needs at least one step" in problems(changed((int8, "    steps: []\n")))[0]


@pytest.mark.usefixtures("frozen")
def test_a_file_is_not_lowered_to_another_runtime() -> None:
    (told,) = problems(changed(("steps: [float16]", "runtime: frozen, steps: [float16]"), text=ONNX))
    assert "the model is a file of onnxruntime, and only a PyTorch module can be lowered to frozen" in told


def test_a_gpu_is_for_runtimes_that_compute_there() -> None:
    on_gpu = changed(("kind: local, threads: 2", "kind: local, execution_provider: cuda"))
    assert read(on_gpu).devices["other"].options.execution_provider == "cuda"
    for runtime in ("litert", "executorch"):
        elsewhere = read(on_gpu.replace("    runtime: onnxruntime\n", f"    runtime: {runtime}\n"))
        served = {name: entry.options.unserved(runtime) for name, entry in elsewhere.devices.items()}
        assert served.pop("other") == f"`{runtime}` has no `execution_provider: cuda`"
        assert set(served.values()) == {None}
    (told,) = problems(on_gpu.replace("  runtime: onnxruntime\nsources", "  runtime: litert\nsources"))
    assert "devices.other.execution_provider: `litert` has no `execution_provider: cuda`, and" in told
    timed = ("ratio: 0.5", "latency: {max_ratio: 0.5, device: other}")
    (told,) = problems(on_gpu.replace(*timed).replace("    runtime: onnxruntime\n", "    runtime: litert\n"))
    assert "`litert` has no `execution_provider: cuda`, by which `other` computes; name another device" in told
    (told,) = problems(
        changed(("kind: local, threads: 2", "kind: command, run: 'time {model}', execution_provider: cuda"))
    )
    assert "programs of your own run the models there" in told
    limited = on_gpu.replace("  energy: {max: 12 mJ", "  gpu_memory: {max: 1 GB, device: other")
    assert "gpu_memory" in {rule.metric.name for rule in read(limited).rules}


def test_quantization_without_calibration_needs_no_calibration_file() -> None:
    read(changed(("steps: [float16]", "steps: [{quantize: {method: dynamic}}]"), text=ONNX))
    read(changed(("steps: [float16]", "steps: [quantize]"), ("npz: {", "npz: {calibration: c.npz, "), text=ONNX))


@pytest.mark.parametrize(("better", "wrong", "right"), [("lower", "min", "max"), ("higher", "max", "min")])
def test_a_custom_metric_is_limited_on_its_bad_side(better: str, wrong: str, right: str) -> None:
    text = ONNX + f"task: {{kind: custom, metric: 'a:b', better: {better}}}\n"
    read(changed(("size: {max: 1 MB}", f"metric: {{{right}: 0.3}}"), text=text))
    (told,) = problems(changed(("size: {max: 1 MB}", f"metric: {{{wrong}: 0.3}}"), text=text))
    assert f"`task.better` is {better}; use `{right}`" in told


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ("finetune: {}", "a task of kind `detection` has no loss of its own to train with. Give the step a `train:"),
        ("finetune: {loss: 'a:b'}", None),
        ("finetune: {loss: 'a:b', teacher: baseline}", "teacher: what stands at one place in two detectors' answers"),
        ("finetune: {train: 'a:b', teacher: baseline}", None),
    ],
    ids=["nothing to learn by", "a loss", "a teacher without a distance", "the whole training"],
)
def test_a_detector_is_trained_by_the_users_own_code(step: str, said: str | None) -> None:
    model = "model: {build: 'a:b', weights: w.pt, inputs: {x: [N, 3, 8, 8]}}"
    text = changed(
        ("model: {onnx: model.onnx}", model),
        ("[float16]", f"[{{prune: {{ratio: 0.5, epochs: 0}}}}, {{{step}}}]"),
        text=ONNX,
    )
    text += "task: detection\n"
    if said is None:
        read(text)
    else:
        (told,) = problems(text)
        assert said in told
        assert told.startswith("makeweight.yaml:5: variants.half.steps[1].finetune")


def test_stages_that_would_share_a_name_are_refused() -> None:
    """DVC names a stage benchmark@DEVICE-VARIANT, and both halves may hold a `-`."""
    text = changed(("  half:", "  b-c: {steps: [float16]}\n  c:"), text=ONNX) + "devices: {a: {}, a-b: {}}\n"
    assert any("would share the stage benchmark@a-b-c" in problem for problem in problems(text))


def test_several_mistakes_are_told_together_from_top_to_bottom() -> None:
    told = problems(
        changed(
            ("prefer: size", "preffer: size"),
            ("max: 400 kB", "max: 400"),
            ("threads: 2", "threads: 0"),
            ("- quantize\n", "- quantise\n"),
            ("seed: 7", "seed: x"),
        )
    )
    assert lines_of(told) == [13, 23, 25, 28, 30]


def test_no_mapping_at_all() -> None:
    assert problems("") == ["makeweight.yaml:1: the file is empty; `makeweight init --force` writes one to start from"]
    assert "a mapping" in problems("- a\n")[0]
    assert "a mapping" in problems("just words\n")[0]


# Whatever is written there

DATA = yaml.safe_load(GOOD)

Spot = tuple[str | int, ...]


def spots(data: Any, at: Spot = ()) -> Iterator[Spot]:
    """Every place in the data."""
    if at:
        yield at
    if isinstance(data, dict):
        for key, value in data.items():
            yield from spots(value, (*at, key))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from spots(value, (*at, index))


SPOTS = list(spots(DATA))
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=6)
    | st.dates()
    | st.sampled_from(["5 %", "-1 kB", "1e999 ms", "a:b", "best", "local", "int8", "../x", "${x}", "[key]", "N"])
)
anything = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["kind", "quantize", "prune", "steps", "max", "min", "x", ""]) | scalars, inner, max_size=3
        )
    ),
    max_leaves=6,
)


def mutate(data: Any, spot: Spot, how: str, value: Any) -> None:
    *way, last = spot
    parent = data
    for part in way:
        try:
            parent = parent[part]
        except (KeyError, IndexError, TypeError):
            return  # an earlier mutation took it away
    if not isinstance(parent, dict | list) or (isinstance(parent, list) and not isinstance(last, int)):
        return
    if isinstance(parent, list) and isinstance(last, int) and last >= len(parent):
        return
    if how == "set":
        parent[last] = value
    elif how == "drop":
        parent.pop(last, None) if isinstance(parent, dict) else parent.pop(last)  # type: ignore[arg-type]
    elif isinstance(parent, dict) and last in parent:
        parent[value if how == "rename" and not isinstance(value, dict | list) else f"{last}x"] = parent.pop(last)


mutations = st.lists(
    st.tuples(st.sampled_from(SPOTS), st.sampled_from(["set", "drop", "rename", "misspell"]), anything),
    min_size=1,
    max_size=3,
)


def check(text: str) -> None:
    """Loads, or is refused as it should be; any other exception fails the test."""
    try:
        read(text)
    except ConfigError as refused:
        told = [str(problem) for problem in refused.problems]
    else:
        return
    at = lines_of(told)
    assert at == sorted(at)
    assert max(at) <= max(1, len(text.splitlines()))


@settings(max_examples=100)
@given(mutations)
def test_any_mutation_of_a_good_file_loads_or_is_told(changes: list[tuple[Spot, str, Any]]) -> None:
    data = copy.deepcopy(DATA)
    for spot, how, value in changes:
        mutate(data, spot, how, value)
    check(yaml.safe_dump(data, allow_unicode=True, sort_keys=False))


@given(st.integers(0, len(GOOD)), st.integers(0, 12), st.text(alphabet="ab:-[]{}&*!|>%@?<~'\"#, \n\t015", max_size=6))
def test_any_slip_of_the_keyboard_loads_or_is_told(at: int, removed: int, typed: str) -> None:
    check(GOOD[:at] + typed + GOOD[at + removed :])


@given(st.text() | st.binary().map(lambda raw: raw.decode("utf-8", "replace")))
def test_any_text_at_all_loads_or_is_told(text: str) -> None:
    check(text)


@given(anything)
def test_any_data_at_all_loads_or_is_told(data: Any) -> None:
    check(yaml.safe_dump(data, allow_unicode=True))


@given(st.sampled_from([spot for spot in SPOTS if isinstance(spot[-1], str) and spot[0] != "variants"]), st.data())
def test_a_misspelt_key_is_found_on_its_line(spot: Spot, data: st.DataObject) -> None:
    """One letter doubled: the line is that of the key, and the key itself is suggested."""
    *way, key = spot
    if way in (["devices"], ["model", "inputs"]):
        return  # names of the user's own
    place = data.draw(st.integers(0, len(key) - 1))
    misspelt = key[: place + 1] + key[place] + key[place + 1 :]
    document = copy.deepcopy(DATA)
    parent = document
    for part in way:
        parent = parent[part]
    renamed = {misspelt if name == key else name: value for name, value in parent.items()}
    parent.clear()
    parent.update(renamed)
    text = yaml.safe_dump(document, sort_keys=False)
    written = [number for number, line in enumerate(text.splitlines(), 1) if re.match(rf"[\s-]*{misspelt}:", line)]
    told = problems(text)
    suggestions = [
        (line, problem)
        for line, problem in zip(lines_of(told), told, strict=True)
        if f"did you mean `{key}`?" in problem
    ]
    assert suggestions, told
    assert suggestions[0][0] in written


def test_what_many_a_dvc_refuses_is_refused_in_our_words_and_not_of_another_commit() -> None:
    text = GOOD.replace("requirements.lock]", "requirements.lock, a:b]")
    with pytest.raises(ConfigError) as refused:
        understand(text, "makeweight.yaml", ROOT)
    assert str(refused.value).startswith("makeweight.yaml:7: sources[2]: `a:b` has a colon")
    assert '; quote it: `"a:b"`' in str(refused.value)
    assert understand(text, "makeweight.yaml", ROOT, by_dvc=False).sources[2] == "a:b"
