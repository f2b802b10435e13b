"""`makeweight advise` on small projects: what it measures, what it says, what it writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models

from makeweight.cli import main


def advised(capsys: pytest.CaptureFixture[str], seconds: str, *words: str) -> Any:
    assert main(["advise", "--json", "--seconds", seconds, *words]) == 0
    return json.loads(capsys.readouterr().out)


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
