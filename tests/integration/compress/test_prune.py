"""Channels are removed, in multiples, from everything but the outputs; where that cannot be, a reason is given."""

from __future__ import annotations

import copy
import re
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from integration.compress.conftest import fresh
from makeweight.artifact.ports import Port
from makeweight.bench.sitting import Ratio
from makeweight.compress.prune import Prune, PruneOptions
from makeweight.compress.reproducible import reproducible
from makeweight.compress.stopwatch import Timed
from makeweight.compress.subject import Subject
from makeweight.runtimes.format import FLOAT32
from makeweight.runtimes.runtime import RecipeFailed
from makeweight.user.weights import counted
from split_values import split_of


def _convolutions(module: Any) -> list[int]:
    return [part.out_channels for part in module.modules() if isinstance(part, nn.Conv2d)]


def _on_images(given: Any, channels: int = 3, size: int = 8, classes: int = 3) -> Any:
    """What is given, with noise for data."""
    images = np.random.default_rng(0).random((24, channels, size, size), dtype=np.float32)
    data = split_of("noise", {"image": images}, np.arange(24) % classes)
    ports = (Port("image", ("N", channels, size, size), "float32"),)
    return replace(given, splits=dict.fromkeys(("train", "validation", "calibration"), data), ports=ports)


def _pruned(module: Any, options: PruneOptions, given: Any) -> None:
    Prune().apply(Subject(module), options, given)


@pytest.fixture
def given(make_project: Any, make_given: Any) -> Any:
    return make_given(make_project())


def test_widths_become_multiples_of_what_the_runtime_likes(given: Any) -> None:
    module = fresh(given)
    assert _convolutions(module) == [32, 48, 32]
    _pruned(module, PruneOptions(ratio=0.5, epochs=0), given)
    # half of 48 is 24, which is rounded down to a multiple of 16
    assert _convolutions(module) == [16, 16, 16]
    assert module[-1].out_features == 3
    note = given.notes["prune"]
    assert note["channels"] == {"0": [32, 16], "3": [48, 16], "6": [32, 16]}
    assert note["parameters"][1] < note["parameters"][0] / 2
    assert note["rounds"] == []


def test_no_more_multiplications_are_left_than_asked_for_and_no_fewer_than_that_takes(given: Any) -> None:
    def multiplied(widths: list[int]) -> int:
        first, second, third = widths
        return 9 * (36 * first + 9 * second * first + 9 * third * second) + 3 * third

    module = fresh(given)
    _pruned(module, PruneOptions(macs=0.5, round_to=1, epochs=0), given)
    widths = _convolutions(module)
    whole = multiplied([32, 48, 32])
    assert multiplied(widths) <= 0.5 * whole
    assert multiplied([width + 1 for width in widths]) > 0.5 * whole
    said = next(line for line in given.progress.lines if "leaves" in line)
    assert said.endswith(f"leaves {multiplied(widths) / whole:.1%} of the multiply-accumulates")
    with pytest.raises(RecipeFailed, match=r"whatever is removed, and `macs` wants at most 1\.0%"):
        _pruned(fresh(given), PruneOptions(macs=0.01, epochs=0), given)


class _Clock:
    """In place of a stopwatch: a model takes as long as it has parameters, in parts of the baseline's."""

    device, format = SimpleNamespace(name="desk"), FLOAT32

    def __init__(self, baseline: Any) -> None:
        self._whole = counted(baseline)

    def time(self, subject: Subject, limit: float | None = None) -> Timed:
        del limit
        ratio = counted(subject.source) / self._whole
        return Timed(Ratio(ratio, (ratio, ratio), 0.0), ratio, 1.0, 3)


