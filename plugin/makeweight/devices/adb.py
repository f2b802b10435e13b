"""An Android device, or a board with adbd, by the Android Debug Bridge.

Stock Android has no Python: there the benchmark program of the model's runtime times it. Where there is one, the probe
runs as on any other machine. Files are sent once, by the hash of what they hold.
"""

from __future__ import annotations

import contextlib
import functools
import os
import secrets
import select
import shlex
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import IO, Any, ClassVar

from pydantic import Field

from makeweight import registry
from makeweight.devices.adb_refusals import broken, program_refusal, refusal
from makeweight.devices.again import once_more
from makeweight.devices.device import DeviceFailed, DeviceOptions, Ended, GivenUp, ProbedOptions
from makeweight.devices.kept import aged, arrived, arriving, cleared, used
from makeweight.devices.locking import HELD, WAITS, holding
from makeweight.devices.locking import named as locking
from makeweight.devices.side_by_side import SHOWN, hash_of, named
from makeweight.devices.watched import BEGINS, LOST, attended, code_of, watched
from makeweight.programs.machine import abi_of, runs_on
from makeweight.programs.program import Asked, CannotRun, Garbage, Program, Told
from makeweight_base.errors import EnvironmentFailed, UsageError
from makeweight_probe import android, meters
from makeweight_probe.job import Model
from makeweight_probe.meters import battery
from makeweight_probe.power import NoMeter
from makeweight_probe.supply import ROOT, Supplies

_SIMPLE = 60.0
"""Seconds for what takes no time: a question to the shell."""
_PROGRAMS = 600.0
"""Seconds for a program that times a model, and for files on their way."""


class AdbOptions(ProbedOptions):
    """Which device it is, and what times models there."""

    serial: str | None = Field(
        None,
        pattern=r"^[^-\s][^\s]*$",
        description="As `adb devices` lists it; `HOST:PORT` is connected to where it is not listed (default: the only "
        "one, or that of ANDROID_SERIAL).",
    )
    benchmark: dict[str, str] = Field(
        default_factory=dict,
        description="The program that times a runtime's models there, a file of this computer, with further arguments "
        "of its: `{litert: tools/benchmark_model --use_gpu=true}`. LiteRT's benchmark_model, ONNX Runtime's "
        "onnxruntime_perf_test and ExecuTorch's executor_runner are understood.",
    )
    libraries: list[str] = Field(
        default_factory=list, description="Shared libraries of these programs, put beside them."
    )
    folder: str = Field(
        "/data/local/tmp/makeweight",
        pattern=r"^/[\w./-]+[\w-]$",
        description="Where files are kept there; it is made, and what was not used for a week is removed from it.",
    )
    python: str | None = Field(
        None,
        min_length=1,
        description="Its Python, where it has one, with numpy and the runtime: models are then measured as on any "
        "other machine, and `benchmark` is not needed.",
    )
    patience: float | None = Field(
        None,
        gt=0,
        le=86_400,
        description="Seconds after which a program that hangs there is given up (default: 600; with `python`, 1800 "
        "more than the longest that it may measure, which is four times `seconds`).",
    )
    seconds: float = Field(60, gt=0, le=3600, description="Most time to spend on measuring one pair of models.")

    @property
    def runs_probe(self) -> bool:
        return self.python is not None

    @property
    def longest(self) -> float:
        return super().longest if self.runs_probe or self.patience is not None else _PROGRAMS

    @property
    def files(self) -> tuple[str, ...]:
        return (*(word for command in self.benchmark.values() for word in command.split()), *self.libraries)


