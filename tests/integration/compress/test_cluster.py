"""Weights that share few values: after training still, and in the file as a table and indices."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import nn

from integration.compress.conftest import fresh
from integration.tiny_models import save, value
from makeweight.compress.cluster import Cluster, ClusterOptions
from makeweight.compress.finetune import Finetune
from makeweight.compress.reproducible import reproducible
from makeweight.compress.subject import Subject
from makeweight.compress.training_options import TrainingOptions
from makeweight.runtimes.format import Format
from makeweight.runtimes.onnxruntime import codebooks
from makeweight.runtimes.onnxruntime.runtime import OnnxRuntime
from makeweight.runtimes.runtime import Program, RecipeFailed


@pytest.fixture
def given(make_project: Any, make_given: Any) -> Any:
    return make_given(make_project())


def _clustered(module: Any, given: Any, **options: Any) -> Subject:
    return Cluster().apply(Subject(module), ClusterOptions(**options), given)


def test_training_moves_the_values_and_each_weight_keeps_its_own(given: Any) -> None:
    subject = _clustered(fresh(given), given, exclude=["11"])
    module, ties = subject.source, subject.left["cluster"]
    before = {name: module.get_parameter(name).detach().clone() for name in ties.indices}  # type: ignore[attr-defined]
    assert set(before) == {"0.weight", "3.weight", "6.weight"}
    with reproducible(0):
        Finetune().apply(subject, TrainingOptions(epochs=2, lr=0.01), given)
    for name, was in before.items():
        weight = module.get_parameter(name).detach()
        assert len(weight.unique()) <= len(was.unique()) <= 16
        assert not torch.equal(weight, was)
        for shared in was.unique():
            assert len(weight[was == shared].unique()) == 1
    assert len(module[11].weight.unique()) == module[11].weight.numel()
    assert given.notes["cluster"]["values"] == dict.fromkeys(before, 16)
    assert all(0 < error < 0.3 for error in given.notes["cluster"]["errors"].values())


def test_the_gradient_of_a_value_is_the_sum_over_its_weights(given: Any) -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(36, 3))
    plain = nn.Sequential(nn.Flatten(), nn.Linear(36, 3))
    _clustered(module, given, bits=2)
    plain.load_state_dict(module.state_dict())
    images = torch.from_numpy(given.splits["validation"].source.inputs["image"][:7])
    for each in (module, plain):
        each(images).square().sum().backward()
    weight = module[1].weight.detach().numpy()
    gradients, summed = plain[1].weight.grad.numpy(), module[1].weight.grad.numpy()
    for shared in np.unique(weight):
        assert np.allclose(summed[weight == shared], gradients[weight == shared].sum(), rtol=1e-4)
    assert module[1].bias.grad.allclose(plain[1].bias.grad)


def test_where_nothing_pays_it_is_refused(given: Any) -> None:
    with pytest.raises(RecipeFailed, match="cluster changed nothing: no layer has more than 512 weights; lower `bits`"):
        _clustered(nn.Sequential(nn.Flatten(), nn.Linear(36, 3)), given, bits=8)
    with pytest.raises(RecipeFailed, match="in `exclude`, `stem` fits no layer; there are"):
        _clustered(fresh(given), given, exclude=["stem"])


@pytest.mark.parametrize(("bits", "bytes_per_weight"), [(4, 0.5), (6, 1.0)])
def test_the_file_holds_indices_and_a_table_and_answers_the_same(
    given: Any, tmp_path: Any, bits: int, bytes_per_weight: float
) -> None:
    """Normalizations are folded into the weights, so that each channel has a table of its own."""
    module = fresh(given).eval()
    module[1].weight.data.uniform_(0.5, 2)
    module[4].weight.data.uniform_(0.5, 2)
    module[7].weight.data.uniform_(0.5, 2)
    _clustered(module, given, bits=bits, exclude=["11"])
    images = given.splits["validation"].source.inputs["image"][:4]
    runtime, program = OnnxRuntime(), Program(module, {"image": ("N", 1, 6, 6)}, {"image": images})
    notes: dict[str, Any] = {}
    made = runtime.lower(program, Format(codebook=bits), None, tmp_path / "model.onnx", notes)
    with torch.no_grad():
        wanted = module(torch.from_numpy(images)).numpy()
    assert np.allclose(runtime.open(made).run({"image": images})[0], wanted, atol=1e-4)
    assert notes["codebooks"]["bytes"][1] == made.size < notes["codebooks"]["bytes"][0] / 2
    stored = {each.name: numpy_helper.to_array(each) for each in onnx.load(made.path).graph.initializer}
    assert len(notes["codebooks"]["weights"]) == 2
    for name in notes["codebooks"]["weights"]:
        assert stored[f"{name}/table"].shape[-1] <= 2**bits
        assert stored[f"{name}/indices"].dtype == np.uint8
        count = 48 * 32 * 9  # of both the weights
        assert stored[f"{name}/indices"].size == count * bytes_per_weight
    # what is looked up is looked up once, when the session is opened
    assert "GatherElements" not in runtime.inspect(made).operators


@pytest.mark.parametrize("kind", [np.float32, np.float16, np.int8])
@pytest.mark.parametrize("way", ["alike", "by row", "by column"])
def test_weights_of_any_kind_come_out_as_they_went_in(tmp_path: Any, kind: Any, way: str) -> None:
    rng = np.random.default_rng(1)
    weight = rng.permutation(np.arange(-8, 8))[rng.integers(0, 16, (60, 80))]
    if way != "alike":
        scales = rng.integers(1, 7, 60 if way == "by row" else 80)
        weight = weight * (scales[:, None] if way == "by row" else scales[None])
    weight = weight.astype(kind)
    path, shape = tmp_path / "held.onnx", [60, 80]
    elements = onnx.helper.np_dtype_to_tensor_dtype(weight.dtype)
    held = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["w"], ["out"])],
        "held",
        [],
        [onnx.helper.make_tensor_value_info("out", elements, shape)],
        [numpy_helper.from_array(weight, "w")],
    )
    onnx.save(onnx.helper.make_model(held, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8), path)
    told = codebooks.pack(path, 4)
    onnx.checker.check_model(onnx.load(path))
    assert told["weights"] == ["w"]
    assert told["bytes"][1] < told["bytes"][0]
    runtime = OnnxRuntime()
    assert np.array_equal(runtime.open(runtime.read(path)).run({})[0], weight)


def test_tables_that_take_what_is_won_are_none(tmp_path: Any) -> None:
    weight = np.random.default_rng(0).standard_normal((32, 64)).astype(np.float32)  # each row has values of its own
    path = tmp_path / "held.onnx"
    save(
        path,
        [onnx.helper.make_node("MatMul", ["x", "w"], ["y"])],
        [value("x", [1, 32])],
        [value("y", [1, 64])],
        {"w": weight},
    )
    before = path.read_bytes()
    with pytest.raises(RecipeFailed, match="no weight gets smaller as indices of 6 bits"):
        codebooks.pack(path, 6)
    assert path.read_bytes() == before
