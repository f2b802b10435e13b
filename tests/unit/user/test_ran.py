"""Which files of the repository were executed: found in a process of its own, as a stage is one."""

from __future__ import annotations

import hashlib
import json
import py_compile
import subprocess
import sys
from pathlib import Path

import pytest

from makeweight.user.ran import entries, undeclared

ASK = """\
import json, sys
from pathlib import Path
from makeweight.user import callables
from makeweight.user.ran import ran
root = Path(sys.argv[1])
for dotted in sys.argv[2:]:
    callables.find(dotted, root, where="test")()
print(json.dumps(ran(root)))
"""


def asked(root: Path, *dotted: str) -> dict[str, str]:
    done = subprocess.run(
        [sys.executable, "-c", ASK, str(root), *dotted], cwd=root, capture_output=True, text=True, check=True
    )
    found: dict[str, str] = json.loads(done.stdout)
    return found


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """In a folder of a work tree, with code above it, behind a link, and without a source."""
    root = tmp_path / "tree/project"
    files = {
        "mine/__init__.py": "",
        "mine/data.py": "import sys\nsys.path.append('..')\nimport above, lib.deep, bare\ndef load(): pass\n",
        "mine/idle.py": "x = 1\n",
        "../above.py": "x = 2\n",
        "../shared/deep.py": "x = 3\n",
        "hidden.py": "import sys\ndel sys.modules[__name__]\n",
        "first.py": "def load():\n    try:\n        import hidden\n    except KeyError:\n        pass\n",
        "bare.py": "x = 4\n",
    }
    (tmp_path / "tree/.git").mkdir(parents=True)
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    py_compile.compile(str(root / "bare.py"), str(root / "bare.pyc"), doraise=True)
    (root / "bare.py").unlink()
    (root / "lib").symlink_to("../shared")
    return root


def test_what_was_executed_is_named_with_its_hash_and_nothing_else(project: Path) -> None:
    found = asked(project, "mine.data:load")
    assert set(found) == {"mine/__init__.py", "mine/data.py", "../above.py", "lib/deep.py", "bare.pyc"}
    assert found["../above.py"] == sha256("x = 2\n")
    assert found["lib/deep.py"] == sha256("x = 3\n")


def test_a_module_that_takes_itself_away_was_executed_all_the_same(project: Path) -> None:
    assert set(asked(project, "first:load")) == {"first.py", "hidden.py"}


def test_a_second_time_when_only_byte_code_is_read_it_is_the_same(project: Path) -> None:
    assert asked(project, "mine.data:load") == asked(project, "mine.data:load")


def test_where_nothing_of_the_repository_runs_there_is_nothing(project: Path) -> None:
    assert asked(project) == {}


def test_what_no_source_is_or_holds_is_undeclared() -> None:
    ran = ["mine/data.py", "mine.py", "../above.py", "lib/deep.py"]
    assert undeclared(["mine", "./lib/deep.py"], ran) == ["../above.py", "mine.py"]
    assert undeclared([], ran) == sorted(ran)


def test_the_lines_to_add_are_files_and_folders_with_several() -> None:
    assert entries(["one.py", "mine/a.py", "mine/deep/b.py", "other/c.py"]) == ["mine/", "one.py", "other/c.py"]
