"""One run: what it is told to do, and all its I/O, handed in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from makeweight.ci import merge_base
from makeweight.ci.commenting import When
from makeweight.ci.dvc import Dvc
from makeweight.ci.git import Git, authenticated
from makeweight.forge.event import Event
from makeweight.github import labels, pull, queue, standing
from makeweight.github.client import Client
from makeweight.github.labels import Label
from makeweight.github.pull import Pull
from makeweight.layout import OWN, Layout
from makeweight.verbs.ci.arguments import CHECK_NAME
from makeweight.verbs.ci.forge import Forge
from makeweight_base.errors import EnvironmentFailed, UsageError
from makeweight_base.forge import marker
from makeweight_base.forge.client import ForgeFailed
from makeweight_base.progress import Progress


@dataclass(frozen=True)
class Settings:
    """What a run is told to do; the Action's inputs, as flags."""

    base: str | None = None
    """A branch or another revision to compare with instead of what the event names."""
    devices: Sequence[str] = ()
    collected: Path | None = None
    handed: str | None = None
    """The digest of what the phase before this one handed over, where the two are apart."""
    check: bool = True
    check_name: str = ""
    """Empty: the usual one."""
    comment: When = "always"
    junit: Path | None = None
    code_quality: Path | None = None
    commit_lock: bool = False
    push: bool = False
    anew: bool = False
    cancelled: bool = False
    """The job was, so that nothing more is to be found out."""


@dataclass
class Run:
    """All I/O of a run, handed in."""

    root: Path
    forge: Forge
    environment: Mapping[str, str]
    settings: Settings
    progress: Progress
    untold: list[str] = field(default_factory=list)
    """What the forge did not take, for the log and the summary."""
    _git: Git | None = field(default=None, init=False)
    """Of the folder where the run is now."""

    @property
    def event(self) -> Event:
        return self.forge.event

    @property
    def client(self) -> Client | None:
        """GitHub's, where there is a token for it."""
        return self.forge.github

    def git(self) -> Git:
        if self._git is None or self._git.folder != self.root:
            token = self.environment.get("MAKEWEIGHT_TOKEN")
            self._git = Git(self.root, authenticated(self.environment, self.event.server, token))
        return self._git

    def head(self) -> str:
        """The commit that is judged.

        Raises:
            UsageError: there is none yet.
        """
        found = self.event.head or self.git().resolve("HEAD")
        if found is None:
            raise UsageError(
                "there is no commit yet", where=str(self.root.resolve()), do="Commit what is to be judged."
            )
        return found

    def base(self) -> str | None:
        """The commit that it is held against; None when there is nothing before it.

        Raises:
            UsageError: the revision that was asked for is none.
            EnvironmentFailed: there is one, and it cannot be fetched.
        """
        tip = self._landing_on()
        event = self.event if tip is None else replace(self.event, base=tip)
        return merge_base.find(event, self.git(), self.settings.base)

    def _landing_on(self) -> str | None:
        """Where the branch of a merge queue is, if entries before this one may land with it although they failed: then
        all that lands is held against that. None: each is held against what stands before it.

        `open` and `gate` both ask. The branch moves while a run measures, as entries before this one land, and what
        counts is where it is when the verdict is reached. Nor could the gate take it from the other: in the form with
        devices that may run nowhere but in the job that makes the variants, where what the change requires is installed
        first.
        """
        event = self.event
        if self.client is None or event.name != "merge_group" or event.repository is None or event.base_ref is None:
            return None
        tip = self.git().tip(event.base_ref)
        if tip is None or tip == event.base:
            return None
        with self.telling("whether this merge queue lands what failed was not asked"):
            by_its_last = queue.lands_by_its_last(self.client, event.repository, event.base_ref)
            if by_its_last:
                self.progress.say(f"what failed may land with this, so all of it is held against `{event.base_ref}`")
                return tip
            if by_its_last is None:
                self._leave_untold(
                    "no ruleset tells whether this merge queue lands what failed with what passes behind it: see that "
                    "**Only merge non-failing pull requests** is on"
                )
        return None

    def dvc(self, root: Path) -> Dvc:
        return Dvc(root, self.environment, self.progress)

    def labels(self, prefixes: Sequence[str]) -> list[Label]:
        """The labels of the pull request whose names begin so; none where they cannot be read."""
        if self.client is None or self.event.number is None:
            return []
        with self.telling("labels were not read, so none counts"):
            return labels.on(self.client, self.event, prefixes)
        return []

    def proposed(self) -> str | None:
        """The commit that labels name; see `labels.proposed`. None where it cannot be told, or no label decides."""
        if self.client is None:
            return None
        with self.telling("the commit in the merge queue is not known, so no review of it counts"):
            return labels.proposed(self.client, self.event)
        return None

    @cached_property
    def folder(self) -> str:
        """The project's, from the top of the repository, in whichever work tree; empty at the top."""
        return self.git().prefix.strip("/")

    def identity(self, name: str) -> str:
        """What the project of this name is known by on GitHub."""
        return marker.identity(name, self.folder)

    @property
    def check_name(self) -> str:
        if self.settings.check_name:
            return self.settings.check_name
        return f"{CHECK_NAME} ({self.folder})" if self.folder else CHECK_NAME

    def successor(self, name: str) -> str | None:
        """What has taken this run's place, as a clause; None while it may speak, or where that cannot be asked."""
        if self.client is None:
            return None
        kept = self.check_name if self.settings.check else None
        with self.telling("whether this run is still the newest was not asked"):
            return standing.successor(self.client, self.event, kept, self.identity(name))
        return None

    def superseded(self, why: str) -> EnvironmentFailed:
        return EnvironmentFailed(
            f"this run is superseded: {why}",
            where="pull request",
            do="What counts is the newest run. To judge again, run that one again, or push.",
        )

    def shared(self) -> list[Pull]:
        """Pull requests of the same commit into other branches; none where that cannot be asked."""
        if self.client is None or self.event.number is None or self.event.repository is None:
            return []
        with self.telling("whether other pull requests propose this commit was not asked"):
            return standing.shared(self.event, pull.every_open(self.client, self.event.repository))
        return []

    @property
    def reports(self) -> Layout:
        """Where the evidence of the run lies, apart from what the pipeline itself writes."""
        return Layout(self.root / OWN)

    @contextmanager
    def telling(self, what: str) -> Iterator[None]:
        """What the forge refuses is said, and changes no verdict."""
        try:
            yield
        except ForgeFailed as error:
            self._leave_untold(f"{what}: {error}")

    def _leave_untold(self, said: str) -> None:
        if said not in self.untold:  # each phase asks anew
            self.untold.append(said)
        self.progress.say(said)
