"""Techniques on ONNX files whose source nobody has: what lies in the file afterwards, and answers that are those of the
changed weights in plain numpy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from onnx import TensorProto, helper, numpy_helper

from integration.compress.conftest import Told
from integration.tiny_models import save, value
from makeweight.artifact import artifact
from makeweight.artifact.model import Model
from makeweight.compress.baseline import write_baseline
from makeweight.compress.cluster import Cluster
from makeweight.compress.factorize import Factorize
from makeweight.compress.make import make
from makeweight.compress.sparsify import Sparsify
from makeweight.compress.subject import Subject
from makeweight.compress.technique import Given
from makeweight.config.settings import TaskSettings
from makeweight.project import reading
from makeweight.runtimes.format import Format
from makeweight.runtimes.onnxruntime.runtime import OnnxRuntime
from makeweight.runtimes.runtime import RecipeFailed
from makeweight_base.progress import Silent

RUNTIME = OnnxRuntime()
Node = Callable[..., Any]
NODE: Node = helper.make_node


@pytest.fixture
def given(tmp_path: Path) -> Given:
    return Given(
        root=tmp_path,
        task=TaskSettings(kind="classification"),
        ports=(),
        output=None,
        seed=0,
        channel_multiple=16,
        scratch=tmp_path,
        progress=Told(),
        weights=RUNTIME.weights,
    )


def drawn(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def held(model: Model) -> dict[str, Any]:
    return {each.name: numpy_helper.to_array(each) for each in onnx.load(model.path).graph.initializer}


def applied(technique: Any, model: Model, given: Given, **options: Any) -> Model:
    return after(technique, Subject(model), given, **options).source


def after(technique: Any, subject: Subject, given: Given, **options: Any) -> Subject:
    made: Subject = technique.apply(subject, technique.Options(**options).for_graph(), given)
    return made


WORDS, WIDTH = 50, 16


@pytest.fixture
def reader(tmp_path: Path) -> Model:
    """A table, a product, a Gemm whose weight is turned, and the table once more as the weight of the scores."""
    nodes = [
        NODE("Gather", ["words.weight", "tokens"], ["vectors"]),
        NODE("MatMul", ["vectors", "hidden"], ["wide"], name="hidden_product"),
        NODE("ReduceMean", ["wide"], ["mean"], axes=[1], keepdims=0),
        NODE("Gemm", ["mean", "narrow.weight", "narrow.bias"], ["back"], transB=1),
        NODE("Gemm", ["back", "words.weight"], ["scores"], transB=1),
    ]
    weights = {
        "words.weight": drawn(WORDS, WIDTH),
        "hidden": drawn(WIDTH, 24, seed=1),
        "narrow.weight": drawn(WIDTH, 24, seed=2),
        "narrow.bias": drawn(WIDTH, seed=3),
    }
    tokens = value("tokens", ["N", 5], TensorProto.INT64)
    return RUNTIME.read(save(tmp_path / "given.onnx", nodes, [tokens], [value("scores", ["N", WORDS])], weights))


TOKENS = np.random.default_rng(9).integers(0, WORDS, (3, 5))


def read(weights: dict[str, Any]) -> Any:
    mean = (weights["words.weight"][TOKENS] @ weights["hidden"]).mean(1)
    return (mean @ weights["narrow.weight"].T + weights["narrow.bias"]) @ weights["words.weight"].T


def test_the_smallest_weights_of_a_file_are_zero_and_all_others_as_they_were(reader: Model, given: Given) -> None:
    before = held(reader)
    made = applied(Sparsify(), reader, given, sparsity=0.6, exclude=["hidden_*"])
    stored = held(made)
    for name in ("words.weight", "narrow.weight"):
        size = np.abs(before[name])
        zeros = size <= np.sort(size, axis=None)[round(0.6 * size.size) - 1]
        assert np.array_equal(stored[name], np.where(zeros, 0, before[name]))
        assert given.notes["sparsify"]["zeros"][name] == [round(0.6 * size.size), size.size]
    assert np.array_equal(stored["hidden"], before["hidden"])
    assert np.allclose(RUNTIME.open(made).run({"tokens": TOKENS})[0], read(stored), atol=1e-4)
    assert made.inputs == reader.inputs


def test_two_of_four_lie_along_what_each_product_sums_over(tmp_path: Path, given: Given) -> None:
    nodes = [
        NODE("MatMul", ["x", "right"], ["a"]),
        NODE("MatMul", ["left", "a"], ["b"]),
        NODE("Conv", ["c", "conv"], ["d"]),
        NODE("ConvTranspose", ["c", "spread"], ["e"]),
        NODE("LSTM", ["s", "w", "r"], ["f"], hidden_size=4),
        NODE("MatMul", ["x", "odd"], ["g"]),
    ]
    weights = {
        "right": drawn(8, 6), "left": drawn(6, 4), "conv": drawn(6, 4, 3, 3), "spread": drawn(4, 6, 3, 3),
        "w": drawn(1, 16, 8), "r": drawn(1, 16, 4), "odd": drawn(8, 5)[:6],
    }  # fmt: skip
    nodes[5].input[0] = "y"
    inputs = [value("x", [4, 8]), value("y", [4, 6]), value("c", [1, 4, 5, 5]), value("s", [2, 1, 8])]
    outputs = [free(name, rank) for name, rank in zip("bdefg", (2, 4, 4, 4, 2), strict=True)]
    model = RUNTIME.read(save(tmp_path / "given.onnx", nodes, inputs, outputs, weights))
    zeros = {name: each == 0 for name, each in held(applied(Sparsify(), model, given, structure="2:4")).items()}
    axes = {"right": 0, "left": 1, "conv": 1, "spread": 0, "w": 2, "r": 2}
    for name, axis in axes.items():
        fours = np.moveaxis(zeros[name], axis, -1).reshape(-1, 4)
        assert (fours.sum(1) == 2).all(), name
    assert not zeros["odd"].any()
    assert given.notes["sparsify"]["kept"] == ["odd"]


def test_two_of_four_lie_within_a_group_of_a_transposed_convolution(tmp_path: Path, given: Given) -> None:
    def spreading(groups: int) -> Model:
        node = NODE("ConvTranspose", ["x", "w"], ["y"], group=groups)
        return alone(tmp_path, node, {"w": drawn(8, 3, 2, 2)}, [value("x", [1, 8, 5, 5])], 4)

    zeros = held(applied(Sparsify(), spreading(2), given, structure="2:4"))["w"] == 0
    assert (zeros.reshape(2, 4, 3, 2, 2).sum(1) == 2).all()
    with pytest.raises(RecipeFailed, match=r"no layer is known to sum over a multiple of 4 \(w\)"):
        applied(Sparsify(), spreading(4), given, structure="2:4")


def test_a_file_has_sixteen_values_of_each_weight_and_zero_is_one_where_weights_were_zero(
    reader: Model, given: Given, tmp_path: Path
) -> None:
    subject = after(Sparsify(), Subject(reader), given, sparsity=0.5)
    zeros = {name: each == 0 for name, each in held(subject.source).items()}
    shared = held(after(Cluster(), subject, given, bits=4).source)
    for name in ("words.weight", "hidden", "narrow.weight"):
        assert len(np.unique(shared[name])) == given.notes["cluster"]["values"][name] == 16
        assert np.array_equal(shared[name] == 0, zeros[name])
    packed = RUNTIME.lower(RUNTIME.read(tmp_path / "cluster.onnx"), Format(codebook=4), None, tmp_path / "made.onnx")
    stored = list(held(packed).values())
    assert [each.shape for each in stored].count((1, 16)) == 3  # a table each
    assert max(each.nbytes for each in stored if each.dtype == np.uint8) == WORDS * WIDTH / 2
    assert np.allclose(RUNTIME.open(packed).run({"tokens": TOKENS})[0], read(shared), atol=1e-3)


def truncated(matrix: Any, rank: int) -> Any:
    left, values, right = np.linalg.svd(matrix.astype(np.float64), full_matrices=False)
    return (left[..., :rank] * values[..., None, :rank]) @ right[..., :rank, :]


def free(name: str, rank: int) -> Any:
    return value(name, [None] * rank)


def alone(tmp_path: Path, node: Any, weights: dict[str, Any], inputs: Any, rank: int) -> Model:
    """A model of one node."""
    outputs = [free(next(name for name in node.output if name), rank)]
    return RUNTIME.read(save(tmp_path / "given.onnx", [node], inputs, outputs, weights))


X = drawn(3, 30, seed=4)
PRODUCTS: dict[str, tuple[Any, dict[str, Any], Any, Callable[[Any, Any], Any]]] = {
    "MatMul": (NODE("MatMul", ["x", "w"], ["y"]), {"w": drawn(30, 20)}, X, lambda x, w: x @ w),
    "MatMul from the left": (
        NODE("MatMul", ["w", "x"], ["y"]), {"w": drawn(20, 30)}, drawn(2, 30, 7), lambda x, w: w @ x,
    ),
    "Gemm": (
        NODE("Gemm", ["x", "w", "b"], ["y"], alpha=0.5, beta=3.0),
        {"w": drawn(30, 20), "b": drawn(20, seed=5)},
        X,
        lambda x, w: x @ w / 2 + 3 * drawn(20, seed=5),
    ),
    "Gemm, both turned": (
        NODE("Gemm", ["x", "w"], ["y"], transA=1, transB=1), {"w": drawn(20, 30)}, X.T.copy(), lambda x, w: x.T @ w.T,
    ),
    "Gather": (NODE("Gather", ["w", "x"], ["y"]), {"w": drawn(40, 20)}, TOKENS % 40, lambda x, w: w[x]),
}  # fmt: skip


@pytest.mark.parametrize("kind", PRODUCTS)
def test_a_product_of_two_thin_factors_answers_as_the_nearest_matrix_of_their_rank(
    kind: str, tmp_path: Path, given: Given
) -> None:
    node, weights, fed, answer = PRODUCTS[kind]
    whole = TensorProto.INT64 if fed.dtype.kind == "i" else TensorProto.FLOAT
    inputs = [value("x", list(fed.shape), whole)]
    model = alone(tmp_path, node, weights, inputs, answer(fed, weights["w"]).ndim)
    made = applied(Factorize(), model, given, rank=6)
    near = truncated(weights["w"], 6)
    assert np.allclose(RUNTIME.open(made).run({"x": fed})[0], answer(fed, near), atol=1e-3)
    stored = held(made)
    assert {tuple(sorted(each.shape)) for each in stored.values() if each.ndim == 2} == {
        (6, size) for size in weights["w"].shape
    }
    (error,) = given.notes["factorize"]["errors"].values()
    assert error == pytest.approx(np.linalg.norm(near - weights["w"]) / np.linalg.norm(weights["w"]))
    numbers = sum(each.size for each in stored.values() if each.ndim == 2)
    assert given.notes["factorize"]["parameters"] == [weights["w"].size, numbers]


def gathered(image: Any, weight: Any, stride: tuple[int, int], pads: tuple[int, int], groups: int) -> Any:
    padded = np.pad(image, [(0, 0), (0, 0), (pads[0], pads[0]), (pads[1], pads[1])])
    windows = sliding_window_view(padded, weight.shape[2:], (2, 3))[:, :, :: stride[0], :: stride[1]]
    parts = np.split(windows, groups, 1), np.split(weight, groups)
    return np.concatenate([np.einsum("nihwab,oiab->nohw", *each) for each in zip(*parts, strict=True)], 1)


def spread(image: Any, weight: Any, stride: tuple[int, int], groups: int) -> Any:
    examples, _, height, width = image.shape
    outputs, *kernel = weight.shape[1:]
    sizes = [(size - 1) * step + wide for size, step, wide in zip((height, width), stride, kernel, strict=True)]
    answer = np.zeros((examples, groups, outputs, *sizes))
    images, weights = (np.split(each, groups, axis) for each, axis in ((image, 1), (weight, 0)))
    for group in range(groups):
        for row, column in np.ndindex(height, width):
            at = np.s_[row * stride[0] :, column * stride[1] :][0:2]
            places = answer[:, group, :, at[0], at[1]][..., : kernel[0], : kernel[1]]
            places += np.einsum("ni,ioab->noab", images[group][:, :, row, column], weights[group])
    return answer.reshape(examples, groups * outputs, *sizes)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("kind", ["Conv", "ConvTranspose"])
def test_a_column_and_a_row_answer_as_the_nearest_kernel_of_their_rank(
    kind: str, groups: int, tmp_path: Path, given: Given
) -> None:
    """Of a convolution, columns along the inputs and rows along the outputs; where it is transposed, the other way."""
    inputs, outputs = 12, 16
    image, stride = drawn(2, inputs, 9, 8, seed=6), (2, 3)
    transposed = kind == "ConvTranspose"
    shape = (inputs, outputs // groups, 3, 4) if transposed else (outputs, inputs // groups, 3, 4)
    weight, bias = drawn(*shape), drawn(outputs, seed=7)
    settings: dict[str, Any] = {} if transposed else {"pads": [1, 2, 1, 2]}
    node = NODE(kind, ["x", "w", "b"], ["y"], strides=stride, group=groups, **settings)
    model = alone(tmp_path, node, {"w": weight, "b": bias}, [value("x", list(image.shape))], 4)
    made = applied(Factorize(), model, given, rank=5, convolutions="spatial")
    # both kinds of kernel: [groups, first, second, height, width] as matrices [first x height, second x width], or, of
    # a convolution, [outputs x width, inputs x height]
    parts = weight.reshape(groups, -1, *weight.shape[1:])
    order = (0, 1, 4, 2, 3)
    turned = parts.transpose(order)
    sizes = turned.shape
    near = truncated(turned.reshape(groups, sizes[1] * sizes[2], -1), 5).reshape(sizes)
    near = near.transpose(np.argsort(order)).reshape(shape)
    wanted = spread(image, near, stride, groups) if transposed else gathered(image, near, stride, (1, 2), groups)
    assert np.allclose(RUNTIME.open(made).run({"x": image})[0], wanted + bias[:, None, None], atol=1e-3)
    kernels = {each.shape[2:] for each in held(made).values() if each.ndim == 4}
    assert kernels == {(3, 1), (1, 4)}


def test_channels_within_a_convolution_are_fewer_and_what_they_were_is_answered(tmp_path: Path, given: Given) -> None:
    """A kernel that has the rank: nothing may be lost."""
    core = np.einsum("op,pqab,iq->oiab", drawn(24, 5), drawn(5, 4, 3, 3), drawn(20, 4)).astype(np.float32)
    image = drawn(2, 20, 9, 8, seed=6)
    node = NODE("Conv", ["x", "w"], ["y"], strides=[2, 1], pads=[1, 0, 1, 0], name="stem")
    model = alone(tmp_path, node, {"w": core}, [value("x", ["N", 20, "H", "W"])], 4)
    made = applied(Factorize(), model, given, rank=5)
    assert np.allclose(RUNTIME.open(made).run({"x": image})[0], gathered(image, core, (2, 1), (1, 0), 1), atol=1e-2)
    assert [each.shape for each in held(made).values()] == [(5, 20, 1, 1), (5, 5, 3, 3), (24, 5, 1, 1)]
    assert given.notes["factorize"]["errors"]["stem"] < 1e-6


def test_what_a_recurrence_multiplies_its_inputs_with_gets_thinner(tmp_path: Path, given: Given) -> None:
    hidden, size = 6, 40
    wide, back = drawn(2, 3 * hidden, size) / 8, drawn(2, 3 * hidden, hidden, seed=1) / 4
    node = NODE("GRU", ["x", "w", "r"], ["", "y"], hidden_size=hidden, direction="bidirectional", linear_before_reset=1)
    model = alone(tmp_path, node, {"w": wide, "r": back}, [value("x", [7, 3, size])], 3)
    made = applied(Factorize(), model, given, rank=4)
    near = truncated(wide.reshape(-1, size), 4).reshape(wide.shape)
    sound = drawn(7, 3, size, seed=2)
    wanted = []
    for way in (0, 1):
        state = np.zeros((3, hidden))
        for step in sound[:: 1 - 2 * way]:
            z, r, n = np.split(step @ near[way].T, 3, 1)
            of_z, of_r, of_n = np.split(state @ back[way].T, 3, 1)
            update, reset = (1 / (1 + np.exp(-each)) for each in (z + of_z, r + of_r))
            state = (1 - update) * np.tanh(n + reset * of_n) + update * state
        wanted.append(state)
    assert np.allclose(RUNTIME.open(made).run({"x": sound})[0], wanted, atol=1e-4)
    assert held(made)["w/2"].shape == (2, 3 * hidden, 4)
    assert np.array_equal(held(made)["r"], back)


def test_layers_that_cannot_are_named_and_stay(reader: Model, given: Given, tmp_path: Path) -> None:
    applied(Factorize(), reader, given, rank=4)
    note = given.notes["factorize"]
    assert note["ranks"] == {"hidden_product": [[16], [4]], "narrow": [[16], [4]]}
    assert note["kept"] == {
        "words": "its weight `words.weight` is read by something else too",
        "Gemm_4": "its weight `words.weight` is read by something else too",
    }
    branch = helper.make_graph([NODE("MatMul", ["x", "w"], ["t"])], "branch", [], [free("t", 2)])
    nodes = [
        NODE("If", ["yes"], ["a"], name="choice", then_branch=branch, else_branch=branch),
        NODE("Transpose", ["v"], ["turned"], perm=[1, 0]),
        NODE("MatMul", ["a", "turned"], ["b"], name="behind"),
        NODE("Einsum", ["b", "e"], ["c"], name="sum", equation="ij,jk->ik"),
        NODE("Constant", [], ["k"], value=numpy_helper.from_array(drawn(8, 20))),
        NODE("MatMul", ["c", "k"], ["y"], name="last"),
    ]
    weights = {"w": drawn(8, 8), "v": drawn(8, 8), "e": drawn(8, 8)}
    inputs = [value("x", [3, 8]), value("yes", [], TensorProto.BOOL)]
    model = RUNTIME.read(save(tmp_path / "odd.onnx", nodes, inputs, [value("y", [3, 20])], weights))
    applied(Factorize(), model, given, rank=2)
    assert given.notes["factorize"]["ranks"] == {"last": [[8], [2]]}
    assert given.notes["factorize"]["kept"] == {
        "behind": "its weight is computed in the graph, or is on integers already",
        "sum": "which of its constants are weights is not known of Einsum",
        "choice/MatMul": "it stands within the If `choice`",
    }


def test_half_precision_stays_and_weights_outside_come_into_the_one_file(tmp_path: Path, given: Given) -> None:
    nodes = [NODE("MatMul", ["x", "w"], ["y"])]
    half = TensorProto.FLOAT16
    weights = {"w": drawn(30, 20).astype(np.float16)}
    path = save(tmp_path / "one.onnx", nodes, [value("x", [3, 30], half)], [value("y", [3, 20], half)], weights)
    onnx.save(
        onnx.load(path), tmp_path / "split.onnx", save_as_external_data=True, location="split.bin", size_threshold=0
    )
    model = RUNTIME.read(tmp_path / "split.onnx")
    assert len(model.files) == 2
    made = applied(Factorize(), model, given, rank=5)
    assert len(made.files) == 1
    assert [(each.shape, each.dtype) for each in held(made).values()] == [((30, 5), np.float16), ((5, 20), np.float16)]
    wanted = X @ truncated(weights["w"], 5)
    assert np.allclose(RUNTIME.open(made).run({"x": X.astype(np.float16)})[0], wanted, atol=0.05)
    shared = held(applied(Cluster(), model, given, bits=3))["w"]
    assert (shared.dtype, len(np.unique(shared))) == (np.float16, 8)
    assert np.array_equal(held(model)["w"], weights["w"])


@pytest.mark.parametrize("technique", [Sparsify, Cluster, Factorize], ids=lambda each: each.name)
def test_what_is_no_number_and_what_the_graph_has_not_is_refused(
    technique: Any, reader: Model, given: Given, tmp_path: Path
) -> None:
    options = {"sparsify": {"sparsity": 0.5}, "cluster": {}, "factorize": {"rank": 4}}[technique.name]
    with pytest.raises(RecipeFailed, match=r"in `exclude`, `head` fits no layer; there are .*narrow"):
        applied(technique(), reader, given, exclude=["head"], **options)
    broken = onnx.load(reader.path)
    weight = held(reader)["narrow.weight"].copy()
    weight[0, 0] = np.nan
    broken.graph.initializer[2].CopyFrom(numpy_helper.from_array(weight, "narrow.weight"))
    onnx.save(broken, tmp_path / "broken.onnx")
    with pytest.raises(RecipeFailed, match=r"narrow.* holds NaN or infinity"):
        applied(technique(), RUNTIME.read(tmp_path / "broken.onnx"), given, **options)
    bare = alone(tmp_path, NODE("Relu", ["x"], ["y"]), {}, [value("x", [3, 8])], 2)
    with pytest.raises(RecipeFailed, match="changed nothing"):
        applied(technique(), bare, given, **options)


CONFIG = """\
name: file
model: {onnx: model.onnx}
data: {npz: {test: test.npz, calibration: test.npz}}
task: classification
variants:
  small: {steps: [{factorize: {ratio: 0.25, round_to: 4}}, {sparsify: {sparsity: 0.5}}, cluster, quantize]}
