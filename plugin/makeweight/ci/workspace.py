"""On somebody's own machine, a change is judged in a work tree of its own: nothing of theirs is touched."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from makeweight.ci.dvc import Dvc
from makeweight.ci.git import Git
from makeweight.ci.state import FOLDER


@contextlib.contextmanager
def apart(root: Path, git: Git, dvc_in: Callable[[Path], Dvc]) -> Iterator[Path]:
    """The project's folder in a second work tree of HEAD, sharing DVC's cache; its reports are brought back."""
    with git.second(git.resolve("HEAD") or "HEAD") as there:
        dvc_in(there).share(dvc_in(root))
        yield there
        shutil.rmtree(root / FOLDER, ignore_errors=True)
        if (there / FOLDER).is_dir():
            shutil.copytree(there / FOLDER, root / FOLDER)
