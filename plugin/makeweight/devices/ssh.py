"""A machine over SSH: the system's OpenSSH with the user's own configuration, agent, keys and jump hosts.

Nothing has to be installed there but Python, numpy and the runtime; files are sent once, by the hash of what they hold.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shlex
import stat
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, ClassVar

from pydantic import Field

from makeweight.devices.again import once_more
from makeweight.devices.device import DeviceFailed, DeviceOptions, Ended, GivenUp, ProbedOptions
from makeweight.devices.kept import aged, arrived, arriving, cleared, used
from makeweight.devices.side_by_side import hash_of, named
from makeweight.devices.ssh_refusals import broken, refusal, unheard
from makeweight.devices.watched import BEGINS, LOST, attended, code_of, watched
from makeweight_base.errors import EnvironmentFailed
from makeweight_probe.bootstrap import PYTHON

_FOLDER = ".cache/makeweight"
"""From the home folder there."""
_PRIVATE = "python-"
"""What the name of a private folder begins with."""
_PLAIN = "export LC_ALL=C\n"
"""Before scripts of ours: what their programs say when they fail is looked up as they say it in English."""
_LONGEST = 40
"""Bytes of the folder of a control socket: the whole path of a socket holds 108 (unix(7))."""
_SPECIAL = frozenset(" \t\"'\\%")
"""What ssh reads as something else than itself in the path of a control socket (ssh_config(5))."""
_ENDS = "makeweight-ended-by-itself"
"""The line that goes after what a script says that ended with the code by which ssh tells that it failed itself."""
_OWN = 8
"""Characters of a hash in the name of a socket, before ssh's own 40."""
_ALWAYS = (
    "BatchMode=yes",  # nobody is there to type a password
    "StrictHostKeyChecking=yes",  # a key that is not known is never taken silently, whatever the user's file says
    "ConnectTimeout=10",
    "ServerAliveInterval=10",
    "ServerAliveCountMax=3",  # a machine that vanished is given up after half a minute
    "RemoteCommand=none",
    "PermitLocalCommand=no",
    "ClearAllForwardings=yes",
    "LogLevel=ERROR",
)


class SshOptions(ProbedOptions):
    """How to get there."""

    host: str = Field(
        description="Whom to connect to, as `ssh` is told it: `user@host`, or a name of ~/.ssh/config, where port, key "
        "and jump hosts stand. Its host key has to be known: connect by hand once.",
        pattern=r"^[^-\s][^\s]*$",
    )
    python: str = Field(
        "python3",
        description="Python 3.11 or newer there, with numpy and the runtime; or without, and `makeweight devices "
        "--bootstrap` makes a private folder with it that has them.",
        min_length=1,
    )
    config: str | None = Field(
        None,
        description="An ssh_config to go by instead of the user's own; from the folder that makeweight runs in.",
    )

    @property
    def files(self) -> tuple[str, ...]:
        return () if self.config is None else (self.config,)

    @property
    def runs_here(self) -> bool:
        # such a file names programs by which ssh finds its way (`ProxyCommand`, `Match exec`)
        return self.config is not None


