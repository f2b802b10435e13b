"""What every command line does alike: a verb is run, and whatever goes wrong becomes a sentence and an exit code."""

from __future__ import annotations

import argparse
import contextlib
import errno
import io
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from makeweight_base import given_up
from makeweight_base.errors import Exit, MakeweightError

Verb = Callable[[argparse.Namespace], Exit]


class _Parser(argparse.ArgumentParser):
    """One whose errors say where to read on."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(int(Exit.USAGE), f"error: {message}\n  `{self.prog} --help` says what there is.\n")

    def parse_known_args(self, *arguments: Any, **options: Any) -> Any:
        """What nobody knows is refused by the verb that it was given to, and not by the program."""
        known, unknown = super().parse_known_args(*arguments, **options)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return known, unknown


def parser(program: str, description: str) -> argparse.ArgumentParser:
    return _Parser(
        prog=program,
        description=description,
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=16),
    )


class Adder:
    """Adds verbs to a parser: one of a project is told its folder by `--project`; some speak `--json` too."""

    def __init__(self, of: argparse.ArgumentParser) -> None:
        self._verbs = of.add_subparsers(title="verbs", metavar="VERB", required=True)

    def __call__(
        self, name: str, verb: Verb, summary: str, *, project: bool = True, json: bool = False
    ) -> argparse.ArgumentParser:
        own = self._verbs.add_parser(name, help=summary, description=summary)
        own.set_defaults(verb=verb)
        if project:
            own.add_argument(
                "--project", type=Path, default=Path(), metavar="DIR", help="the folder of makeweight.yaml (default: .)"
            )
        if json:
            own.add_argument("--json", action="store_true", help="print one JSON object")
        return own


def whole(low: int, high: int, of: str = "") -> Callable[[str], int]:
    """The type of an argument: a whole number within bounds, such as ` of seconds`."""

    def read(text: str) -> int:
        if text.isdecimal() and low <= int(text) <= high:
            return int(text)
        raise argparse.ArgumentTypeError(f"`{text}` is no whole number{of} from {low} to {high}")

    return read


def above_zero(text: str) -> float:
    """The type of an argument: a number above zero, and not infinite."""
    with contextlib.suppress(ValueError):
        if 0 < float(text) < float("inf"):
            return float(text)
    raise argparse.ArgumentTypeError(f"`{text}` is no number above zero")


def share(text: str) -> float:
    """The type of an argument: a share from 0 to 1, or in per cent (`5 %`)."""
    number, percent, rest = text.partition("%")
    with contextlib.suppress(ValueError):
        value = float(number) / (100 if percent else 1)
        if 0 <= value <= 1 and not rest.strip():
            return value
    raise argparse.ArgumentTypeError(f"`{text}` is no share: give a number from 0 to 1, or per cent such as `5%`")


def run(program: str, verb: Verb, options: argparse.Namespace) -> int:
    """Run one verb; every failure becomes a sentence on standard error and an exit code. Where it has given something
    up that is still at work, the process ends with it."""
    code = _ended(program, verb, options)
    given_up.leave(code)
    return code


def _ended(program: str, verb: Verb, options: argparse.Namespace) -> int:
    if isinstance(sys.stdout, io.TextIOWrapper):
        # a letter that a terminal does not have must not end a command that has its answer
        sys.stdout.reconfigure(errors="replace")
    try:
        code = int(verb(options))
        with contextlib.suppress(BrokenPipeError):
            sys.stdout.flush()
            return code
        return _leave_quietly(code)
    except MakeweightError as error:
        return _failed(str(error), error.exit_code)
    except KeyboardInterrupt:
        print("interrupted: nothing half-done was kept; run the same command again to go on", file=sys.stderr)
        return int(Exit.INTERRUPTED)
    except BrokenPipeError:  # before the verb had its answer: that must not read as a pass
        return _leave_quietly(int(Exit.ENVIRONMENT))
    except MemoryError:
        return _failed("this machine is out of memory; close something, or use a smaller model")
    except Exception as error:
        if os.environ.get("MAKEWEIGHT_TRACEBACK"):
            raise
        if isinstance(error, OSError) and error.strerror is not None:  # the machine failed, not makeweight
            do = _HELPS.get(error.errno or 0)
            return _failed(f"{error.filename or 'this machine'}: {error.strerror}" + (f"\n  {do}" if do else ""))
        return _failed(
            f"{program} itself failed: {type(error).__name__}: {error}\n"
            "  Run again with MAKEWEIGHT_TRACEBACK=1 and report what it prints."
        )


_HELPS = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "Free some space, then run again."),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "Mend the permissions, then run again."),
}
"""What to do where the system refuses what nobody had foreseen."""


def _failed(sentence: str, code: Exit = Exit.ENVIRONMENT) -> int:
    print(f"error: {sentence}", file=sys.stderr)
    return int(code)


def _leave_quietly(code: int) -> int:
    """The reader (`head`, `less`) has gone; Python would complain when it flushes the rest at its own end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code
