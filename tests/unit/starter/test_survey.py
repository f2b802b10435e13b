"""What is found in a folder, without importing any of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from makeweight.starter import gather, survey
from makeweight_base.errors import UsageError
from makeweight_base.progress import Silent


def test_models_are_found_where_people_keep_them(tmp_path: Path) -> None:
    for path in (
        "a.onnx",
        "models/b.onnx",
        "artifacts/x/no.onnx",
        ".venv/no.onnx",
        "lib/site-packages/no.onnx",
        "my/no.onnx",
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    (tmp_path / "my" / "pyvenv.cfg").touch()
    assert survey.files(tmp_path, ".onnx") == ["a.onnx", "models/b.onnx"]
    assert survey.files(tmp_path, ".pt", ".pth") == []


def test_the_best_lock_is_taken(tmp_path: Path) -> None:
    assert survey.lock(tmp_path) is None
    (tmp_path / "requirements.txt").touch()
    assert survey.lock(tmp_path) == "requirements.txt"
    (tmp_path / "uv.lock").touch()
    assert survey.lock(tmp_path) == "uv.lock"


@pytest.mark.parametrize("name", ["old.pt", "epoch=3.ckpt", "model.safetensors"])
def test_weights_that_lie_there_are_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(UsageError, match=f"there is no model to start from; {name} may be weights"):
        gather._found_model(tmp_path, Silent())
