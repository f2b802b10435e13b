"""Files that wait for servers stand between files that keep a core busy, from the first on: one after the other, all
workers would come to wait at once.
"""

from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every second file is one of these, as long as there are some; the others keep their order."""
    files = dict.fromkeys(item.path for item in items)
    waiting, busy = ([path for path in files if (HERE in path.parents) == here] for here in (True, False))
    place = {path: 2 * at for at, path in enumerate(busy)} | {path: 2 * at + 1 for at, path in enumerate(waiting)}
    items.sort(key=lambda item: place[item.path])
