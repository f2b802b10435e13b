"""Weights that share few values: after training still, and in the file as a table and indices."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import nn

from integration.compress.conftest import fresh
from integration.tiny_models import held, save, value
from makeweight.compress.cluster import Cluster, ClusterOptions
from makeweight.compress.finetune import Finetune
from makeweight.compress.reproducible import reproducible
from makeweight.compress.sharing import Ties
from makeweight.compress.subject import Subject
from makeweight.compress.training_options import TrainingOptions
from makeweight.runtimes.format import Format
from makeweight.runtimes.onnxruntime import codebooks
from makeweight.runtimes.onnxruntime.runtime import OnnxRuntime
from makeweight.runtimes.runtime import RecipeFailed


@pytest.fixture
def given(make_project: Any, make_given: Any) -> Any:
    return make_given(make_project())


def _clustered(module: Any, given: Any, **options: Any) -> Subject:
    return Cluster().apply(Subject(module), ClusterOptions(**options), given)


def test_training_moves_the_values_and_each_weight_keeps_its_own(given: Any) -> None:
    layers = nn.Linear(36, 24), nn.ReLU(), nn.Linear(24, 3)
    subject = _clustered(nn.Sequential(nn.Flatten(), *layers), given, exclude=["3"])
    module, ties = subject.source, subject.left["cluster"]
    before = module[1].weight.detach().clone()
    assert list(ties.clusters) == ["1.weight"]  # type: ignore[attr-defined]
    with reproducible(0):
        Finetune().apply(subject, TrainingOptions(epochs=2, lr=0.01), given)
    after = module[1].weight.detach()
    assert len(after.unique()) == len(before.unique()) == 16
    assert not torch.equal(after, before)
    assert all(len(after[before == shared].unique()) == 1 for shared in before.unique())
    assert len(module[3].weight.unique()) == module[3].weight.numel()
    assert given.notes["cluster"]["values"] == {"1.weight": 16}
    assert 0 < given.notes["cluster"]["errors"]["1.weight"] < 0.3


def test_a_training_that_moves_weights_apart_is_put_right(given: Any) -> None:
    subject = _clustered(nn.Sequential(nn.Flatten(), nn.Linear(36, 3)), given, bits=2)
    module, ties = subject.source, subject.left["cluster"]
    before, moved = module[1].weight.detach().numpy().copy(), np.random.default_rng(0).normal(size=(3, 36))
    with torch.no_grad():
        module[1].weight.copy_(torch.from_numpy(moved))
    ties.after_step(module)
    for shared in np.unique(before):
        assert np.allclose(module[1].weight.detach().numpy()[before == shared], moved[before == shared].mean())


def test_values_that_learn_in_place_of_weights_move_as_these_would(given: Any) -> None:
    images = torch.from_numpy(given.splits["validation"].source.inputs["image"])
    ends = []
    for standing in (False, True):
        torch.manual_seed(0)
        subject = _clustered(nn.Sequential(nn.Flatten(), nn.Linear(36, 30)), given, bits=2)
        module, ties = subject.source, subject.left["cluster"]
        assert isinstance(ties, Ties)
        module.train()
        with ties.standing_in(module) if standing else nullcontext([]) as values:
            assert [tuple(each.shape) for each in values] == [(4,)] * standing
            optimizer = torch.optim.AdamW([*module.parameters(), *values], 0.01)
            for number in range(5):
                optimizer.zero_grad()
                module(images[number : number + 9]).square().mean().backward()
                optimizer.step()
                ties.after_step(module)
        ends.append(module[1].weight.detach())
        assert len(ends[-1].unique()) == 4
    assert torch.allclose(*ends, rtol=1e-5)
    # afterwards weights have their own gradients again
    module(images).sum().backward()
    assert len(module[1].weight.grad.unique()) <= 4


def test_one_weight_that_moved_is_put_right_once_training_is_over(given: Any) -> None:
    subject = _clustered(nn.Sequential(nn.Flatten(), nn.Linear(36, 30)), given, bits=2)
    module, ties = subject.source, subject.left["cluster"]
    for training in (True, False):
        module.train(training)
        with torch.no_grad():
            for row in range(30):
                module[1].weight[row, row] += 1
        ties.after_step(module)
    assert len(module[1].weight.unique()) == 4


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
    endless = fresh(given)
    with torch.no_grad():
        endless[3].weight[0, 0] = np.inf
    with pytest.raises(RecipeFailed, match=r"cluster: 3\.weight holds NaN or infinity"):
        _clustered(endless, given)
    with pytest.raises(RecipeFailed, match="in `exclude`, `stem` fits no layer; there are"):
        _clustered(fresh(given), given, exclude=["stem"])


@pytest.mark.parametrize(("bits", "bytes_per_weight"), [(4, 0.5), (6, 1.0)])
def test_the_file_holds_indices_and_a_table_and_answers_the_same(
    tmp_path: Any, bits: int, bytes_per_weight: float
) -> None:
    """A convolution whose 16 values were scaled in each channel, as by a normalization that was folded into it."""
    rng = np.random.default_rng(0)
    weight = rng.normal(size=16)[rng.integers(0, 16, (48, 32, 3, 3))] * rng.uniform(0.5, 2, (48, 1, 1, 1))
    weights = {"w": weight.astype(np.float32), "b": rng.normal(size=48).astype(np.float32)}
    node = onnx.helper.make_node("Conv", ["x", "w", "b"], ["y"])
    plain = save(tmp_path / "plain.onnx", [node], [value("x", ["N", 32, 5, 5])], [value("y", ["N", 48, 3, 3])], weights)
    runtime, notes = OnnxRuntime(), dict[str, Any]()
    source = runtime.read(plain)
    made = runtime.lower(source, Format(codebook=bits), None, tmp_path / "made.onnx", notes)
    assert notes["codebooks"] == {"weights": ["w"], "bytes": [source.size, made.size]}
    assert made.size < source.size / 2
    stored = [numpy_helper.to_array(each) for each in onnx.load(made.path).graph.initializer]
    assert (48, 16) in [each.shape for each in stored]
    assert [each.size for each in stored if each.dtype == np.uint8] == [weight.size * bytes_per_weight]
    image = rng.normal(size=(2, 32, 5, 5)).astype(np.float32)
    assert np.array_equal(runtime.open(made).run({"x": image})[0], runtime.open(source).run({"x": image})[0])
    # what is looked up is looked up once, when the session is opened
    assert "GatherElements" not in runtime.inspect(made).operators
    assert runtime.inspect(made).macs == runtime.inspect(source).macs == 48 * 32 * 9 * 9


@pytest.mark.parametrize("kind", [np.float32, np.float16, np.int8])
@pytest.mark.parametrize("way", ["alike", "by row", "by column"])
def test_weights_of_any_kind_come_out_as_they_went_in(tmp_path: Any, kind: Any, way: str) -> None:
    rng = np.random.default_rng(1)
    weight = rng.permutation(np.arange(-8, 8))[rng.integers(0, 16, (60, 80))]
    if way != "alike":
        scales = rng.integers(1, 7, 60 if way == "by row" else 80)
        weight = weight * (scales[:, None] if way == "by row" else scales[None])
    weight = weight.astype(kind)
    path = held(tmp_path / "held.onnx", weight)
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


@pytest.mark.parametrize("kind", ["an activation", "a constant"])
def test_names_that_a_file_has_already_stay_its_own(tmp_path: Any, kind: str) -> None:
    """Older exporters call what nodes give, and constants, by numbers alone."""
    rng = np.random.default_rng(0)
    weight = rng.normal(size=16)[rng.integers(0, 16, (64, 48))].astype(np.float32)
    between, bias = ("16", "b") if kind == "an activation" else ("p", "16")
    weights = {
        "w": weight,
        bias: rng.normal(size=48).astype(np.float32),
        "w/at": rng.normal(size=48).astype(np.float32),
    }
    nodes = [
        onnx.helper.make_node("MatMul", ["x", "w"], [between]),
        onnx.helper.make_node("Add", [between, bias], ["s"]),
        onnx.helper.make_node("Mul", ["s", "w/at"], ["y"]),
    ]
    path = save(tmp_path / "m.onnx", nodes, [value("x", ["N", 64])], [value("y", ["N", 48])], weights)
    before = path.stat().st_size
    assert codebooks.pack(path, 4)["weights"] == ["w"]
    assert path.stat().st_size < before / 2
    x, runtime = rng.normal(size=(3, 64)).astype(np.float32), OnnxRuntime()
    wanted = (x @ weight + weights[bias]) * weights["w/at"]
    assert np.allclose(runtime.open(runtime.read(path)).run({"x": x})[0], wanted, atol=1e-4)


def test_an_opset_without_such_operators_is_named(tmp_path: Any) -> None:
    weight = np.tile(np.arange(16, dtype=np.float32), (60, 5))
    model = onnx.load(held(tmp_path / "held.onnx", weight))
    model.opset_import[0].version = 10
    onnx.save(model, tmp_path / "held.onnx")
    before = (tmp_path / "held.onnx").read_bytes()
    with pytest.raises(RecipeFailed, match="the file is of opset 10, and looking values up in a table needs 11"):
        codebooks.pack(tmp_path / "held.onnx", 4)
    assert (tmp_path / "held.onnx").read_bytes() == before


@pytest.mark.parametrize("options", [{"bits": 2}, {"method": "hashing", "part": 0.25}], ids=["kmeans", "hashing"])
def test_a_table_that_is_scaled_when_it_is_read_stays(given: Any, options: dict[str, Any]) -> None:
    module = nn.Sequential(nn.Embedding(40, 16, max_norm=1.0), nn.Embedding(40, 16))
    before = module[0].weight.detach().clone()
    Cluster().apply(Subject(module), ClusterOptions(**options), given)
    assert torch.equal(module[0].weight, before)
    assert len(module[1].weight.abs().unique()) <= 160
    assert given.notes["cluster"]["kept"] == ["0.weight"]
    why = "cluster changed nothing: 0.weight: scaled to `max_norm` when they are read, .*; build them without it"
    for others, end in (((), "$"), ((nn.Linear(2, 2),), "; no other layer has ")):
        with pytest.raises(RecipeFailed, match=why + end):
            Cluster().apply(Subject(nn.Sequential(module[0], *others)), ClusterOptions(**options), given)
