"""Limits of control groups, as containers have them: trees of both versions as the kernel shows them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from makeweight_probe import facts, quota, throttling

# docker run --cpus 1.5, version 2 with a namespace of its own
OWN = {
    "self/cgroup": "0::/\n",
    "self/mountinfo": "31 23 0:28 / /sys/fs/cgroup ro,nosuid shared:9 - cgroup2 cgroup rw,nsdelegate\n",
    "sys/fs/cgroup/cpu.max": "150000 100000\n",
    "sys/fs/cgroup/cpu.stat": "usage_usec 9000000\nnr_periods 40\nnr_throttled 7\nthrottled_usec 260000\n",
}
# a service within a slice that has a limit of its own, which is the tighter one
NESTED = {
    "self/cgroup": "0::/ci.slice/runner.service\n",
    "self/mountinfo": "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
    "sys/fs/cgroup/ci.slice/cpu.max": "50000 100000\n",
    "sys/fs/cgroup/ci.slice/cpu.stat": "nr_periods 80\nnr_throttled 3\nthrottled_usec 1000\n",
    "sys/fs/cgroup/ci.slice/runner.service/cpu.max": "400000 200000\n",
    "sys/fs/cgroup/ci.slice/runner.service/cpu.stat": "nr_periods 50\nnr_throttled 2\nthrottled_usec 500\n",
}
# version 1 without a namespace: what is mounted begins at the container's own group, whose name is the host's
FIRST = {
    "self/cgroup": "4:cpuset:/docker/0a1b\n2:cpu,cpuacct:/docker/0a1b\n0::/\n",
    "self/mountinfo": (
        "30 25 0:27 /docker/0a1b /sys/fs/cgroup/cpuset ro - cgroup cpuset rw,cpuset\n"
        "33 25 0:30 /docker/0a1b /sys/fs/cgroup/cpu,cpuacct ro,nosuid - cgroup cgroup rw,cpu,cpuacct\n"
        "41 25 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
    ),
    "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "200000\n",
    "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
    "sys/fs/cgroup/cpu,cpuacct/cpu.stat": "nr_periods 10\nnr_throttled 4\nthrottled_time 120000500\n",
}


def state(root: Path, files: Mapping[str, str]) -> dict[str, Any] | None:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return quota.state(root / "self", root)


@pytest.mark.parametrize(
    ("files", "told"),
    [
        (OWN, {"processors": 1.5, "throttled": 7, "throttled_us": 260_000, "limited_us": 4_000_000}),
        (NESTED, {"processors": 0.5, "throttled": 5, "throttled_us": 1_500, "limited_us": 10_000_000}),
        (FIRST, {"processors": 2.0, "throttled": 4, "throttled_us": 120_000, "limited_us": 1_000_000}),
        ({**OWN, "sys/fs/cgroup/cpu.max": "max 100000\n"}, None),
        ({**FIRST, "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1\n"}, None),
        ({**OWN, "sys/fs/cgroup/cpu.max": "garbage"}, None),
        ({**OWN, "self/mountinfo": "\0\xff\n - \n1 2 3 - cgroup2\n"}, None),
        (
            {**OWN, "sys/fs/cgroup/cpu.stat": "nr_throttled many\nnr_periods\n"},
            {"processors": 1.5, "throttled": None, "throttled_us": None, "limited_us": None},
        ),
        ({}, None),
    ],
    ids=["own", "nested", "version-1", "none", "none-1", "garbage", "no-mounts", "no-counts", "no-groups"],
)
def test_a_limit_is_told_as_the_kernel_keeps_it(
    tmp_path: Path, files: Mapping[str, str], told: dict[str, Any] | None
) -> None:
    assert state(tmp_path, files) == told


def test_a_group_that_is_seen_in_two_places_counts_once(tmp_path: Path) -> None:
    twice = OWN["self/mountinfo"] + "60 23 0:28 / /mnt/with\\040space rw - cgroup2 cgroup rw\n"
    (tmp_path / "mnt").mkdir()
    (tmp_path / "mnt/with space").symlink_to(tmp_path / "sys/fs/cgroup")
    told = state(tmp_path, {**OWN, "self/mountinfo": twice})
    assert told is not None
    assert told["throttled"] == 7


def test_a_group_of_another_namespace_is_looked_for_where_groups_begin_here(tmp_path: Path) -> None:
    told = state(tmp_path, {**OWN, "self/cgroup": "0::/../other\n"})
    assert told is not None
    assert told["processors"] == 1.5


def test_this_machine_tells_its_own_or_none() -> None:
    told = facts.conditions()["throttling"]["quota"]
    assert told is None or told["processors"] > 0


LIMIT = {"processors": 1.5, "throttled": 7, "throttled_us": 260_000, "limited_us": 4_000_000}


@pytest.mark.parametrize(
    ("now", "says"),
    [
        (
            {"throttled": 19, "throttled_us": 600_000, "limited_us": 9_000_000},
            "the limit of its control group, 1.5 processors, held it back 12 times, for 0.34 s",
        ),
        ({"throttled": 8, "throttled_us": None}, "the limit of its control group, 1.5 processors, held it back 1 time"),
        ({"throttled": 7, "limited_us": 9_000_000}, None),
        # for moments: who has one processor and uses one is held back now and then as the quota is handed out
        ({"throttled": 19, "throttled_us": 262_000, "limited_us": 9_000_000}, None),
        ({"throttled": None}, None),
    ],
    ids=["held", "not-for-how-long", "not-held", "for-moments", "not-told"],
)
def test_who_was_held_back_was_not_at_its_usual_speed(now: dict[str, Any], says: str | None) -> None:
    before, after = ({"throttling": {"quota": each}} for each in (LIMIT, {**LIMIT, **now}))
    assert throttling.objection(before, after) == says
    assert throttling.objection({"throttling": {"quota": None}}, after) is None
