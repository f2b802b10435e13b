"""DVC, as continuous integration drives it: what is brought from the remote, what is run, what is stored."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from makeweight.ci import contained
from makeweight.github.commands import inert
from makeweight.starter.repository import DVC, dvc_root
from makeweight_base.errors import EnvironmentFailed
from makeweight_base.progress import Progress

# The user's code runs below DVC: what opens doors at a forge or a registry, or signs evidence, stays outside.
_KEPT_OUT = re.compile(
    r"(MAKEWEIGHT_(.+_)?(TOKEN|KEY|SECRET|PASSWORD)|(INPUT_)?GITHUB_TOKEN|GH_TOKEN|ACTIONS_.*TOKEN|ACTIONS_.*_URL"
    r"|CI_(JOB_TOKEN|JOB_JWT.*|REPOSITORY_URL|(REGISTRY|DEPLOY|DEPENDENCY_PROXY)_PASSWORD)"
    r"|GITHUB_(OUTPUT|ENV|PATH|STATE|STEP_SUMMARY)|GIT_CONFIG_(COUNT|KEY_\d+|VALUE_\d+))"
)
_TAIL = 12
_CONFIG, _LOCAL = Path(".dvc", "config"), Path(".dvc", "config.local")
# The head of a remote's section, as DVC writes it: `['remote "store"']`.
_REMOTE = re.compile(r"""^\s*\[\s*['"]?remote\s""", re.MULTILINE)
# What DVC tells somebody at a keyboard after a run.
_HINTS = frozenset(
    {
        "To track the changes with git, run:",
        "git add dvc.lock",
        "To enable auto staging, run:",
        "dvc config core.autostage true",
        "Use `dvc push` to send your updates to remote storage.",
        "Updating lock file 'dvc.lock'",
    }
)


@dataclass(eq=False)
class Failed(Exception):
    """DVC gave up; its last words."""

    command: str
    said: str


class Dvc:
    """The DVC project in a folder."""

    def __init__(self, root: Path, environment: Mapping[str, str], progress: Progress) -> None:
        self.root = root
        self._progress = progress
        self._environment = outside(environment)

    def untrue(self, stages: Sequence[str]) -> list[str]:
        """The paths among the stages' outputs and dependencies that are not what the lock says, by their content.

        DVC itself believes a remote or a cache whatever lies under a hash there, and remembers it as that hash. So it
        is asked with nothing to remember: a state of its own for this one question.

        Raises:
            EnvironmentFailed: DVC cannot tell.
        """
        with tempfile.TemporaryDirectory(prefix="makeweight-state-") as state:
            status = self._or_raise("status", "--json", *stages, more={"DVC_SITE_CACHE_DIR": state})
        try:
            changes = [change for each in json.loads(status).values() for change in each if isinstance(change, dict)]
            about = [change[part] for change in changes for part in ("changed outs", "changed deps") if part in change]
            return sorted({path for each in about for path, how in each.items() if how == "modified"})
        except (ValueError, AttributeError) as error:
            raise EnvironmentFailed(f"`dvc status` said what cannot be understood: {error}", where="dvc") from error

    def has_remote(self) -> bool:
        """Whether any remote is configured."""
        top = dvc_root(self.root)
        if top is not None and any(_names_a_remote(top / name) for name in (_CONFIG, _LOCAL)):
            return True  # as usual; no process of DVC's has to be begun for that
        return bool(self._run("remote", "list").stdout.strip())

    def pull(self, targets: Sequence[str]) -> str | None:
        """Bring what is stored of these stages and paths; None when all went well, else why not."""
        done = self._run("pull", "--", *targets)
        return None if done.returncode == 0 else gist(done.stderr or done.stdout)

    def reproduce(self, stages: Sequence[str], *options: str) -> None:
        """Run what changed, its output line by line into the log.

        The run cache is left out: anybody who may write to the remote could have put another's outputs there.

        Raises:
            Failed: a stage failed.
        """
        arguments = ("repro", "--no-run-cache", *options, *stages)
        tail: deque[str] = deque(maxlen=_TAIL)
        command = (*DVC, *arguments)
        with contained.started(command, self.root, self._environment, stderr=subprocess.STDOUT) as process:
            assert process.stdout is not None  # noqa: S101 - it is a pipe
            for line in process.stdout:
                if line.strip() and line.strip() not in _HINTS:
                    tail.append(line.rstrip())
                    self._progress.say(inert(line.rstrip()))
        if process.returncode != 0:
            raise Failed(" ".join(("dvc", *arguments)), "\n".join(tail))

    def commit(self, stages: Sequence[str]) -> None:
        """Write down what lies there as what these stages made.

        Raises:
            EnvironmentFailed: DVC refuses.
        """
        self._or_raise("commit", "--force", "--quiet", *stages)

    def push(self) -> None:
        """Send outputs and the run cache to the remote, where there is one.

        Raises:
            EnvironmentFailed: the remote refuses.
        """
        if self.has_remote():
            self._or_raise("push", "--run-cache", "--quiet")

    def share(self, other: Dvc) -> None:
        """Use another work tree's cache and its local configuration (credentials, say).

        Raises:
            EnvironmentFailed: there is no DVC repository.
        """
        place = other._or_raise("cache", "dir").strip()
        theirs, own = dvc_root(other.root), dvc_root(self.root)
        if theirs is not None and own is not None and (local := theirs / _LOCAL).exists():
            shutil.copyfile(local, own / _LOCAL)
        self._or_raise("config", "--quiet", "--local", "cache.dir", place)

    def _or_raise(self, *arguments: str, more: Mapping[str, str] | None = None) -> str:
        done = self._run(*arguments, more=more)
        if done.returncode != 0:
            raise EnvironmentFailed(f"`dvc {arguments[0]}` failed: {gist(done.stderr)}", where="dvc")
        return done.stdout

    def _run(self, *arguments: str, more: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        command = (*DVC, *arguments)
        with contained.started(command, self.root, {**self._environment, **(more or {})}) as process:
            said, complained = process.communicate()
        return subprocess.CompletedProcess(command, process.returncode, said, complained)


def outside(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment that the user's code may see, with this makeweight first on its path."""
    kept = {name: value for name, value in environment.items() if not _KEPT_OUT.fullmatch(name)}
    here = str(Path(sys.executable).parent)
    return {**kept, "PATH": f"{here}:{kept.get('PATH', '')}", "DVC_NO_ANALYTICS": "1"}


def _names_a_remote(config: Path) -> bool:
    try:
        return _REMOTE.search(config.read_text(encoding="utf-8", errors="replace")) is not None
    except OSError:
        return False


def gist(said: str) -> str:
    """What a reader needs of DVC's words: its errors, each with what it announces on the line below."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    chosen = []
    for line, below in zip(lines, [*lines[1:], ""], strict=False):
        if line.startswith("ERROR:"):
            word = line.removeprefix("ERROR:").strip()
            chosen.append(f"{word} {below}" if word.endswith(":") else word)
    return "; ".join(chosen[:3] or lines[-1:]) or "DVC said nothing"
