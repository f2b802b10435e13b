"""Remarks on lines as a code quality report, which GitLab shows on the merge request and beside the lines."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping

from makeweight.forge.annotation import Annotation, Level

_SEVERITIES: Mapping[Level, str] = {"failure": "critical", "warning": "minor", "notice": "info"}


def render(marks: Iterable[Annotation]) -> str:
    """The report, in the part of Code Climate's format that GitLab reads (docs.gitlab.com, "Code Quality").

    A fingerprint names a remark by its place and its title: other figures of the same rule do not make it a new one.
    """
    told = [
        {
            "description": f"{each.title}: {each.message}",
            "check_name": "makeweight",
            "fingerprint": hashlib.sha256(f"{each.path}\0{each.line}\0{each.title}".encode()).hexdigest(),
            "severity": _SEVERITIES[each.level],
            "location": {"path": each.path, "lines": {"begin": max(1, each.line)}},
        }
        for each in marks
    ]
    return json.dumps(told, indent=2, ensure_ascii=False) + "\n"