@pytest.mark.parametrize(("scope", "rounds"), [("uniform", 2), ("global", 1)])
def test_channels_go_until_a_latency_is_reached(given: Any, scope: str, rounds: int) -> None:
    module = fresh(given)
    clock: Any = _Clock(module)
    options = PruneOptions(latency={"max_ratio": 0.5}, round_to=4, scope=scope, rounds=rounds, epochs=0)
    _pruned(module, options, replace(given, stopwatch=clock))
    note = given.notes["prune"]
    found = note["latency"]
    by_ratio = sorted(found["tries"], key=lambda tried: tried["ratio"])
    reached = next(tried for tried in by_ratio if tried["latency ratio"] < 0.5)
    # what was measured is what is left, in however many rounds it went; what is next to it is too slow
    assert note["parameters"][1] == counted(module) == reached["parameters"] < 0.5 * note["parameters"][0]
    assert all(tried["latency ratio"] >= 0.5 for tried in by_ratio if tried["ratio"] < reached["ratio"])
    assert "after training" not in found
    assert all(width % 4 == 0 for width in _convolutions(module))


def test_what_was_measured_on_the_way_to_a_failure_is_kept(given: Any) -> None:
    module = fresh(given)
    clock: Any = _Clock(module)
    with pytest.raises(RecipeFailed, match="the nearest to `latency` is"):
        _pruned(module, PruneOptions(latency={"max_ratio": 0.001}, epochs=0), replace(given, stopwatch=clock))
    assert [tried["ratio"] for tried in given.notes["prune"]["latency"]["tries"]] == [0, 0.99]
    with pytest.raises(RecipeFailed, match="none was handed to the step"):
        _pruned(module, PruneOptions(latency={"max_ratio": 0.5}, epochs=0), given)


@pytest.mark.parametrize(("round_to", "widths"), [(1, [24, 36, 24]), (8, [24, 32, 24])])
def test_another_multiple(given: Any, round_to: int, widths: list[int]) -> None:
    module = fresh(given)
    _pruned(module, PruneOptions(ratio=0.25, round_to=round_to, epochs=0), given)
    assert _convolutions(module) == widths


@pytest.mark.parametrize("importance", ["magnitude", "taylor", "lamp", "fpgm"])
@pytest.mark.parametrize("scope", ["uniform", "global"])
def test_every_importance_prunes(given: Any, importance: str, scope: str) -> None:
    module = fresh(given)
    options = PruneOptions(ratio=0.4, round_to=4, importance=importance, scope=scope, epochs=0)
    _pruned(module, options, given)
    widths = _convolutions(module)
    assert sum(widths) < 0.75 * (32 + 48 + 32)
    assert all(width % 4 == 0 and width > 0 for width in widths)
    assert all(parameter.grad is None for parameter in module.parameters())


def test_the_least_important_channels_go(given: Any) -> None:
    module = fresh(given)
    with torch.no_grad():
        module[0].weight[1::2] *= 1e-4
        kept = module[0].weight[0::2].clone()
        module[1].weight[1::2] *= 1e-4
        module[3].weight[:, 1::2] *= 1e-4
    _pruned(module, PruneOptions(ratio=0.5, epochs=0), given)
    assert torch.equal(module[0].weight, kept)


def _lamp(maker: Any, reader: Any) -> Any:
    """Lee et al., "Layer-adaptive Sparsity", ICLR 2021: its square by the sum of all squares that are no smaller."""
    squares = ((maker**2).sum((1, 2, 3)) + (reader**2).sum((0, 2, 3))) / 2
    return [each / squares[squares >= each].sum() for each in squares]


def _distances(maker: Any, reader: Any) -> Any:
    """He et al., "Filter Pruning via Geometric Median", CVPR 2019: the sum of the distances from all others."""
    rows = maker.reshape(8, -1), reader.transpose(1, 0, 2, 3).reshape(8, -1)
    found = sum(np.linalg.norm(each[:, None] - each[None], axis=2).sum(1) for each in rows)
    return found / found.mean()


