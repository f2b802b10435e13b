"""Layers of a lower rank: where that pays, as far as asked, and everything else named and left alone."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from integration.compress.conftest import fresh
from makeweight.artifact.ports import Port
from makeweight.bench.sitting import Ratio
from makeweight.compress.factorize import Factorize, FactorizeOptions
from makeweight.compress.stopwatch import Timed
from makeweight.compress.subject import Subject
from makeweight.runtimes.format import FLOAT32
from makeweight.runtimes.onnxruntime.export import export
from makeweight.runtimes.runtime import RecipeFailed
from makeweight_probe.sessions.onnxruntime import open_session
from split_values import split_of


@pytest.fixture
def given(make_project: Any, make_given: Any) -> Any:
    return make_given(make_project())


def _of_tokens(given: Any) -> Any:
    tokens = np.random.default_rng(0).integers(0, 200, (8, 6))
    data = split_of("tokens", {"tokens": tokens}, np.arange(8) % 3)
    ports = (Port("tokens", ("N", 6), "int64"),)
    return replace(given, splits=dict.fromkeys(("train", "calibration"), data), ports=ports)


def _factorized(module: Any, given: Any, **options: Any) -> Any:
    return Factorize().apply(Subject(module), FactorizeOptions(**options), given).source


class Encoder(nn.Module):
    """Attention of PyTorch's own, a layer in a list, a tied output, a table, a weight that is read by hand, and one of
    no layer."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.words = nn.Embedding(200, 32)
        self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(32, 4, 64, batch_first=True), 1)
        self.more = nn.ModuleList([nn.Sequential(nn.Linear(32, 48), nn.ReLU(), nn.Linear(48, 32))])
        self.by_hand = nn.Linear(32, 32)
        self.recurrent = nn.GRU(32, 32, batch_first=True)
        self.tied, self.twin = nn.Linear(32, 32), nn.Linear(32, 32)
        self.twin.weight = self.tied.weight
        self.head = nn.Linear(32, 3)
        self.own = nn.Parameter(torch.ones(1, 32))

    def forward(self, tokens: Any) -> Any:
        values = self.more[0](self.encoder(self.words(tokens) * self.own))
        values = nn.functional.linear(values, self.by_hand.weight)
        values, _ = self.recurrent(values)
        return self.head(self.twin(torch.relu(self.tied(values))).mean(1))


def test_what_can_be_is_factorized_and_the_rest_is_named(given: Any) -> None:
    module, given = Encoder().eval(), _of_tokens(given)
    made = _factorized(module, given, rank=3, exclude=["head"])
    note = given.notes["factorize"]
    assert note["ranks"] == {
        "words": [[32], [3]],
        **{f"encoder.layers.0.self_attn.{name}": [[32], [3]] for name in ("query", "key", "value", "out_proj")},
        "encoder.layers.0.linear1": [[32], [3]],
        "encoder.layers.0.linear2": [[32], [3]],
        "more.0.0": [[32], [3]],
        "more.0.2": [[32], [3]],
        "recurrent.weight_ih_l0": [[32], [3]],
    }
    assert note["kept"] == {
        "own": "no factors are known of a Encoder",
        "by_hand": "its weight is read without the layer being called",
        "recurrent.weight_hh_l0": "its operator takes what a recurrence multiplies its state with whole",
        "tied": "its weight is `twin.weight` too",
        "twin": "its weight is `tied.weight` too",
    }
    attention = made.encoder.layers[0].self_attn
    assert [tuple(each.weight.shape) for each in attention.query] == [(3, 32), (32, 3)]
    assert attention.embed_dim == 32
    assert made.recurrent.layers[0].input_size == 3
    assert made.tied.weight is made.twin.weight
    assert [tuple(each.weight.shape) for each in made.more[0][0]] == [(3, 32), (48, 3)]
    told = next(line for line in given.progress.lines if line.startswith("factorize: left as they are"))
    assert "`tied`" in told
    assert "`by_hand`" in told
    # in inference PyTorch's encoder reads the weights of its layers, and finds what they stand for
    tokens = torch.arange(12).reshape(2, 6)
    with torch.no_grad():
        by_layer = made.train(False)(tokens)
    assert torch.allclose(by_layer, made(tokens), atol=1e-5)


def test_the_network_answers_as_with_truncated_weights(given: Any) -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(36, 64), nn.ReLU(), nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 3))
    truncated = [each.detach().numpy().copy() for each in module.parameters()]
    for index in (0, 2):
        left, values, right = np.linalg.svd(truncated[index], full_matrices=False)
        truncated[index] = left[:, :16] * values[:16] @ right[:16]
    made = _factorized(module, given, ratio=0.4)
    images = given.splits["validation"].source.inputs["image"][:5]
    with torch.no_grad():
        answers = made(torch.from_numpy(images)).numpy()
    wanted = images.reshape(5, -1)
    for layer in range(3):
        wanted = wanted @ truncated[2 * layer].T + truncated[2 * layer + 1]
        wanted = wanted if layer == 2 else np.maximum(wanted, 0)
    assert np.allclose(answers, wanted, atol=1e-5)
    # 0.4 of 36 is 14, of 48 is 19: both are 16, the multiple that the runtime likes
    assert given.notes["factorize"]["ranks"] == {"1": [[36], [16]], "3": [[48], [16]]}
    assert given.notes["factorize"]["kept"] == {"5": "at rank 3 of 3 it would be no smaller, or slower"}


