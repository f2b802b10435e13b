"""Counters of several processes behind one collector: exact while they live, and after they ended."""

from __future__ import annotations

import os
import resource
import signal
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from makeweight_base.errors import EnvironmentFailed
from makeweight_monitors import metrics
from makeweight_monitors.observe import prefork
from makeweight_monitors.observe.arena import SIZE
from makeweight_monitors.observe.counters import Counters
from makeweight_monitors.observe.observer import Observer
from makeweight_monitors.observe.prefork import Folder

ARM = {"model": "digits", "revision": "r1", "variant": "canary"}


def by_class(counted: Counters) -> dict[str, float]:
    return {
        sample.labels["class"]: sample.value
        for family in counted.collect()
        for sample in family.samples
        if sample.name == "makeweight_predicted_class_total"
    }


def counting(folder: Path, *classes: str, each: int) -> Counters:
    """Counters of a process that has counted each of some classes so often."""
    counted = Counters(Folder(folder))
    block = counted.block(metrics.PREDICTED_CLASS, ARM, {"class": ["other"]}, room=10)
    with counted.lock:
        for row, name in enumerate(classes, start=1):
            counted.extend([block], name)
            counted.cells[block.at + row] += each
    return counted


def process(folder: Path, *classes: str, each: int, lives: bool = False) -> int:
    """Another process that counts and then ends without a word, or waits to be killed; its pid."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        kept = counting(folder, *classes, each=each)
        os.write(write, b"!")
        if lives:
            signal.pause()
        os._exit(kept.cells[0])
    os.read(read, 1)
    os.close(read)
    os.close(write)
    if not lives:
        os.waitpid(child, 0)
    return child


def kill(child: int) -> None:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def test_any_process_tells_for_all(tmp_path: Path) -> None:
    own = counting(tmp_path, "cat", "dog", each=1)
    child = process(tmp_path, "dog", "owl", each=10, lives=True)
    try:
        assert by_class(own) == {"other": 0, "cat": 1, "dog": 11, "owl": 10}
    finally:
        kill(child)


def test_the_dead_stay_counted_and_their_files_do_not_pile_up(tmp_path: Path) -> None:
    own = counting(tmp_path, "cat", each=1)
    for _ in range(5):
        process(tmp_path, "dog", "cat", each=10)
    alive = process(tmp_path, "dog", each=100, lives=True)
    assert by_class(own) == {"other": 0, "cat": 51, "dog": 150}
    kill(alive)
    assert by_class(own) == {"other": 0, "cat": 51, "dog": 150}
    assert by_class(own) == {"other": 0, "cat": 51, "dog": 150}
    assert len(list(tmp_path.glob("*.cells"))) == 2, "its own, and the counts of all that ended"


@pytest.mark.parametrize("interrupted", ["rename", "unlink"])
def test_taking_over_may_be_interrupted_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interrupted: str
) -> None:
    own = counting(tmp_path, "cat", each=1)
    process(tmp_path, "dog", each=10)
    assert by_class(own)["dog"] == 10
    process(tmp_path, "dog", each=5)

    class Interrupted(BaseException):
        pass

    real = getattr(Path, interrupted)

    def stop(self: Path, *given: object, **named: object) -> object:
        if interrupted == "rename" or (tmp_path / "retired-2.cells").exists():
            raise Interrupted
        return real(self, *given, **named)

    with monkeypatch.context() as patched:
        patched.setattr(Path, interrupted, stop)
        with pytest.raises(Interrupted):
            by_class(own)
    # what the child inherited it counted from zero, in a file besides its own
    left = sorted(path.name.split("-")[0] == "retired" for path in tmp_path.glob("*.cells"))
    assert left == [False] * 3 + [True] * (1 if interrupted == "rename" else 2)
    other = counting(tmp_path, "cat", each=1)
    assert by_class(other) == {"other": 0, "cat": 2, "dog": 15}
    assert by_class(own) == {"other": 0, "cat": 2, "dog": 15}


def test_a_full_disk_while_taking_over_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = counting(tmp_path, "cat", each=1)
    process(tmp_path, "dog", each=10)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "posix_fallocate", full)
        assert by_class(own)["dog"] == 10
        assert by_class(own)["dog"] == 10
    assert by_class(own)["dog"] == 10


def test_the_group_has_one_boot_and_a_new_folder_another(tmp_path: Path) -> None:
    one, two = Counters(Folder(tmp_path / "a")), Counters(Folder(tmp_path / "a"))
    assert (one.boot, one.began) == (two.boot, two.began)
    assert Counters(Folder(tmp_path / "b")).boot != one.boot


def test_a_worker_that_was_forked_with_its_observer_counts_for_itself(tmp_path: Path) -> None:
    """`preload_app`: the observer is made before the fork."""
    registry = CollectorRegistry()
    observer = Observer("digits", "r1", "canary", classes=["cat", "dog"], registry=registry, shared=tmp_path)
    observer.record(predictions=[0, 1])
    children = []
    for number in range(3):
        child = os.fork()
        if child == 0:
            observer.record(predictions=[1] * (number + 1), latency=0.001)
            observer.record(predictions=0)
            os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    assert by_class(observer._counters) == {"cat": 4, "dog": 7}
    assert len({sample.labels["boot"] for family in registry.collect() for sample in family.samples}) == 1


def test_a_parent_that_ends_before_its_workers_counts_as_ended(tmp_path: Path) -> None:
    """A child inherits open files; it must not keep its parent's counters locked."""
    read, write = os.pipe()
    parent = os.fork()
    if parent == 0:
        kept = counting(tmp_path, "dog", each=7)
        child = os.fork()
        if child == 0:
            os.write(write, str(os.getpid()).encode())
            signal.pause()
        os._exit(kept.cells[0])
    child = int(os.read(read, 20))
    os.waitpid(parent, 0)
    try:
        own = counting(tmp_path, "cat", each=1)
        assert by_class(own) == {"other": 0, "cat": 1, "dog": 7}
        assert len(list(tmp_path.glob("[0-9]*.cells"))) == 2, "the child's and its own; the parent's was taken over"
    finally:
        os.kill(child, signal.SIGKILL)


def test_a_disk_that_is_full_at_the_start_does_not_stop_the_model(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = Folder(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (SIZE // 2, hard))
    try:
        counted = Counters(folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    block = counted.block(metrics.PREDICTIONS, ARM)
    counted.cells[block.at] += 1
    assert "NOT collected" in caplog.text
    assert list(counted.collect()) == []
    assert not list(tmp_path.glob("*.part")), "nothing half-made is left"


def test_a_folder_that_cannot_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentFailed, match="cannot be used"):
        Folder(tmp_path / "file" / "folder")


def test_a_fresh_folder_is_named_once_for_all_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(prefork.VARIABLE, raising=False)
    monkeypatch.setattr("atexit.register", lambda done: removals.append(done))
    removals: list = []
    made = prefork.fresh(parent=tmp_path)
    assert os.environ[prefork.VARIABLE] == str(made)
    assert prefork.fresh(parent=tmp_path) == made
    child = os.fork()
    if child == 0:
        removals[0]()
        os._exit(0)
    os.waitpid(child, 0)
    assert made.is_dir(), "a worker that ends leaves it"
    removals[0]()
    assert not made.exists()
    monkeypatch.delenv(prefork.VARIABLE)
