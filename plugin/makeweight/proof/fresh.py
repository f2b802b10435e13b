"""The verdict of a project as it counts now: what it was made from may have changed since."""

from __future__ import annotations

from pathlib import Path

from makeweight.decide import verdict
from makeweight.decide.stale import stale
from makeweight.decide.verdict import Verdict
from makeweight.layout import Layout
from makeweight.proof.audit import audit
from makeweight_base.errors import UsageError


def read(root: Path) -> Verdict:
    """The verdict; a stale one where makeweight.yaml, a model, or what it was measured on is another than was judged.

    What is not here (an artifact that was not pulled) speaks against nothing.

    Raises:
        UsageError: there is no verdict, or it is none.
    """
    decided = _read(root)
    findings = audit(decided.provenance, root)
    return stale(decided, [each.what for each in findings if each.status == "differs" and each.kind == "file"])


def _read(root: Path) -> Verdict:
    path = Layout(root).verdict
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise UsageError("no verdict yet", where=str(path), do="Run `dvc repro`, or `makeweight report`.") from error
    return verdict.loads(text, str(path))
