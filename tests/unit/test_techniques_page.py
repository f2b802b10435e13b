"""docs/techniques.md is what its benchmark writes of what was measured, and of the example as it stands."""

from __future__ import annotations

import json

from techniques import KEPT, PAGE, page


def test_the_page_is_what_was_measured() -> None:
    written = page(json.loads(KEPT.read_text(encoding="utf-8")))
    assert PAGE.read_text(encoding="utf-8") == written, "run `python benchmarks/compression/techniques.py --page`"
