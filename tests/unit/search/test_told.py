"""What people read of a trial."""

from __future__ import annotations

from makeweight.search.told import recipe_words


def test_a_recipe_in_words() -> None:
    steps = [{"prune": {"ratio": 0.5, "epochs": 1}}, "float16"]
    assert recipe_words({"runtime": "litert", "steps": steps}) == "prune ratio 0.5, epochs 1 → float16 (litert)"
    assert recipe_words({"runtime": "litert", "steps": []}) == "as it is (litert)"
