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
from makeweight.decide.verdict import Verdict
from makeweight.evidence import attempts
from makeweight.layout import Layout
from makeweight.proof import fresh
from makeweight.report import junit as forms
from makeweight.report import terminal
from makeweight.report.content import Content, OperatorTimes
from makeweight_base import atomic
from makeweight_base.errors import Exit


def run(root: Path, files: Sequence[Path] = (), *, as_json: bool, junit: Path | None = None) -> Exit:
    """Without `files`, what `report` decided, stale where what it decided on changed, and with a notice of figures that
    are older than the last attempt to measure them; with them, what the project's budget says to just these figures.

    Args:
        junit: where to write the verdict as JUnit XML as well.

    Raises:
        UsageError: there is no verdict, a file is damaged, or files do not belong together.
        EnvironmentFailed: `junit` cannot be written.
    """
    if files:
        content = Content(_decided(root, files), html="none, only these files were read")
    else:
        decided, manifests, profiles = fresh.with_evidence(root)
        decided = replace(decided, notices=[*decided.notices, *attempts.older(Layout(root), decided)])
        taken = (OperatorTimes(device, variant, *both) for (variant, device), both in profiles.items())
        content = Content(decided, manifests, operators=tuple(taken))
    if junit is not None:
        atomic.write_text(junit, forms.render(content.verdict))
    if as_json:
        print(json.dumps(asdict(content.verdict)))
    else:
        terminal.print_to(content, sys.stdout)
    return verdict.EXIT_CODES[content.verdict.verdict]


def _decided(root: Path, files: Sequence[Path]) -> Verdict:
    # a verdict that lies there is read without all that makeweight.yaml may say
    from makeweight.evidence import collection
    from makeweight.project import reading
    from makeweight.publish import terms

    declared = reading.load(root)
    figures = collection.join(declared, collection.read(files))
    provenance = {
        "makeweight": makeweight.__version__,
        "config": sha256_of(declared.layout.config),
        "measurements": {str(path): sha256_of(path) for path in files},
    }
    return replace(decide(terms(declared), figures, {}), provenance=provenance)