class Ssh:
    """A machine over SSH."""

    Options: ClassVar[type[DeviceOptions]] = SshOptions
    carries_probe = False

    def __init__(self, name: str, options: SshOptions) -> None:
        self.name = name
        self._found: bool | None = None
        self._host, self._patience = options.host, options.longest
        config = () if options.config is None else ("-F", options.config)
        self._ssh = (
            "ssh",
            "-T",
            *config,
            *(word for option in (*_ALWAYS, *_shared(options.config)) for word in ("-o", option)),
        )
        # it is run from the home folder, and no shell reads its name
        python = f".{options.python[1:]}" if options.python.startswith("~/") else options.python
        # -P: what lies in the home folder must not take the place of one of Python's own modules
        self._bare_python = (python, "-P")

    @property
    def bare_python(self) -> Sequence[str]:
        return self._bare_python

    @property
    def furnished(self) -> str:
        """A folder for each Python that it may be made with."""
        return f"{_FOLDER}/{_PRIVATE}{hashlib.sha256(self._bare_python[0].encode()).hexdigest()[:_OWN]}"

    @property
    def python(self) -> Sequence[str]:
        own = f"{self.furnished}/{PYTHON}"
        if self._found is None:
            self._found = self._said(f"[ -x {own} ] && echo there || echo missing").strip() == "there"
        return (own, "-P") if self._found else self._bare_python

    def put(self, *files: Path) -> str:
        given = named(files)
        folder = f"{_FOLDER}/{hash_of(given)}"
        if self._said(used(folder)).strip() != "there":
            self._send(given, folder)
        return f"{folder}/{files[0].name}"

    def run(self, command: Sequence[str]) -> Ended:
        program = watched(shlex.join(command))

        def begun() -> Ended:
            with attended() as waiting:
                return self._ended(program, waiting)

        return once_more(begun, harmless=False)

    def get(self, there: str, here: Path) -> None:
        here.write_bytes(self._printed(f"cat {shlex.quote(there)}", f"`{there}` cannot be read there"))

    def _send(self, files: Mapping[str, Path], folder: str) -> None:
        """Whole, or not at all: another benchmark may be sending the same."""
        # a script that is run again must not have its files removed by the end of the one before
        coming = f"{arriving(folder)}.$$"
        script = f"""
            umask 077
            mkdir -p {_FOLDER} && {aged(_FOLDER, spared=f"{_PRIVATE}*")}
            mkdir -p {coming} && tar -xf - -C {coming} && {arrived(coming, folder)}
            code=$?
            {cleared(coming, folder)}
            exit $code"""
        with _archived(files) as archive:

            def sent() -> Ended:
                archive.seek(0)
                return self._ended(_PLAIN + script, archive)

            ended = once_more(sent)
        self._checked(ended, f"{next(iter(files.values())).name} cannot be brought there")

    def _said(self, script: str) -> str:
        return self._printed(script, "a shell cannot be run there").decode(errors="replace")

    def _printed(self, script: str, failed: str) -> bytes:
        """What a script of the shell there prints, without what that user's own shell prints before, as one that greets
        does.

        Args:
            failed: what to say where it fails.
        """
        with tempfile.TemporaryFile() as output:

            def printed() -> Ended:
                output.seek(0)
                output.truncate()
                return self._ended(_PLAIN + script, subprocess.DEVNULL, output)

            self._checked(once_more(printed), failed)
            output.seek(0)
            return output.read().partition(f"{BEGINS}\n".encode())[2]

    def _ended(self, script: str, stdin: int | IO[bytes], stdout: int | IO[bytes] = subprocess.DEVNULL) -> Ended:
        """Run a script of the shell there.

        Raises:
            DeviceFailed: the machine cannot be reached, was lost, or does not end in time. `Broken`: the next
                connection may hold.
        """
        where = f"device `{self.name}`"
        command = (*self._ssh, "--", self._host, _by_sh(_marked(script)))
        try:
            done = subprocess.run(
                command, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, timeout=self._patience, check=False
            )
        except FileNotFoundError as error:
            do = "Install OpenSSH's client (Debian: apt install openssh-client)."
            raise EnvironmentFailed("there is no `ssh` here", where=where, do=do) from error
        except subprocess.TimeoutExpired as error:
            do = "See what it does there; `patience:` of the device is how long it may take."
            raise GivenUp(f"a program there has not ended for {self._patience:g} s", where=where, do=do) from error
        if done.returncode < 0:
            do = "Run again; if nobody ended it, this computer may be short of memory."
            raise DeviceFailed(f"`ssh` was ended here by signal {-done.returncode}", where=where, do=do)
        said = done.stderr.decode(errors="replace")
        _, begun, own = said.partition(f"{BEGINS}\n")
        words, itself, after = own.rpartition(f"{_ENDS}\n")
        if done.returncode == LOST and not itself:
            raise broken(self.name, self._host, own if begun else said, begun=bool(begun))
        if done.returncode == 0 and not begun:
            raise unheard(self.name, self._host)
        return Ended(code_of(done.returncode), words + after if begun else said)

    def _checked(self, ended: Ended, what: str) -> None:
        if ended.code != 0:
            said = ended.said if ended.said.strip() else f"exit code {ended.code}, and it says nothing"
            raise refusal(self.name, self._host, said, what)


def _marked(script: str) -> str:
    """A script with the lines by which it is known where its own words begin, and that it came to its end."""
    ends = f"code=$?; [ $code -ne {LOST} ] || echo {_ENDS} >&2; exit $code"
    return f"echo {BEGINS}; echo {BEGINS} >&2; cd || exit; ({script}\n); {ends}"


def _by_sh(script: str) -> str:
    """A command that has sh read a script, whatever shell is the user's there.

    Within single quotes, too, csh takes no end of a line and looks for its history at `!` (csh(1)), and fish reads
    backslashes (https://fishshell.com/docs/current/language.html#quotes); so these go as the numbers that printf(1)
    turns back.
    """
    told = "".join(f"\\0{ord(letter):03o}" if letter in "\\\n!" else letter for letter in script)
    return f'exec sh -c \'eval "$(printf %b "$1")"\' sh {shlex.quote(told)}'


@contextlib.contextmanager
def _archived(files: Mapping[str, Path]) -> Iterator[IO[bytes]]:
    with tempfile.TemporaryFile() as archive:
        # what a link leads to: DVC may have put links to its cache in place of files
        with tarfile.open(fileobj=archive, mode="w", dereference=True) as tar:
            for name, file in files.items():
                tar.add(file, name, filter=_nobodys)
        archive.seek(0)
        yield archive


def _nobodys(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mode = 0o600
    return entry


def _shared(config: str | None) -> tuple[str, ...]:
    """One connection for all that is asked within a minute, where there is a private folder for its socket.

    ssh names it by where it goes. Another configuration may know other keys, so it has connections of its own.
    """
    root = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    folder = Path(root, f"makeweight-{os.getuid()}")
    if len(os.fsencode(folder)) > _LONGEST or _SPECIAL & set(str(folder)) or not _private(folder):
        return ()
    own = b""
    if config is not None and Path(config).is_file():
        own = Path(config).read_bytes()
    path = folder / f"{hashlib.sha256(own).hexdigest()[:_OWN]}%C"
    return "ControlMaster=auto", f"ControlPath={path}", "ControlPersist=60"


def _private(folder: Path) -> bool:
    """Whether it is there and ours alone: who may write there could speak for the machine."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and stat.S_IMODE(found.st_mode) == 0o700
