"""`nginx`: the shares of a `split_clients` block, in a file of its own that nginx includes.

    split_clients $remote_addr $model {
        5% canary;
        * stable;
    }

Only what stands between the braces is rewritten; key, variable and the rest are the user's. The file is replaced whole,
tried (`nginx -t`) and put back where that fails; then the master is told to read it (`nginx -s reload`, a SIGHUP). The
change counts when other workers have taken the place of all that served before: one that still answers what it took
before says so in its title, and takes no more.

What stood in the file, and the workers that served by it, lie beside it until then: so a process that was killed in
between is followed by one that knows which of the two is in force.

Sources: nginx.org/en/docs/http/ngx_http_split_clients_module.html, nginx.org/en/docs/control.html; proc(5).
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from makeweight_base import atomic
from makeweight_base.errors import EnvironmentFailed, reason
from makeweight_monitors.rollback.case import Canary
from makeweight_monitors.rollback.seen import Placement
from makeweight_monitors.rollback.targets.target import Moved, TargetOptions, agree, parts

_NAME = r"^[A-Za-z0-9_.:-]+$"
_SECONDS = 30.0
"""For a command: nginx looks up the names of all its upstreams."""
_TAKEN_WITHIN = 15.0
"""Seconds within which other workers serve; it takes a fraction of one."""
_TICK = 0.02
_PROC = Path("/proc")
_KEY = r"""(?:"[^"\n]*"|'[^'\n]*'|(?:\$\{\w+\}|[^\s{};"'#])+)"""
_BLOCK = re.compile(rf"^([^#\n]*\bsplit_clients\s+{_KEY}\s+\$\w+\s*\{{)((?:#[^\n]*|[^{{}}#])*)\}}", re.MULTILINE)
_COMMENT = re.compile(r"#[^\n]*")
_ENTRY = re.compile(r"\s*(?:(\*)|(\d{1,3}(?:\.\d{1,2})?)%)\s+([A-Za-z0-9_.:-]+)\s*;")

Worker = tuple[int, int]
"""Its pid, and when it began, in ticks since the machine did."""


class NginxOptions(TargetOptions):
    """Where the file is, and how nginx is spoken to."""

    include: str = Field(
        min_length=1,
        description="The file with the `split_clients` block, which nginx includes; from makeweight.yaml's folder on.",
    )
    canary: str = Field("canary", pattern=_NAME, description="What stands in the block for the canary.")
    stable: str = Field("stable", pattern=_NAME, description="What stands in the block for the original.")
    command: tuple[str, ...] = Field(
        ("nginx",),
        min_length=1,
        description="How nginx is called, to try its configuration and to reload: [sudo, -n, nginx].",
    )
    pid: str = Field("/run/nginx.pid", min_length=1, description="The file in which the master's pid is.")


@dataclass(frozen=True)
class Begun:
    """A change of which it is not known that it is in force."""

    text: str
    """The file as it was before."""
    workers: frozenset[Worker]
    """Who served by that."""


