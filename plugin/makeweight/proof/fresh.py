"""The verdict of a project as it counts now: what it was made from may have changed since."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

from makeweight.artifact import artifact
from makeweight.artifact.artifact import Manifest
from makeweight.decide import verdict
from makeweight.decide.stale import stale
from makeweight.decide.verdict import Verdict
from makeweight.layout import Layout
from makeweight.proof.audit import Finding, audit
from makeweight_base.errors import UsageError


def read(root: Path) -> Verdict:
    """The verdict; a stale one where makeweight.yaml, a model, or what it was measured on is another than was judged.

    What is not here (an artifact that was not pulled) speaks against nothing.

    Raises:
        UsageError: there is no verdict, or it is none.
    """
    return with_manifests(root)[0]


def with_manifests(root: Path) -> tuple[Verdict, dict[str, Manifest]]:
    """The same, and the manifests of the models that were judged, by variant, as far as they are here unchanged.

    Raises:
        UsageError: see `read`.
    """
    decided = _read(root)
    findings = audit(decided.provenance, root)
    counts = stale(decided, [each.what for each in findings if each.status == "differs" and each.kind == "file"])
    return counts, _manifests(decided, findings, root)


def _manifests(decided: Verdict, findings: Iterable[Finding], root: Path) -> dict[str, Manifest]:
    unchanged = {each.what for each in findings if each.status == "matches"}
    found = {}
    for name in decided.provenance.get("manifests") or ():
        folder = Layout(Path()).artifact(name)
        if (folder / artifact.MANIFEST).as_posix() in unchanged:
            with contextlib.suppress(UsageError):  # another version wrote it: that changes nothing of the verdict
                found[name] = artifact.read(root / folder)
    return found


def _read(root: Path) -> Verdict:
    path = Layout(root).verdict
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise UsageError("no verdict yet", where=str(path), do="Run `dvc repro`, or `makeweight report`.") from error
    return verdict.loads(text, str(path))
