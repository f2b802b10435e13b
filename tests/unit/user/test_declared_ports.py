"""The inputs of a model as makeweight.yaml declares them: names for free sizes, constants, states."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from makeweight.artifact.feeds import fit
from makeweight.artifact.ports import Port, Shape, batch_axes, batch_size, of_examples
from makeweight.config.settings import ModelSettings
from makeweight.user.ports import as_declared, fed_names, of_module, of_steps
from makeweight_base.errors import UsageError
from model_values import invented_model

# as a voice detector's file has them: sizes without a name, a state whose batch is second, one number for all
VOICE = (
    Port("input", (None, None), "float32"),
    Port("state", (2, None, 4), "float32"),
    Port("sr", (), "int64"),
)


RANKLESS = Port("x", (), "float32", ranked=False)
SECOND = Port("x", ("seq", "batch", 8), "float32")


def declared(ports: tuple[Port, ...], **settings: Any) -> tuple[Port, ...]:
    model = ModelSettings(onnx="voice.onnx", **settings)
    return as_declared(invented_model(inputs=ports), model).inputs


def test_a_voice_detector() -> None:
    ports = declared(VOICE, constants={"sr": 16000}, states=["state"])
    assert [(port.shape, port.constant) for port in ports] == [
        (("N", None), None),
        ((2, "N", 4), 0),
        ((), 16000),
    ]
    assert (batch_size(ports), batch_axes(ports)) == (None, {"state": 1, "sr": None})
    assert [port.name for port in of_examples(ports)] == ["input"]
    feeds = fit(ports, {"input": np.ones((3, 5), np.float32)})
    assert list(feeds) == ["input", "state", "sr"]
    assert (feeds["state"].shape, feeds["state"].dtype, feeds["state"].any()) == ((2, 3, 4), np.float32, False)
    assert (feeds["sr"].shape, feeds["sr"].dtype, int(feeds["sr"])) == ((), np.int64, 16000)
    # what was fed once may be fed again, for another number of examples too
    assert fit(ports, {**feeds, "input": np.ones((2, 5), np.float32)})["state"].shape == (2, 2, 4)


def test_names_of_ones_own() -> None:
    inputs = {"input": ["B", "T"], "state": [2, "B", 4], "sr": []}
    ports = declared(VOICE, inputs=inputs, constants={"sr": 8000}, states=["state"])
    assert [port.shape for port in ports] == [("B", "T"), (2, "B", 4), ()]


def test_a_batch_that_is_fixed() -> None:
    ports = declared((Port("input", (1, None), "float32"), *VOICE[1:]), constants={"sr": 1}, states=["state"])
    assert (batch_size(ports), ports[1].shape) == (1, (2, 1, 4))
    ports = declared(VOICE[:1], inputs={"input": [4, 512]})
    assert (batch_size(ports), ports[0].shape) == (4, (4, 512))


@pytest.mark.parametrize(
    ("shape", "value", "fed"),
    [
        ((), 3, 3),
        ((1,), 3, [3]),
        (("N",), 3, [3, 3]),
        ((None,), [4, 5, 6], [4, 5, 6]),
        ((2, 2), [[1, 2], [3, 4]], [[1, 2], [3, 4]]),
        ((2,), True, [1, 1]),
    ],
)
def test_constants_of_any_shape(shape: Shape, value: Any, fed: Any) -> None:
    ports = declared((Port("x", ("N", 2), "float32"), Port("c", shape, "int64")), constants={"c": value})
    assert fit(ports, {"x": np.zeros((2, 2), np.float32)})["c"].tolist() == fed


@pytest.mark.parametrize(
    ("ports", "settings", "says"),
    [
        (VOICE, {}, "input `state` [2, N, 4] begins with 2, and not with the batch as input [N, N] does"),
        (VOICE, {"states": ["state"]}, "input `sr` [] is one number, and not with the batch"),
        (VOICE, {"constants": {"rate": 1}}, "the model's inputs are input, state, sr, and rate are declared"),
        (VOICE, {"constants": {"sr": 0.5}, "states": ["state"]}, "0.5 is no int64, which the model wants"),
        (VOICE, {"constants": {"sr": [1, 2]}, "states": ["state"]}, "it has shape [2], and the model's input []"),
        (VOICE[1:], {"constants": {"sr": 1}, "states": ["state"]}, "no input is left for the examples"),
        ((VOICE[0], Port("s", (None, None), "float32")), {"states": ["s"]}, "more sizes are free than the batch"),
        ((VOICE[0], Port("s", (1, "N", "H"), "float32")), {"states": ["s"]}, "more sizes are free than the batch"),
        (VOICE[:1], {"inputs": {"input": ["N"]}}, "input `input` has shape [N, N], and is declared as [N]"),
        ((RANKLESS,), {}, "input `x` has no shape in the file, which does not even say how many axes it has"),
        ((VOICE[0], RANKLESS), {"states": ["x"]}, "input `x` has no shape in the file"),
        ((SECOND,), {}, "input `x` [seq, batch, 8] has its batch in place 2, as its sizes are named"),
    ],
)
def test_what_does_not_fit(ports: tuple[Port, ...], settings: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError) as refused:
        declared(ports, **settings)
    assert says in refused.value.what


def test_what_the_file_leaves_open_is_as_declared() -> None:
    ports = declared((RANKLESS, replace(RANKLESS, name="rates")), inputs={"x": ["N", 3]}, constants={"rates": [1, 2]})
    assert ports == (Port("x", ("N", 3), "float32"), Port("rates", (2,), "float32", constant=(1, 2)))
    assert declared((SECOND,), inputs={"x": ["N", "T", 8]})[0].shape == ("N", "T", 8)


def test_a_modules_inputs_are_what_is_declared() -> None:
    model = ModelSettings(
        build="a:b",
        weights="w.pt",
        inputs={"x": ["N", "T"], "h": [1, "N", 8]},
        constants={"rate": 16000, "gain": 0.5},
        states=["h"],
    )
    assert of_module(model) == (
        Port("x", ("N", "T"), ""),
        Port("h", (1, "N", 8), "float32", 0),
        Port("rate", (), "int64", 16000),
        Port("gain", (), "float32", 0.5),
    )
    assert fed_names(("x", "h", "rate"), model) == ("x",)


def test_a_batch_that_is_a_number_is_of_the_file_and_not_of_steps() -> None:
    def shapes(**settings: Any) -> list[Shape]:
        return [port.shape for port in of_steps(ModelSettings(build="net:build", weights="w.pt", **settings))]

    fixed = {"image": [1, 3, 8, 8], "sizes": [1, 2], "scale": [1]}
    assert shapes(inputs=fixed, constants={"scale": 2}) == [("N", 3, 8, 8), ("N", 2), (1,)]
    assert shapes(inputs={"image": ["B", 3]}) == [("B", 3)]
    # a state may have the batch at any of its axes
    assert shapes(inputs={"sound": [1, 8], "held": [2, 1, 4]}, states=["held"]) == [(1, 8), (2, 1, 4)]
