"""The lock of a file: one holder at a time, and no file left where the holder removes it."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from makeweight_probe.alone import locked


@pytest.mark.parametrize("removed", [False, True], ids=["kept", "removed"])
def test_one_holder_at_a_time(tmp_path: Path, removed: bool) -> None:
    """Also where one waited at a file that its holder removes, and a third made it anew."""
    path, inside, most = tmp_path / "lock", [0], [0]

    def hold(_: int) -> None:
        for _ in range(20):
            with locked(path, lambda: None):
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                time.sleep(0)
                inside[0] -= 1
                if removed:
                    path.unlink()

    with ThreadPoolExecutor(8) as beside:
        list(beside.map(hold, range(8)))
    assert most == [1]
    assert path.exists() != removed