@pytest.mark.parametrize("way", ["tucker", "spatial"])
def test_the_energy_that_is_kept_is_the_least(given: Any, way: str) -> None:
    module = fresh(given)
    before = {name: part.weight.detach().clone() for name, part in module.named_modules() if name in ("3", "6")}
    made = _factorized(module, given, energy=0.6, round_to=1, convolutions=way)
    note = given.notes["factorize"]
    assert set(note["ranks"]) >= {"3", "6"}
    for name, weight in before.items():
        lost = float(((weight - made[int(name)].weight.detach()) ** 2).sum() / (weight**2).sum())
        assert lost == pytest.approx(note["errors"][name] ** 2, rel=1e-3)
        assert 0 < lost <= 0.4
    assert note["parameters"][1] < 0.7 * note["parameters"][0]


def test_a_single_layer_is_a_model(given: Any) -> None:
    tokens = _of_tokens(given)
    made = _factorized(nn.Embedding(200, 32), tokens, rank=4)
    assert [tuple(each.weight.shape) for each in made] == [(200, 4), (32, 4)]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"rank": 20}, r"rank 20 is beyond the full rank of `0` \(9\), `11` \(3\); .* `exclude: \[0, 11\]`"),
        ({"ratio": 0.9, "exclude": ["head"]}, "in `exclude`, `head` fits no layer; there are"),
        ({"rank": 3, "convolutions": "none"}, "changed nothing: `11`: at rank 3 of 3 it would be no smaller"),
    ],
    ids=["beyond", "no such layer", "nothing left"],
)
def test_what_cannot_be_is_refused(given: Any, options: dict[str, Any], says: str) -> None:
    with pytest.raises(RecipeFailed, match=says):
        _factorized(fresh(given), given, **options)


def test_weights_that_are_no_numbers_are_refused(given: Any) -> None:
    module = fresh(given)
    with torch.no_grad():
        module[3].weight[0, 0] = np.nan
    with pytest.raises(RecipeFailed, match=r"factorize: 3\.weight holds NaN or infinity"):
        _factorized(module, given, ratio=0.5)


def test_a_convolution_that_would_be_slower_is_kept(given: Any) -> None:
    """A wide kernel of stride 4 on a large image: fewer weights, and more products before the stride."""
    images = np.zeros((2, 32, 16, 16), np.float32)
    data = split_of("images", {"image": images}, np.arange(2))
    ports = (Port("image", ("N", 32, 16, 16), "float32"),)
    given = replace(given, splits=dict.fromkeys(("train", "calibration"), data), ports=ports)
    module = nn.Sequential(nn.Conv2d(32, 8, 1), nn.Conv2d(8, 8, 2, stride=8), nn.Conv2d(8, 64, 1))
    _factorized(module, given, rank=4)
    assert given.notes["factorize"]["kept"] == {"1": "at rank 4 of 8 and 4 of 8 it would be no smaller, or slower"}


