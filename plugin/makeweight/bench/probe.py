"""One job of the probe on any device: its files go there, it runs in a fresh process, its result comes back."""

from __future__ import annotations

import os
import posixpath
import secrets
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import makeweight_probe
from makeweight.artifact import model as artifact
from makeweight.devices.device import Device, DeviceFailed, DeviceOptions, Ended, GivenUp, Programmed, private
from makeweight.devices.side_by_side import named
from makeweight_probe import in_a_line, last_words
from makeweight_probe.__main__ import LOST, NO_PROVIDER, NO_RUNTIME, NO_SETTING, REFUSED, SILENT
from makeweight_probe.job import CPU, FactsJob, Job, LackingJob, Model, Result, Setting, dump_job, load_result

UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError)
"""What is raised of an answer that is none."""
NO_SUCH_PROGRAM = 127
"""The exit code of a shell or `env` that finds no such program."""
_NO_OPERATOR = (
    "is not a registered function/op",
    "No Op registered for",
    "Could not find an implementation for",
    "Unsupported model IR version",
    "unresolved custom op",
)
"""What runtimes say of a model that is none of their version, or was optimised for another kind of processor."""
_SHORT_OF_MEMORY = "Run again; if it was killed, the machine may be short of memory."
_FULL = "No space left on device"
"""What Python says of a full disk."""
_TOLD = 8
"""Lines of what a process had to say that are told."""
# The oldest time that a zip can bear: the same package always gives the same bytes, and so is sent once.
_NO_TIME = (1980, 1, 1, 0, 0, 0)


class JobFailed(DeviceFailed):
    """The process that carried a job out ended without a result: how, and its last words."""

    of_device = False
    """Whether that is the state of the device, in which no job of the kind could be carried out."""

    def __init__(self, device: Device, ended: Ended) -> None:
        self.code, self.last = ended.code, last_words.last_line(ended.said)
        where, python = f"device `{device.name}`", device.python[0]
        furnish = f"`makeweight devices --bootstrap {device.name}`"
        if self.code == NO_RUNTIME and private(device) is not None:
            super().__init__(self.last, where=where, do=f"Or let {furnish} install it in a private folder there.")
        elif self.code in (REFUSED, NO_RUNTIME, NO_PROVIDER, NO_SETTING):
            self.of_device = self.code in (NO_PROVIDER, NO_SETTING)
            super().__init__(self.last, where=where)
        elif self.code == LOST:
            super().__init__(self.last, where=where, do=_SHORT_OF_MEMORY)
        elif self.code == SILENT:
            super().__init__(self.last, where=where, do="See whether the models ever answer there.")
        elif self.code == NO_SUCH_PROGRAM:
            self.of_device = True
            do = "Install Python 3.11 or newer there (Debian: apt install python3), or name another with `python:`."
            super().__init__(f"there is no `{python}` there", where=where, do=do)
        elif "Unknown option: -P" in ended.said:
            self.of_device = True
            do = "Install Python 3.11 or newer there, and name it with `python:`."
            super().__init__(f"`{python}` there is older than 3.11", where=where, do=do)
        elif self.last == "ModuleNotFoundError: No module named 'numpy'":
            self.of_device = True
            do = f"Install it there, beside the runtime: `{python} -m pip install numpy`"
            do += "." if private(device) is None else f"; or let {furnish} do so in a private folder there."
            super().__init__(f"`{python}` there has no numpy", where=where, do=do)
        elif _FULL in self.last:
            self.of_device = True
            super().__init__(f"its disk is full: {self.last}", where=where, do="Make room there, and run again.")
        elif any(sign in self.last for sign in _NO_OPERATOR):
            do = "Have the version there that is here, or export the model without what was optimised for a processor."
            super().__init__(f"its runtime lacks what the model uses: {self.last}", where=where, do=do)
        else:
            told = f"the measuring process ended with {last_words.ended(self.code, ended.said)}"
            super().__init__(told, where=where, do=_SHORT_OF_MEMORY)

    @property
    def killed(self) -> bool:
        """Whether the process, or one that it had for a model, was ended from outside: nothing of the models tells
        why, and another time it may not be."""
        return self.code == LOST or -self.code in last_words.FROM_OUTSIDE


class JobGivenUp(JobFailed, GivenUp):
    """A process that a job had for a model did not answer in time, and was ended."""


@dataclass(frozen=True)
class Facts:
    """What a device says of itself.

    `identity` (model, CPU, ISA, runtime versions, emulated or not) is part of every key; `conditions` (load,
    governor, temperature) are recorded and never part of one. `lacking`: what cannot be measured there, by name the
    reason and what to do; empty where that was not asked.
    """

    identity: dict[str, Any]
    conditions: dict[str, Any]
    lacking: dict[str, tuple[str, str]] = field(default_factory=dict)


def model_of(made: artifact.Model, options: DeviceOptions = DeviceOptions()) -> Model:  # noqa: B008 - it is frozen
    """A model on disk as the probe of a device with these options is told of it; by default that of a processor, on one
    thread."""
    path, *beside = (str(made.folder / file.name) for file in made.files)
    ports = tuple((port.name, tuple(port.shape)) for port in made.inputs)
    return Model(made.runtime, path, options.threads, tuple(beside), ports, options.execution_provider)


