"""The files that DVC draws of trainings."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace

import pytest

from makeweight.compress.checkpoints import Checkpoints
from makeweight.compress.curves import Curves
from makeweight.layout import CONFIG
from makeweight.project.reading import understand
from makeweight.verbs import compress
from makeweight_base.progress import Plain

TWO = """\
model: {build: "net:build", weights: net.pt, inputs: {image: [N, 4]}}
data: {load: "data:load"}
variants:
  half: {steps: [float16]}
  tuned: {steps: [{finetune: {epochs: 1}}, float16]}
budget: {size: {max: 1 kB}}
"""


def test_trainings_follow_each_other_and_the_control_stands_beside(tmp_path: Path) -> None:
    variant = Curves(tmp_path)
    first, second, control = variant.begin(), variant.begin(), variant.of("control").begin()
    first([{"training_loss": 2.0}])
    second([{"training_loss": 1.0, "validation_accuracy": 0.5}])
    second([{"training_loss": 1.0, "validation_accuracy": 0.5}, {"training_loss": 1 / 3, "validation_accuracy": 0.75}])
    control([{"training_loss": 1.5, "validation_accuracy": 0.25}])
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "training_loss.tsv": "epoch\tvariant\tcontrol\n1\t2\t1.5\n2\t1\t\n3\t0.333333\t\n",
        "validation_accuracy.tsv": "epoch\tvariant\tcontrol\n1\t\t0.25\n2\t0.5\t\n3\t0.75\t\n",
    }


def test_what_a_training_showed_before_is_not_shown_twice(tmp_path: Path) -> None:
    show = Curves(tmp_path).begin()
    for _ in range(2):
        show([{"training_loss": 2.0}])
    assert (tmp_path / "training_loss.tsv").read_text() == "epoch\tvariant\tcontrol\n1\t2\t\n"


@pytest.mark.parametrize(
    ("variant", "left"), [("half", ["untrained.txt"]), ("tuned", [])], ids=["untrained", "trained"]
)
def test_a_folder_without_curves_is_empty_only_where_a_training_is_to_fill_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variant: str, left: list[str]
) -> None:
    """DVC warns of an output that is empty, with each run of the stage."""
    monkeypatch.setattr(compress, "make", lambda *_: None)
    monkeypatch.setattr(compress, "_checkpoints", lambda *_: Checkpoints())
    monkeypatch.setattr(compress.artifact, "read", lambda _: SimpleNamespace(sha256=None))
    compress.run(understand(TWO, CONFIG, tmp_path), variant, Plain(io.StringIO()))
    assert [path.name for path in (tmp_path / "samples" / variant / "training").iterdir()] == left