@pytest.mark.parametrize(("importance", "scores"), [("lamp", _lamp), ("fpgm", _distances)])
def test_channels_go_by_the_published_score(given: Any, importance: str, scores: Any) -> None:
    widths, rng = (3, 8, 8, 3), np.random.default_rng(3)
    layers = [nn.Conv2d(before, after, 3, bias=False) for before, after in pairwise(widths)]
    weights = [rng.standard_normal((after, before, 3, 3)) for before, after in pairwise(widths)]
    for weight in weights:
        weight[1] = -weight[0]  # opposite channels are far from each other
        weight *= rng.uniform(0.5, 1.5, (len(weight), 1, 1, 1))
    with torch.no_grad():
        for layer, weight in zip(layers, weights, strict=True):
            layer.weight.copy_(torch.from_numpy(weight))
    module = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    options = PruneOptions(ratio=0.5, round_to=1, importance=importance, scope="global", epochs=0)
    _pruned(module, options, _on_images(given))
    wanted = np.array([scores(*each) for each in pairwise(weights)])
    first, second = wanted > np.sort(wanted, axis=None)[7]
    assert layers[0].weight.detach().numpy() == pytest.approx(weights[0][first])
    assert layers[1].weight.detach().numpy() == pytest.approx(weights[1][second][:, first])
    assert first.sum() + second.sum() == 8


def test_distances_are_those_of_grouped_and_flattened_channels_too(given: Any) -> None:
    layers = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3, groups=2), nn.Flatten(), nn.Linear(8 * 16, 3)
    module = nn.Sequential(*layers)
    with torch.no_grad():
        for channel in (1, 5):  # in the middle of the others, as their mean
            for weight, axis in ((module[1].weight, 0), (module[3].weight.view(3, 8, 16), 1)):
                weight.select(axis, channel).copy_(weight.mean(axis))
        kept = module[1].weight[[0, 2, 3, 4, 6, 7]].clone()
    options = PruneOptions(ratio=0.25, round_to=1, importance="fpgm", exclude=("0",), epochs=0)
    _pruned(module, options, _on_images(given))
    assert torch.equal(module[1].weight, kept)
    assert module[3].in_features == 6 * 16


def _normalized() -> Any:
    """Two convolutions with a normalization each, and one without."""
    layers = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 8, 1)
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3))


def test_channels_go_by_the_scale_of_their_normalization_over_all_layers(given: Any) -> None:
    module = _normalized()
    scales = np.array([[9, 8, 7, 6, 5, 0.4, 0.3, 0.2], [1, -2, 0.1, 3, -0.1, 4, 5, 6]])
    with torch.no_grad():
        for place, own in zip((1, 3), scales, strict=True):
            module[place].weight.copy_(torch.from_numpy(own))
    given = _on_images(given)
    options = PruneOptions(ratio=5 / 16, round_to=1, importance="bn_scale", scope="global", epochs=0)
    _pruned(module, options, given)
    assert module[1].weight.tolist() == [9, 8, 7, 6, 5]
    assert module[3].weight.tolist() == [1, -2, 3, 4, 5, 6]
    assert module[4].out_channels == 8
    assert given.notes["prune"]["refused"] == ["4"]


def test_scales_that_are_all_alike_tell_no_channels_apart(given: Any) -> None:
    options = PruneOptions(ratio=0.5, round_to=1, importance="bn_scale", epochs=0)
    with pytest.raises(RecipeFailed, match="all channels are kept of `0`, `2`, `4`: no batch normalization tells"):
        _pruned(_normalized(), options, _on_images(given))


def test_rounds_train_in_between_and_win_accuracy_back(given: Any) -> None:
    with reproducible(0):
        module = fresh(given)
        _pruned(module, PruneOptions(ratio=0.5, rounds=2, epochs=4, lr=3e-3), given)
    assert [trained["epochs"] for trained in given.notes["prune"]["rounds"]] == [4, 4]
    assert given.notes["prune"]["rounds"][-1]["validation"] > 0.8
    assert [line.split(":")[0] for line in given.progress.lines] == [
        "prune, round 1 of 2",
        "prune, round 2 of 2",
        "prune",
    ]


