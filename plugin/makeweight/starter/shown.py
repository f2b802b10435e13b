"""The inputs of a PyTorch module that nobody declared, as the project's examples show them."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from makeweight.starter import looking
from makeweight.starter.draft import Shape
from makeweight_base.ended import ended
from makeweight_base.errors import UsageError
from makeweight_base.progress import Progress

SAY = "--inputs image=N,3,32,32"


def inputs(
    root: Path, build: str, data: Mapping[str, Any], constants: Mapping[str, int | float], task: str, progress: Progress
) -> dict[str, Shape]:
    """Read off examples of the test split, in a process of its own, because the user's code runs.

    Args:
        data: `data` as makeweight.yaml has it; of pictures without their size.
        constants: what is fed besides.

    Raises:
        UsageError: they cannot be; with what to type instead.
    """
    progress.say(f"no --inputs are given: building `{build}` and reading examples of the test split to see them")
    asked = looking.Asked(str(root.resolve()), build, data, constants, task)
    with tempfile.TemporaryDirectory(prefix="makeweight-init-") as folder:
        request, answer = Path(folder, "asked.json"), Path(folder, "answer.json")
        request.write_text(looking.dumps(asked))
        # -P: a file of the user's named like one of Python's own (queue.py) must not take its place
        command = [sys.executable, "-P", "-m", looking.__name__, str(request), str(answer)]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, errors="replace", check=False)
        said: dict[str, Any] = json.loads(answer.read_text()) if done.returncode == 0 else {"refused": _ended(done)}
    if "refused" in said:
        what, where, do = said["refused"]
        raise UsageError(
            f"{what}; so which inputs the model takes is not clear",
            where=where,
            do=f"{'' if do is None else f'{do} '}Or say them, such as `{SAY}`: a letter is a size that is free.",
        )
    found: dict[str, Shape] = said["inputs"]
    written = " ".join(f"{name}={','.join(map(str, shape))}" for name, shape in found.items())
    progress.say(f"inputs, as examples have them: {written}")
    return found


def _ended(done: subprocess.CompletedProcess[str]) -> list[str | None]:
    last = next((line for line in reversed(done.stderr.splitlines()) if line.strip()), "it said nothing")
    return [f"the process that reads examples ended with {ended(done.returncode)}: {last.strip()}", None, None]
