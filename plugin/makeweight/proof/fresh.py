"""The verdict of a project as it counts now: what it was made from may have changed since."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from makeweight.artifact import artifact
from makeweight.artifact.artifact import Manifest
from makeweight.decide import verdict
from makeweight.decide.stale import stale
from makeweight.decide.verdict import Verdict
from makeweight.layout import Layout
from makeweight.project.place import no_verdict_in
from makeweight.proof.audit import Finding, audit
from makeweight_base.errors import UsageError, reason

if TYPE_CHECKING:
    from makeweight.measure.operators import Profile


def read(root: Path) -> Verdict:
    """The verdict; a stale one where makeweight.yaml, a model, or what it was measured on is another than was judged.

    What is not here (an artifact that was not pulled) speaks against nothing.

    Raises:
        UsageError: there is no verdict, or it is none.
    """
    return _with_findings(root)[0]


Profiles: TypeAlias = "Mapping[tuple[str, str], tuple[Profile, Profile]]"
"""By variant and device: of the baseline and of the variant."""


def with_evidence(root: Path) -> tuple[Verdict, dict[str, Manifest], Profiles]:
    """The same, the manifests of the models that were judged, by variant, and what their operators take, as far as all
    that is here unchanged.

    Raises:
        UsageError: see `read`.
    """
    counts, findings = _with_findings(root)
    unchanged = {each.what for each in findings if each.status == "matches"}
    return counts, _manifests(counts, unchanged, root), _profiles(counts, unchanged, root)


def _with_findings(root: Path) -> tuple[Verdict, list[Finding]]:
    decided = as_decided(root)
    findings = list(audit(decided.provenance, root))
    return stale(
        decided, [each.what for each in findings if each.status == "differs" and each.kind == "file"]
    ), findings


def _manifests(decided: Verdict, unchanged: Collection[str], root: Path) -> dict[str, Manifest]:
    found = {}
    for name in decided.provenance.get("manifests") or ():
        folder = Layout(Path()).artifact(name)
        if (folder / artifact.MANIFEST).as_posix() in unchanged:
            with contextlib.suppress(UsageError):  # another version wrote it: that changes nothing of the verdict
                found[name] = artifact.read(root / folder)
    return found


def _profiles(decided: Verdict, unchanged: Collection[str], root: Path) -> Profiles:
    devices = decided.provenance.get("devices") or {}
    pairs = [(each.variant, device) for each in decided.variants for device in devices]
    there = {pair: path for pair in pairs if (path := Layout(Path()).timings(*pair)).as_posix() in unchanged}
    if not there:
        return {}
    from makeweight.measure import operators, timings  # with arrays, which a gate needs for nothing else

    found = {}
    for pair, path in there.items():
        # another version may have written it, which changes nothing of the verdict
        with contextlib.suppress(UsageError, operators.Damaged):
            if (both := operators.profiles(timings.read(root / path))) is not None:
                found[pair] = both
    return found


def as_decided(root: Path) -> Verdict:
    """The verdict as it was written, stale or not.

    Raises:
        UsageError: there is none, or it is damaged.
    """
    path = Layout(root).verdict
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise no_verdict_in(root) from error
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot be read: {reason(error)}", where=str(path)) from error
    return verdict.loads(text, str(path))