def test_what_rounds_have_in_common_is_found_out_and_told_once(given: Any) -> None:
    teacher, seen = fresh(given), []
    teacher.register_forward_hook(lambda *called: seen.append(len(called[1][0])))
    splits = {name: given.splits[name] for name in ("train", "calibration")}
    options = PruneOptions(ratio=0.5, rounds=3, epochs=1, teacher="baseline")
    _pruned(fresh(given), options, replace(given, splits=splits, baseline=teacher))
    every = given.splits["train"].count
    assert seen == [64, 1, 64, every - 64], "how its scores are read, how large an answer is, and what it teaches"
    assert [line.startswith("no validation split") for line in given.progress.lines].count(True) == 1


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, padding=1)
        self.body = nn.Sequential(nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 32, 3, padding=1))
        self.depthwise = nn.Conv2d(32, 32, 3, groups=32)
        self.head = nn.Linear(32, 3)

    def forward(self, image: Any) -> Any:
        features = self.stem(image)
        features = torch.relu(self.depthwise(features + self.body(features)))
        return self.head(features.mean((2, 3)))


def test_what_is_added_together_is_pruned_together(given: Any) -> None:
    module = Residual()
    _pruned(module, PruneOptions(ratio=0.5, epochs=0), _on_images(given))
    assert (module.stem.out_channels, module.body[2].out_channels, module.depthwise.groups) == (16, 16, 16)
    assert (module.head.in_features, module.head.out_features) == (16, 3)


class TwoHeads(nn.Module):
    """Its features are an output too, so the layer that makes them keeps its channels."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 32, 3)
        self.features = nn.Conv2d(32, 32, 3)
        self.head = nn.Linear(32, 3)

    def forward(self, image: Any) -> Any:
        features = self.features(torch.relu(self.first(image))).mean((2, 3))
        scores = self.head(torch.relu(features))
        return {"scores": scores, "features": features.squeeze(), "class": scores.argmax(1)}


class Restores(nn.Module):
    """Image to image, added to its input."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(32, 64, 3, padding=1), nn.Conv2d(64, 32, 3, padding=1)

    def forward(self, image: Any) -> Any:
        return image + self.last(torch.relu(self.first(image)))


def test_layers_that_make_outputs_keep_their_channels(given: Any) -> None:
    heads = TwoHeads()
    _pruned(heads, PruneOptions(ratio=0.5, epochs=0), _on_images(given))
    assert (heads.first.out_channels, heads.features.out_channels, heads.head.out_features) == (16, 32, 3)
    restores = Restores()
    _pruned(restores, PruneOptions(ratio=0.5, epochs=0), _on_images(given, channels=32))
    assert (restores.first.out_channels, restores.last.out_channels) == (32, 32)


