"""`makeweight schema`: the JSON Schema of makeweight.yaml, for editors and scripts."""

from __future__ import annotations

from makeweight_base.errors import Exit


def run() -> Exit:
    from makeweight.config import schema

    print(schema.text(), end="")
    return Exit.PASS
