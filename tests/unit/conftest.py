"""The long files of single parts before the short ones: begun last, one keeps one worker busy and the rest idle."""

from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Within what is here; all else stays where it is, which is before."""
    items.sort(key=lambda item: (HERE in item.path.parents, item.get_closest_marker("long") is None))