def test_a_layer_that_is_called_with_more_than_its_input_is_kept_and_one_called_by_name_is_not(
    given: Any,
) -> None:
    class Rises(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.down, self.up, self.head = (
                nn.Conv2d(1, 32, 2, 2),
                nn.ConvTranspose2d(32, 8, 2, 2),
                nn.Linear(8 * 36, 32),
            )
            self.last = nn.Linear(32, 3)

        def forward(self, image: Any) -> Any:
            risen = self.up(self.down(image), output_size=image.shape[-2:])
            return self.last(self.head(input=risen.flatten(1)))

    _factorized(Rises().eval(), given, rank=2, exclude=["down", "last"])
    assert given.notes["factorize"]["kept"] == {"up": "it is called with more than its input"}
    assert set(given.notes["factorize"]["ranks"]) == {"head"}


def test_attention_and_recurrences_that_keep_their_rank_stay_what_they_were(given: Any) -> None:
    module, given = Encoder().eval(), _of_tokens(given)
    attention, recurrence = module.encoder.layers[0].self_attn, module.recurrent
    with pytest.raises(RecipeFailed, match=r"in `exclude`, `recurrent\.bias` fits no layer"):
        _factorized(module, given, rank=3, exclude=["recurrent.bias"])
    module = Encoder().eval()
    attention, recurrence = module.encoder.layers[0].self_attn, module.recurrent
    made = _factorized(module, given, rank=3, exclude=["*.self_attn", "recurrent.weight_ih_l0"])
    assert made.encoder.layers[0].self_attn is attention
    assert made.recurrent is recurrence
    assert "recurrent.weight_hh_l0" not in given.notes["factorize"]["kept"]
    module = Encoder().eval()
    attention = module.encoder.layers[0].self_attn
    attention.register_forward_hook(lambda *_: None)
    made = _factorized(module, given, rank=3)
    assert made.encoder.layers[0].self_attn is attention
    assert given.notes["factorize"]["kept"]["encoder.layers.0.self_attn"] == "hooks hang on it"


class Sounds(nn.Module):
    """A recurrence both ways."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.voice = nn.LSTM(40, 24, bidirectional=True, batch_first=True)
        self.head = nn.Linear(48, 3)

    def forward(self, sound: Any) -> Any:
        return self.head(self.voice(sound)[0][:, -1])


def test_the_file_has_the_runtimes_recurrence_with_fewer_inputs(given: Any, tmp_path: Path) -> None:
    sound = np.random.default_rng(0).normal(size=(8, 6, 40)).astype(np.float32)
    ports = (Port("sound", ("N", 6, 40), "float32"),)
    data = split_of("sound", {"sound": sound}, np.arange(8) % 3)
    given = replace(given, splits=dict.fromkeys(("train", "calibration"), data), ports=ports)
    whole, after = Sounds().eval(), tmp_path / "after.onnx"
    before = sum(each.numel() for each in whole.parameters())
    made = _factorized(whole, given, rank=4, exclude=["head"])
    export(made, {"sound": ports[0].shape}, {"sound": sound[:4]}, after)
    graph = onnx.load(after).graph
    held = {each.name: tuple(each.dims) for each in graph.initializer}
    recurrences = [node for node in graph.node if node.op_type == "LSTM"]
    assert [held[node.input[1]] for node in recurrences] == [(2, 96, 4)]
    assert [held[node.input[2]] for node in recurrences] == [(2, 96, 24)]
    assert not [node for node in graph.node if node.op_type in ("Loop", "Scan", "If")]
    # what both ways multiply inputs with, in 4 bytes each: once whole, and once as two factors
    weights = 4 * (before - 192 * 40 + 4 * (192 + 40))
    assert weights < after.stat().st_size < weights + 8000 < 4 * before
    with torch.no_grad():
        wanted = made(torch.from_numpy(sound)).numpy()
    (answer,) = open_session(str(after), 1).run({"sound": sound})
    assert np.allclose(answer, wanted, atol=1e-5)


@dataclass
class Clock:
    """In place of a stopwatch: what a module takes is how many parameters it has, of the baseline's 4 ms for 4,000."""

    device: Any = field(default_factory=lambda: SimpleNamespace(name="desk"))
    format: Any = FLOAT32
    asked: list[int] = field(default_factory=list)

    def time(self, subject: Subject, limit: float | None = None) -> Timed:
        count = sum(each.numel() for each in subject.source.parameters())
        self.asked.append(count)
        return Timed(Ratio(count / 4000, (count / 4000 - 0.001, count / 4000 + 0.001), 0.0), count / 1e6, 0.004, 3)


def _deep() -> Any:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(36, 36), nn.ReLU(), nn.Linear(36, 36), nn.ReLU(), nn.Linear(36, 3))


def test_the_rank_is_the_largest_that_is_fast_enough(given: Any) -> None:
    clock = Clock()
    given = replace(given, stopwatch=clock)
    made = _factorized(_deep(), given, latency={"max_ratio": 0.5}, round_to=1, exclude=["5"])
    note = given.notes["factorize"]
    (full, (rank,)), (_, other) = note["ranks"]["1"], note["ranks"]["3"]
    assert (full, other) == ([36], [rank])
    # biases and the head have 183, and each rank of both layers 144
    count = 183 + 144 * rank
    assert count / 4000 < 0.5 < (count + 144) / 4000
    assert note["parameters"] == [2775, count] == [2 * 36 * 36 + 183, sum(each.numel() for each in made.parameters())]
    found = note["latency"]
    assert (found["device"], found["wanted"]) == ("desk", 0.5)
    assert round(found["ratio"] * 36) == rank
    assert found["tries"][0]["ratio"] == 1
    assert {each["parameters"] for each in found["tries"]} == set(clock.asked)
    assert len(clock.asked) == len(set(clock.asked)), "each form is measured once"


@pytest.mark.parametrize(
    ("limit", "says"),
    [
        (0.05, r"factorize: the nearest to `latency` is 0\.08x .* with a ratio of 0\.01, .* layers keep their rank"),
        (0.9, "factorize changed nothing: before anything is removed the model takes 0.69x"),
    ],
    ids=["out of reach", "reached already"],
)
def test_a_latency_that_is_not_to_be_had_is_told_with_what_was_measured(given: Any, limit: float, says: str) -> None:
    given = replace(given, stopwatch=Clock())
    with pytest.raises(RecipeFailed, match=says):
        _factorized(_deep(), given, latency={"max_ratio": limit}, round_to=1, exclude=["5"])
    assert given.notes["factorize"]["latency"]["tries"]
