"""`makeweight gate`: read the verdict, show it, and let it through or not."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

from makeweight import verdict
from makeweight.errors import Exit, UsageError
from makeweight.layout import Layout
from makeweight.report import terminal
from makeweight.report.content import Content


def run(root: Path, *, as_json: bool) -> Exit:
    """Raises:
    UsageError: there is no verdict, or it is damaged.
    """
    path = Layout(root).verdict
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise UsageError("no verdict yet", where=str(path), do="Run `dvc repro`, or `makeweight report`.") from error
    decided = verdict.loads(text, str(path))
    if as_json:
        print(json.dumps(asdict(decided), ensure_ascii=False))
    else:
        terminal.print_to(Content(decided), sys.stdout)
    return verdict.EXIT_CODES[decided.verdict]
