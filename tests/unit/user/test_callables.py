"""Where the user's modules are found: after Python's own, before installed packages, and never instead of either."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from makeweight.starter.code import sources_of
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


@pytest.mark.parametrize(
    ("name", "whose"), [("code.py", "Python"), ("sched/__init__.py", "Python"), ("makeweight/data.py", "makeweight")]
)
def test_a_module_named_like_one_that_is_found_first_is_to_be_renamed(
    tmp_path: Path, path: None, name: str, whose: str
) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("def load(): ...\n")
    top = name.partition("/")[0].removesuffix(".py")
    with pytest.raises(UsageError, match=f"`{top}` is a module of {whose}'s own") as told:
        callables.find(f"{top}:load", tmp_path, where="makeweight.yaml: data.load")
    assert told.value.where == "makeweight.yaml: data.load"
    assert callables.find("colorsys:rgb_to_hsv", tmp_path, where="here")(0, 0, 0) == (0.0, 0.0, 0)


@pytest.mark.parametrize(
    ("code", "said", "do"),
    [
        ("import lies_beside", "imports `lies_beside`, which lies in scripts_of/own/", "`scripts_of.own.lies_beside`"),
        ("import scripts_of.gone", "there is no module `scripts_of.gone`", "Mend the import"),
        ("import no_such_package", "which is not installed", "Install `no_such_package`"),
    ],
    ids=["beside", "of_the_project", "of_nobody"],
)
def test_what_a_module_imports_in_vain_is_told_by_where_it_is(
    tmp_path: Path, path: None, code: str, said: str, do: str
) -> None:
    """A script finds what lies beside it, and to install a package of that name would be wrong."""
    (tmp_path / "scripts_of/own").mkdir(parents=True)
    (tmp_path / "scripts_of/own/train.py").write_text(f"import sys\n{code}\n")
    (tmp_path / "scripts_of/own/lies_beside.py").touch()
    with pytest.raises(UsageError) as told:
        callables.find("scripts_of.own.train:build", tmp_path, where="makeweight.yaml: model.build")
    for name in [name for name in sys.modules if name.partition(".")[0] == "scripts_of"]:
        del sys.modules[name]
    assert told.value.where == "scripts_of/own/train.py:2"
    assert said in told.value.what
    assert do in str(told.value.do)


def test_a_module_in_a_src_layout_is_told_by_where_it_lies(tmp_path: Path, path: None) -> None:
    (tmp_path / "src/of_a_layout").mkdir(parents=True)
    (tmp_path / "src/of_a_layout/model.py").touch()
    for find in (callables.find, lambda dotted, root, where: sources_of(root, dotted, where)):
        with pytest.raises(UsageError, match=r"It lies in src/: install the project .*`pip install -e \.`"):
            find("of_a_layout.model:build", tmp_path, where="here")


def test_code_that_changes_the_folder_stands_there_and_nobody_else(
    tmp_path: Path, path: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner/words.txt").write_text("found")
    (tmp_path / "it_moves.py").write_text(
        "import os\nos.chdir('inner')\n"
        "def load(): return open('words.txt').read()\n"
        "def back(): os.chdir('..')\n"
        "def fails(): os.chdir('..'); raise OSError('gone')\n"
    )
    monkeypatch.setattr(callables, "_stands", [])
    monkeypatch.chdir(tmp_path)
    load, back, fails = (callables.find(f"it_moves:{name}", Path(), where="here") for name in ("load", "back", "fails"))
    for function, answer in ((load, "found"), (load, "found"), (back, None)):
        assert callables.call(function, name="it_moves", root=Path()) == answer
        assert Path.cwd() == tmp_path
    monkeypatch.chdir(tmp_path / "inner")
    with pytest.raises(UsageError, match="raised OSError: gone"):
        callables.call(fails, name="it_moves", root=tmp_path)
    assert Path.cwd() == tmp_path / "inner"


def test_code_that_turns_gradients_off_does_so_for_itself(tmp_path: Path, path: None) -> None:
    import torch

    code = "import torch\ntorch.set_grad_enabled(False)\ndef load():\n    torch.set_grad_enabled(False)\n    return 1\n"
    (tmp_path / "only_asks.py").write_text(code)
    load = callables.find("only_asks:load", tmp_path, where="here")
    assert torch.is_grad_enabled()
    assert callables.call(load, name="only_asks:load", root=tmp_path) == 1
    assert torch.is_grad_enabled()
    with torch.no_grad():
        callables.call(load, name="only_asks:load", root=tmp_path)
        assert not torch.is_grad_enabled()