def facts(device: Device, tell: Callable[[str], None], execution_provider: str = CPU) -> Facts:
    """Raises:
    DeviceFailed: the device cannot be reached, or what is to compute there is not to be had.
    """
    return Facts(**run(device, FactsJob(execution_provider), tell).facts)


def facts_in_full(device: Device, tell: Callable[[str], None], options: DeviceOptions) -> Facts:
    """The same with what cannot be measured there, which takes longer."""
    told = run(device, LackingJob(options.execution_provider, options.energy_meter, options.setting.cpus), tell).facts
    lacking = {what: (str(reason), str(do)) for what, (reason, do) in told["lacking"].items()}
    return Facts(**{**told, "lacking": lacking})


def run(device: Device, job: Job, tell: Callable[[str], None], setting: Setting = Setting()) -> Result:  # noqa: B008
    """Run one job in a fresh process on the device; where it has no Python, in programs that it does have.

    Args:
        tell: hears what the process had to say beside its result.
        setting: what is changed on the device meanwhile.

    Raises:
        JobFailed: the process died, or the job cannot be carried out there.
        DeviceFailed: the device was lost.
    """
    if not device.python:
        from makeweight.bench import turns  # takes numpy, and few devices need it

        return turns.carry_out(cast("Programmed", device), job, tell, setting)
    with tempfile.TemporaryDirectory(prefix="makeweight-probe-") as folder:
        places: dict[str, str] = {}
        for files in job.files():
            own = [Path(file) for file in files]
            first = device.put(*own)
            # they lie there as they do here, each by its path from the folder of the first
            names = {path: name for name, path in named(own).items()}
            places |= {file: _beside(first, names[path]) for file, path in zip(files, own, strict=True)}
        # The size of the environment moves the stack, and with it the speed of everything: draw it anew.
        environment = [f"MAKEWEIGHT_OFFSET={'x' * (int.from_bytes(os.urandom(2)) % 4096)}"]
        asked = dump_job(job.moved(places), setting)
        words = device.python, makeweight_probe.__name__
        answer = process(device, *words, asked, "result.zip", Path(folder), tell, environment)
        try:
            return load_result(answer)
        except UNREADABLE as error:
            raise garbled(device, error) from error


def garbled(device: Device, error: Exception) -> DeviceFailed:
    """The error of a process whose answer is none."""
    what = f"what the measuring process answered cannot be read: {in_a_line(error)}"
    do = "Run again; if it goes on, see whether its disk is sound, and what your code around the model writes there."
    return DeviceFailed(what, where=f"device `{device.name}`", do=do)


def process(
    device: Device,
    python: Sequence[str],
    module: str,
    asked: str,
    answer: str,
    folder: Path,
    tell: Callable[[str], None],
    environment: Sequence[str] = (),
) -> Path:
    """Run a module of the probe in a fresh process there, with two files: what it is asked, and its answer.

    Args:
        python: the words that start it.
        answer: the name of that file.
        folder: holds both here.
        tell: hears what the process had to say beside its answer.
        environment: variables, as `env` takes them.

    Returns:
        The answer, brought here.

    Raises:
        JobFailed, DeviceFailed: see `run`.
    """
    # of a name of its own, and so in a folder of its own: what others ask there at once, or asked before, has another
    question, answered = folder / f"job-{secrets.token_hex(8)}.json", folder / answer
    question.write_text(asked)
    carried = [] if device.carries_probe else [f"PYTHONPATH={device.put(_packed(folder))}"]
    question_there = device.put(question)
    answer_there = _beside(question_there, answered.name)
    ended = device.run(["env", *environment, *carried, *python, "-m", module, question_there, answer_there])
    if ended.code != 0:
        raise (JobGivenUp if ended.code == SILENT else JobFailed)(device, ended)
    if ended.said.strip():
        tell(_brief(ended.said))
    device.get(answer_there, answered)
    if not answered.is_file():  # code of the user's may end the process as if all were well
        raise JobFailed(device, ended)
    return answered


def _brief(said: str) -> str:
    """The last lines of it: code that is called a thousand times may say something each time."""
    lines = [line for line in said.splitlines() if line.strip()]
    more = len(lines) - _TOLD
    return "\n".join(lines if more <= 0 else [f"({more:,} lines, then)", *lines[-_TOLD:]])


def _beside(there: str, name: str) -> str:
    """The path of another file in the same folder on the device."""
    return posixpath.join(posixpath.dirname(there), name)


def _packed(folder: Path) -> Path:
    """The probe as one file that Python imports from."""
    package = Path(makeweight_probe.__file__).parent
    target = folder / "probe.zip"
    with zipfile.ZipFile(target, "w") as archive:
        for file in sorted(package.rglob("*.py")):
            entry = zipfile.ZipInfo(file.relative_to(package.parent).as_posix(), _NO_TIME)
            archive.writestr(entry, file.read_bytes())
    return target
