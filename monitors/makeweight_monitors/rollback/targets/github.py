"""`github`: another target that moves the traffic, and what the repository is told when a trial is over.

After a rollback: a pull request that lets a declared file say again what it said before the canary, an issue with the
decision, and the status of the deployment. After a promotion, the status alone. Traffic never waits for GitHub. What
exists is found again and not made twice; what does not answer is tried again; what is refused is told.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

from pydantic import Field, field_validator

from makeweight_base.errors import UsageError, reason
from makeweight_base.forge.client import Invalid, Refused
from makeweight_monitors.rollback.case import Canary
from makeweight_monitors.rollback.github import deployment, issue, revert
from makeweight_monitors.rollback.github.client import Client
from makeweight_monitors.rollback.seen import Placement
from makeweight_monitors.rollback.targets.target import Rehearsing, TargetOptions, made

TOKEN = "MAKEWEIGHT_GITHUB_TOKEN"  # noqa: S105 - the name of a variable


class GithubOptions(TargetOptions):
    """Which repository, what is told there, and what moves the traffic."""

    traffic: dict[str, Any] = Field(description="What moves the traffic: another target, its `kind` and options.")
    repository: str = Field(pattern=r"^[\w.-]+/[\w.-]+$", description="OWNER/NAME.")
    file: str | None = Field(
        None,
        min_length=1,
        description="What is reverted by a pull request: the pointer in the repository, or its dvc.lock.",
    )
    branch: str | None = Field(None, min_length=1, description="Where to (default: the repository's own branch).")
    environment: str | None = Field(None, min_length=1, description="Of the deployments; none: no status is told.")
    token_file: str | None = Field(
        None, min_length=1, description=f"The file of the token, from makeweight.yaml's folder on (or {TOKEN})."
    )
    api: str = Field(
        "https://api.github.com", pattern=r"^https?://[^\s@]+$", description="The address of the REST API."
    )

    @field_validator("file")
    @classmethod
    def _inside(cls, file: str | None) -> str | None:
        if file is not None and (PurePosixPath(file).is_absolute() or ".." in PurePosixPath(file).parts):
            raise ValueError("a path from the top of the repository on is wanted")
        return file

    @field_validator("traffic")
    @classmethod
    def _moves(cls, traffic: dict[str, Any]) -> dict[str, Any]:
        from makeweight import registry

        kind = str(traffic.get("kind", ""))
        if kind in ("", "github"):
            raise ValueError("`kind` is wanted, of what moves the traffic itself")
        try:
            options = registry.load("target", kind).Options
        except UsageError as error:
            raise ValueError(error.what) from error
        options(**{key: value for key, value in traffic.items() if key != "kind"})
        return traffic


class GithubTarget:
    """A target, with a repository that follows it."""

    Options: ClassVar[type[TargetOptions]] = GithubOptions
    rehearse: Callable[[Placement, float], None]
    """There only where what moves the traffic has it."""

    def __init__(self, options: GithubOptions, folder: Path) -> None:
        self.options = options
        self.token_file = None if options.token_file is None else folder / options.token_file
        self.traffic = made(options.traffic, folder)
        if isinstance(self.traffic, Rehearsing):
            self.rehearse = self.traffic.rehearse
        self._client()

    def get(self) -> Placement:
        return self.traffic.get()

    def set(self, seen: Placement, share: float) -> None:
        self.traffic.set(seen, share)

    def verify(self, share: float) -> None:
        self.traffic.verify(share)

    def finalize(self, canary: Canary, promoted: bool, why: str) -> str | None:
        told = [self.traffic.finalize(canary, promoted, why)]
        client, options = self._client(), self.options
        if not promoted:
            file = options.file
            reverted = ""
            if file is not None:
                reverted = _told(
                    "no pull request",
                    lambda: revert.put(client, options.repository, file, options.branch, canary, why),
                )
            told.append(reverted)
            more = f"{reverted[:1].upper()}{reverted[1:]}." if reverted else ""
            told.append(_told("no issue", lambda: issue.put(client, options.repository, canary, why, more)))
        if (environment := options.environment) is not None:
            told.append(
                _told(
                    "no status of the deployment",
                    lambda: deployment.put(client, options.repository, environment, canary, promoted, why),
                )
            )
        return "; ".join(one for one in told if one) or None

    def _client(self) -> Client:
        file = self.token_file
        where = TOKEN if file is None else str(file)
        try:
            token = os.environ.get(TOKEN, "") if file is None else file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"the token cannot be read: {reason(error)}", where=where) from error
        if not token.strip():
            raise UsageError("there is no token for GitHub", where=where, do=f"Name `token_file`, or set {TOKEN}.")
        return Client(self.options.api, token)


def _told(without: str, put: Callable[[], str]) -> str:
    """What came of it; a refusal that would come again is told, and not tried again."""
    try:
        return put()
    except (Refused, Invalid) as error:
        return f"{without}: {error.what}"
    except (KeyError, TypeError, ValueError) as error:
        return f"{without}: GitHub's answer has another form ({type(error).__name__})"
