"""`makeweight advise` on small projects: what it measures, what it says, what it writes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models

from makeweight.cli import main
from makeweight.project import reading
from makeweight.project.project import Project

pytestmark = pytest.mark.usefixtures("probed_here")

Maker = Callable[..., Project]
DEVICES = "devices: {here: {kind: local, processes: 1}}\nvariants:\n  mine:\n    steps: [{prune: {ratio: 0.25}}]"


def advised(capsys: pytest.CaptureFixture[str], seconds: str, *words: str) -> Any:
    assert main(["advise", "--json", "--seconds", seconds, *words]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_network_is_looked_into_and_the_recipe_written(
    make_project: Maker, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    project = make_project(DEVICES)
    network, code = project.root, str(project.model.build).partition(":")[0]
    monkeypatch.chdir(network)
    before = (
        f"model: {{build: '{code}:build', weights: weights.pt, inputs: {{image: [N, 1, 6, 6]}}}}\n"
        f"data: {{load: '{code}:load', calibration: {{samples: 64}}}}\n"
        f"{DEVICES}\n"
        "budget: {size: {max_ratio: 0.5}}  # half\n"
    )
    (network / "makeweight.yaml").write_text(before)
    told = advised(capsys, "0.001", "--write", "advised")

    model = told["facts"]["model"]
    by_kind: dict[str, int] = {}
    for layer in model["layers"]:
        by_kind[layer["kind"]] = by_kind.get(layer["kind"], 0) + layer["bytes"]
    # three convolutions, nine weights an input and output (what untrained normalization adds is zero), and one product
    assert by_kind["convolution"] == 4 * 9 * (32 + 32 * 48 + 48 * 32)
    assert by_kind["product"] == 4 * (32 * 3 + 3)
    # 36 places, then 9 behind the stride
    assert model["macs"] == 9 * (36 * 32 + 9 * 32 * 48 + 9 * 48 * 32) + 32 * 3
    assert sum(layer["macs"] for layer in model["layers"]) == model["macs"]
    assert [device["latency"] > 0 for device in told["facts"]["devices"]] == [True]
    assert told["facts"]["data"] == {"train": 96, "labelled": True, "validation": 48, "calibration": 64}
    assert told["facts"]["pruning"]["size"] < 0.6
    first = told["advice"][0]
    assert first["name"] == "int8"
    written = reading.load(network).variants["advised"]
    assert [step.name for step in written.plan.in_order] == ["quantize"]
    after = (network / "makeweight.yaml").read_text()
    assert set(before.splitlines()) <= set(after.splitlines())

    assert main(["advise", "--write", "advised"]) == 2
    assert "there is a variant `advised` already" in capsys.readouterr().err


def test_an_embedding_that_no_quantizer_reaches_is_told_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    tiny_models.embedding(tmp_path / "model.onnx", words=2000)
    tokens = np.random.default_rng(0).integers(0, 2000, (12, 5))
    np.savez(tmp_path / "test.npz", tokens=tokens, target=np.arange(12) % tiny_models.CLASSES)
    (tmp_path / "makeweight.yaml").write_text(
        "model: {onnx: model.onnx}\n"
        "data: {npz: {test: test.npz, calibration: test.npz}}\n"
        "variants: {mine: {steps: [float16]}}\n"
        "devices: {here: {kind: local, processes: 1}, away: {kind: ssh, host: nobody.invalid}}\n"
        "budget: {size: {max_ratio: 0.6}}\n"
    )
    told = advised(capsys, "600")
    assert [layer["kind"] for layer in told["facts"]["model"]["layers"]] == ["table"]
    assert told["facts"]["model"]["layers"][0]["bytes"] == 2000 * tiny_models.CLASSES * 4
    reasons = {each["rule"]: each["reason"] for each in told["aside"]}
    assert "no convolution and no product" in reasons["int8-dynamic"]
    assert "latency on away" in told["facts"]["absent"]
    half = next(each for each in told["advice"] if each["rule"] == "float16")
    assert (half["name"], half["declared"]) == ("mine", True)
    [size] = [each for each in half["expected"] if each["figure"] == "size"]
    assert size["tried"]
    assert size["low"] == pytest.approx(0.5, abs=0.05)

    assert main(["advise", "--seconds", "0.001"]) == 0
    shown = capsys.readouterr().out
    for words in ("Where the bytes are", "tables of vectors", "Set aside", "Not known here"):
        assert words in shown
    assert max(map(len, shown.splitlines())) <= 110


def test_a_regression_is_advised_and_no_loss_of_it_is_told_as_a_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    tiny_models.dense(tmp_path / "model.onnx", width=64)
    rng = np.random.default_rng(0)
    for split in ("validation", "test"):
        inputs = rng.normal(size=(12, tiny_models.FEATURES)).astype(np.float32)
        np.savez(tmp_path / f"{split}.npz", x=inputs, target=rng.normal(size=(12, tiny_models.CLASSES)))
    (tmp_path / "makeweight.yaml").write_text(
        "model: {onnx: model.onnx}\n"
        "data: {npz: {validation: validation.npz, test: test.npz}, calibration: {split: validation}}\n"
        "task: regression\n"
        "devices: {away: {kind: ssh, host: nobody.invalid}}\n"
        "budget: {size: {max_ratio: 0.6}, rmse: {max_ratio: 1.1}}\n"
    )
    told = advised(capsys, "600")
    half = next(each for each in told["advice"] if each["rule"] == "float16")
    assert [each["tried"] for each in half["expected"] if each["figure"] == "size"] == [True]
    assert "drop" not in {each["figure"] for each in half["expected"]}
