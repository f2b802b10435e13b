"""LiteRT files that nobody here made: that keep a state, take and give integers by a scale, name nothing, or of which
XNNPACK takes nothing over."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_litert
from tiny_litert import Graph, Node, Signature, Tensor

from makeweight.artifact.feeds import fit
from makeweight.artifact.model import of_plain, plain
from makeweight.artifact.ports import Port
from makeweight.cli import main
from makeweight.report.runtimes import fallen_back
from makeweight.runtimes.litert.runtime import LiteRt
from makeweight_base.errors import UsageError
from makeweight_probe.answering import answering

RUNTIME = LiteRt()
TAKEN, GIVEN = (0.5, 10), (0.25, -3)
BYTES = Tensor((1, 4), "UINT8", scale=TAKEN)
REAL = np.array([[-20.0, 0.26, 1.25, 100.0]], np.float32)
"""Beyond the least, nearest to 0.5, halfway from 1 to 1.5, and within."""
STEPS, ROUNDED = [[0, 11, 13, 210]], [[-5.0, 0.5, 1.5, 100.0]]


@pytest.mark.parametrize("build", [tiny_litert.sum_so_far, tiny_litert.sum_in_a_resource], ids=["layer", "resource"])
def test_an_answer_does_not_depend_on_what_was_asked_before(build: Any, tmp_path: Path) -> None:
    session = RUNTIME.open(RUNTIME.read(build(tmp_path / "sums.tflite")))
    two, three = ({"x": np.full((1, 1), value, np.float32)} for value in (2, 3))
    assert [session.run(each)[0].item() for each in (two, three)] == [2, 5], "it keeps a state where it is timed"
    ask = answering(session)
    assert [ask(each)[0].item() for each in (two, three, two)] == [2, 3, 2]


def test_real_numbers_become_the_integers_that_a_file_takes_and_its_answers_real_numbers(tmp_path: Path) -> None:
    """By hand: nearest(x / 0.5) + 10 within a byte, and back."""
    given = Tensor((1, 4), "INT8", scale=(1.0, 0))
    model = RUNTIME.read(tiny_litert.rescaled(tmp_path / "bytes.tflite", BYTES, given))
    assert model.inputs == (Port("x", (1, 4), "uint8", scale=TAKEN),)
    assert of_plain(tmp_path, json.loads(json.dumps(plain(model)))) == model
    fed = fit(model.inputs, {"x": REAL})
    assert (fed["x"].dtype.name, fed["x"].tolist()) == ("uint8", STEPS)
    assert fit(model.inputs, {"x": np.array(STEPS, np.uint8)})["x"].tolist() == STEPS, "its own integers stay"
    state = (Port("x", (1, 4), "uint8", 0, scale=TAKEN), Port("y", (1, 4), "float32"))
    assert fit(state, {"y": REAL})["x"].tolist() == [[10] * 4], "a state begins with the zero that it stands for"
    with pytest.raises(UsageError, match="holds NaN"):
        fit(model.inputs, {"x": np.full((1, 4), np.nan)})

    floats = RUNTIME.read(tiny_litert.rescaled(tmp_path / "floats.tflite", BYTES, Tensor((1, 4))))
    assert answering(RUNTIME.open(floats))(fed)[0].tolist() == ROUNDED
    noted = RUNTIME.read(tiny_litert.rescaled(tmp_path / "noted.tflite", BYTES, Tensor((1, 4), scale=GIVEN)))
    assert noted.outputs == (Port("y", (1, 4), "float32"),)
    assert answering(RUNTIME.open(noted))(fed)[0].tolist() == ROUNDED, "a scale of floats is no scale of integers"
    fine = Tensor((1, 4), "INT8", scale=GIVEN)
    integers = RUNTIME.read(tiny_litert.rescaled(tmp_path / "integers.tflite", Tensor((1, 4)), fine))
    session = RUNTIME.open(integers)
    feeds = {"x": np.array([[-1.0, 0.0, 0.25, 2.0]], np.float32)}
    assert session.run(feeds)[0].tolist() == [[-7, -3, -2, 5]]
    (answer,) = answering(session)(feeds)
    assert (answer.dtype.name, answer.tolist()) == ("float32", feeds["x"].tolist())


@pytest.mark.usefixtures("probed_here")
def test_a_file_of_integers_is_compared_with_one_of_floats(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Both hand real numbers on; the one in steps of 1/32, whose noise is that of rounding and not of another scale."""
    fine = Tensor((1, 4), "INT8", scale=(1 / 32, -3))
    floats = tiny_litert.rescaled(tmp_path / "floats.tflite", fine, Tensor((1, 4)))
    integers = tiny_litert.rescaled(tmp_path / "integers.tflite", Tensor((1, 4)), fine)
    config = tmp_path / "makeweight.yaml"
    config.write_text(
        "model: {tflite: floats.tflite}\ndata: {npz: {test: test.npz}}\nvariants: {half: {steps: [float16]}}\n"
        "devices: {quick: {kind: local, processes: 1, seconds: 1}}\nbudget: {size: {max: 1 MB}}\n"
    )
    asked = ["compare", str(floats), str(integers), "--max-ratio", "50", "--json"]
    assert main([*asked, "--device", "quick", "--project", str(tmp_path)]) in (0, 3)
    told = json.loads(capsys.readouterr().out)
    assert told["signal_to_noise"]["y"] > 30
    assert told["matched"] == [
        "`x` is fed as real numbers: here int8 by its scale 0.03125 and zero point -3, there float32"
    ]


