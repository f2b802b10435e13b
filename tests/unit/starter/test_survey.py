"""What is found in a folder, without importing any of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from makeweight.starter import survey
from makeweight_base.errors import UsageError

MODEL = "raise RuntimeError('imported')\n\ndef build():\n    pass\n\nclass Loader:\n    def load(self): pass\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "pkg" / "sub").mkdir(parents=True)
    (tmp_path / "pkg" / "model.py").write_text(MODEL)
    (tmp_path / "pkg" / "__init__.py").write_text("from pkg.model import build as make\nfactory = make\n")
    (tmp_path / "pkg" / "sub" / "__init__.py").write_text("from pkg.model import *\n")
    (tmp_path / "single.py").write_text(MODEL)
    (tmp_path / "broken.py").write_text("x = 1\ndef (:\n")
    return tmp_path


@pytest.mark.parametrize(
    ("dotted", "source"),
    [
        ("pkg.model:build", "pkg/"),
        ("pkg:factory", "pkg/"),
        ("pkg:make", "pkg/"),
        ("pkg.sub:whatever", "pkg/"),
        ("single:Loader.load", "single.py"),
        ("json:loads", None),
    ],
)
def test_a_callable_is_traced_to_the_users_source(root: Path, dotted: str, source: str | None) -> None:
    assert survey.source_of(root, dotted, "--build") == source


@pytest.mark.parametrize(
    ("dotted", "says"),
    [
        ("pkg.model", "is no `module:callable`"),
        ("pkg.model:", "is no `module:callable`"),
        ("pkg model:build", "is no `module:callable`"),
        ("nowhere_at_all.model:build", "there is no module `nowhere_at_all`"),
        ("pkg.modle:build", "there is no module `pkg.modle`"),
        ("pkg.model:biuld", "pkg/model.py has no `biuld`; did you mean `build`?"),
        ("broken:build", "broken.py:2: cannot be read"),
    ],
)
def test_what_is_not_there_is_told(root: Path, dotted: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        survey.source_of(root, dotted, "--build")
    assert says in str(caught.value)


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
