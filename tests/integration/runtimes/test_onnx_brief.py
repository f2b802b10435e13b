"""What stands between layers has short names, each constant around them is there once, and answers are as before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from makeweight.artifact.ports import Feeds
from makeweight.runtimes.format import Format, Numbers
from makeweight.runtimes.onnxruntime import brief as module
from makeweight.runtimes.onnxruntime.brief import brief
from makeweight.runtimes.onnxruntime.graphs import graphs
from makeweight.runtimes.onnxruntime.runtime import OnnxRuntime

INT8 = Format(Numbers("int8", "channel"), Numbers("int8"), "static")
FLOAT, BOOL, INT64 = TensorProto.FLOAT, TensorProto.BOOL, TensorProto.INT64


class _Images:
    def __init__(self, images: Feeds) -> None:
        self._images = images

    def feeds(self, size: int) -> Iterator[Feeds]:
        yield {name: values[:size] for name, values in self._images.items()}


def _tensor_names(model: Any) -> set[str]:
    parts = list(graphs(model.graph))
    read = {name for part in parts for node in part.node for name in (*node.input, *node.output)}
    return read | {tensor.name for part in parts for tensor in part.initializer}


def _run(model: Any, feeds: Feeds) -> list[Any]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return list(session.run(None, feeds))


def test_a_file_opens_where_products_are_to_be_exact(
    runtime: OnnxRuntime, exported: Path, images: Feeds, tmp_path: Path
) -> None:
    """ONNX Runtime then replaces each signed weight and its zero point, which no other weight may have as well."""
    made = runtime.lower(runtime.read(exported), INT8, _Images(images), tmp_path / "made.onnx")
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.x64quantprecision", "1")
    session = onnxruntime.InferenceSession(made.path, options, providers=["CPUExecutionProvider"])
    signed = [each.name for each in onnx.load(made.path).graph.initializer if each.data_type == TensorProto.INT8]
    assert len(signed) > 2
    assert np.isfinite(session.run(None, images)[0]).all()


def test_an_int8_file_is_smaller_by_its_names_and_answers_to_the_last_bit(
    runtime: OnnxRuntime, exported: Path, images: Feeds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = runtime.read(exported)
    made = runtime.lower(source, INT8, _Images(images), tmp_path / "brief.onnx")
    again = runtime.lower(source, INT8, _Images(images), tmp_path / "again.onnx")
    monkeypatch.setattr(module, "brief_file", lambda _: {})
    long = runtime.lower(source, INT8, _Images(images), tmp_path / "long.onnx")
    assert made.path.read_bytes() == again.path.read_bytes()
    assert made.size < long.size - 3000
    ports = {port.name for port in (*made.inputs, *made.outputs)}
    held = onnx.load(made.path)
    assert max(map(len, _tensor_names(held) - ports)) <= 2
    shared = [each for each in held.graph.initializer if each.data_type != TensorProto.INT8]
    stored = [each.SerializeToString() for each in shared if each.ClearField("name") is None]
    assert len(set(stored)) == len(stored)
    # operators keep the names that a recipe and a profile know them by
    after, before = runtime.inspect(made), runtime.inspect(long)
    assert replace(after, weighed=()) == replace(before, weighed=())
    assert all(after.layers)
    # what stands around a layer has no name, and shares its constants
    assert [each for each in after.weighed if each.kind != "other"] == [
        each for each in before.weighed if each.kind != "other"
    ]
    for one, other in zip(runtime.open(made).run(images), runtime.open(long).run(images), strict=True):
        assert np.array_equal(one, other)


def _branch(bias: float, name: str) -> Any:
    """A graph that reads what stands around it, has a constant whose name is one of the outer graph's too, and names
    what it makes as the other branch does."""
    stored = numpy_helper.from_array(np.array(bias, np.float32), "zero")
    nodes = [helper.make_node("Add", ["halved", "zero"], ["sum"]), helper.make_node("Mul", ["sum", "c"], [name])]
    return helper.make_graph(nodes, name, [], [helper.make_tensor_value_info(name, FLOAT, None)], [stored])


def _branching() -> Any:
    """If and Loop whose graphs read names of the outer one, a constant that is an output too, one that is an input's
    default, and an input and an output called as short names are."""
    body = helper.make_graph(
        [
            helper.make_node("Add", ["state", "same"], ["next"]),
            helper.make_node("Identity", ["on"], ["goes on"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("at", INT64, []),
            helper.make_tensor_value_info("on", BOOL, []),
            helper.make_tensor_value_info("state", FLOAT, None),
        ],
        [helper.make_tensor_value_info("goes on", BOOL, []), helper.make_tensor_value_info("next", FLOAT, None)],
    )
    constants = {"half": 0.5, "again half": 0.5, "zero": 0.0, "same": 3.0, "c": 2.0, "given": 7.0}
    nodes = [
        helper.make_node("Mul", ["a", "half"], ["halved"], name="a layer"),
        helper.make_node("Mul", ["halved", "again half"], ["quarter"]),
        helper.make_node("ReduceSum", ["a"], ["total"], keepdims=0),
        helper.make_node("Greater", ["total", "zero"], ["positive"]),
        helper.make_node("If", ["positive"], ["b"], then_branch=_branch(1, "x"), else_branch=_branch(-1, "x")),
        helper.make_node("Loop", ["times", "", "quarter"], ["looped"], body=body),
        helper.make_node("Add", ["looped", "given"], ["last"]),
    ]
    graph = helper.make_graph(
        nodes,
        "branching",
        [helper.make_tensor_value_info("a", FLOAT, [3]), helper.make_tensor_value_info("given", FLOAT, [])],
        [
            helper.make_tensor_value_info(name, FLOAT, shape)
            for name, shape in (("b", [3]), ("last", [3]), ("same", []))
        ],
        [
            *(numpy_helper.from_array(np.array(each, np.float32), name) for name, each in constants.items()),
            numpy_helper.from_array(np.array(4, np.int64), "times"),
        ],
        value_info=[helper.make_tensor_value_info("halved", FLOAT, [3])],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize("sign", [1, -1])
def test_graphs_within_go_on_reading_what_stands_around_them(sign: int) -> None:
    model = _branching()
    feeds = {"a": np.array([1, 2, 3], np.float32) * sign}
    before = _run(model, feeds)
    half = feeds["a"] / 2
    assert np.array_equal(before[0], (half + sign) * 2)
    assert np.array_equal(before[1], half / 2 + 4 * 3 + 7)
    names = brief(model)
    onnx.checker.check_model(model)
    for one, other in zip(_run(model, feeds), before, strict=True):
        assert np.array_equal(one, other)
    assert [value.name for value in model.graph.input] == ["a", "given"]
    assert [value.name for value in model.graph.output] == ["b", "last", "same"]
    assert _tensor_names(model) <= {"", *"abcdefghijklmnopqrstuvwxyz", "given", "last", "same"}
    assert {"halved", "half", "zero"} <= {*names.values()}
    assert next(iter(model.graph.node)).name == "a layer"


def test_a_name_that_nothing_gives_stays() -> None:
    """What is wrong with a graph is told by its own words."""
    model = _branching()
    model.graph.node[0].input[1] = "d"
    brief(model)
    assert model.graph.node[0].input[1] == "d"
    assert sum("d" in (*node.input, *node.output) for node in model.graph.node) == 1
