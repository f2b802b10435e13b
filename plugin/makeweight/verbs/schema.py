"""`makeweight schema`: the JSON Schema of makeweight.yaml, for editors and scripts."""

from __future__ import annotations

import json
import sys
from typing import TextIO

from makeweight_base.errors import Exit


def run(stream: TextIO | None = None) -> Exit:
    """Print the schema (default: on standard output)."""
    from makeweight.config import schema

    json.dump(schema.of_config(), stream or sys.stdout, indent=2, ensure_ascii=False)
    (stream or sys.stdout).write("\n")
    return Exit.PASS
