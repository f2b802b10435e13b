"""Which files of the repository were read: found in a process of its own, as a stage is one."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

ASK = """\
import json, os, sys
from pathlib import Path
from makeweight.config.settings import DataSettings, ModelSettings, TaskSettings
from makeweight.user import callables, opened
from makeweight.user.declared import Declared
from makeweight.user.ran import ran
root = Path(sys.argv[1])
data = DataSettings(load="load:load")
task, named = TaskSettings(kind="classification"), ("named", "m.onnx")
declared = Declared(root, ModelSettings(onnx="m.onnx"), data, task, 0, named)
callables.find("load:load", root, where="test")()
print(json.dumps(opened.opened(declared, ran(root))))
class Late:
    listed = staticmethod(os.listdir)
    def __del__(self):
        self.listed("/")
opened.late = Late()
"""
LOAD = """\
import os, pathlib, sys
from dvc.fs import localfs
from dvc.ignore import DvcIgnoreFilter
from helping import x
from pack.age import z
def load():
    list(DvcIgnoreFilter(localfs, os.getcwd()).walk(localfs, os.getcwd()))
    os.chdir("deep")
    for path in ("../labels.csv", b"../named/in.txt", "../m.onnx", "../../above.txt", "/dev/null"):
        open(path).read()
    exec(open("../run.txt").read())
    for path in ("prepared/one.txt", "../brought/one.txt", "../downloads/one.txt", "../new.txt"):
        open(path).read()
    for path in ("../module/one.txt", "../link/one.txt"):
        open(path).read()
    for name in os.listdir("few"):
        open(f"few/{name}").read()
    os.chdir("here")
    for name in os.listdir():
        open(name).read()
    os.chdir("..")
    list(pathlib.Path("../named").iterdir())
    for number in range(20):
        pathlib.Path(f"many/{number}.txt").read_text()
        pathlib.Path(f"samples/{number}/one.txt").read_text()
        pathlib.Path(f"kept/{number}.txt").read_text()
    sys.audit("open", "labels.csv")
    os.close(os.open("other", os.O_RDONLY))
    open("../gone.txt", "w+").close()
    os.unlink("../gone.txt")
    open("../out.txt", "w").close()
    open("../artifacts/made.txt").close()
    open("../../.git/HEAD").close()
    try:
        open("nothing.txt")
    except FileNotFoundError:
        pass
    try:
        open("no\\0name")
    except ValueError:
        pass
"""


UNHELD = ("deep/prepared/one.txt", "brought/one.txt", "downloads/one.txt", "module/one.txt", "new.txt")
"""What a stage makes, what DVC brings, what git is told to ignore besides, a submodule's, and what nobody added yet."""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "tree/project"
    texts = (
        "labels.csv",
        "named/in.txt",
        "m.onnx",
        "../above.txt",
        "artifacts/made.txt",
        "deep/few/one.txt",
        "deep/here/one.txt",
        "deep/behind/one.txt",
        "deep/other/one.txt",
        *UNHELD,
    )
    of_many = ("deep/many/{}.txt", "deep/samples/{}/one.txt", "deep/kept/{}.txt")
    many = (path.format(number) for path in of_many for number in range(20))
    code = {"load.py": LOAD, "helping.py": "x = 1\n", "run.txt": "y = 2\n", "pack/age.py": "z = 3\n"}
    for path, text in {**dict.fromkeys((*texts, *many), "text"), **code}.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    (root / "brought.dvc").touch()
    (root / "dvc.lock").write_text("stages:\n  prepare:\n    outs:\n    - path: deep/prepared\n")
    (root / ".gitignore").write_text("/brought\n/downloads\n")
    (root / "deep/.gitignore").write_text("/prepared\n")
    (root / "deep/kept/.gitignore").write_text("*\n!.gitignore\n")
    (root / "link").symlink_to("deep/behind")
    for command in (
        ("init", "-q"),
        ("add", "-A"),
        ("rm", "-q", "--cached", "--ignore-unmatch", *(f"project/{path}" for path in UNHELD)),
        ("init", "-q", "project/module"),
        ("update-index", "--add", "--cacheinfo", f"160000,{'a' * 40},project/module"),
    ):
        subprocess.run(("git", *command), cwd=root.parent, check=True)
    return root


def test_what_was_read_and_nothing_names_is_told_and_of_a_full_or_listed_folder_the_folder(project: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ASK, str(project)], cwd=project, capture_output=True, text=True, check=True
    )
    assert done.stderr == "", "nor is what is listed while Python ends refused"
    text, run = (hashlib.sha256(each).hexdigest() for each in (b"text", b"y = 2\n"))
    assert json.loads(done.stdout) == {
        "labels.csv": text,
        "../above.txt": text,
        "run.txt": run,
        "deep/few": None,
        "deep/here": None,
        "deep/many": None,
        "deep/samples": None,
        "deep/prepared/one.txt": text,
        "brought/one.txt": text,
        "module/one.txt": text,
        "link/one.txt": text,
        "new.txt": text,
    }
