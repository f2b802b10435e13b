"""Where the user's modules are found: after Python's own, before installed packages, and never instead of either."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from makeweight.user import callables
from makeweight_base.errors import UsageError


@pytest.fixture
def path() -> Iterator[None]:
    before = sys.path[:]
    yield
    sys.path[:] = before


LATER = """
import sys
from pathlib import Path
from makeweight.user import callables
root = Path(sys.argv[1])
print(callables.find("mine:load", root, where="here")())
import colorsys, queue, random, types, sched
from makeweight.runtimes import format
import yaml
print([each.__name__ for each in (colorsys, queue, random, types, sched) if str(root) in str(each.__file__)])
print(sys.modules["numpy"].__version__)
"""


def test_files_named_like_pythons_own_take_nobodys_place(tmp_path: Path) -> None:
    for name in ("types", "queue", "random", "sched", "colorsys", "makeweight", "dvc"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('not me')\n")
    (tmp_path / "mine.py").write_text("import helper\ndef load(): return helper.WORD\n")
    (tmp_path / "helper.py").write_text("WORD = 'found'\n")
    command = [sys.executable, "-P", "-c", LATER, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.splitlines()[:2] == ["found", "[]"], done.stderr


def test_the_projects_own_come_before_installed_packages_of_that_name(tmp_path: Path, path: None) -> None:
    (tmp_path / "iniconfig.py").write_text("def load(): return 'mine'\n")  # pytest brings one
    (tmp_path / "own").mkdir()
    (tmp_path / "own/uses.py").write_text("import another_of_mine\nload = another_of_mine.load\n")
    (tmp_path / "another_of_mine.py").write_text("def load(): return 'mine too'\n")
    installed = sys.modules.pop("iniconfig", None)
    try:
        sys.path.insert(0, str(tmp_path))
        assert callables.find("iniconfig:load", tmp_path, where="here")() == "mine"
        assert callables.find("own.uses:load", tmp_path, where="here")() == "mine too"
    finally:
        del sys.modules["iniconfig"]
        if installed is not None:
            sys.modules["iniconfig"] = installed
    own = sys.path.index(str(tmp_path))
    assert sys.path.count(str(tmp_path)) == 1
    assert own > sys.path.index(str(Path(subprocess.__file__).parent))
    assert own < min(number for number, entry in enumerate(sys.path) if "site-packages" in entry)


@pytest.mark.parametrize("name", ["code.py", "sched/__init__.py"])
def test_a_module_named_like_one_of_pythons_own_is_to_be_renamed(tmp_path: Path, path: None, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("def load(): ...\n")
    top = name.partition("/")[0].removesuffix(".py")
    with pytest.raises(UsageError, match=f"`{top}` is a module of Python's own") as told:
        callables.find(f"{top}:load", tmp_path, where="makeweight.yaml: data.load")
    assert told.value.where == "makeweight.yaml: data.load"
    assert callables.find("colorsys:rgb_to_hsv", tmp_path, where="here")(0, 0, 0) == (0.0, 0.0, 0)
