"""`makeweight gate`: read the verdict, or decide on collected files; show it, and let it through or not."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import makeweight
from makeweight.artifact.files import sha256_of
from makeweight.decide import decide, verdict
from makeweight.decide.stale import stale
from makeweight.decide.verdict import Verdict
from makeweight.evidence import collection
from makeweight.layout import Layout
from makeweight.project import reading
from makeweight.proof.audit import audit
from makeweight.report import junit as forms
from makeweight.report import terminal
from makeweight.report.content import Content
from makeweight_base import atomic
from makeweight_base.errors import Exit, UsageError


def run(root: Path, files: Sequence[Path] = (), *, as_json: bool, junit: Path | None = None) -> Exit:
    """Without `files`, what `report` decided, stale where what it decided on changed; with them, what the project's
    budget says to just these figures.

    Args:
        junit: where to write the verdict as JUnit XML as well.

    Raises:
        UsageError: there is no verdict, a file is damaged, or files do not belong together.
        EnvironmentFailed: `junit` cannot be written.
    """
    content = (
        Content(_decided(root, files), html="none, only these files were read") if files else Content(_fresh(root))
    )
    if junit is not None:
        atomic.write_text(junit, forms.render(content.verdict))
    if as_json:
        print(json.dumps(asdict(content.verdict), ensure_ascii=False))
    else:
        terminal.print_to(content, sys.stdout)
    return verdict.EXIT_CODES[content.verdict.verdict]


def _fresh(root: Path) -> Verdict:
    """The verdict; a stale one where makeweight.yaml, a model, or what it was measured on is another than was judged.

    What is not here (an artifact that was not pulled) speaks against nothing.
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


def _decided(root: Path, files: Sequence[Path]) -> Verdict:
    from makeweight.publish import terms

    declared = reading.load(root)
    figures = collection.join(declared, collection.read(files))
    provenance = {
        "makeweight": makeweight.__version__,
        "config": sha256_of(declared.layout.config),
        "measurements": {str(path): sha256_of(path) for path in files},
    }
    return replace(decide(terms(declared), figures, {}), provenance=provenance)
