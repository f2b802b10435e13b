"""A module becomes a LiteRT file that computes the same, in the numbers that are asked for, or a sentence says why not.

What is in a file is read by its schema, beside the code that is tested."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from made_once import made_once
from makeweight.advise import timing
from makeweight.artifact.ports import Feeds, Port
from makeweight.cli import main
from makeweight.runtimes.format import FLOAT32, Format, Numbers
from makeweight.runtimes.litert.runtime import LiteRt
from makeweight.runtimes.runtime import Program, RecipeFailed
from makeweight_base.errors import UsageError
from split_values import split_of

INPUTS: dict[str, tuple[int | str, ...]] = {"image": ("N", 1, 8, 8)}
STATIC = Format(Numbers("int8", "channel"), Numbers("int8"), "static", "minmax")
RUNTIME = LiteRt()
LONGEST = 16


@pytest.fixture(scope="session")
def converted(network: Any, images: Feeds, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file in float32, named by its own signature."""

    def make(folder: Path) -> None:
        program = Program(network, INPUTS, {"image": images["image"][:4]})
        RUNTIME.lower(program, FLOAT32, None, folder / "model.tflite")

    return made_once(tmp_path_factory, "litert", make) / "model.tflite"


class Held:
    """What a file holds, by its schema."""

    def __init__(self, path: Path) -> None:
        from ai_edge_litert import schema_py_generated as schema

        model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(path.read_bytes(), 0))
        kinds = {number: name for name, number in vars(schema.TensorType).items() if name.isupper()}
        codes = {number: name for name, number in vars(schema.BuiltinOperator).items() if name.isupper()}
        graph = model.subgraphs[0]
        self.tensors = graph.tensors
        self.kinds = {tensor.name.decode(): kinds[tensor.type] for tensor in graph.tensors}
        self.operators = [
            codes[max(code.builtinCode, code.deprecatedBuiltinCode)]
            for node in graph.operators
            for code in [model.operatorCodes[node.opcodeIndex]]
        ]
        self.weights = {
            graph.tensors[node.outputs[0]].name.decode(): kinds[graph.tensors[node.inputs[1]].type]
            for node, name in zip(graph.operators, self.operators, strict=True)
            if name in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
        }


def decibels(wanted: Any, given: Any) -> float:
    return float(10 * np.log10(np.square(wanted).sum() / np.square(wanted - given).sum()))


@pytest.mark.parametrize("count", [1, 3, 96])
def test_any_batch_gives_what_the_module_gives(converted: Path, images: Feeds, answers: Any, count: int) -> None:
    model = RUNTIME.read(converted)
    assert model.inputs == (Port("image", (None, 1, 8, 8), "float32"),)
    assert model.outputs == (Port("output", (None, 10), "float32"),)
    session = RUNTIME.open(model)
    for _ in range(2):
        (given,) = session.run({"image": images["image"][:count]})
        np.testing.assert_allclose(given, answers[:count], rtol=1e-4, atol=1e-5)