class Adb:
    """A device by adb."""

    Options: ClassVar[type[DeviceOptions]] = AdbOptions
    carries_probe = False

    def __init__(self, name: str, options: AdbOptions) -> None:
        self.name = name
        self.python: Sequence[str] = () if options.python is None else (options.python, "-P")
        self.options = options
        self._serial = options.serial or os.environ.get("ANDROID_SERIAL")
        self._folder = options.folder
        self._connected = False

    def put(self, *files: Path) -> str:
        return self._put(named(files))

    def run(self, command: Sequence[str]) -> Ended:
        code, _, said = self._program(watched(shlex.join(command), f"cd {self._folder}; {locking(self._lock)}"))
        return Ended(code, said)

    def get(self, there: str, here: Path) -> None:
        self._moved(["pull", there, str(here)], f"`{there}` cannot be read there")

    def identity(self) -> dict[str, Any]:
        found = android.identity(self._told())
        return {**found, "runtimes": {runtime: self._version(runtime) for runtime in sorted(self.options.benchmark)}}

    def conditions(self) -> dict[str, Any]:
        return android.conditions(self._told())

    def timer(self, model: Model, sizes: Mapping[str, tuple[int, ...]]) -> _Timer:
        program = self._program_of(model.runtime)
        binary, *arguments = self._declared(model.runtime)
        abis, abi = self._abis, abi_of(Path(binary))
        if abi is not None and abis and not runs_on(abi, abis):
            what = f"{binary} is made for {abi}, and this device runs {', '.join(abis)}"
            raise DeviceFailed(what, where=self._where, do=f"Take the one for `{abis[0]}`.")
        there = self._put(self._program_files(binary))
        self._said(f"chmod 755 {shlex.quote(there)}")
        model_there = self.put(Path(model.path), *map(Path, model.beside))
        # where a device has no `flock`, two programs may run at once
        scratch = f"{self._folder}/scratch.{secrets.token_hex(8)}"
        asked = Asked(model_there, model.threads, 1, f"{scratch}/result", dict(model.ports), dict(sizes))
        try:
            program.words(there, asked)
        except CannotRun as error:
            do = "Fix that size in `model.inputs`, or measure with Python there (`python:`)."
            raise UsageError(str(error), where=self._where, do=do) from error
        return _Timer(self, program, there, arguments, asked, (abis or ["unknown"])[0])

    @contextlib.contextmanager
    def alone(self, tell: Callable[[str], None]) -> Iterator[None]:
        self._said(f"mkdir -p {self._folder}")
        command = [*self._command(), "shell", "-T", f"sh -c {shlex.quote(holding(self._lock))}"]
        holder = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0
        )
        try:
            heard = self._heard(holder)
            if heard == WAITS:
                heard = self._heard(holder)
                tell("another measurement ran on this device: waited for its end")
            if heard != HELD:
                tell("this device has no `flock`: nothing keeps other measurements from running meanwhile")
            yield
        finally:
            holder.kill()
            holder.communicate()

    def meter(self, asked: meters.Asked | None) -> meters.Meter:
        name, _ = meters.parts(asked)
        if name not in (None, "battery"):
            raise NoMeter(f"without Python there the battery alone can be read, and not `{name}`")
        return battery.by(self._supplies, "there")

    def time(self, program: Program, words: Sequence[str], abi: str, asked: Asked) -> Told:
        """Run a benchmark program.

        Raises:
            DeviceFailed: it failed, hung, or printed what makes no sense.
        """
        folder, result = PurePosixPath(words[0]).parent, asked.result
        scratch = PurePosixPath(result).parent
        script = watched(
            f"env LD_LIBRARY_PATH={folder} {shlex.join(words)} 2>&1",
            f"mkdir -p {scratch}",
            f"[ ! -f {result} ] || cat {result}; rm -rf {scratch}",
        )
        code, printed, said = self._program(script)
        if code != 0:
            raise program_refusal(self.name, program.name, self._folder, abi, code, f"{said}\n{printed}")
        try:
            return program.told(printed, asked.runs)
        except Garbage as error:
            do = f"See what it prints there: adb shell {shlex.join(words)}"
            raise DeviceFailed(
                f"what `{program.name}` printed makes no sense: {error}", where=self._where, do=do
            ) from error

    @functools.cached_property
    def _abis(self) -> list[str]:
        """What it runs. Asked once: there is a timer for every job, and to ask takes all that it tells of itself."""
        return android.abis(self._told())

    @property
    def _where(self) -> str:
        return f"device `{self.name}`"

    @property
    def _lock(self) -> str:
        """What is locked there where nothing is that all accounts see."""
        return f"{self._folder}/lock"

    def _program_of(self, runtime: str) -> Program:
        if runtime not in self.options.benchmark:
            known = ", ".join(registry.names("program"))
            raise UsageError(
                f"no program is declared that times models of {runtime} there",
                where=self._where,
                do=f"Name one: `benchmark: {{{runtime}: FILE}}` (of {known}), or its Python: `python:`.",
            )
        program: Program = registry.ready("program", runtime)()
        return program

    def _declared(self, runtime: str) -> list[str]:
        """The program's file, and the arguments beside it.

        Raises:
            UsageError: there is no such file.
        """
        try:
            words = shlex.split(self.options.benchmark[runtime])
        except ValueError as error:
            raise UsageError(f"`benchmark.{runtime}`: quotes do not match", where=self._where) from error
        for path in (*words[:1], *self.options.libraries):
            if not Path(path).is_file():
                do = "Mend `benchmark:` or `libraries:`; paths are from the folder that makeweight runs in."
                raise UsageError(f"there is no file {path}", where=self._where, do=do)
        if not words:
            raise UsageError(f"`benchmark.{runtime}` names no file", where=self._where)
        names = [Path(path).name for path in (words[0], *self.options.libraries)]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            do = "They are put side by side there: name each once in `benchmark` and `libraries`."
            raise UsageError(f"several files have the name {', '.join(twice)}", where=self._where, do=do)
        return words

    def _program_files(self, binary: str) -> dict[str, Path]:
        """A program and its libraries: side by side, wherever they lie here, since that is where it looks for them."""
        return {path.name: path for path in map(Path, (binary, *self.options.libraries))}

    def _version(self, runtime: str) -> str:
        """Which program it is that times: its makers' name, the hash of what it holds, and how it is called."""
        binary, *arguments = self._declared(runtime)
        held = hash_of(self._program_files(binary))[: SHOWN // 2]
        return " ".join([self._program_of(runtime).name, held, *arguments])

    def _told(self) -> android.Told:
        return android.sections(self._said(android.ASK))

    def _supplies(self) -> Supplies:
        files = " ".join(battery.FILES)
        script = (
            f"cd {ROOT} && for supply in *; do for file in {files}; do "
            '[ -r "$supply/$file" ] && echo "$supply $file $(cat "$supply/$file")"; done; done 2>/dev/null; true'
        )
        found: dict[str, dict[str, str]] = {}
        try:
            lines = self._said(script).splitlines()
        except DeviceFailed as error:
            raise NoMeter(str(error.what)) from error
        for line in lines:
            supply, file, value = (*line.split(" ", 2), "", "", "")[:3]
            found.setdefault(supply, {})[file] = value.strip()
        return found

    def _put(self, files: Mapping[str, Path]) -> str:
        """Files by the names that they are to have there; where the first of them lies then."""
        folder = f"{self._folder}/{hash_of(files)}"
        if self._said(used(folder)).strip() != "there":
            self._send(files, folder)
        return f"{folder}/{next(iter(files))}"

    def _send(self, files: Mapping[str, Path], folder: str) -> None:
        """Whole, or not at all: another benchmark may be sending the same."""
        coming, first = arriving(folder), next(iter(files.values())).name
        within: dict[str, list[str]] = {}
        for name, file in files.items():
            within.setdefault(str(PurePosixPath(coming, name).parent), []).append(str(file.absolute()))
        self._said(f"mkdir -p {self._folder} && {aged(self._folder)}; mkdir -p {shlex.join(within)}")
        try:
            for place, own in within.items():
                self._moved(["push", *own, f"{place}/"], f"{first} cannot be brought there")
            self._said(arrived(coming, folder))
        finally:
            with contextlib.suppress(DeviceFailed):  # what went wrong before is what counts
                self._said(cleared(coming, folder))

    def _program(self, script: str) -> tuple[int, str, str]:
        """Run a script to its end: how it ended, what it printed, and what it said. It is tried once more where nothing
        of it had begun.

        Raises:
            DeviceFailed: the device was lost, or it does not end in time.
        """

        def begun() -> tuple[int, str, str]:
            with attended() as waiting:
                words = ["shell", "-T", f"echo {BEGINS} >&2\n{script}"]
                done = self._adb(words, self.options.longest, waiting)
            before, itself, said = done.stderr.decode(errors="replace").partition(f"{BEGINS}\n")
            if not itself:
                raise self._broken(before + done.stdout.decode(errors="replace"))
            if done.returncode == LOST:  # or that of a program that ended with it
                self._still_there(said)
            return code_of(done.returncode), done.stdout.decode(errors="replace"), said

        return once_more(begun, harmless=False)

    def _said(self, script: str) -> str:
        """What a script of the shell prints, which may be run twice.

        Raises:
            DeviceFailed: the device cannot be reached, or the script fails.
        """

        def printed() -> str:
            done = self._adb(["shell", "-T", script])
            if done.returncode != 0:
                raise self._broken(_words_of(done))
            return done.stdout.decode(errors="replace")

        return once_more(printed)

    def _moved(self, words: Sequence[str], doing: str) -> None:
        """Have files sent or fetched.

        Raises:
            DeviceFailed: they cannot be.
        """

        def moved() -> None:
            done = self._adb(words, self.options.longest)
            if done.returncode != 0:
                raise self._broken(_words_of(done), doing)

        once_more(moved)

    def _still_there(self, said: str) -> None:
        """Raises:
        DeviceFailed: it is not.
        """
        state = self._adb(["get-state"])
        if state.returncode != 0 or state.stdout.strip() != b"device":
            raise refusal(self.name, self._serial, self._folder, "", gone="it was lost in the middle of a run")
        if said.startswith(("error:", "adb:")):
            raise self._refused(said)

    def _heard(self, holder: subprocess.Popen[bytes]) -> str | None:
        """The next line of what holds the lock; None: it has ended."""
        output: IO[bytes] | None = holder.stdout
        if output is None or not select.select([output], [], [], self.options.longest)[0]:
            what = f"another measurement has been running there for {self.options.longest:g} s"
            do = "See what it does there; `patience:` of the device is how long it may take."
            raise GivenUp(what, where=self._where, do=do)
        return output.readline().decode(errors="replace").strip() or None

    def _adb(
        self, words: Sequence[str], patience: float | None = None, stdin: int = subprocess.DEVNULL
    ) -> subprocess.CompletedProcess[bytes]:
        self._connect()
        return self._called([*self._command(), *words], patience, stdin)

    def _connect(self) -> None:
        """One over the network that adb has not met yet."""
        if self._connected or self._serial is None or ":" not in self._serial:
            return
        listed = self._called([_adb_program(self._where), "devices"]).stdout.decode(errors="replace")
        if not any(line.split()[:1] == [self._serial] for line in listed.splitlines()):
            done = self._called([_adb_program(self._where), "connect", self._serial])
            if b"connected to" not in done.stdout:
                raise self._refused(_words_of(done))
        self._connected = True

    def _command(self) -> list[str]:
        serial = [] if self._serial is None else ["-s", self._serial]
        return [_adb_program(self._where), *serial]

    def _called(
        self, command: Sequence[str], patience: float | None = None, stdin: int = subprocess.DEVNULL
    ) -> subprocess.CompletedProcess[bytes]:
        """Args:
        patience: seconds for a program there, or for files; None: it is a question, which takes no time.
        """
        timeout = _SIMPLE if patience is None else patience
        # a server that adb leaves behind would keep a pipe open for ever
        with tempfile.TemporaryFile() as printed, tempfile.TemporaryFile() as said:
            try:
                done = subprocess.run(command, stdin=stdin, stdout=printed, stderr=said, timeout=timeout, check=False)
            except subprocess.TimeoutExpired as error:
                if patience is None:  # no model is at work then
                    do = "See whether it is still there; `adb kill-server` has adb begin anew."
                    raise DeviceFailed(f"it has not answered for {timeout:g} s", where=self._where, do=do) from error
                do = "See what it does there; `patience:` of the device is how long a program may take."
                told = f"a program there has not ended for {patience:g} s"
                raise GivenUp(told, where=self._where, do=do) from error
            except OSError as error:
                do = "Install adb (Debian: apt install adb), or see ADBUTILS_ADB_PATH."
                told = f"`{command[0]}` cannot be started: {error.strerror}"
                raise EnvironmentFailed(told, where=self._where, do=do) from error
            texts = []
            for file in (printed, said):
                file.seek(0)
                texts.append(file.read())
        return subprocess.CompletedProcess(command, done.returncode, *texts)

    def _refused(self, said: str, doing: str | None = None) -> DeviceFailed:
        return refusal(self.name, self._serial, self._folder, said, doing)

    def _broken(self, said: str, doing: str | None = None) -> DeviceFailed:
        """As `_refused`, or a connection that may hold another time: one over the network is made anew then."""
        self._connected = False
        return broken(self.name, self._serial, self._folder, _without_server(said), doing)


class _Timer:
    """A model on the device, and the program that times it."""

    def __init__(
        self, device: Adb, program: Program, binary: str, arguments: Sequence[str], asked: Asked, abi: str
    ) -> None:
        self.program, self.feeds, self.memory = program.name, program.feeds, program.memory
        self._device, self._program, self._binary, self._arguments = device, program, binary, arguments
        self._asked, self._abi = asked, abi

    def run(self, runs: int) -> Told:
        asked = replace(self._asked, runs=runs)
        words = self._program.words(self._binary, asked)
        # what stands without a dash is a place, and ends the options of some
        words[1:1] = self._arguments
        return self._device.time(self._program, words, self._abi, asked)


def _adb_program(where: str) -> str:
    """Where adb is: in the PATH, else the one that comes with adbutils.

    Raises:
        EnvironmentFailed: nowhere.
    """
    from adbutils import AdbError, adb_path

    try:
        return str(adb_path())
    except AdbError as error:
        do = "Install it (Debian: apt install adb); adbutils brings one for x86-64 alone."
        raise EnvironmentFailed("there is no `adb` here", where=where, do=do) from error


def _words_of(done: subprocess.CompletedProcess[bytes]) -> str:
    """What adb said, without what it says of its server."""
    return _without_server((done.stderr + b"\n" + done.stdout).decode(errors="replace"))


def _without_server(said: str) -> str:
    return "\n".join(line for line in said.splitlines() if line.strip() and not line.startswith("* daemon"))
