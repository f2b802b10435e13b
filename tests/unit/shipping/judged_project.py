"""A project whose verdict is a pass, written without running anything: its model is of two files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from makeweight.artifact import artifact
from makeweight.artifact.artifact import Manifest
from makeweight.artifact.files import sha256_of
from makeweight.decide.verdict import dumps
from makeweight.layout import Layout
from model_values import model_in
from unit.report import invented_content as invented

CHOSEN = invented.content().verdict.ship or ""

CONFIG = """\
model: {onnx: model.onnx}
data: {npz: {test: test.npz}}
task: classification
variants: {half: {steps: [float16]}}
devices: {local: {kind: local}}
budget: {size: {max: 1 MB}}
canary: {traffic: 10 %}
"""


def judge(root: Path, **changes: Any) -> None:
    """Write a verdict on what lies there."""
    manifest = artifact.read(Layout(root).artifact(CHOSEN))
    provenance = {
        "config": sha256_of(root / "makeweight.yaml"),
        "artifacts": {CHOSEN: manifest.sha256},
        "manifests": {CHOSEN: sha256_of(Layout(root).artifact(CHOSEN) / "manifest.json")},
    }
    decided = replace(invented.content().verdict, **{"provenance": provenance, **changes})
    Layout(root).verdict.write_text(dumps(decided))


def make(root: Path, weights: bytes) -> None:
    """A model of two files, and what tells of it."""
    layout = Layout(root)
    folder = layout.artifact(CHOSEN)
    (folder / "weights").mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(b"graph")
    (folder / "weights/model.bin").write_bytes(weights)
    (folder / "control.onnx").write_bytes(b"never ships")
    model = model_in(folder, "model.onnx", "weights/model.bin")
    artifact.write(folder, Manifest(CHOSEN, "ready", "onnxruntime", [], 0, None, {}, model=model))
    layout.reference(CHOSEN).parent.mkdir(parents=True, exist_ok=True)
    layout.reference(CHOSEN).write_text("{}")
    layout.card.write_text("card")
    layout.config.write_text(CONFIG)
