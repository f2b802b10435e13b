"""Small ONNX models written node by node, as somebody else's tool might write them."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FEATURES, CLASSES = 8, 3


def save(
    path: Path, nodes: list[Any], inputs: list[Any], outputs: list[Any], weights: dict[str, np.ndarray] | None = None
) -> Path:
    stored = [numpy_helper.from_array(values, name) for name, values in (weights or {}).items()]
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def value(name: str, shape: list[Any], kind: int = TensorProto.FLOAT) -> Any:
    return helper.make_tensor_value_info(name, kind, shape)


def dense(
    path: Path, *, depth: int = 2, width: int = 16, batch: int | str = "N", outputs: int = CLASSES, name: str = "x"
) -> Path:
    """A perceptron: `depth` hidden layers of `width`, weights drawn with a fixed seed."""
    rng = np.random.default_rng(5)
    sizes = [FEATURES, *[width] * depth, outputs]
    nodes, weights, last = [], {}, name
    for i, (rows, columns) in enumerate(itertools.pairwise(sizes)):
        weights[f"w{i}"] = (rng.standard_normal((rows, columns)) / np.sqrt(rows)).astype(np.float32)
        end = i == depth
        nodes.append(helper.make_node("MatMul", [last, f"w{i}"], ["scores" if end else f"m{i}"]))
        if not end:
            nodes.append(helper.make_node("Relu", [f"m{i}"], [f"r{i}"]))
        last = f"r{i}"
    return save(path, nodes, [value(name, [batch, FEATURES])], [value("scores", [batch, outputs])], weights)


def rankless(path: Path) -> Path:
    """The same, and nothing says which shape its input has: ONNX Runtime takes that, and ONNX's checker does not."""
    model = onnx.load(dense(path))
    model.graph.input[0].type.tensor_type.ClearField("shape")
    onnx.save(model, path)
    return path


def drawn(path: Path) -> Path:
    """Scores with random numbers added, as a model has them that samples, or was exported while it trains."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["m"]),
        helper.make_node("RandomNormalLike", ["m"], ["noise"]),
        helper.make_node("Add", ["m", "noise"], ["scores"]),
    ]
    weights = {"w": np.ones((FEATURES, CLASSES), np.float32)}
    return save(path, nodes, [value("x", ["N", FEATURES])], [value("scores", ["N", CLASSES])], weights)


def held(path: Path, weight: Any) -> Path:
    """Gives its own weight."""
    out = value("out", list(weight.shape), helper.np_dtype_to_tensor_dtype(weight.dtype))
    return save(path, [helper.make_node("Identity", ["w"], ["out"])], [], [out], {"w": weight})


def embedding(path: Path, *, words: int = 20) -> Path:
    """Integers in: the mean of their vectors, as scores."""
    table = np.random.default_rng(6).standard_normal((words, CLASSES)).astype(np.float32)
    nodes = [
        helper.make_node("Gather", ["table", "tokens"], ["vectors"]),
        helper.make_node("ReduceMean", ["vectors"], ["scores"], axes=[1], keepdims=0),
    ]
    tokens = value("tokens", ["N", 5], TensorProto.INT64)
    return save(path, nodes, [tokens], [value("scores", ["N", CLASSES])], {"table": table})


def speech(path: Path) -> Path:
    """Three inputs of which only the first begins with the batch, as voice detectors have them."""
    nodes = [
        helper.make_node("Cast", ["rate"], ["rate_float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["state"], ["sum"], keepdims=0),
        helper.make_node("Add", ["sum", "rate_float"], ["shift"]),
        helper.make_node("Add", ["sound", "shift"], ["y"]),
    ]
    inputs = [value("sound", ["N", 16]), value("state", [2, "N", 4]), value("rate", [], TensorProto.INT64)]
    return save(path, nodes, inputs, [value("y", ["N", 16])])


def voice(path: Path) -> Path:
    """As voice detectors are: sound of any length, a state whose batch stands second, one sampling rate for all, and a
    branch that looks at it. The score is the mean of |sound| (of 2 |sound| at another rate than 16000) through a layer
    of one weight, 3, plus the state's sum."""
    then = helper.make_graph([helper.make_node("Identity", ["loud"], ["a"])], "at_16000", [], [value("a", None)])
    other = helper.make_graph([helper.make_node("Add", ["loud", "loud"], ["b"])], "at_8000", [], [value("b", None)])
    nodes = [
        helper.make_node("Abs", ["sound"], ["loud"]),
        helper.make_node("Equal", ["sr", "wideband"], ["is_wide"]),
        helper.make_node("If", ["is_wide"], ["chosen"], then_branch=then, else_branch=other),
        helper.make_node("ReduceMean", ["chosen"], ["mean"], axes=[1], keepdims=1),
        helper.make_node("MatMul", ["mean", "weight"], ["scaled"]),
        helper.make_node("ReduceSum", ["state", "axes"], ["sums"], keepdims=0),
        helper.make_node("Unsqueeze", ["sums", "one"], ["held"]),
        helper.make_node("Add", ["scaled", "held"], ["speech"]),
        helper.make_node("Add", ["state", "unit"], ["stateN"]),
    ]
    inputs = [value("sound", [None, None]), value("state", [2, None, 4]), value("sr", [], TensorProto.INT64)]
    weights = {
        "wideband": np.array(16000),
        "weight": np.array([[3.0]], np.float32),
        "axes": np.array([0, 2]),
        "one": np.array([1]),
        "unit": np.array(1, np.float32),
    }
    return save(path, nodes, inputs, [value("speech", [None, 1]), value("stateN", [2, None, 4])], weights)