def test_attention_becomes_narrower_by_whole_heads(given: Any) -> None:
    class Attends(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Linear(8, 64)
            self.attention = nn.MultiheadAttention(64, 4, batch_first=True)
            self.wide, self.head = nn.Linear(64, 128), nn.Linear(128, 3)

        def forward(self, image: Any) -> Any:
            tokens = self.embed(image.flatten(1, 2))
            tokens = tokens + self.attention(tokens, tokens, tokens, need_weights=False)[0]
            return self.head(torch.relu(self.wide(tokens)).mean(1))

    module = Attends()
    _pruned(module, PruneOptions(ratio=0.5, epochs=0), _on_images(given))
    assert module.wide.out_features == 64
    assert (module.attention.embed_dim, module.attention.num_heads) == (32, 2)
    assert module.attention.query.out_features == 32


def test_a_transformer_of_torch_becomes_narrower_and_loses_whole_heads(given: Any) -> None:
    class Translates(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.head = nn.Linear(8, 16), nn.Linear(16, 3)
            self.between = nn.Transformer(16, 4, 1, 1, 32, batch_first=True)

        def forward(self, image: Any) -> Any:
            tokens = self.embed(image.flatten(1, 2))
            return self.head(self.between(tokens, tokens).mean(1))

    module, on_images = Translates().eval(), _on_images(given)
    _pruned(module, PruneOptions(ratio=0.5, round_to=4, epochs=0), on_images)
    layers = [*module.between.encoder.layers, *module.between.decoder.layers]
    assert {(part.self_attn.embed_dim, part.self_attn.num_heads) for part in layers} == {(8, 2)}
    assert (module.embed.out_features, module.between.d_model) == (8, 8)
    assert on_images.notes["prune"]["channels"]["between.encoder.layers.0.linear1"] == [32, 16]
    assert "refused" not in on_images.notes["prune"]


def test_one_pruning_does_not_remember_another(given: Any) -> None:
    """Torch-Pruning's defaults are dictionaries that it fills in place."""
    import inspect

    import torch_pruning

    grouped = nn.Sequential(nn.Conv2d(3, 64, 3), nn.Conv2d(64, 64, 3, groups=2), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    grouped.append(nn.Linear(64, 3))
    _pruned(grouped, PruneOptions(ratio=0.5, epochs=0), _on_images(given))
    assert (grouped[1].groups, grouped[1].out_channels) == (2, 32)
    defaults = inspect.signature(torch_pruning.pruner.BasePruner.__init__).parameters
    for name in ("in_channel_groups", "out_channel_groups", "num_heads", "channel_groups"):
        assert defaults[name].default == {}


def test_nothing_pruned_is_a_reason(given: Any) -> None:
    narrow = nn.Sequential(nn.Conv2d(3, 16, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 3))
    with pytest.raises(RecipeFailed) as caught:
        _pruned(narrow, PruneOptions(ratio=0.5, epochs=0), _on_images(given))
    assert str(caught.value) == (
        "prune changed nothing: no layer could give up channels and keep a multiple of 16 (layers have 3 to 16, and "
        "output layers keep theirs); lower `round_to`, or raise `ratio`"
    )
    plain = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with pytest.raises(RecipeFailed, match="the module has no layer with channels"):
        _pruned(plain, PruneOptions(ratio=0.5, epochs=0), _on_images(given))


class CountsChannels(nn.Module):
    """Holds a channel count as a number, which pruning cannot know of."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.head = nn.Conv2d(3, 32, 3), nn.Linear(32 * 36, 3)

    def forward(self, image: Any) -> Any:
        return self.head(self.first(image).reshape(-1, 32 * 36))


class Untraceable(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.head = nn.Conv2d(3, 32, 3), nn.Linear(32, 3)

    def forward(self, image: Any) -> Any:
        with torch.no_grad():
            return self.head(self.first(image).mean((2, 3)))


@pytest.mark.parametrize(
    ("module", "says"),
    [
        (CountsChannels(), "prune: Torch-Pruning loses track of the channels of `first`: "),
        (Untraceable(), "Torch-Pruning cannot follow this model: an output does not depend on the weights"),
    ],
)
def test_models_that_pruning_loses_track_of(
    given: Any, capfd: pytest.CaptureFixture[str], module: Any, says: str
) -> None:
    with pytest.raises(RecipeFailed) as caught:
        _pruned(module, PruneOptions(ratio=0.5, epochs=0), _on_images(given))
    assert str(caught.value).startswith(says)
    assert capfd.readouterr() == ("", "")


def test_nan_answers_fail_the_recipe(given: Any) -> None:
    module = fresh(given)
    with torch.no_grad():
        module[-1].bias.fill_(float("nan"))
    with pytest.raises(RecipeFailed, match="prune: the narrower network answers NaN or infinity"):
        _pruned(module, PruneOptions(ratio=0.5, epochs=0), given)


class Voices(nn.Module):
    """A recurrence that a layer feeds and another begins, cells that are called step by step on what a layer makes of
    that, and a convolution beside both."""

    def __init__(self, kind: Any, cell: Any) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.sound, self.begin = nn.Linear(8, 32), nn.Linear(64, 32)
        self.voice = kind(32, 8, num_layers=2, bidirectional=True, batch_first=True)
        self.said, self.steps = nn.Linear(16, 32), cell(32, 16)
        self.seen = nn.Conv2d(1, 32, 3)
        self.behind, self.head = nn.Linear(64, 32), nn.Linear(32, 3)

    def forward(self, image: Any) -> Any:
        pairs = isinstance(self.steps, nn.LSTMCell)
        begun = self.begin(image.flatten(1)).reshape(-1, 4, 8).transpose(0, 1).contiguous()
        heard, last = self.voice(torch.relu(self.sound(image[:, 0])), (begun, begun) if pairs else begun)
        said, state = torch.relu(self.said(heard)), None
        for step in range(said.shape[1]):
            state = self.steps(said[:, step], state)
        last, state = (last[0], state[0]) if pairs else (last, state)
        seen = torch.relu(self.seen(image)).mean((2, 3))
        return self.head(torch.relu(self.behind(torch.cat([last[-2], last[-1], state, seen], 1))))


@pytest.mark.parametrize(("kind", "cell"), [(nn.LSTM, nn.LSTMCell), (nn.GRU, nn.GRUCell)])
def test_recurrences_keep_their_hidden_units_and_take_fewer_inputs(given: Any, kind: Any, cell: Any) -> None:
    given, module = _on_images(given, channels=1), Voices(kind, cell).eval()
    wide = copy.deepcopy(module)
    _pruned(module, PruneOptions(ratio=0.5, epochs=0), given)
    narrower = ("sound", "said", "seen", "behind")  # what begins a recurrence is as wide as its state
    assert given.notes["prune"]["channels"] == {name: [32, 16] for name in narrower}
    assert given.notes["prune"]["refused"] == ["voice", "steps"]
    assert (module.voice.input_size, module.steps.input_size) == (16, 16)
    told = "recurrences keep their hidden units, which go into them again as their state: voice, steps"
    assert f"prune: {told}" in given.progress.lines
    # the rest answers as if only the channels that are gone were silent
    with torch.no_grad():
        for name in narrower:
            layer = wide.get_submodule(name)
            gone = ~torch.isin(layer.bias, module.get_submodule(name).bias)
            layer.weight[gone], layer.bias[gone] = 0, 0
    assert torch.allclose(_answers(module, given), _answers(wide, given), atol=1e-6)
    with pytest.raises(RecipeFailed, match=f"changed nothing: .* head make outputs or are excluded, .*{told}; `factor"):
        _pruned(wide, PruneOptions(ratio=0.5, epochs=0, exclude=("begin", *narrower)), given)


def test_several_inputs(given: Any) -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.left, self.right, self.head = nn.Linear(4, 32), nn.Linear(6, 32), nn.Linear(32, 3)

        def forward(self, left: Any, right: Any, state: Any, gain: Any) -> Any:
            return self.head(torch.relu(self.left(left) + self.right(right))) * gain + state[0]

    ports = (
        Port("right", ("N", 6), ""),
        Port("state", (1, "N", 3), "float32", 0),
        Port("left", ("N", 4), ""),
        Port("gain", (), "float32", 0.5),
    )
    rng = np.random.default_rng(0)
    inputs = {"right": rng.random((24, 6)), "left": rng.random((24, 4), dtype=np.float32)}
    data = split_of("noise", inputs, np.arange(24) % 3)
    module = Two()
    two = replace(
        given, splits=dict.fromkeys(("train", "validation", "calibration"), data), baseline=Two(), ports=ports
    )
    _pruned(module, PruneOptions(ratio=0.5, epochs=1, importance="taylor"), two)
    assert (module.left.out_features, module.right.out_features, module.head.in_features) == (16, 16, 16)


def _dead(weight: Any, dimension: int, places: list[int]) -> None:
    with torch.no_grad():
        weight.index_fill_(dimension, torch.tensor(places), 0)


def _answers(module: Any, given: Any) -> Any:
    with torch.no_grad():
        return module.eval()(torch.from_numpy(given.splits["calibration"].source.inputs["image"]))


class Shuffles(nn.Module):
    """As ShuffleNet does between its convolutions; Torch-Pruning follows each channel straight on."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 16, 3, padding=1)
        self.head = nn.Linear(16, 3)
        self.order = torch.arange(16).reshape(2, 8).T.flatten()
        _dead(self.first.weight, 0, list(range(8)))
        _dead(self.first.bias, 0, list(range(8)))
        _dead(self.second.weight, 1, [place for place, channel in enumerate(self.order.tolist()) if channel < 8])
        _dead(self.second.weight, 0, list(range(0, 16, 2)))
        _dead(self.second.bias, 0, list(range(0, 16, 2)))

    def forward(self, image: Any) -> Any:
        hidden = torch.relu(self.first(image))
        count, channels, *size = hidden.shape
        hidden = hidden.view(count, 2, channels // 2, *size).transpose(1, 2).reshape(count, channels, *size)
        return self.head(torch.relu(self.second(hidden)).mean((2, 3)))


class Squashes(nn.Module):
    """What is no longer there was not zero on its way: a sigmoid makes one half of nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(3, 16, 3, bias=False), nn.BatchNorm2d(16)
        self.second, self.head = nn.Conv2d(16, 16, 3), nn.Linear(16, 3)
        nn.init.normal_(self.norm.bias)
        for weight in (self.first.weight, self.norm.weight, self.norm.bias, self.second.weight, self.second.bias):
            _dead(weight, 0, [1, 3, 4, 7, 8, 9, 12, 15])
        _dead(self.second.weight, 1, [1, 3, 4, 7, 8, 9, 12, 15])
        _dead(self.head.weight, 1, [1, 3, 4, 7, 8, 9, 12, 15])

    def forward(self, image: Any) -> Any:
        return self.head(torch.sigmoid(self.second(torch.sigmoid(self.norm(self.first(image))))).mean((2, 3)))


class Attends(nn.Module):
    """Half of its inputs and two of its four heads are dead."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.attention = nn.Linear(8, 16), nn.MultiheadAttention(16, 4, batch_first=True)
        self.head = nn.Linear(16, 3)
        dead, heads = list(range(1, 16, 2)), [*range(4), *range(8, 12)]
        for weight in (self.embed.weight, self.embed.bias, self.attention.out_proj.weight):
            _dead(weight, 0, dead)
        _dead(self.attention.in_proj_weight, 0, [16 * part + place for part in range(3) for place in heads])
        for weight in (self.attention.in_proj_weight, self.head.weight):
            _dead(weight, 1, dead)
        _dead(self.attention.out_proj.weight, 1, heads)

    def forward(self, image: Any) -> Any:
        tokens = self.embed(image.flatten(1, 2))
        return self.head(self.attention(tokens, tokens, tokens, need_weights=False)[0].mean(1))


@pytest.mark.parametrize(
    ("module", "refused", "narrower"),
    [(Shuffles, ["first"], {"second"}), (Squashes, None, {"first", "second"}), (Attends, None, {"embed"})],
    ids=["a channel shuffle", "sigmoids", "attention"],
)
def test_dead_channels_alone_go_and_the_answers_stay(given: Any, module: Any, refused: Any, narrower: set[str]) -> None:
    torch.manual_seed(0)
    pruned, on_images = module(), _on_images(given)
    wanted = _answers(pruned, on_images)
    _pruned(pruned, PruneOptions(ratio=0.5, round_to=1, epochs=0), on_images)
    torch.testing.assert_close(_answers(pruned, on_images), wanted, rtol=0, atol=1e-5)
    note = on_images.notes["prune"]
    assert note.get("refused") == refused
    assert narrower <= set(note["channels"])


def test_a_layer_that_pruning_loses_track_of_is_refused_by_name(given: Any) -> None:
    class Only(Shuffles):
        def __init__(self) -> None:
            super().__init__()
            self.second = nn.Conv2d(16, 3, 3)
            self.head = nn.Identity()

    told = r"loses track of the channels of `first`: without them the network computes something else"
    with pytest.raises(RecipeFailed, match=told):
        _pruned(Only(), PruneOptions(ratio=0.5, round_to=1, epochs=0), _on_images(given))


def test_a_normalization_counts_the_channels_that_are_left(given: Any) -> None:
    class Normalizes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.norm, self.groups = nn.Conv2d(3, 16, 1), nn.LayerNorm(16), nn.GroupNorm(2, 16)
            self.second, self.head = nn.Linear(16, 16), nn.Linear(16, 3)

        def forward(self, image: Any) -> Any:
            pixels = self.groups(self.first(image)).flatten(2).transpose(1, 2)
            return self.head(torch.relu(self.second(self.norm(pixels))).mean(1))

    on_images = _on_images(given)
    _pruned(Normalizes(), PruneOptions(ratio=0.5, round_to=1, epochs=0), on_images)
    assert on_images.notes["prune"]["channels"] == {"first": [16, 8], "second": [16, 8]}
    assert "refused" not in on_images.notes["prune"]


def test_more_parameters_than_before_is_a_failure(given: Any) -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.hidden = nn.Linear(16, 200, bias=False), nn.Linear(16, 16)
            self.first, self.last = nn.Conv2d(3, 16, 1), nn.Linear(16, 200, bias=False)
            self.last.weight = self.embed.weight

        def forward(self, image: Any) -> Any:
            hidden = self.first(image).mean((2, 3))
            return self.last(torch.relu(self.hidden(hidden))) + self.embed(hidden)

    wanted = r"more parameters than before \(3,536 -> [45],\d\d\d\): a weight that several"
    with pytest.raises(RecipeFailed, match=wanted) as caught:
        _pruned(Tied(), PruneOptions(ratio=0.1, round_to=1, epochs=0), _on_images(given, classes=200))
    (offered,) = re.findall(r"`exclude: \[(.*)\]`", str(caught.value))
    kept, on_images = Tied(), _on_images(given, classes=200)
    with pytest.raises(RecipeFailed, match="no layer could give up channels"):  # of two, both part the weight
        _pruned(kept, PruneOptions(ratio=0.1, round_to=1, epochs=0, exclude=tuple(offered.split(", "))), on_images)
    assert sum(parameter.numel() for parameter in kept.parameters()) == 3536


@pytest.mark.parametrize(
    ("exclude", "kept"),
    [(("3",), {"3"}), (("[03]",), {"0", "3"})],
    ids=["a name", "a pattern"],
)
def test_excluded_layers_keep_their_channels(given: Any, exclude: tuple[str, ...], kept: set[str]) -> None:
    module = fresh(given)
    _pruned(module, PruneOptions(ratio=0.5, epochs=0, exclude=exclude), given)
    assert set(given.notes["prune"]["channels"]) == {"0", "3", "6"} - kept


def test_what_fits_no_layer_is_refused_with_those_there_are(given: Any) -> None:
    with pytest.raises(RecipeFailed, match=r"in `exclude`, `conv1` fits no layer; there are 0, 3, 6"):
        _pruned(fresh(given), PruneOptions(ratio=0.5, epochs=0, exclude=("conv1",)), given)


def test_a_layer_whose_channels_forward_counts_keeps_them_and_the_others_go_on(given: Any) -> None:
    class Counts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.head = nn.Conv2d(3, 16, 1), nn.Conv2d(16, 16, 1), nn.Linear(16, 3)

        def forward(self, image: Any) -> Any:
            features = torch.relu(self.second(self.first(image))).mean((2, 3))
            return self.head(features.reshape(-1, 16))

    on_images = _on_images(given)
    _pruned(Counts(), PruneOptions(ratio=0.5, round_to=1, epochs=0), on_images)
    assert on_images.notes["prune"]["channels"] == {"first": [16, 8]}
    assert on_images.notes["prune"]["refused"] == ["second"]
    assert on_images.progress.lines[0] == (
        "prune: layers that keep their channels, since forward() does not run without some of them: second"
    )


@pytest.mark.parametrize("by_hand", [False, True], ids=["layer", "function"])
def test_channels_are_followed_through_padding_that_wraps_around(given: Any, by_hand: bool) -> None:
    class Round(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.head = nn.Conv2d(1, 32, 3), nn.Linear(32, 3)
            around: dict[str, Any] = {} if by_hand else {"padding": 1, "padding_mode": "circular"}
            self.second = nn.Conv2d(32, 32, 3, **around)

        def forward(self, image: Any) -> Any:
            values = self.first(image).relu()
            if by_hand:
                values = nn.functional.pad(values, (1, 1, 1, 1), mode="circular")
            return self.head(self.second(values).relu().mean((2, 3)))

    _pruned(Round().eval(), PruneOptions(ratio=0.5, epochs=0), given)
    assert given.notes["prune"]["channels"] == {"first": [32, 16], "second": [32, 16]}
    assert "refused" not in given.notes["prune"]