def test_the_same_bytes_once_more_and_not_a_word(
    network: Any, images: Feeds, converted: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    program = Program(network, INPUTS, {"image": images["image"][4:8]})
    again = RUNTIME.lower(program, FLOAT32, None, tmp_path / "again.tflite")
    assert again.path.read_bytes() == converted.read_bytes()
    assert capfd.readouterr() == ("", "")


def test_operators_are_named_by_their_modules_and_normalization_is_folded(converted: Path) -> None:
    assert Held(converted).weights == {
        "0/depthwise_conv_2d": "FLOAT32",  # of one channel each
        "3.body.0/conv_2d": "FLOAT32",
        "6/fully_connected": "FLOAT32",
    }
    assert b"torch.nn" not in converted.read_bytes()


def test_what_is_in_it_is_counted(converted: Path) -> None:
    facts = RUNTIME.inspect(RUNTIME.read(converted), [{"image": (1, 1, 8, 8)}, {"image": (3, 1, 8, 8)}])
    convolutions = 64 * 9 * (32 + 32 * 32)
    assert facts.macs == convolutions + 32 * 10
    # a normalization leaves a bias
    assert facts.parameters == (9 * 32 + 32) + (9 * 32 * 32 + 32) + (32 * 10 + 10)
    assert (facts.quantized, facts.floating, facts.layers) == (0, 3, ())
    assert facts.operators["XNNPACK:CONV_2D"] == 1
    assert all(name.startswith("XNNPACK:") for name in facts.operators)
    assert sum(facts.operators.values()) == len(Held(converted).operators)


def test_static_ranges_are_the_ends_of_the_examples(
    converted: Path, images: Feeds, answers: Any, tmp_path: Path
) -> None:
    few = {"image": images["image"][:24].copy()}
    few["image"][5, 0, 0, 0], few["image"][20, 0, 7, 7] = 3.0, -1.0
    notes: dict[str, Any] = {}
    model = RUNTIME.lower(
        RUNTIME.read(converted), STATIC, split_of("calibration", few), tmp_path / "static.tflite", notes
    )
    held = Held(model.path)
    assert set(held.weights.values()) == {"INT8"}
    assert notes == {}
    # of the first tensor in integers: 255 steps from the least to the greatest value that was seen
    first = next(
        tensor
        for tensor in held.tensors
        if tensor.shape is not None and list(tensor.shape)[-2:] == [8, 8] and tensor.quantization.scale is not None
    )
    assert float(first.quantization.scale[0]) == pytest.approx(4.0 / 255, rel=1e-4)
    # ports stay as they were
    assert (model.inputs, model.outputs) == (RUNTIME.read(converted).inputs, RUNTIME.read(converted).outputs)
    assert decibels(answers, RUNTIME.open(model).run(images)[0]) > 20
    facts = RUNTIME.inspect(model)
    assert (facts.quantized, facts.floating) == (3, 0)
    assert set(facts.layers) == set(held.weights)
    other = RUNTIME.lower(
        RUNTIME.read(converted), STATIC, split_of("calibration", {"image": few["image"][::-1]}), tmp_path / "b.tflite"
    )
    assert other.path.read_bytes() == model.path.read_bytes()


@pytest.mark.parametrize(
    ("format", "stored", "bits", "least"),
    [
        (Format(Numbers("int8", "channel"), Numbers("int8"), "dynamic"), "INT8", 8, 25),
        (Format(Numbers("int8", "channel")), "INT8", 8, 25),
        (Format(Numbers("int8")), "INT8", 8, 20),
        (Format(Numbers("float16"), Numbers("float16")), "FLOAT16", 16, 50),
    ],
    ids=["dynamic", "weights", "weights-per-tensor", "float16"],
)
def test_weights_take_the_bits_that_are_asked_for(
    converted: Path, images: Feeds, answers: Any, tmp_path: Path, format: Format, stored: str, bits: int, least: float
) -> None:
    model = RUNTIME.lower(RUNTIME.read(converted), format, None, tmp_path / "made.tflite")
    kinds = list(Held(model.path).kinds.values())
    assert kinds.count(stored) >= 3
    weights = 9 * 32 + 9 * 32 * 32 + 32 * 10
    saved = converted.stat().st_size - model.path.stat().st_size
    assert saved == pytest.approx(weights * (4 - bits / 8), rel=0.1)
    assert decibels(answers, RUNTIME.open(model).run(images)[0]) > least


def test_a_layer_that_fell_back_is_told(converted: Path, tmp_path: Path) -> None:
    made = RUNTIME.lower(RUNTIME.read(converted), Format(Numbers("int4", "channel")), None, tmp_path / "four.tflite")
    operators = RUNTIME.inspect(made).operators
    assert {name for name in operators if name.endswith("CONV_2D")} == {"CONV_2D", "XNNPACK:DEPTHWISE_CONV_2D"}


def test_excluded_layers_and_kinds_stay_in_float(converted: Path, images: Feeds, tmp_path: Path) -> None:
    source, few = RUNTIME.read(converted), split_of("calibration", {"image": images["image"][:4]})
    notes: dict[str, Any] = {}
    how = Format(STATIC.weights, STATIC.activations, "static", "minmax", exceptions=(("3.body", FLOAT32),))
    made = RUNTIME.lower(source, how, few, tmp_path / "but.tflite", notes)
    assert Held(made.path).weights["3.body.0/conv_2d"] == "FLOAT32"
    assert RUNTIME.inspect(made).quantized == 2
    assert notes == {"left in float": {"`exclude` names it": ["CONV_2D 3.body.0/conv_2d"]}}
    kinds = Format(STATIC.weights, STATIC.activations, "static", "minmax", operators=("CONV_2D",))
    made = RUNTIME.lower(source, kinds, few, tmp_path / "some.tflite", notes)
    assert list(Held(made.path).weights.values()).count("INT8") == 1
    assert list(notes["left in float"]) == ["`operators` does not name it"]
    for odd, says in (
        ({"exceptions": (("heads", FLOAT32),)}, "`heads` fits no layer; there are 0/dep"),
        ({"operators": ("Conv",)}, "`operators` names Conv, and the graph has ADD, CONV_2D, "),
    ):
        with pytest.raises(RecipeFailed, match=says):
            RUNTIME.lower(
                source,
                Format(STATIC.weights, STATIC.activations, "static", "minmax", **odd),
                few,
                tmp_path / "odd.tflite",
            )  # type: ignore[arg-type]
    with pytest.raises(RecipeFailed, match=r"quantized already: `.+` is int8"):
        RUNTIME.lower(RUNTIME.read(made.path), STATIC, few, tmp_path / "twice.tflite")


def test_an_operator_without_counterpart_is_named_with_its_layer_and_line(tmp_path: Path) -> None:
    import torch
    from torch import nn

    class Second(nn.Module):
        def forward(self, values: Any) -> Any:
            return torch.kthvalue(values, 2)[0]

    bad = nn.Sequential(nn.Linear(3, 3), nn.Sequential(nn.ReLU(), Second())).eval()
    with pytest.raises(
        UsageError, match=r"no counterpart of the operator `aten.kthvalue.default` of layer `1.1`"
    ) as no:
        RUNTIME.lower(Program(bad, {"x": ("N", 3)}, {"x": np.ones((2, 3), np.float32)}), FLOAT32, None, tmp_path / "x")
    assert str(no.value.where).startswith(f"{__file__}:")


def test_a_batch_that_the_file_mixes_up_is_fixed(tmp_path: Path) -> None:
    from torch import nn

    net = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4)).eval()
    example = {"x": np.random.default_rng(0).random((4, 4), np.float32)}
    model = RUNTIME.lower(Program(net, {"x": ("N", 4)}, example), FLOAT32, None, tmp_path / "model.tflite")
    assert (model.batch, model.outputs[0].shape) == (1, (1, 4))


