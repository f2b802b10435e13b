"""`makeweight schema`: the JSON Schema of makeweight.yaml, for editors and scripts."""

from __future__ import annotations

import json

from makeweight_base.errors import Exit


def run() -> Exit:
    from makeweight.config import schema

    print(json.dumps(schema.of_config(), indent=2, ensure_ascii=False))
    return Exit.PASS
