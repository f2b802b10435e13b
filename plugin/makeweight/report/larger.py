"""Files that a number format made no smaller: what is stored beside the weights outweighs what they save."""

from __future__ import annotations

from collections.abc import Mapping

from makeweight.artifact.artifact import NO_SMALLER
from makeweight.report import prose
from makeweight.report.content import Content


def sentences(content: Content) -> list[str]:
    """One for each such variant. It may run faster for that, so it is ready, and the budget decides."""
    return [
        f"`{step}` made the file of {prose.code(name)} no smaller: {noted[NO_SMALLER]}."
        for name, manifest in content.manifests.items()
        if manifest.status == "ready"
        for step, noted in manifest.notes.items()
        if isinstance(noted, Mapping) and NO_SMALLER in noted
    ]
