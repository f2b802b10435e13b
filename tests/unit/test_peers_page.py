"""docs/peers.md is what its benchmark writes of what was measured."""

from __future__ import annotations

import json

from peers import KEPT, PAGE, epochs_in, page


def test_the_page_of_the_peers_is_what_was_measured() -> None:
    written = page(json.loads(KEPT.read_text(encoding="utf-8")))
    assert PAGE.read_text(encoding="utf-8") == written, "run `python benchmarks/compression/peers.py --page`"


def test_epochs_of_rounds_and_of_steps_are_added() -> None:
    rounds = [{"epochs": 1, "kept": 1}, {"epochs": 2, "kept": 1}]
    assert epochs_in({"prune": {"parameters": [9, 4], "rounds": rounds}, "finetune": {"epochs": 4, "kept": 3}}) == 7