def parts(path: Path) -> Path:
    """Scores, and beside them the same cut into a list of tensors of unlike shapes."""
    weights = np.random.default_rng(8).standard_normal((FEATURES, CLASSES)).astype(np.float32)
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["scores"]),
        helper.make_node("SplitToSequence", ["scores", "sizes"], ["parts"], axis=1),
    ]
    listed = helper.make_tensor_sequence_value_info("parts", TensorProto.FLOAT, None)
    stored = {"w": weights, "sizes": np.array([1, CLASSES - 1])}
    return save(path, nodes, [value("x", ["N", FEATURES])], [value("scores", ["N", CLASSES]), listed], stored)


def unknown_operator(path: Path) -> Path:
    node = helper.make_node("FlashFusion", ["x"], ["y"], domain="com.example")
    graph = helper.make_graph([node], "tiny", [value("x", ["N", 4])], [value("y", ["N", 4])])
    sets = [helper.make_opsetid("", 17), helper.make_opsetid("com.example", 1)]
    onnx.save(helper.make_model(graph, opset_imports=sets, ir_version=8), path)
    return path


def zipped(path: Path, labels: list[Any] | None = None, *, inside: bool = False) -> Path:
    """A classifier as scikit-learn's are exported: the class, and probabilities as a list of dictionaries.

    Args:
        labels: of the columns.
        inside: the model goes on with the list of dictionaries.
    """
    labels = labels or list(range(CLASSES))
    kind = {"classlabels_strings": labels} if isinstance(labels[0], str) else {"classlabels_int64s": labels}
    rng = np.random.default_rng(7)
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["m"]),
        helper.make_node("Softmax", ["m"], ["probabilities"], axis=1),
        helper.make_node("ArgMax", ["probabilities"], ["column"], axis=1, keepdims=0),
        helper.make_node("Gather", ["labels", "column"], ["output_label"]),
        helper.make_node("ZipMap", ["probabilities"], ["output_probability"], domain="ai.onnx.ml", **kind),
    ]
    entry = helper.make_map_type_proto(
        TensorProto.STRING if "classlabels_strings" in kind else TensorProto.INT64,
        helper.make_tensor_type_proto(TensorProto.FLOAT, []),
    )
    listed = helper.make_value_info("output_probability", helper.make_sequence_type_proto(entry))
    if inside:
        nodes.append(helper.make_node("SequenceLength", ["output_probability"], ["count"]))
    numbers = np.array(labels if "classlabels_int64s" in kind else range(len(labels)), np.int64)
    weights = [
        numpy_helper.from_array(rng.standard_normal((FEATURES, len(labels))).astype(np.float32), "w"),
        numpy_helper.from_array(numbers, "labels"),
    ]
    outputs = [value("output_label", ["N"], TensorProto.INT64), listed]
    graph = helper.make_graph(nodes, "tiny", [value("x", ["N", FEATURES])], outputs, weights)
    sets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    onnx.save(helper.make_model(graph, opset_imports=sets, ir_version=8), path)
    return path
