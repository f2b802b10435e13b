"""`init` of a PyTorch module whose inputs nobody declares: read off real examples, for modules of every make."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from makeweight.starter import looking, shown
from makeweight.starter.arguments import Given
from makeweight.starter.gather import gather
from makeweight.starter.looking import Asked
from makeweight_base.errors import UsageError
from makeweight_base.progress import Silent

CODE = """
import numpy as np
import torch
from torch import nn


class Flat(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(64, 3)

    def forward(self, image):
        return self.layer(image.flatten(1))


class Words(nn.Module):
    def forward(self, input_ids, attention_mask, labels=None): ...


class Anything(nn.Module):
    def forward(self, batch: dict): ...


class Voice(nn.Module):
    def forward(self, sound, sr): ...


def images(split):
    return np.zeros((5, 1, 8, 8)), np.arange(5) % 3


def words(split):
    for length in (4, 2, 7):
        yield {"label": 1, "attention_mask": np.ones(length), "input_ids": np.ones(length, int), "text": "words"}


def padded(split):
    def collate(examples):
        longest = max(len(tokens) for tokens, _ in examples)
        tokens = torch.stack([nn.functional.pad(tokens, (0, longest - len(tokens))) for tokens, _ in examples])
        return {"input_ids": tokens, "attention_mask": tokens > 0}, torch.tensor([target for _, target in examples])

    examples = [(torch.ones(length, dtype=torch.int64), 0) for length in [3] * 40 + [9]]
    return torch.utils.data.DataLoader(examples, batch_size=8, collate_fn=collate)


def sounds(split):
    return [(np.zeros(length), 1) for length in (10, 20)]


def nothing():
    return torch.zeros(3)


def empty(split):
    return [{"label": 1}]


def broken(split):
    raise RuntimeError("no disk")
"""
NUMBERS = itertools.count()
Project = Callable[..., Asked]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setattr(sys, "path", list(sys.path))
    name = f"shown_{next(NUMBERS)}"
    (tmp_path / f"{name}.py").write_text(CODE)

    def asked(build: str, data: str | dict[str, Any], **constants: int) -> Asked:
        source = {"load": f"{name}:{data}"} if isinstance(data, str) else data
        return Asked(str(tmp_path), f"{name}:{build}", source, constants, "classification")

    return asked


@pytest.mark.parametrize(
    ("build", "load", "constants", "found"),
    [
        ("Flat", "images", {}, {"image": ["N", 1, 8, 8]}),
        ("Words", "words", {}, {"input_ids": ["N", "T"], "attention_mask": ["N", "T"]}),
        ("Words", "padded", {}, {"input_ids": ["N", "T"], "attention_mask": ["N", "T"]}),
        ("Anything", "padded", {}, {"input_ids": ["N", "T"], "attention_mask": ["N", "T"]}),
        ("Voice", "sounds", {"sr": 16000}, {"sound": ["N", "T"]}),
    ],
    ids=["arrays", "rows", "the_last_is_longer", "dict", "constant"],
)
def test_names_are_forwards_and_sizes_the_examples(
    project: Project, build: str, load: str, constants: dict[str, int], found: dict[str, Any]
) -> None:
    assert looking.look(project(build, load, **constants)) == found


def test_arrays_in_files_need_no_loader(project: Project, tmp_path: Path) -> None:
    np.savez(tmp_path / "test.npz", pixels=np.zeros((4, 1, 8, 8)), target=np.zeros(4))
    assert looking.look(project("Flat", {"npz": {"test": "test.npz"}})) == {"image": ["N", 1, 8, 8]}


def draw(root: Path, *sizes: tuple[int, int]) -> dict[str, Any]:
    (root / "test" / "cat").mkdir(parents=True)
    for number, (height, width) in enumerate(sizes):
        Image.fromarray(np.zeros((height, width, 3), np.uint8)).save(root / "test" / "cat" / f"{number}.png")
    return {"images": {"test": "test"}}


def test_pictures_of_one_size_are_tried_in_colours_and_grey(project: Project, tmp_path: Path) -> None:
    assert looking.look(project("Flat", draw(tmp_path, (8, 8), (8, 8)))) == {"image": ["N", 1, 8, 8]}


@pytest.mark.parametrize(
    ("build", "data", "said"),
    [
        ("Flat", [(8, 8), (8, 9)], r"test: the pictures are of several sizes \(8x8, 8x9\)"),
        ("Flat", [(9, 9)], r"test: the pictures are 9x9, and forward\(\) does not take that"),
        ("Voice", "sounds", r"which parameters of forward\(sound, sr\) the declared inputs are is not clear: sound"),
        ("Words", "broken", r"shown_\d+\.py:\d+: .* raised RuntimeError: no disk"),
        ("Nothing", "images", "has no `Nothing`"),
        ("nothing", "images", "--build: .* gave Tensor, not a torch.nn.Module"),
        ("Anything", "empty", "the test split: the examples have targets and no inputs"),
    ],
    ids=["sizes", "refused", "a_parameter_is_left", "loader", "build", "no_module", "no_inputs"],
)
def test_what_no_example_tells_is_asked_for(
    project: Project, tmp_path: Path, build: str, data: str | list[tuple[int, int]], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        looking.look(project(build, data if isinstance(data, str) else draw(tmp_path, *data)))


def test_a_first_configuration_needs_no_inputs(project: Project, tmp_path: Path) -> None:
    asked = project("Flat", "images")
    (tmp_path / "w.pt").write_bytes(b"weights")
    made = gather(tmp_path, Given(build=asked.build, weights="w.pt", data=asked.data["load"]), None, Silent())
    assert made.inputs == {"image": ["N", 1, 8, 8]}


def test_code_that_ends_the_process_ends_another_one(tmp_path: Path) -> None:
    """Before it has imported anything of PyTorch."""
    (tmp_path / "crashing.py").write_text("import os\n\ndef build():\n    os.kill(os.getpid(), 9)\n")
    with pytest.raises(UsageError, match=r"ended with signal SIGKILL: .*so which inputs the model takes") as refused:
        shown.inputs(tmp_path, "crashing:build", {"load": "crashing:load"}, {}, "classification", Silent())
    assert "--inputs image=N,3,32,32" in str(refused.value.do)
