"""What a change may try against its own gate: said beside the test that tries it, and gathered in docs/attacks.md."""

from __future__ import annotations

import pytest


def attack(tried: str, outcome: str) -> pytest.MarkDecorator:
    """Mark a test as the proof of what comes of an attack or a mistake; a plain clause each, for the page."""
    return pytest.mark.attack(tried, outcome)