class NginxTarget:
    """Shares of a block; it does not know which file is behind a name."""

    Options: ClassVar[type[TargetOptions]] = NginxOptions

    def __init__(self, options: NginxOptions, folder: Path) -> None:
        # where a link leads: it is the file that is replaced
        self.include = (folder / options.include).resolve()
        self.kept = self.include.with_name(f".{self.include.name}.before")
        self.pid, self.command = folder / options.pid, options.command
        self.canary, self.stable = options.canary, options.stable

    def get(self) -> Placement:
        return self._placement(self._text(), self._begun())

    def set(self, seen: Placement, share: float) -> None:
        text, begun = self._text(), self._begun()
        if self._placement(text, begun).mark != seen.mark:
            raise Moved("its shares were changed since they were seen", where=str(self.include))
        wanted = self._with(text, share)
        if wanted == text and begun is None:
            return
        serving = frozenset(self._serving())
        old = Begun(text, serving) if begun is None else Begun(begun.text, begun.workers | serving)
        atomic.write_json(self.kept, {"text": old.text, "workers": sorted(old.workers)})
        atomic.write_text(self.include, wanted)
        try:
            self._run("-t", "-q")
        except EnvironmentFailed:
            atomic.write_text(self.include, old.text)
            self.kept.unlink(missing_ok=True)
            raise
        self._run("-s", "reload")
        until = time.monotonic() + _TAKEN_WITHIN
        while not self._taken(old):
            if time.monotonic() > until:
                raise EnvironmentFailed(
                    f"{_TAKEN_WITHIN:.0f} s after the reload, workers that were there before still serve",
                    where=str(self.include),
                    do="nginx's error log says why.",
                )
            time.sleep(_TICK)
        self.kept.unlink(missing_ok=True)

    def verify(self, share: float) -> None:
        agree(self.get().share, share, str(self.include))

    def finalize(self, canary: Canary, promoted: bool, why: str) -> None:
        """Nothing: which file answers under a name is not nginx's to know."""

    def _placement(self, text: str, begun: Begun | None) -> Placement:
        stands = text if begun is None else begun.text
        mark = hashlib.sha256(f"{text}\0{stands}".encode()).hexdigest()[:16]
        return Placement(self._share(stands), mark=mark)

    def _text(self) -> str:
        try:
            return self.include.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise EnvironmentFailed(f"cannot be read: {reason(error)}", where=str(self.include)) from error

    def _begun(self) -> Begun | None:
        """A change that is not in force; None: what the file says is."""
        try:
            told = json.loads(self.kept.read_bytes())
            begun = Begun(told["text"], frozenset((pid, start) for pid, start in told["workers"]))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            do = "Remove it, once nginx was reloaded by hand."
            raise EnvironmentFailed(f"cannot be read: {reason(error)}", where=str(self.kept), do=do) from error
        return None if self._taken(begun) else begun

    def _taken(self, begun: Begun) -> bool:
        serving = set(self._serving())
        return bool(serving) and not serving & begun.workers

    def _share(self, text: str) -> float:
        """The canary's, of 1."""
        shares, rest, left = {self.canary: 0.0, self.stable: 0.0}, 100.0, _COMMENT.sub("", self._block(text)[2])
        end = False
        while (entry := _ENTRY.match(left)) and not end and entry[3] in shares:
            end, part = bool(entry[1]), float(entry[2] or 0)
            rest -= part
            shares[entry[3]] += rest if end else part
            left = left[entry.end() :]
        if left.strip() or not end or rest < 0:
            raise EnvironmentFailed(
                f"shares of `{self.canary}` and `{self.stable}` are wanted in the block, and `*` as the last of them",
                where=str(self.include),
            )
        return shares[self.canary] / 100

    def _with(self, text: str, share: float) -> str:
        block = self._block(text)
        part = parts(share, 10_000)  # nginx knows two decimals, and refuses 0 %
        entries = [f"{part / 100:.2f}% {self.canary};"] if 0 < part < 10_000 else []
        entries.append(f"* {self.canary if part >= 10_000 else self.stable};")
        inner = "".join(f"\n    {entry}" for entry in entries) + "\n"
        return text[: block.start(2)] + inner + text[block.end(2) :]

    def _block(self, text: str) -> re.Match[str]:
        found = list(_BLOCK.finditer(text))
        if len(found) != 1:
            raise EnvironmentFailed(
                f"one `split_clients` block is wanted there, and {len(found)} are", where=str(self.include)
            )
        return found[0]

    def _run(self, *more: str) -> None:
        command = [*self.command, *more]
        shown = " ".join(command)
        try:
            ran = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise EnvironmentFailed(f"`{shown}` does not end", where=str(self.include)) from error
        except OSError as error:
            raise EnvironmentFailed(f"`{shown}` cannot be run: {reason(error)}", where=str(self.include)) from error
        if ran.returncode != 0:
            lines = ran.stderr.decode(errors="replace").strip().splitlines()
            said = next((line for line in lines if "[emerg]" in line), lines[0] if lines else "it ended without a word")
            raise EnvironmentFailed(f"`{shown}` refuses: {said[:300]}", where=str(self.include))

    def _serving(self) -> Iterator[Worker]:
        """The workers of the master that take requests."""
        master = self._master()
        for folder in _PROC.glob("[0-9]*"):
            try:
                # after the name, which may hold anything: state, parent, …, and as the 22nd of all, when it began
                after = (folder / "stat").read_bytes().rpartition(b")")[2].split()
                if int(after[1]) == master and _title(folder) == "nginx: worker process":
                    yield int(folder.name), int(after[19])
            except (OSError, IndexError, ValueError):
                continue  # it ended meanwhile

    def _master(self) -> int:
        try:
            pid = int(self.pid.read_text(encoding="ascii"))
            title = _title(_PROC / str(pid))
        except (OSError, ValueError) as error:
            raise EnvironmentFailed(
                f"it does not tell the pid of an nginx that runs here: {reason(error)}",
                where=str(self.pid),
                do="Name the file that nginx's `pid` names, and run the controller where nginx runs.",
            ) from error
        if not title.startswith("nginx: master process"):
            raise EnvironmentFailed(f"process {pid} is no master of nginx", where=str(self.pid))
        return pid


def _title(process: Path) -> str:
    return (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