def test_a_length_is_free_where_positions_and_attention_follow_it(tmp_path: Path) -> None:
    import torch
    from torch import nn

    class Attending(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words, self.places = nn.Embedding(9, 8), nn.Embedding(LONGEST, 8)
            self.norm, self.out = nn.LayerNorm(8), nn.Linear(8, 2)

        def forward(self, words: Any) -> Any:
            states = self.words(words) + self.places(torch.arange(words.shape[1]))
            heads = self.norm(states).unflatten(-1, (2, 4)).transpose(1, 2)
            weights = (heads @ heads.transpose(-1, -2)).masked_fill(words[:, None, None] == 0, -1e9).softmax(-1)
            return self.out((weights @ heads).transpose(1, 2).flatten(2).mean(1))

    torch.manual_seed(0)
    net = Attending().eval()
    draw = np.random.default_rng(0)
    program = Program(net, {"words": ("N", "T")}, {"words": draw.integers(0, 9, (4, 7))}, largest={"T": LONGEST})
    model = RUNTIME.lower(program, FLOAT32, None, tmp_path / "model.tflite")
    assert (model.inputs, model.outputs[0].shape) == ((Port("words", (1, None), "int32"),), (1, 2))
    session = RUNTIME.open(model)
    for length in (LONGEST, 2, 11, 1):
        words = draw.integers(1, 9, (1, length))
        with torch.no_grad():
            wanted = net(torch.from_numpy(words)).numpy()
        np.testing.assert_allclose(session.run({"words": words.astype(np.int32)})[0], wanted, rtol=1e-4, atol=1e-5)


def test_a_length_that_numbers_depend_on_is_refused_with_what_may_help(tmp_path: Path) -> None:
    import torch
    from torch import nn

    class Fading(nn.Module):
        def forward(self, x: Any) -> Any:
            return x.mean(-1) * torch.linspace(0, 1, x.shape[1])

    program = Program(Fading(), {"x": (2, "T", 4)}, {"x": np.ones((2, 6, 4), np.float32)})
    told = r"`T` of input `x` cannot be free: the LiteRT file works with 6 alone[\s\S]*by `model.largest: \{T: .\}`"
    with pytest.raises(UsageError, match=told):
        RUNTIME.lower(program, FLOAT32, None, tmp_path / "t")


@pytest.mark.parametrize(
    ("part", "says"),
    [
        (lambda whole: whole[: len(whole) // 2], "the LiteRT file is cut short or damaged"),
        (lambda whole: whole[:-1], "the LiteRT file is cut short or damaged"),
        (lambda _: b"", "this is an empty file"),
        (lambda _: b"\x08\x08" + b"onnx" * 99, "this is an ONNX file"),
        (lambda _: bytes(999), "this is no LiteRT file"),
        (None, "no such file"),
    ],
    ids=["half", "a-byte-short", "empty", "onnx", "zeros", "none"],
)
def test_a_file_that_is_none_is_refused_for_what_it_is(converted: Path, tmp_path: Path, part: Any, says: str) -> None:
    path = tmp_path / "bad.tflite"
    if part is not None:
        path.write_bytes(part(converted.read_bytes()))
    with pytest.raises(UsageError, match=says):
        RUNTIME.read(path)


def test_a_session_loads_no_other_runtime_and_says_nothing(converted: Path) -> None:
    script = (
        "import sys, numpy as np\n"
        "from makeweight_probe.sessions.litert import open_session\n"
        f"(scores,) = open_session({str(converted)!r}, 1).run({{'image': np.zeros((2, 1, 8, 8), np.float32)}})\n"
        "assert scores.shape == (2, 10)\n"
        "others = {'onnxruntime', 'torch', 'onnx', 'jax', 'ai_edge_quantizer', 'makeweight'}\n"
        "print(*sorted(others & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("\n", "")


def test_advice_on_the_file_alone_says_what_it_allows_and_what_takes_its_module(
    converted: Path, images: Feeds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(timing, "_SECONDS", 0.05)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.tflite").symlink_to(converted)
    np.savez(tmp_path / "data.npz", image=images["image"], target=np.arange(96) % 10)
    (tmp_path / "makeweight.yaml").write_text(
        "model: {tflite: model.tflite}\n"
        "data: {npz: {train: data.npz, validation: data.npz, test: data.npz}, calibration: {samples: 16}}\n"
        "budget: {size: {max_ratio: 0.5}}\n"
    )
    assert main(["advise", "--json", "--seconds", "0.001"]) == 0
    told = json.loads(capsys.readouterr().out)
    layers = {each["name"]: each for each in told["facts"]["model"]["layers"] if each["kind"] != "other"}
    assert [(each["kind"], each["bytes"], each["macs"]) for each in layers.values()] == [
        ("convolution", 4 * (9 * 32 + 32), 64 * 9 * 32),
        ("convolution", 4 * (9 * 32 * 32 + 32), 64 * 9 * 32 * 32),
        ("product", 4 * (32 * 10 + 10), 32 * 10),
    ]
    assert told["advice"][0]["rule"] == "int8"
    [size] = [each for each in told["advice"][0]["expected"] if each["figure"] == "size"]
    assert size["high"] < 0.5
    assert "slim-int8" in {each["rule"] for each in told["aside"] if each["takes_module"]}
