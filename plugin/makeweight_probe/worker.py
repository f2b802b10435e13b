"""An arm in a process of its own: the process that keeps it, and this side, which tells it when to run.

One JSON a line, both ways, over its standard input and output. It times itself, so the pipe costs no accuracy. When
this side ends, however it ends, its input ends and so does it.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, TextIO, cast

import numpy as np
from numpy.typing import NDArray

from makeweight_probe import ArmKilled, ArmLost, ArmSilent, ProbeFailed, inputs, sessions
from makeweight_probe.answering import answering
from makeweight_probe.arm import Here, Times
from makeweight_probe.job import Model, Pipeline, load_model, load_pipeline
from makeweight_probe.last_words import FROM_OUTSIDE, ended
from makeweight_probe.session import Session

Say = Callable[[Mapping[str, object]], None]

TO_ANSWER = 600.0
"""Seconds that an arm gets for one answer, besides the time that its job may take: loading is the longest."""
_TO_END = 5.0
"""Seconds that a process gets to end by itself."""


class Worker:
    """An arm in another process. Ends it when it is left as a context."""

    def __init__(
        self,
        name: str,
        model: Model,
        samples: str,
        patience: float = TO_ANSWER,
        command: Sequence[str] | None = None,
        pipeline: Pipeline | None = None,
    ) -> None:
        """Start it; `wait` returns when it is ready.

        Args:
            patience: seconds after which it is given up when it does not answer.
            command: what to run instead of the probe's own process.
            pipeline: what is around the model; None: nothing is.
        """
        self._name = name
        self._patience = patience
        self._folder = tempfile.TemporaryDirectory(prefix="makeweight-arm-")
        # a pipe that nobody reads would fill up and stop it
        self._errors = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115  (closed when the context is left)
        self._process = subprocess.Popen(
            command or [sys.executable, *(["-P"] if sys.flags.safe_path else []), "-m", "makeweight_probe.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        self._commands, self._answers = cast(IO[str], self._process.stdin), cast(IO[str], self._process.stdout)
        around = pipeline and asdict(pipeline)
        self._say({"model": asdict(model), "inputs": samples, "pipeline": around})

    @property
    def pid(self) -> int:
        return self._process.pid

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._ended()
        for pipe in (self._commands, self._answers, self._errors):
            _close(pipe)
        self._folder.cleanup()

    def wait(self) -> None:
        """Until the model is loaded.

        Raises:
            ArmLost: it could not be; the message has the last words of its process.
        """
        self._heard()

    def block(self, sample: int, runs: int, inner: int) -> Times:
        taken: Times = self._ask(do="block", sample=sample, runs=runs, inner=inner)
        return taken

    def cold(self, sample: int, flush: int) -> float:
        return float(self._ask(do="cold", sample=sample, flush=flush)["wall"])

    def batch(self, size: int, warming: int, runs: int, inner: int) -> float:
        return float(self._ask(do="batch", size=size, warming=warming, runs=runs, inner=inner)["wall"])

    def answer(self, sample: int) -> list[NDArray[Any]]:
        path = Path(self._folder.name, "answer.npz")
        self._ask(do="answer", sample=sample, path=str(path))
        with np.load(path, allow_pickle=False) as answered:
            return [answered[name] for name in answered.files]

    def _ask(self, **command: object) -> dict[str, Any]:
        self._say(command)
        return self._heard()

    def _say(self, message: dict[str, object]) -> None:
        try:
            self._commands.write(json.dumps(message) + "\n")
            self._commands.flush()
        except OSError as error:
            raise self._lost() from error

    def _heard(self) -> dict[str, Any]:
        # nothing is left over in the reader's buffer: each command has one answer
        if not select.select([self._answers], [], [], self._patience)[0]:
            raise ArmSilent(f"the process of arm {self._name} has not answered for {self._patience:g} s")
        line = self._answers.readline()
        if not line.endswith("\n"):
            raise self._lost()
        answer: dict[str, Any] = json.loads(line)
        if answer.keys() & {"lacking", "failed"}:
            raise _of_the_users(answer)
        return answer

    def checked(self, sample: int) -> dict[str, Any]:
        """See `whole.Checked`."""
        return self._ask(do="checked", sample=sample)

    def _lost(self) -> ArmLost:
        code = self._ended()
        self._errors.seek(0)
        kind = ArmKilled if -code in FROM_OUTSIDE else ArmLost
        return kind(f"the process of arm {self._name} ended with {ended(code, self._errors.read())}")

    def _ended(self) -> int:
        try:
            return self._process.wait(_TO_END)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


def _of_the_users(answer: Mapping[str, Any]) -> Exception:
    """What the user's code ended with."""
    from makeweight_probe.users import CodeFailed, PackageLacking

    return CodeFailed(answer["failed"]) if "failed" in answer else PackageLacking(*answer["lacking"])


def _close(pipe: IO[str]) -> None:
    with contextlib.suppress(BrokenPipeError):  # what was still to be said has no listener any more
        pipe.close()


def serve(heard: TextIO, answers: TextIO) -> None:
    """Keep one arm: answer every command until there are no more."""

    def say(message: Mapping[str, object]) -> None:
        answers.write(json.dumps(message) + "\n")
        answers.flush()

    first = json.loads(heard.readline() or "null")
    if first is None:
        return
    model = load_model(first["model"])
    session = sessions.opened(model)
    if first["pipeline"] is None:
        samples = inputs.read(first["inputs"])
        arm = Here(session.run, samples, inputs.axes(first["inputs"]), answering(session))
        gc.disable()
        _answer(arm, heard, say)
    else:
        _keep_whole(session, load_pipeline(first["pipeline"]), first["inputs"], heard, say)


def _keep_whole(session: Session, around: Pipeline, fed: str, heard: TextIO, say: Say) -> None:
    """The same of an arm that has the user's code around its model."""
    from makeweight_probe import users
    from makeweight_probe.users import CodeFailed, PackageLacking
    from makeweight_probe.whole import whole

    try:
        with users.unpacked(around.sources) as folder:
            _answer(whole(session.run, around, fed, folder), heard, say)
    except PackageLacking as error:
        say({"lacking": [error.package, error.by]})
    except CodeFailed as error:
        say({"failed": str(error)})


def _answer(arm: Any, heard: TextIO, say: Say) -> None:
    say({"ready": True})
    for line in heard:
        command = json.loads(line)
        kind = command.pop("do")
        if kind == "block":
            say(arm.block(**command))
        elif kind == "answer":
            _keep(arm.answer(command["sample"]), command["path"])
            say({"kept": True})
        elif kind == "checked":
            say(arm.checked(**command))
        else:
            say({"wall": arm.cold(**command) if kind == "cold" else arm.batch(**command)})


def _keep(answers: Sequence[NDArray[Any]], path: str) -> None:
    """Answers as a file, in their order; one that is no array of numbers is empty there, since nobody compares it."""
    with Path(path).open("wb") as file:
        np.savez(file, *(each if each.dtype.kind in "fiub" else np.zeros(0) for each in answers))


def main() -> None:
    # what a runtime prints must not get between the answers
    with os.fdopen(os.dup(1), "w") as answers:
        os.dup2(2, 1)
        try:
            serve(sys.stdin, answers)
        except ProbeFailed as error:
            sys.exit(str(error))


if __name__ == "__main__":
    main()
