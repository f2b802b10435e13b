"""What a callable is made of, found without importing any of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from makeweight.starter import code
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
        ("json:loads", ""),
    ],
)
def test_a_callable_is_traced_to_the_users_source(root: Path, dotted: str, source: str) -> None:
    assert code.sources_of(root, dotted, "--build") == ([source] if source else [])


@pytest.mark.parametrize(
    ("dotted", "says"),
    [
        ("pkg.model", "is no `module:callable`"),
        ("pkg.model:", "is no `module:callable`"),
        ("pkg model:build", "is no `module:callable`"),
        ("pkg/model.py:build", "names a file; write its module, `pkg.model:build`"),
        ("single.py", "names a file; write its module, `single:function`"),
        ("nowhere_at_all.model:build", "there is no module `nowhere_at_all`"),
        ("pkg.modle:build", "there is no module `pkg.modle`"),
        ("pkg.model:biuld", "pkg/model.py has no `biuld`; did you mean `build`?"),
        ("broken:build", "broken.py:2: cannot be read"),
    ],
)
def test_what_is_not_there_is_told(root: Path, dotted: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        code.sources_of(root, dotted, "--build")
    assert says in str(caught.value)


def test_what_it_imports_belongs_to_it_at_any_depth(tmp_path: Path) -> None:
    files = {
        "train/__init__.py": "",
        "train/data.py": "import json, numpy\nfrom . import files\nfrom .deep.more import x\nimport helper.text as t\n",
        "train/files.py": "from config import *\nfrom train.data import load\n",
        "train/deep/more.py": "def late():\n    from above.sub import module\n",
        "helper/text.py": "import other\n",
        "config.py": "import odd\n",
        "config/notes.txt": "",
        "odd.py": "def (:\n",
        "above/sub/__init__.py": "",
        "above/sub/module.py": "import last\n",
        "last.py": "",
        "idle.py": "",
        "numpy/readme.md": "",
    }
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    (tmp_path / "train/data.py").write_text(files["train/data.py"] + "def load(split): ...\n")
    found = code.sources_of(tmp_path, "train.data:load", "--data")
    assert found[0] == "train/"
    assert set(found) == {"train/", "helper/", "config.py", "odd.py", "above/", "last.py"}


def test_a_source_is_read_in_the_encoding_that_it_declares(root: Path) -> None:
    (root / "french.py").write_bytes(b"# -*- coding: latin-1 -*-\nETE = '\xe9t\xe9'\n\ndef build():\n    pass\n")
    assert code.sources_of(root, "french:build", "--build") == ["french.py"]
