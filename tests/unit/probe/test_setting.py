"""What is changed while a machine measures comes back, and what cannot be changed is refused before anything is."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from makeweight_probe import ProbeFailed
from makeweight_probe.job import FactsJob, Setting, dump_job, load_job, load_setting
from makeweight_probe.setting import held

HELD = """
import sys, time
from pathlib import Path
from makeweight_probe.job import Setting
from makeweight_probe.setting import held
with held(Setting(governor="performance"), Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for number, governor in enumerate(("ondemand", "powersave")):
        folder = tmp_path / f"cpu{number}/cpufreq"
        folder.mkdir(parents=True)
        (folder / "scaling_governor").write_text(f"{governor}\n")
        (folder / "scaling_available_governors").write_text("ondemand powersave performance\n")
    return tmp_path


def governors(tree: Path) -> list[str]:
    return [path.read_text().strip() for path in sorted(tree.glob("cpu*/cpufreq/scaling_governor"))]


def test_governors_come_back_each_its_own_also_after_an_error(tree: Path) -> None:
    seen = []
    with contextlib.suppress(KeyError), held(Setting(governor="performance"), tree):
        seen += governors(tree)
        raise KeyError
    assert seen == ["performance", "performance"]
    assert governors(tree) == ["ondemand", "powersave"]


def test_a_process_that_is_asked_to_end_puts_them_back(tree: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HELD, str(tree)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        assert governors(tree) == ["performance", "performance"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 128 + signal.SIGTERM
    assert governors(tree) == ["ondemand", "powersave"]


def test_only_the_governors_of_the_named_processors_change(tree: Path) -> None:
    one = min(os.sched_getaffinity(0))
    (tree / "cpu0").rename(tree / f"cpu{one + 7}")
    (tree / "cpu1").rename(tree / f"cpu{one}")
    with held(Setting(cpus=(one,), governor="performance"), tree):
        assert sorted(governors(tree)) == ["ondemand", "performance"]


def test_a_process_is_pinned_and_let_go() -> None:
    before = os.sched_getaffinity(0)
    with held(Setting(cpus=(min(before),))):
        assert os.sched_getaffinity(0) == {min(before)}
    assert os.sched_getaffinity(0) == before


@pytest.mark.parametrize("cpus", [(100_000,), (0, 100_000), (2**40,)])
def test_processors_that_are_not_there_are_refused(cpus: tuple[int, ...]) -> None:
    before = os.sched_getaffinity(0)
    with pytest.raises(ProbeFailed, match="cpus"), held(Setting(cpus=cpus)):
        pass
    assert os.sched_getaffinity(0) == before


def test_a_governor_that_cannot_be_had_is_refused_with_its_reason(tree: Path, tmp_path: Path) -> None:
    with (
        pytest.raises(ProbeFailed, match="there is no turbo here, but"),
        held(Setting(governor="turbo"), tree),
    ):
        pass
    with pytest.raises(ProbeFailed, match="no cpufreq"), held(Setting(governor="performance"), tmp_path / "nowhere"):
        pass
    assert governors(tree) == ["ondemand", "powersave"]


def test_a_setting_travels_with_its_job_and_is_no_part_of_it() -> None:
    text = dump_job(FactsJob(), Setting((2, 3), "performance"))
    assert load_setting(text) == Setting((2, 3), "performance")
    assert load_job(text) == FactsJob()
    assert load_setting(dump_job(FactsJob())) == Setting()