def test_ports_without_names_are_told_by_their_places(tmp_path: Path) -> None:
    model = RUNTIME.read(tiny_litert.rescaled(tmp_path / "bare.tflite", BYTES, Tensor((1, 4)), nameless=True))
    assert [port.name for port in (*model.inputs, *model.outputs)] == ["0", "0"]
    assert RUNTIME.open(model).run({"0": np.array(STEPS, np.uint8)})[0].tolist() == ROUNDED


def test_what_a_delegate_leaves_is_told_though_it_took_nothing(tmp_path: Path) -> None:
    facts = RUNTIME.inspect(RUNTIME.read(tiny_litert.sum_so_far(tmp_path / "sums.tflite")))
    assert (facts.delegate, facts.operators) == ("XNNPACK", {"RNN": 1})
    assert fallen_back(facts.operators, facts.delegate) == {"RNN": 1}


SERVED = Signature("serve", {"image": "x"}, {"scores": "y"})


def signed(path: Path, *signatures: Signature) -> Path:
    """Two graphs: the first adds, the second multiplies."""
    graphs = [
        Graph(dict.fromkeys("xy", Tensor((1, 2))), [Node(operator, ("x", "x"), ("y",))], ("x",), ("y",))
        for operator in ("ADD", "MUL")
    ]
    return tiny_litert.save(path, *graphs, signatures=signatures)


@pytest.mark.parametrize(
    ("others", "says"),
    [
        (
            [Signature("encode", {"image": "x"}, {"code": "y"}, graph=1)],
            "the file has 2 signatures, and a model is one of them: `serve`: image to scores; `encode`: image to code",
        ),
        ([replace(SERVED, key="other", outputs={"logits": "y"})], "`serve`: image to scores; `other`: image to logits"),
    ],
    ids=["another function", "another name"],
)
def test_a_file_of_several_signatures_is_told_by_them(tmp_path: Path, others: list[Signature], says: str) -> None:
    path = signed(tmp_path / "several.tflite", SERVED, *others)
    with pytest.raises(UsageError) as refused:
        RUNTIME.read(path)
    assert (says in refused.value.what, refused.value.where) == (True, str(path))
    assert "signature_keys=['serve']" in str(refused.value.do)


def test_signatures_that_are_one_function_are_one(tmp_path: Path) -> None:
    model = RUNTIME.read(signed(tmp_path / "named.tflite", SERVED, replace(SERVED, key="default")))
    assert [port.name for port in (*model.inputs, *model.outputs)] == ["image", "scores"]
    assert RUNTIME.open(model).run({"image": np.array([[1, 3]], np.float32)})[0].tolist() == [[2, 6]]


def test_a_signature_of_another_graph_than_is_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="signature `serve` is of its graph 1, and what is run is graph 0"):
        RUNTIME.read(signed(tmp_path / "second.tflite", replace(SERVED, graph=1)))