devices: {here: {kind: local}}
budget: {size: {max: 1 MB}}
"""


def test_a_recipe_on_a_file_ends_in_integers_and_needs_no_module(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    weights = {"a": drawn(64, 96) / 8, "b": drawn(96, 96) / 9, "c": drawn(96, 3) / 9}
    nodes = [
        NODE("MatMul", ["x", "a"], ["p"]), NODE("Relu", ["p"], ["q"]), NODE("MatMul", ["q", "b"], ["r"]),
        NODE("Relu", ["r"], ["s"]), NODE("MatMul", ["s", "c"], ["scores"]),
    ]  # fmt: skip
    save(tmp_path / "model.onnx", nodes, [value("x", ["N", 64])], [value("scores", ["N", 3])], weights)
    fed = rng.normal(size=(40, 64)).astype(np.float32)
    np.savez(tmp_path / "test.npz", x=fed, target=np.arange(40) % 3)
    (tmp_path / "makeweight.yaml").write_text(CONFIG)
    project = reading.load(tmp_path)
    folders = [tmp_path / name for name in ("baseline", "small")]
    for folder in folders:
        folder.mkdir()
    baseline = write_baseline(project.declared, folders[0], Silent())
    artifact.write(folders[0], baseline)
    made = make(project.variants["small"], project.declared, artifact.read(folders[0]), folders[1], Silent())
    assert made.status == "ready", made.reason
    assert made.notes["factorize"]["ranks"] == {"MatMul_0": [[64], [16]], "MatMul_2": [[96], [24]]}
    # the others are too small for a table to pay
    assert made.notes["quantize"]["codebooks"]["weights"] == ["a/1_quantized", "b/1_quantized"]
    assert (made.quantized, made.floating, made.trained) == (5, 0, False)
    assert made.size < baseline.size / 5
    assert made.recipe[1]["sparsify"]["epochs"] == 0
    assert "torch" not in made.versions
