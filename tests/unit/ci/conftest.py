"""A project as text, made sense of without a file; what a base and a label may say of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from makeweight.artifact import artifact
from makeweight.artifact.artifact import Manifest
from makeweight.artifact.files import sha256_of
from makeweight.ci.base import Base
from makeweight.measurement import Measurement
from makeweight.project.project import Project
from makeweight.project.reading import understand
from model_values import model_in

CONFIG = """\
name: tiny
model: {onnx: tiny.onnx, inputs: {x: [N, 4]}}
sources: [code]
data: {npz: {test: test.npz, calibration: calibration.npz}}
task: classification
seed: 0
variants:
  int8: {steps: [{quantize: {method: dynamic}}]}
  other: {steps: [float16]}
devices:
  local: {kind: local}
budget:
  size: {max_ratio: 0.5}
  latency_p50: {max_ratio: 0.9, max_regression: 5 %}
"""

Made = Callable[..., Project]


@pytest.fixture
def made() -> Made:
    """The project of the configuration with parts of its text replaced."""

    def make(*replacements: tuple[str, str], config: str = CONFIG) -> Project:
        for old, new in replacements:
            assert old in config, old
            config = config.replace(old, new)
        return understand(config, "makeweight.yaml", Path("tiny"))

    return make


def figure(metric: str, value: float = 1.0, **more: Any) -> Measurement:
    return Measurement(metric, more.pop("variant", "int8"), more.pop("unit", "ratio"), value, **more)


def base_of(project: Project | None, *figures: Measurement, **more: Any) -> Base:
    provenance = {"artifacts": {"baseline": "b", "int8": "i", "other": "o"}, "failed": {}, **more.pop("provenance", {})}
    return Base("b" * 40, "main", project, None, None, tuple(figures), provenance, **more)


def laid(folder: Path, content: bytes) -> str:
    """An artifact in a folder; the hash of its model."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(content)
    artifact.write(folder, Manifest("int8", "ready", "onnxruntime", [], 0, None, {}, model=model_in(folder)))
    return sha256_of(folder / "model.onnx")
