"""Multiply-accumulates against answers worked out by hand."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from makeweight.runtimes.onnxruntime.macs import count


def _model(nodes: list[Any], inputs: dict[str, list[Any]], outputs: list[str], weights: dict[str, list[int]]) -> Any:
    return helper.make_model(
        helper.make_graph(
            nodes,
            "g",
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
            [
                helper.make_tensor(name, TensorProto.FLOAT, shape, bytes(4 * _size(shape)), raw=True)
                for name, shape in weights.items()
            ],
        ),
        opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)],
        ir_version=10,
    )


def _size(shape: list[int]) -> int:
    total = 1
    for size in shape:
        total *= size
    return total


def _conv(batch: object, **attributes: Any) -> Any:
    node = helper.make_node("Conv", ["x", "w"], ["y"], **attributes)
    return _model([node], {"x": [batch, 4, 8, 8]}, ["y"], {"w": [6, 4 // attributes.get("group", 1), 3, 3]})


def test_convolution() -> None:
    # 6 x 8 x 8 outputs, each over 4 x 3 x 3 inputs
    assert count(_conv("N", pads=[1, 1, 1, 1])) == 6 * 8 * 8 * 4 * 9
    # 6 x 3 x 3 outputs, each over 2 x 3 x 3 inputs
    assert count(_conv("N", strides=[2, 2], group=2)) == 6 * 3 * 3 * 2 * 9


@pytest.mark.parametrize("batch", [1, 5, "N", None, 0, -1])
def test_one_example_costs_the_same_whatever_the_batch(batch: object) -> None:
    assert count(_conv(batch)) == 6 * 6 * 6 * 4 * 9


def test_transposed_convolution() -> None:
    node = helper.make_node("ConvTranspose", ["x", "w"], ["y"], strides=[2, 2])
    model = _model([node], {"x": ["N", 4, 5, 5]}, ["y"], {"w": [4, 7, 2, 2]})
    assert count(model) == 4 * 5 * 5 * 7 * 2 * 2


@pytest.mark.parametrize("transposed", [0, 1])
def test_product_with_bias(transposed: int) -> None:
    node = helper.make_node("Gemm", ["x", "w", "b"], ["y"], transB=transposed)
    shape = [3, 10] if transposed else [10, 3]
    assert count(_model([node], {"x": ["N", 10]}, ["y"], {"w": shape, "b": [3]})) == 30


@given(heads=st.integers(1, 4), rows=st.integers(1, 9), inner=st.integers(1, 9), columns=st.integers(1, 9))
def test_product_in_batches(heads: int, rows: int, inner: int, columns: int) -> None:
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    model = _model([node], {"x": ["N", heads, rows, inner], "w": ["N", heads, inner, columns]}, ["y"], {})
    assert count(model) == heads * rows * inner * columns


def test_recurrence() -> None:
    node = helper.make_node("LSTM", ["x", "w", "r"], ["y"], hidden_size=5)
    model = _model([node], {"x": [6, 1, 4]}, ["y"], {"w": [1, 20, 4], "r": [1, 20, 5]})
    # the first size of a recurrence's input is time, so it cannot be told from a fixed batch: 6 steps, divided by 6
    assert count(model) == 20 * 4 + 20 * 5


def test_recurrence_on_integers_costs_what_it_costs_in_floating_point() -> None:
    quantized = helper.make_node(
        "DynamicQuantizeLSTM", ["x", "w", "r", "", "", "", "", "", "s", "z", "s", "z"], ["y"],
        hidden_size=5, domain="com.microsoft",
    )  # fmt: skip
    after = helper.make_node("MatMul", ["y", "v"], ["o"])  # y is [steps, 1, N, 5]
    weights = {"w": [1, 4, 20], "r": [1, 5, 20], "s": [1], "z": [1], "v": [5, 2]}
    model = _model([quantized, after], {"x": ["T", "N", 4]}, ["o"], weights)
    assert count(model, [{"x": (6, 1, 4)}]) == 6 * (20 * 4 + 20 * 5 + 5 * 2)


def test_where_sizes_are_free_it_is_the_mean_over_what_is_asked() -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["q"]),
        helper.make_node("Transpose", ["x"], ["k"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["q", "k"], ["y"]),
    ]
    model = _model(nodes, {"x": ["N", "T", 64]}, ["y"], {"w": [64, 64]})
    assert count(model) is None
    lengths = (3, 10, 10, 24)
    by_hand = [length * 64 * 64 + length * length * 64 for length in lengths]
    assert count(model, [{"x": (1, length, 64)} for length in lengths], 4) == sum(by_hand) / 4
    # the same eight examples, asked for two at a time
    assert count(model, [{"x": (2, length, 64)} for length in lengths], 8) == sum(by_hand) / 4


def test_pictures_of_any_size() -> None:
    node = helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])
    model = _model([node], {"x": ["N", 4, "H", "W"]}, ["y"], {"w": [6, 4, 3, 3]})
    sizes = [(8, 8), (8, 12), (5, 7)]
    wanted = [6 * height * width * 4 * 9 for height, width in sizes]
    assert count(model, [{"x": (1, 4, *size)} for size in sizes], 3) == sum(wanted) / 3


def test_of_an_input_without_a_rank_what_is_asked_tells_all() -> None:
    model = _conv("N")
    model.graph.input[0].type.tensor_type.ClearField("shape")
    assert count(model) is None
    assert count(model, [{"x": (1, 4, 8, 8)}]) == 6 * 6 * 6 * 4 * 9


def test_what_does_not_multiply_costs_nothing() -> None:
    model = _model([helper.make_node("Relu", ["x"], ["y"])], {"x": ["N", 10]}, ["y"], {})
    assert count(model) == 0


def test_a_cost_that_shapes_do_not_tell_is_not_made_up() -> None:
    einsum = helper.make_node("Einsum", ["x", "w"], ["y"], equation="ni,io->no")
    assert count(_model([einsum], {"x": ["N", 10]}, ["y"], {"w": [10, 3]})) is None
    free = helper.make_node("Conv", ["x", "w"], ["y"])
    assert count(_model([free], {"x": ["N", 4, "H", "W"]}, ["y"], {"w": [6, 4, 3, 3]})) is None


@pytest.mark.parametrize(
    ("operator", "domain", "expected"),
    [
        ("Mystery", "my.ops", None),
        ("Relu", "my.ops", None),
        ("MatMul", "my.ops", None),
        ("LinearRegressor", "ai.onnx.ml", None),
        ("GroupQueryAttention", "com.microsoft", None),
        ("Scaler", "ai.onnx.ml", 30),
        ("FastGelu", "com.microsoft", 30),
    ],
)
def test_what_an_operator_of_another_domain_costs_is_not_made_up(
    operator: str, domain: str, expected: int | None
) -> None:
    product = helper.make_node("MatMul", ["x", "w"], ["h"])
    other = helper.make_node(operator, ["h", "v"][: 2 if operator == "MatMul" else 1], ["y"], domain=domain)
    model = _model([product, other], {"x": ["N", 10]}, ["y"], {"w": [10, 3], "v": [3, 3]})
    model.opset_import.extend([helper.make_opsetid("my.ops", 1), helper.make_opsetid("ai.onnx.ml", 3)])
    assert count(model) == expected


def test_a_branch_is_not_counted_as_taken_once() -> None:
    body = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["z"])], "b", [], [helper.make_tensor_value_info("z", TensorProto.FLOAT, None)]
    )
    condition = helper.make_node("Constant", [], ["c"], value=helper.make_tensor("c", TensorProto.BOOL, [], [True]))
    branch = helper.make_node("If", ["c"], ["y"], then_branch=body, else_branch=body)
    assert count(_model([condition, branch], {"x": ["N", 10]}, ["y"], {})) is None


def test_the_model_is_left_as_it_was() -> None:
    model = _conv("N")
    before = model.SerializeToString()
    count(model)
    assert model.SerializeToString() == before
