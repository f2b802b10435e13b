"""Which training is known again, and who inherits one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from makeweight.compress.checkpoints import Checkpoints, origin, places
from makeweight.project.project import Project
from makeweight.project.reading import understand
from split_values import split_of

CONFIG = """
model: {{build: "a:b", weights: w.pt, inputs: {{x: [N, 2]}}}}
data: {{load: "a:b"}}
variants:
  slim: {{steps: [prune: {{ratio: 0.75, epochs: 2}}, finetune: {{epochs: 4}}]}}
  other: {{steps: [{other}]}}
budget: {{size: {{max: 1 kB}}}}
"""


def _shared(other: str) -> int:
    project: Project = understand(CONFIG.format(other=other), "makeweight.yaml", Path())
    return len(places(project.variants["slim"]) & places(project.variants["other"]))


@pytest.mark.parametrize(
    ("other", "count"),
    [
        pytest.param("prune: {ratio: 0.5, epochs: 2}, finetune: {epochs: 4}, quantize", 2, id="the-whole-control"),
        pytest.param("prune: {ratio: 0.5, epochs: 1, rounds: 2}", 1, id="the-first-of-the-control"),
        pytest.param("prune: {ratio: 0.75, epochs: 2}, finetune: {epochs: 3}", 2, id="the-first-step"),
        pytest.param("prune: {ratio: 0.5, epochs: 3}, finetune: {epochs: 4}", 0, id="another-first"),
    ],
)
def test_equal_first_steps_and_equal_controls_have_equal_places(other: str, count: int) -> None:
    assert _shared(other) == count


def _split(value: float = 0.0) -> Any:
    return split_of("train", {"x": np.full((4, 2), value, np.float32)}, np.zeros(4, np.int64))


def _name(checkpoints: Checkpoints, module: Any, split: Any = None, **told: Any) -> str:
    path = checkpoints.next(_split() if split is None else split, module, told).path
    assert path is not None
    return path.name


def test_a_training_is_known_again_by_all_that_it_depends_on(tmp_path: Path) -> None:
    torch.manual_seed(0)
    module, other = nn.Linear(2, 2), nn.Linear(2, 2)

    def begun() -> Checkpoints:
        return Checkpoints(tmp_path, "origin", "place")

    twice = begun()
    names = [
        _name(begun(), module),
        _name(begun(), other),
        _name(begun(), module, _split(1.0)),
        _name(begun(), module, lr=0.1),
        _name(replace(begun(), origin="elsewhere"), module),
        _name(begun().at("further"), module),
        _name(twice, module),
        _name(twice, module),
    ]
    assert names[6] == names[0]
    assert len(set(names)) == len(names) - 1


def test_where_it_comes_from_is_code_data_versions_and_what_is_declared(tmp_path: Path) -> None:
    project = understand(CONFIG.format(other="quantize"), "makeweight.yaml", tmp_path)
    (tmp_path / "code" / "__pycache__").mkdir(parents=True)
    (tmp_path / "code" / "net.py").write_text("1")
    found = [origin(project.declared, ["code"], "sha")]
    (tmp_path / "code" / "__pycache__" / "net.pyc").write_text("compiled")
    found.append(origin(project.declared, ["code"], "sha"))
    assert found[0] == found[1]
    (tmp_path / "code" / "net.py").write_text("2")
    found.append(origin(project.declared, ["code"], "sha"))
    found.append(origin(replace(project.declared, seed=1), ["code"], "sha"))
    found.append(origin(project.declared, ["code"], "another"))
    assert len(set(found)) == 4


def test_what_others_can_use_is_theirs_and_the_rest_goes(tmp_path: Path) -> None:
    made, heir, stranger = (tmp_path / name for name in ("made", "heir", "stranger"))
    for folder, names in ((made, ("one-1-new", "two-1-new")), (heir, ("one-1-old", "one-2-old"))):
        folder.mkdir()
        for name in names:
            (folder / f"{name}.pt").write_text(name)
    Checkpoints(made).hand_on({heir: {"one", "three"}, stranger: {"four"}})
    assert sorted(path.name for path in heir.iterdir()) == ["one-1-new.pt", "one-2-old.pt"]
    assert not made.exists()
    assert not stranger.exists()


def test_what_is_of_use_is_taken_over_and_what_is_there_stays(tmp_path: Path) -> None:
    pool, own = tmp_path / "pool", tmp_path / "own"
    for folder, names in ((pool, ("one-1-a", "one-2-b", "two-1-c")), (own, ("one-1-a",))):
        folder.mkdir()
        for name in names:
            (folder / f"{name}.pt").write_text(folder.name)
    Checkpoints(own).take_over(pool, {"one"})
    assert {path.name: path.read_text() for path in own.iterdir()} == {"one-1-a.pt": "own", "one-2-b.pt": "pool"}
    Checkpoints(tmp_path / "new").take_over(tmp_path / "none", {"one"})
    assert not [*(tmp_path / "new").iterdir()]


def test_whoever_watches_hears_of_each_epoch_once_it_is_kept(tmp_path: Path) -> None:
    module, heard = nn.Linear(2, 2), []

    def watch(name: str, figures: Any) -> None:
        heard.append((name, list(figures), len([*tmp_path.iterdir()])))

    kept = Checkpoints(tmp_path, "origin", watch=watch).at("place").next(_split(), module)
    kept.keep({"module": module}, [{"training_loss": 1.0}])
    assert heard == [("place-1", [{"training_loss": 1.0}], 1)]


def test_a_damaged_file_counts_for_nothing(tmp_path: Path) -> None:
    module = nn.Linear(2, 2)
    for content in (b"", b"no archive"):
        checkpoint = Checkpoints(tmp_path, "origin", "place").next(_split(), module)
        assert checkpoint.path is not None
        checkpoint.path.write_bytes(content)
        assert not checkpoint.restore({"module": module})
    torch.save({"module": module}, checkpoint.path)  # an object, which would have to be run to be read
    assert not checkpoint.restore({"module": module})
    checkpoint.keep({"module": module})
    assert not checkpoint.restore({"module": module, "more": module})
    assert checkpoint.restore({"module": module})
