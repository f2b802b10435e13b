"""A verdict checked as far as what is at hand goes: who signed it, what it was made from, whether it follows."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from makeweight.decide import verdict
from makeweight.decide.verdict import Verdict
from makeweight.layout import CONFIG, Layout
from makeweight.project import reading
from makeweight.proof import signing
from makeweight.proof.audit import Finding, audit
from makeweight.proof.replay import Replay, replay
from makeweight.proof.signing import NotGenuine
from makeweight.publish import terms
from makeweight_base.errors import UsageError

Result = Literal["genuine", "forged", "differs", "unsigned", "nothing checked"]


@dataclass(frozen=True)
class Signed:
    """What the signature says."""

    status: Literal["good", "forged", "not checked"]
    key: str | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Checked:
    """All that was found out about a file."""

    file: str
    sha256: str
    home: Path
    """The project's folder that it was compared with."""
    signature: Signed
    verdict: Verdict | None
    """None when a forged file is not even a verdict."""
    findings: Sequence[Finding]
    replay: Replay

    @property
    def result(self) -> Result:
        if self.signature.status == "forged":
            return "forged"
        if self.replay.status == "differs" or any(finding.status == "differs" for finding in self.findings):
            return "differs"
        if self.signature.status == "good":
            return "genuine"
        seen = self.replay.status == "same" or any(f.kind == "file" and f.status == "matches" for f in self.findings)
        return "unsigned" if seen else "nothing checked"


def check(path: Path, key: Path | None, root: Path | None) -> Checked:
    """What there is to find out about a verdict's file, offline.

    Raises:
        UsageError: a file cannot be read, is no verdict, no signature or no key.
        MissingExtra: a signature is to be checked, and `cryptography` is not installed.
    """
    data = signing.content(path)
    signed = Signed("not checked") if key is None else _signed(path, data, key)
    home = root if root is not None else _home(path)
    decided, findings, again = None, list[Finding](), Replay("not replayed", ("the file is no verdict",))
    try:
        decided = verdict.loads(_text(data, path), str(path))
        findings = audit(decided.provenance, home)
        again = _again(decided, home)
    except UsageError:
        # that it cannot be read is no news of a file that somebody tampered with
        if signed.status != "forged":
            raise
    return Checked(str(path), hashlib.sha256(data).hexdigest(), home, signed, decided, findings, again)


def _text(data: bytes, path: Path) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise UsageError("this is no verdict: it is not text", where=str(path)) from error


def _signed(path: Path, data: bytes, key: Path) -> Signed:
    beside = signing.beside(path)
    if not beside.exists():
        raise UsageError(
            "there is no signature beside the file",
            where=str(beside),
            do="Fetch it, or leave out `--key` to compare hashes alone, which proves less.",
        )
    public, text = signing.content(key), signing.content(beside).decode(errors="replace")
    try:
        made = signing.check(data, text, public, where=str(key), source=str(beside))
    except NotGenuine as forged:
        return Signed("forged", reason=forged.what)
    return Signed("good", made.key)


def _home(path: Path) -> Path:
    """The project's folder: where reports/verdict.json lies in it, or else the folder of the file itself."""
    folder = path.absolute().parent
    return folder.parent if folder.name == Layout(Path()).reports.name else folder


def _again(decided: Verdict, home: Path) -> Replay:
    """The decision, made by the very makeweight.yaml that was decided by."""
    config = Layout(home).config
    if not config.is_file():
        return Replay("not replayed", (f"no {CONFIG} is here",))
    data = signing.content(config)
    if hashlib.sha256(data).hexdigest() != decided.provenance.get("config"):
        return Replay("not replayed", (f"the {CONFIG} that is here is not the one it was decided by",))
    return replay(decided, terms(reading.understand(data.decode(errors="replace"), str(config), home, by_dvc=False)))
