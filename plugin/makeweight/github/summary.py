"""The job's summary page: Markdown, within what GitHub shows at all."""

from __future__ import annotations

from collections.abc import Mapping

from makeweight.github.excerpt import cut, octets
from makeweight.github.runnerfile import append, path

LIMIT = 1024 * 1024
"""Bytes of one step's summary; GitHub drops the whole of a larger one (docs.github.com, "Workflow commands")."""
_CUT = "*More than a summary holds: the rest is in the report of the run.*"


def write(environ: Mapping[str, str], text: str) -> bool:
    """Add to the summary of the step, cut to what is left of it; False where there is no runner to show it.

    Raises:
        EnvironmentFailed: the file cannot be written.
    """
    file = path(environ, "GITHUB_STEP_SUMMARY")
    if file is None:
        return False
    written = file.stat().st_size if file.exists() else 0
    append(file, cut(text.rstrip("\n") + "\n", LIMIT - written, _CUT, octets))
    return True
