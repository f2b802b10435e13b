"""The technique and the training step of examples/own_technique, as installed beside makeweight."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from integration.compress.conftest import fresh
from makeweight import registry
from makeweight.compress.finetune import Finetune
from makeweight.compress.subject import Subject
from makeweight.project.reading import understand
from makeweight.runtimes.runtime import RecipeFailed
from makeweight_base.errors import ConfigError

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "own_technique"
CONFIG = """
model: {{build: "a:b", weights: w.pt, inputs: {{x: [N, 4]}}}}
data: {{load: "a:load"}}
variants: {{hard: {{steps: [{{hard_activations: {{{option}: [head]}}}}, quantize]}}}}
budget: {{size: {{max: 1 MB}}}}
"""


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What pip leaves of the example's package."""
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    about = tmp_path / "site" / f"hard_activations-{project['version']}.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Name: {project['name']}\nVersion: {project['version']}\n")
    groups = project["entry-points"].items()
    (about / "entry_points.txt").write_text(
        "".join(f"[{group}]\n" + "".join(f"{key} = {at}\n" for key, at in each.items()) for group, each in groups)
    )
    monkeypatch.syspath_prepend(str(EXAMPLE))
    monkeypatch.syspath_prepend(str(about.parent))


def test_its_options_are_read_with_the_file(tmp_path: Path) -> None:
    project = understand(CONFIG.format(option="exclude"), "makeweight.yaml", tmp_path)
    assert project.variants["hard"].recipe[0] == {"hard_activations": {"exclude": ["head"]}}
    with pytest.raises(ConfigError, match="unknown key; did you mean `exclude`"):
        understand(CONFIG.format(option="exlude"), "makeweight.yaml", tmp_path)


def test_activations_become_piecewise_linear(make_project: Any, make_given: Any) -> None:
    import torch
    from torch import nn

    technique = registry.load("technique", "hard_activations")()
    given = make_given(make_project())
    module = nn.Sequential(nn.SiLU(), nn.Sequential(nn.Tanh(), nn.Sigmoid()))
    options = technique.Options(exclude=("1.1",))
    subject = technique.apply(Subject(module), options, given)
    x = np.linspace(-5, 5, 41, dtype=np.float32)
    swish = np.clip(x * np.clip(x + 3, 0, 6) / 6, -1, 1)
    wanted = 1 / (1 + np.exp(-swish))
    assert subject.source(torch.from_numpy(x)).numpy() == pytest.approx(wanted, abs=1e-6)
    assert given.notes["hard_activations"] == {"changed": ["0", "1.0"]}
    with pytest.raises(RecipeFailed, match="changed nothing"):
        technique.apply(subject, options, given)


def test_its_training_moves_biases_and_scales_alone(make_project: Any, make_given: Any) -> None:
    given = make_given(make_project())
    given = replace(given, root=EXAMPLE)
    module = fresh(given)
    before = {name: weight.detach().clone() for name, weight in module.named_parameters()}
    Finetune().apply(Subject(module), Finetune.Options(train="biases:train", epochs=1), given)
    moved = {name for name, weight in module.named_parameters() if not weight.equal(before[name])}
    assert moved == {name for name, weight in before.items() if weight.dim() == 1}
