"""Weights that are zero: in the file, two of each four, and after whatever trained them further."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import nn

from integration.compress.conftest import fresh
from makeweight.artifact import artifact
from makeweight.compress import masking
from makeweight.compress.cluster import Cluster, ClusterOptions
from makeweight.compress.finetune import Finetune
from makeweight.compress.make import make
from makeweight.compress.movement import Movement
from makeweight.compress.quantize import Quantize
from makeweight.compress.recipe import Plan, Step, Variant
from makeweight.compress.reproducible import reproducible
from makeweight.compress.sparsify import Sparsify, SparsifyOptions
from makeweight.compress.sparsity import scheduled
from makeweight.compress.subject import Subject
from makeweight.compress.training_options import TrainingOptions
from makeweight.runtimes.onnxruntime.runtime import OnnxRuntime
from makeweight.runtimes.runtime import RecipeFailed
from makeweight_base.progress import Silent


@pytest.fixture
def given(make_project: Any, make_given: Any) -> Any:
    return make_given(make_project())


def _sparse(module: Any, given: Any, **options: Any) -> Subject:
    return Sparsify().apply(Subject(module), SparsifyOptions(**{"epochs": 0, **options}), given)


def _zeros(module: Any) -> dict[str, Any]:
    return {name: each.detach().numpy() == 0 for name, each in module.named_parameters() if each.ndim > 1}


def test_zeros_are_counted_in_the_file_and_are_won_in_compressed_bytes_alone(
    make_project: Any, small_baseline: Path, tmp_path: Path, given: Any
) -> None:
    steps = (
        Step(Sparsify(), SparsifyOptions(sparsity=0.8, rounds=2)),
        Step(Finetune(), TrainingOptions(epochs=1, lr=0.01)),
    )
    folder, project, baseline = tmp_path / "v", make_project(), artifact.read(small_baseline)
    folder.mkdir()
    made = make(Variant("v", "onnxruntime", Plan(steps, None), []), project.declared, baseline, folder, Silent())
    assert made.status == "ready", made.reason
    told = made.notes["sparsify"]
    assert [each["epochs"] for each in told["rounds"]] == [1, 1]
    counts = sorted(tuple(each) for each in told["zeros"].values())
    assert all(zeros == round(0.8 * size) for zeros, size in counts)
    assert _counted(made.made().path, np.float32) == counts
    assert made.size_compressed == len(zlib.compress(made.made().path.read_bytes(), 9))
    assert made.size == pytest.approx(baseline.size, rel=0.01)
    assert made.size_compressed < 0.4 * baseline.size_compressed
    assert "inference no faster" in told["gain"]
    integers = OnnxRuntime().lower(
        made.made(), Quantize().format(Quantize.Options()), given.splits["calibration"], tmp_path / "int8.onnx", {}
    )
    # an integer is zero for what was, and for what was near it
    for (zeros, size), (before, whole) in zip(_counted(integers.path, np.int8), counts, strict=True):
        assert size == whole
        assert before <= zeros < size
    assert integers.compressed_size() < 0.6 * integers.size


def _counted(path: Path, kind: Any) -> list[tuple[int, int]]:
    """Of every weight in an ONNX file, how many are zero and how many there are."""
    held = [numpy_helper.to_array(each) for each in onnx.load(path).graph.initializer]
    weights = [each for each in held if each.ndim > 1 and each.dtype == kind]
    return sorted((int(np.count_nonzero(each == 0)), each.size) for each in weights)


def test_the_masks_survive_every_training(given: Any) -> None:
    subject = _sparse(fresh(given), given, sparsity=0.7, scope="global")
    module, before = subject.source, _zeros(subject.source)
    assert sum(each.sum() for each in before.values()) == round(0.7 * sum(each.size for each in before.values()))
    assert len({each.mean() for each in before.values()}) > 1
    was = module[0].weight.detach().clone()
    with reproducible(0):
        Finetune().apply(subject, TrainingOptions(epochs=1, lr=0.01, ema=0.9, teacher="baseline"), given)
    assert not torch.equal(module[0].weight, was)
    for name, zeros in _zeros(module).items():
        assert np.array_equal(zeros, before[name])


def test_a_training_that_fills_zeros_is_put_right(given: Any) -> None:
    subject = _sparse(nn.Sequential(nn.Flatten(), nn.Linear(36, 3)), given, sparsity=0.5)
    before = _zeros(subject.source)
    with torch.no_grad():
        subject.source[1].weight.add_(1)
    subject.left["sparsify"].after_step(subject.source)
    assert np.array_equal(_zeros(subject.source)["1.weight"], before["1.weight"])


def test_two_of_four_along_the_inputs_and_other_widths_are_told(given: Any) -> None:
    layers = nn.Conv2d(1, 8, 3), nn.Conv2d(8, 6, 3), nn.ConvTranspose2d(6, 4, 3), nn.ConvTranspose2d(4, 3, 3)
    module = nn.Sequential(*layers)
    _sparse(module, given, structure="2:4")
    zeros = _zeros(module)
    assert (zeros["1.weight"].reshape(6, 2, 4, 3, 3).sum(2) == 2).all()
    assert (zeros["3.weight"].reshape(1, 4, 3, 3, 3).sum(1) == 2).all()
    assert not zeros["0.weight"].any()
    assert given.notes["sparsify"]["kept"] == ["0.weight", "2.weight"]


def test_shared_values_leave_zeros_where_they_are(given: Any) -> None:
    subject = _sparse(nn.Sequential(nn.Flatten(), nn.Linear(36, 24), nn.Linear(24, 3)), given, sparsity=0.6)
    before = _zeros(subject.source)["1.weight"]
    subject = Cluster().apply(subject, ClusterOptions(bits=3, exclude=("2",)), given)
    with reproducible(0):
        Finetune().apply(subject, TrainingOptions(epochs=1, lr=0.01), given)
    weight = subject.source[1].weight.detach().numpy()
    assert np.array_equal(weight == 0, before)
    assert len(np.unique(weight)) == 8


def test_where_nothing_can_be_zero_it_is_refused(given: Any) -> None:
    narrow = nn.Sequential(nn.Flatten(), nn.Linear(3, 2))
    with pytest.raises(RecipeFailed, match=r"no layer is known to sum over a multiple of 4 \(1\.weight\)"):
        _sparse(narrow, given, structure="2:4")
    with pytest.raises(RecipeFailed, match=r"no weight would be left in 1\.weight; lower `sparsity` or name"):
        _sparse(narrow, given, sparsity=0.95)
    with pytest.raises(RecipeFailed, match="no layer with weights that is not excluded"):
        _sparse(narrow, given, sparsity=0.5, exclude=("1",))
    with pytest.raises(RecipeFailed, match="in `exclude`, `stem` fits no layer; there are 1"):
        _sparse(narrow, given, sparsity=0.5, exclude=("stem",))
    with torch.no_grad():
        narrow[1].weight[0, 0] = np.nan
    with pytest.raises(RecipeFailed, match=r"1\.weight holds NaN or infinity"):
        _sparse(narrow, given, sparsity=0.5)


def test_what_training_moves_towards_zero_goes_however_large_it_is(given: Any) -> None:
    seen: list[dict[str, Any]] = []

    class Seen(Movement):
        def scores(self, masked: Any) -> Any:
            seen.append(super().scores(masked))
            return seen[-1]

    options = {"sparsity": 0.6, "rounds": 3, "epochs": 1, "importance": "movement", "exclude": ["11"]}
    module = fresh(given)
    with pytest.MonkeyPatch.context() as patch, reproducible(0):
        patch.setattr(masking, "Movement", Seen)
        subject = _sparse(module, given, **options)
    zeros = {name: each.numpy() for name, each in subject.left["sparsify"].zeros.items()}  # type: ignore[attr-defined]
    assert [len(each) for each in seen] == [len(zeros)] * 3 == [3] * 3
    for name, mask in zeros.items():
        assert mask.sum() == round(0.6 * mask.size)
        # the lowest scores, and whatever was zero after the second round
        assert np.array_equal(mask, seen[2][name] <= np.sort(seen[2][name], axis=None)[mask.sum() - 1])
        assert np.isneginf(seen[2][name]).sum() == round(scheduled(0.6, 1, 2) * mask.size)
        assert np.abs(seen[1][name]).max() > 0
        assert not np.isneginf(seen[1][name]).any()
        assert _zeros(module)[name][mask].all()


def test_fours_of_a_transposed_convolution_are_of_one_group(given: Any) -> None:
    """Inputs of different groups are never summed: of two in a group, both would go, and with them a channel."""
    module = nn.Sequential(*(nn.ConvTranspose2d(8, 8, 3, groups=groups) for groups in (2, 4, 8)))
    _sparse(module, given, structure="2:4")
    zeros = _zeros(module)
    assert (zeros["0.weight"].reshape(2, 4, 4, 3, 3).sum(1) == 2).all()
    assert not zeros["1.weight"].any()
    assert not zeros["2.weight"].any()
    assert given.notes["sparsify"]["kept"] == ["1.weight", "2.weight"]


def test_fours_are_of_layers_whose_weights_are_known_to_lie_so(given: Any) -> None:
    class InputsFirst(nn.Module):
        """As GPT-2's layers have it."""

        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(8, 8))

        def forward(self, values: Any) -> Any:
            return values @ self.weight

    class Adapted(nn.Linear):
        """Still a linear layer."""

    module = nn.Sequential(InputsFirst(), Adapted(8, 8))
    _sparse(module, given, structure="2:4")
    assert not _zeros(module)["0.weight"].any()
    assert (_zeros(module)["1.weight"].reshape(8, 2, 4).sum(2) == 2).all()
    assert given.notes["sparsify"]["kept"] == ["0.weight"]
    assert any("along which axis is not known; left as they are: 0.weight" in line for line in given.progress.lines)
