"""A board with a tool chain of its own: any program of the user's, which runs here, has a model timed there by whatever
means, and prints a time a line.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import shlex
import string
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, field_validator

from makeweight.artifact.files import sha256_of
from makeweight.devices.device import DeviceFailed, DeviceOptions, Ended, GivenUp
from makeweight.devices.side_by_side import hash_of, named
from makeweight.devices.to_its_end import TooLong, to_its_end
from makeweight.programs import lines
from makeweight.programs.lines import Unit
from makeweight.programs.program import Garbage, Told, shortened
from makeweight_probe import meters
from makeweight_probe.alone import FOUND_BY_ALL, StillHeld, locked, unheld
from makeweight_probe.job import Model
from makeweight_probe.last_words import ended, last_line
from makeweight_probe.power import NoMeter

_ALWAYS = ("model", "folder", "threads", "runs", "inputs")
# What may be a path in a command, also in one that a shell is given as a word.
_PATH = re.compile(r"[^\s\"'`=;|&()<>$:,]+")
_PLACES = {
    "run": _ALWAYS,
    "prepare": ("model", "folder", "threads", "inputs"),
    "identify": (),
}
"""What may stand in braces, by option."""


class CommandOptions(DeviceOptions):
    """The program, and what it prints."""

    run: str = Field(
        min_length=1,
        description="What times a model and prints a time a line, and nothing else, to its standard output. In braces: "
        "`{model}`, `{inputs}` (its sizes, `image:1x3x224x224`, with commas between), `{threads}`, `{runs}` (how many "
        "times are wanted) and `{folder}` (the model's own, which stays while it is measured). No shell reads it.",
    )
    unit: Unit = Field("ms", description="Of the times.")
    warm_up: int = Field(0, ge=0, description="Times at the beginning of each run that do not count.")
    prepare: str | None = Field(
        None,
        min_length=1,
        description="What is to be done once for each model before it is timed, such as building an engine in "
        "`{folder}`. In braces as with `run`.",
    )
    identify: str | None = Field(
        None,
        min_length=1,
        description="What prints which board this is, and which versions are on it: part of every figure's key.",
    )
    patience: float = Field(600, gt=0, le=86_400, description="Seconds after which a program that hangs is given up.")
    seconds: float = Field(60, gt=0, le=3600, description="Most time to spend on measuring one pair of models.")

    @property
    def runs_probe(self) -> bool:
        return False

    @property
    def files(self) -> tuple[str, ...]:
        commands = (command for command in (self.prepare, self.run, self.identify) if command is not None)
        words = [word for command in commands for word in (*_split(command), *_PATH.findall(command))]
        # `python -m tools.time`
        modules = [word.replace(".", "/") for word in words if all(map(str.isidentifier, word.split(".")))]
        return (*words, *(f"{module}{end}" for module in modules for end in (".py", "/__main__.py")))

    @property
    def runs_here(self) -> bool:
        return True

    @field_validator("run", "prepare", "identify")
    @classmethod
    def _can_be_called(cls, value: str | None, about: Any) -> str | None:
        if value is None:
            return None
        words, known = _split(value), _PLACES[about.field_name]
        for word in words:
            for _, place, spec, conversion in _parsed(word):
                if place is not None and (place not in known or spec or conversion):
                    can = ", ".join(f"{{{name}}}" for name in known) or "nothing"
                    raise ValueError(f"`{{{place}}}` is not known here; in braces there can be {can}")
        if not words:
            raise ValueError("there is no program in it")
        if about.field_name == "run" and "{model}" not in value and "{folder}" not in value:
            raise ValueError(
                "neither `{model}` nor its `{folder}` stands in it, so every model would be the same to it"
            )
        return value


class Command:
    """A program of the user's."""

    Options: ClassVar[type[DeviceOptions]] = CommandOptions
    carries_probe = False
    python: Sequence[str] = ()

    def __init__(self, name: str, options: CommandOptions) -> None:
        self.name = name
        self.options = options
        self.program = Path(_split(options.run)[0]).name
        # goes with the device: an engine that was built for a model serves all of its benchmarks
        self._kept = tempfile.TemporaryDirectory(prefix="makeweight-command-")
        self._prepared: set[Path] = set()

    def put(self, *files: Path) -> str:
        return str(files[0].absolute())

    def run(self, command: Sequence[str]) -> Ended:
        code, _, said = self._ended(command)
        return Ended(code, said)

    def get(self, there: str, here: Path) -> None:
        here.write_bytes(Path(there).read_bytes())

    def identity(self) -> dict[str, Any]:
        told = [] if self.options.identify is None else self._printed(self._words("identify", {})).splitlines()
        board = [shortened(line) for line in told if line.strip()]
        return {
            "cpu": board[0] if board else f"behind `{self.program}`",
            "board": board,
            "by": self.program,
            "command": [self.options.prepare, self.options.run],
            "files": self._files(),
            "isa": [],
            "cores": None,
            "machine": "",
            "runtimes": {},
            "emulated": False,
        }

    def _files(self) -> dict[str, str]:
        """Hashes of the files that the commands name: with another script of the same name, figures are others."""
        named = (command for command in (self.options.prepare, self.options.run) if command is not None)
        files = sorted({word for command in named for word in _split(command) if Path(word).is_file()})
        return {file: sha256_of(Path(file)) for file in files}

    def conditions(self) -> dict[str, Any]:
        return {"load": None, "governor": None, "frequency_khz": None, "temperature_millicelsius": None}

    def timer(self, model: Model, sizes: Mapping[str, tuple[int, ...]]) -> _Timer:
        path = Path(model.path).absolute()
        # of all its files: a file of the same graph may name other weights
        folder = Path(self._kept.name, hash_of(named([Path(file).absolute() for file in model.files])))
        places = {
            "model": str(path),
            "folder": str(folder),
            "threads": str(model.threads),
            "inputs": ",".join(f"{name}:{'x'.join(map(str, shape))}" for name, shape in sizes.items()),
        }
        if folder not in self._prepared:
            folder.mkdir(exist_ok=True)
            if self.options.prepare is not None:
                self._printed(self._words("prepare", places))
            self._prepared.add(folder)
        return _Timer(self, places)

    @contextlib.contextmanager
    def alone(self, tell: Callable[[str], None]) -> Iterator[None]:
        """One at a time of those that go by the same command, of whatever account."""
        of = hashlib.sha256(self.options.run.encode()).hexdigest()
        path, patience = FOUND_BY_ALL / f"makeweight-command-{of}.lock", self.options.patience

        def waited() -> None:
            tell(f"another measurement by `{self.program}` ran: waited for its end")

        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(locked(path, waited, patience))
            except StillHeld as error:
                told = f"another measurement by `{self.program}` has been running for {patience:g} s"
                do = f"Wait for its end; if there is none, see who holds {path} (`fuser {path}`)."
                raise GivenUp(told, where=self._where, do=do) from error
            except OSError as error:
                tell(unheld(path, error))
            else:
                stack.callback(_removed, path)
            yield

    def meter(self, asked: meters.Asked | None) -> meters.Meter:  # noqa: ARG002
        raise NoMeter("what a board takes is not known to the one who calls its command")

    def time(self, places: Mapping[str, str], runs: int) -> Told:
        """Run the program for a model.

        Raises:
            DeviceFailed: it fails, hangs, or prints what is no times.
        """
        printed = self._printed(self._words("run", {**places, "runs": str(runs + self.options.warm_up)}))
        try:
            return lines.times(printed, self.options.unit, self.options.warm_up)
        except Garbage as error:
            do = (
                "It is to print a time a line to its standard output, with a point before its decimals; all else goes "
                "to its standard error."
            )
            raise DeviceFailed(
                f"what `{self.program}` printed is no times: {error}", where=self._where, do=do
            ) from error

    @property
    def _where(self) -> str:
        return f"device `{self.name}`"

    def _words(self, option: str, places: Mapping[str, str]) -> list[str]:
        """Each place is filled after the words were told apart: a name with a space or a quote stays one word."""
        return [word.format_map(places) for word in _split(str(getattr(self.options, option)))]

    def _printed(self, words: Sequence[str]) -> str:
        code, printed, said = self._ended(words)
        if code != 0:
            last = shortened(last_line(said or printed))
            do = f"Run it by hand: {shlex.join(words)}"
            raise DeviceFailed(f"`{words[0]}` ended with {ended(code, last)}", where=self._where, do=do)
        return printed

    def _ended(self, words: Sequence[str]) -> tuple[int, str, str]:
        """Its exit code, what it printed and what it said. All that it started ends with it when it is given up."""
        try:
            came = to_its_end(words, self.options.patience)
        except TooLong as error:
            do = "See what it does; `patience:` of the device is how long it may take."
            told = f"`{words[0]}` has not ended for {self.options.patience:g} s"
            raise GivenUp(told, where=self._where, do=do) from error
        except FileNotFoundError as error:
            do = "Install it, or mend `run:` of the device."
            raise DeviceFailed(f"there is no program `{words[0]}` here", where=self._where, do=do) from error
        except OSError as error:
            do = "Make it a program: `chmod +x`, and a first line that names what reads it."
            raise DeviceFailed(f"`{words[0]}` cannot be started: {error.strerror}", where=self._where, do=do) from error
        return came.code, came.printed, came.said


class _Timer:
    """A model, for the user's program."""

    memory = "a command tells times, and no memory"
    feeds = "inputs of its own"

    def __init__(self, device: Command, places: Mapping[str, str]) -> None:
        self.program = device.program
        self._device, self._places = device, places

    def run(self, runs: int) -> Told:
        return self._device.time(self._places, runs)


def _removed(path: Path) -> None:
    # in a folder that all write to only its owner may
    with contextlib.suppress(OSError):
        path.unlink()


def _split(command: str) -> list[str]:
    """Its words, by the shell's rules for quotes."""
    try:
        return shlex.split(command)
    except ValueError as error:
        raise ValueError(f"quotes do not match in it: {error}") from error


def _parsed(word: str) -> list[tuple[str, str | None, str | None, str | None]]:
    try:
        return list(string.Formatter().parse(word))
    except ValueError as error:
        raise ValueError(f"braces do not match in `{word}` ({error}); a brace itself is written twice") from error
