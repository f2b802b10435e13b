"""The base: what was known at the commit that a change is held against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from makeweight import measurement
from makeweight.budget.rule import Rule
from makeweight.ci.git import Git
from makeweight.decide import verdict
from makeweight.layout import CONFIG, LOCK, PIPELINE, Layout
from makeweight.measurement import Measurement
from makeweight.project.project import Project
from makeweight.project.reading import understand
from makeweight_base.errors import UsageError


@dataclass(frozen=True)
class Base:
    """What the base commit holds. What it lacks is None: a pull request that brings makeweight finds nothing."""

    sha: str
    branch: str | None
    """The branch that the change goes to, where it is known."""
    project: Project | None
    lock: str | None
    pipeline: str | None
    """The text of dvc.yaml."""
    measurements: tuple[Measurement, ...]
    """All figures of its verdict.json, as they were accepted there."""
    provenance: Mapping[str, Any]
    """Of that verdict.json: the hashes of all that went in."""
    notices: tuple[str, ...] = ()
    """What of it could not be read."""
    unusable: str | None = None
    """Why its makeweight.yaml cannot be made sense of, where it has one: its budget is then not known."""

    @property
    def rules(self) -> tuple[Rule, ...]:
        return () if self.project is None else self.project.rules

    @property
    def asks_for_review(self) -> bool:
        """Whether a change to what is judged waits for a reviewer's word; also where nobody can read what that was."""
        return self.unusable is not None or (self.project is not None and self.project.review is not None)

    def had(self, variant: str) -> bool:
        """Whether there was such an artifact at all: what is new has nothing to have grown from."""
        return self.project is not None and variant in self.project.variants and variant not in self.failed

    @property
    def failed(self) -> Mapping[str, str]:
        """Why a recipe could not be carried out there, by variant."""
        return _mapping(self.provenance.get("failed"))

    @property
    def artifacts(self) -> Mapping[str, str | None]:
        """sha256 of the model files, by variant."""
        return _mapping(self.provenance.get("artifacts"))

    @property
    def ran(self) -> Mapping[str, str | None] | None:
        """sha256 of the repository's own code that ran for it, by path; None where that was not recorded."""
        code = self.provenance.get("code")
        return code if isinstance(code, dict) else None

    @property
    def read(self) -> Mapping[str, str | None]:
        """The same of files that were read meanwhile and that its makeweight.yaml does not name; None: a folder, or
        several contents."""
        return _mapping(self.provenance.get("read"))

    @property
    def name(self) -> str:
        """As it is told: `main`, or a short sha."""
        return self.branch or self.sha[:7]


def read(sha: str, branch: str | None, git: Git, root: Path) -> Base:
    """What is known at the base commit."""
    notices: list[str] = []
    config, pipeline, lock = (_text(git, sha, name) for name in (CONFIG, PIPELINE, LOCK))
    project: Project | None = None
    unusable: str | None = None
    if config is not None:
        try:
            project = understand(config, f"{CONFIG} at {sha[:7]}", root, by_dvc=False)
        except UsageError as error:
            unusable = str(error).splitlines()[0]
            notices.append(f"The base's {CONFIG} cannot be used, so this pull request is judged by its own: {unusable}")
    path = Layout(Path()).verdict.as_posix()
    figures: tuple[Measurement, ...] = ()
    facts: Mapping[str, Any] = {}
    if (text := _text(git, sha, path)) is not None:
        try:
            decided = verdict.loads(text, f"{path} at {sha[:7]}")
            figures, facts = tuple(map(measurement.of, decided.measurements)), _known(decided.provenance)
        except (UsageError, ValueError, TypeError) as error:
            why = error.what if isinstance(error, UsageError) else error
            notices.append(f"The base's measurements cannot be read and are not used: {why}.")
    return Base(sha, branch, project, lock, pipeline, figures, facts, tuple(notices), unusable)


def _known(facts: Mapping[str, Any]) -> Mapping[str, Any]:
    """Raises:
    ValueError: what others look for in it is not what it has to be.
    """
    for name in ("artifacts", "failed", "code", "read"):
        of = facts.get(name)
        if of is not None and not (isinstance(of, dict) and all(isinstance(each, str | None) for each in of.values())):
            raise ValueError(f"its provenance tells of no `{name}`")
    if not isinstance(facts.get("devices") or {}, dict):
        raise ValueError("its provenance tells of no `devices`")
    return facts


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(git: Git, sha: str, path: str) -> str | None:
    content = git.read(sha, path)
    return None if content is None else content.decode(errors="replace")
