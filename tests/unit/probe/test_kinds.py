"""Processors of several kinds in one machine, from trees as Linux has them; what is said of models that ran there."""

from __future__ import annotations

from pathlib import Path

import pytest

from makeweight_probe import kinds, lacking, room

PHONE = {f"system/cpu/cpu{number}/cpu_capacity": "1024" if number == 7 else "400" for number in range(8)}
# Turbo Boost Max: single ones of a kind go a little faster
DESKTOP = {f"system/cpu/cpu{number}/cpu_capacity": f"{1024 - number}" for number in range(4)}
LAPTOP = {"cpu_core/cpus": "0-3", "cpu_atom/cpus": "4-11", "cpu_lowpower/cpus": "12,13"}


@pytest.mark.parametrize(
    ("files", "cpus", "told"),
    [
        (PHONE, None, [[7], [0, 1, 2, 3, 4, 5, 6]]),
        (PHONE, [0, 1], []),
        (PHONE, [6, 7], [[7], [6]]),
        (DESKTOP, None, []),
        (LAPTOP, None, [[0, 1, 2, 3], [4, 5, 6, 7, 8, 9, 10, 11], [12, 13]]),
        (LAPTOP, [0, 1, 12], [[0, 1], [12]]),
        ({"cpu_core/cpus": "0-3"}, None, []),
        ({"cpu_core/cpus": "?", "cpu_atom/cpus": ""}, None, []),
        ({}, None, []),
    ],
    ids=["arm", "pinned", "one-of-each", "nearly-alike", "intel", "some", "one-kind", "garbage", "none"],
)
def test_processors_of_each_kind_the_fastest_first(
    tmp_path: Path, files: dict[str, str], cpus: list[int] | None, told: list[list[int]]
) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"{content}\n")
    assert kinds.among(cpus, tmp_path) == told


def test_what_is_said_of_where_models_ran() -> None:
    alike = {"cpus": [0, 1, 2, 3], "kinds": []}
    assert not list(room.remarks(alike, 4))
    assert not list(room.remarks({}, 64)), "what is not told counts for nothing"
    (crowded,) = room.remarks(alike, 8)
    assert crowded.startswith("8 threads shared the 4 processors that measuring may run on there")
    (crowded,) = room.remarks({"cpus": [2]}, 2)
    assert "shared the 1 processor that" in crowded
    (mixed,) = room.remarks({"cpus": [0, 1, 2, 5], "kinds": [[1, 2, 5], [0]]}, 1)
    assert mixed.startswith("its processors are of 2 kinds, the fastest first: 1-2, 5; 0: the models ran on")
    assert mixed.endswith("Name some of one kind by `cpus:` of the device.")


def test_a_device_of_several_kinds_is_told_until_some_are_named() -> None:
    told = {"load": 0.5, "temperature_millicelsius": "1", "frequency_khz": "1", "kinds": [[4, 5], [0, 1, 2, 3]]}
    identity, meter = {"emulated": False, "runtimes": {}}, {"kind": "stream", "power": 0}
    what = "times of one kind of processor"
    lack = lacking.told(identity, told, meter)[what]
    assert lack == (
        "its processors are of 2 kinds, the fastest first: 4-5; 0-3", "Name some of one kind by `cpus:` of the device.",
    )  # fmt: skip
    assert what in lacking.told(identity, told, meter, (3, 4))
    assert what not in lacking.told(identity, told, meter, (4, 5))
