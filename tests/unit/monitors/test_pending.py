"""The label store: each prediction is matched once, or expires once, whatever the disk and the clock do."""

from __future__ import annotations

import os
import resource
import signal
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from observing import Clock

from makeweight_base.errors import UsageError
from makeweight_monitors.observe.labelfile import Owner, Taken
from makeweight_monitors.observe.pending import Pending

CANARY = Owner("r1", "canary", "0.05")


class Ear:
    """Counts what a store tells."""

    variant = "canary"

    def __init__(self) -> None:
        self.gone: Counter[Owner] = Counter()
        self.reasons: Counter[str] = Counter()
        self.failures: list[str] = []

    def expired(self, owner: Owner, count: int) -> None:
        self.gone[owner] += count

    def refused(self, owner: Owner | None, reason: str, count: int, what: str) -> None:
        self.reasons[reason] += count

    def store_failed(self, what: str) -> None:
        self.failures.append(what)


def opened(path: Path | None = None, clock: Clock | None = None, **given_: float) -> tuple[Pending, Ear]:
    store = Pending(path, clock=clock or Clock(), every=0, **{"timeout": 100, **given_})
    ear = Ear()
    store.attach("digits", ear)
    return store, ear


def take(store: Pending, *ids: str) -> list[str]:
    return [taken.result for taken in store.take(ids)]


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """The file is being written by another process, which does not end."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        other.close()


@contextmanager
def held(store: Pending) -> Iterator[None]:
    """Another thread of this process is within the file."""
    within, ended = threading.Event(), threading.Event()

    def write() -> None:
        with store._storing:
            within.set()
            ended.wait(60)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        assert within.wait(60)
        yield
    finally:
        ended.set()
        thread.join()


@pytest.mark.parametrize("written", [True, False], ids=["in the file", "still in memory"])
@pytest.mark.parametrize("on_disk", [True, False])
def test_a_prediction_is_matched_once(tmp_path: Path, written: bool, on_disk: bool) -> None:
    store, ear = opened(tmp_path / "labels.sqlite" if on_disk else None)
    assert store.put("a", CANARY, "dog", "day") is None
    if written:
        store.tend()
    assert store.waiting() == {CANARY: 1}
    assert store.take(["a"]) == [Taken("matched", CANARY, "dog", "day")]
    assert take(store, "a", "b") == ["duplicate", "unknown"]
    store.tend()
    assert take(store, "a") == ["duplicate"]
    assert sum(store.waiting().values()) == 0
    assert not ear.gone


def test_a_restart_forgets_nothing(tmp_path: Path) -> None:
    path = tmp_path / "labels.sqlite"
    store, _ = opened(path)
    store.put("a", CANARY, "dog")
    store.put("b", Owner("r1", "pair"), "dog\x1fcat")
    store.put("c", CANARY, "owl")
    assert take(store, "c") == ["matched"]
    store.close()
    store, _ = opened(path)
    assert store.waiting() == {CANARY: 1, Owner("r1", "pair"): 1}
    assert store.take(["b"]) == [Taken("matched", Owner("r1", "pair"), "dog\x1fcat", "")]
    assert take(store, "a", "c") == ["matched", "duplicate"]


def test_what_waits_too_long_expires_once_and_its_label_is_late(tmp_path: Path) -> None:
    clock = Clock()
    store, ear = opened(tmp_path / "labels.sqlite", clock)
    for name in ("a", "b", "c"):
        store.put(name, CANARY, "dog")
    store.tend()
    clock.now += 60
    store.put("young", CANARY, "dog")
    assert take(store, "a") == ["matched"]
    clock.now += 41
    assert take(store, "b") == ["late"], "before anybody swept it up"
    store.tend()
    store.tend()
    assert ear.gone == {CANARY: 2}
    assert take(store, "b", "c", "a", "young") == ["late", "late", "duplicate", "matched"]
    clock.now += 200
    store.tend()
    assert take(store, "a", "b") == ["unknown", "unknown"], "long settled ones are forgotten"
    assert ear.gone == {CANARY: 2}


def test_more_than_may_wait_are_refused(tmp_path: Path) -> None:
    clock = Clock()
    store, _ = opened(tmp_path / "labels.sqlite", clock, most=3)
    assert [store.put(name, CANARY, "dog") for name in "abcd"] == [None, None, None, "too_many_ids"]
    store.tend()
    assert store.put("e", CANARY, "dog") == "too_many_ids"
    assert take(store, "a", "d") == ["matched", "unknown"]
    store.tend()
    assert store.put("f", CANARY, "dog") is None
    clock.now += 101
    store.tend()
    assert store.put("g", CANARY, "dog") is None


def test_settled_ones_do_not_fill_the_disk(tmp_path: Path) -> None:
    store, _ = opened(tmp_path / "labels.sqlite", most=10)
    for index in range(100):
        store.put(str(index), CANARY, "dog")
        assert take(store, str(index)) == ["matched"]
        store.tend()
    with sqlite3.connect(tmp_path / "labels.sqlite") as looked:
        assert looked.execute("SELECT count(*) FROM prediction").fetchone() == (10,)
        assert looked.execute("SELECT value FROM about WHERE key = 'settled'").fetchone() == (10,)


@pytest.mark.parametrize("written", [True, False])
def test_an_id_that_comes_again_keeps_its_first_answer(written: bool) -> None:
    store, ear = opened()
    store.put("a", CANARY, "dog")
    if written:
        store.tend()
    again = store.put("a", CANARY, "cat")
    assert store.take(["a"])[0].answer == "dog"
    store.tend()
    assert take(store, "a") == ["duplicate"]
    assert ear.reasons["duplicate_id"] + (again == "duplicate_id") == 1


def test_a_clock_that_goes_backwards_loses_nothing(tmp_path: Path) -> None:
    clock = Clock()
    store, ear = opened(tmp_path / "labels.sqlite", clock)
    store.put("before", CANARY, "dog")
    store.tend()
    clock.now -= 5000
    store.put("after", CANARY, "dog")
    assert ear.reasons == {"clock": 1}
    store.tend()
    assert ear.gone == {}
    clock.now += 99
    store.tend()
    assert ear.gone == {}
    clock.now += 2
    store.tend()
    assert ear.gone == {CANARY: 2}, "neither waits five thousand seconds more"
    assert ear.reasons == {"clock": 1}, "told once"


def test_time_servers_may_nudge_the_clock() -> None:
    clock = Clock()
    store, ear = opened(clock=clock)
    store.put("a", CANARY, "dog")
    clock.now -= 0.5
    store.put("b", CANARY, "dog")
    assert not ear.reasons


@contextmanager
def full_disk(after: int) -> Iterator[None]:
    """No file of this process may grow beyond `after` bytes: the kernel itself refuses the write."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (after, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_told_and_what_waits_stays_in_memory(tmp_path: Path) -> None:
    store, ear = opened(tmp_path / "labels.sqlite")
    store.put("old", CANARY, "dog")
    store.tend()
    with full_disk(after=20_000):
        for index in range(2000):
            store.put(f"id {index}", CANARY, "dog")
        store.tend()
        assert len(ear.failures) == 1
        assert "labels.sqlite failed" in ear.failures[0]
        assert store.waiting()[CANARY] >= 2000
        assert take(store, "id 7")[0] == "matched"
    store.tend()
    assert len(ear.failures) <= 3
    assert store.waiting() == {CANARY: 2000}
    assert take(store, "id 8", "id 7", "old") == ["matched", "duplicate", "matched"], "all is there once it has room"


def test_while_the_disk_fails_memory_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("makeweight_monitors.observe.pending.MOST_FRESH", 5)
    (tmp_path / "file").write_text("no folder")
    store, ear = opened(tmp_path / "file" / "labels.sqlite")
    assert [store.put(str(index), CANARY, "dog") for index in range(7)] == [None] * 5 + ["store_failed"] * 2
    store.tend()
    assert len(ear.failures) == 1
    (tmp_path / "file").unlink()
    (tmp_path / "file").mkdir()
    store.tend()
    assert store.put("later", CANARY, "dog") is None
    assert take(store, "4", "later") == ["matched", "matched"]


def test_a_file_that_is_something_else_is_refused_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("This is not a database at all, however long it may be. " * 50)
    with pytest.raises(UsageError, match="no label store"):
        Pending(tmp_path / "notes.txt", every=0)
    assert (tmp_path / "notes.txt").read_text().startswith("This is not")


def test_a_file_of_another_version_is_refused_at_the_start(tmp_path: Path) -> None:
    opened(tmp_path / "labels.sqlite")[0].close()
    with sqlite3.connect(tmp_path / "labels.sqlite") as written:
        written.execute("UPDATE about SET value = 1 WHERE key = 'format'")
    with pytest.raises(UsageError, match="of format 1"):
        Pending(tmp_path / "labels.sqlite", every=0)


def test_each_model_has_a_store_of_its_own(tmp_path: Path) -> None:
    store, ear = opened(tmp_path / "labels.sqlite")
    with pytest.raises(UsageError, match=r"predictions of `digits`, not of `faces`"):
        store.attach("faces", ear)
    store.close()
    with pytest.raises(UsageError, match="`digits`"):
        Pending(tmp_path / "labels.sqlite", every=0).attach("faces", ear)


def test_processes_share_a_file(tmp_path: Path) -> None:
    one, _ = opened(tmp_path / "labels.sqlite")
    two, ear = opened(tmp_path / "labels.sqlite")
    for index in range(50):
        (one if index % 2 else two).put(f"id {index}", CANARY, "dog")
    one.tend()
    two.tend()
    names = [f"id {index}" for index in range(50)]
    results: Counter[str] = Counter()
    lock = threading.Lock()

    def add(taken: list[Taken]) -> None:
        with lock:
            results.update(one.result for one in taken)

    def label(store: Pending) -> None:
        for name in names:
            add(store.take([name], add))

    threads = [threading.Thread(target=label, args=(store,)) for store in (one, two, one)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    one.tend()
    two.tend()
    del results["deferred"]
    assert results == {"matched": 50, "duplicate": 100}
    assert not ear.failures


def test_a_label_does_not_wait_for_a_locked_file(tmp_path: Path) -> None:
    clock = Clock()
    store, ear = opened(tmp_path / "labels.sqlite", clock)
    store.put("written", CANARY, "dog")
    store.tend()
    store.put("fresh", CANARY, "cat")
    told: list[Taken] = []
    with locked(tmp_path / "labels.sqlite"):
        assert [one.result for one in store.take(["written", "nobody"], told.extend)] == ["deferred"] * 2
        assert [one.result for one in store.take(["fresh"], told.extend)] == ["deferred"]
        store.tend()
        assert not told
        assert store.waiting() == {CANARY: 2}
        assert store.put("later", CANARY, "owl") is None
    clock.now += 90
    assert take(store, "later") == ["matched"]
    clock.now += 11
    store.tend()
    assert [one.result for one in told] == ["matched", "unknown", "matched"], "as of when they came"
    assert [one.answer for one in told] == ["dog", "", "cat"]
    assert (ear.gone, ear.failures) == ({}, [])


def test_a_file_that_stays_locked_is_told_and_labels_are_not_lost_without_a_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("makeweight_monitors.observe.pending.MOST_FRESH", 2)
    monkeypatch.setattr("makeweight_monitors.observe.pending.PATIENCE", 0.001)
    store, ear = opened(tmp_path / "labels.sqlite")
    told: list[Taken] = []
    with locked(tmp_path / "labels.sqlite"):
        assert [one.result for one in store.take(["a", "b"], told.extend)] == ["deferred"] * 2
        assert take(store, "c") == ["rejected"]
        for _ in range(6):
            store.tend()
        assert len(ear.failures) == 2
        assert "labels are lost" in ear.failures[0]
        assert "is locked by somebody else" in ear.failures[1]
        store.close()
    assert [one.result for one in told] == ["rejected"] * 2


def test_a_scrape_and_a_label_do_not_wait_for_the_thread_that_writes(tmp_path: Path) -> None:
    store, _ = opened(tmp_path / "labels.sqlite")
    store.put("a", CANARY, "dog")
    with held(store):
        assert store.waiting() == {CANARY: 1}
        assert take(store, "a") == ["deferred"]
    assert take(store, "a") == ["matched"]


def test_the_thread_writes_by_itself(tmp_path: Path) -> None:
    store = Pending(tmp_path / "labels.sqlite", every=0.01)
    store.attach("digits", ear := Ear())
    written = threading.Event()
    plain = store.tend

    def tend() -> None:
        plain()
        written.set()

    store.tend = tend  # type: ignore[method-assign]
    store.put("a", CANARY, "dog")
    assert written.wait(20)
    store.close()
    with sqlite3.connect(tmp_path / "labels.sqlite") as looked:
        assert looked.execute("SELECT id FROM prediction").fetchall() == [("a",)]
    assert not ear.failures


def child(run: Callable[[], int | None], seconds: int = 60) -> int:
    """What a child process returns; one that hangs is ended by its alarm, and does not return 0."""
    forked = os.fork()
    if forked == 0:
        signal.alarm(seconds)
        code = 99
        try:
            code = run() or 0
        finally:
            os._exit(code)
    return os.waitpid(forked, 0)[1]


def test_after_a_fork_each_process_writes_its_own(tmp_path: Path) -> None:
    store, _ = opened(tmp_path / "labels.sqlite")
    store.put("parent's", CANARY, "dog")

    def write() -> None:
        store.put("child's", CANARY, "cat")
        store.close()

    assert child(write) == 0
    store.tend()
    assert store.waiting() == {CANARY: 2}
    assert [taken.answer for taken in store.take(["child's", "parent's"])] == ["cat", "dog"]


def test_nothing_of_sqlite_runs_in_a_child_that_does_not_need_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores = [opened(tmp_path / "labels.sqlite")[0], opened()[0]]
    for store in stores:
        store.put("a", CANARY, "dog")
        store.tend()
    assert not child(lambda: monkeypatch.setattr(sqlite3, "connect", None))
    monkeypatch.setattr(sqlite3, "connect", None)  # whoever calls it fails
    assert not child(lambda: None if stores[0].waiting() == {CANARY: 1} and not stores[1].waiting() else 1)


def test_a_fork_waits_until_nobody_is_within_sqlite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # on a machine with much to do, two threads that write all the time keep a fork out for longer than usual
    monkeypatch.setattr("makeweight_monitors.observe.pending._FORK_PATIENCE", 50.0)
    store, _ = opened(tmp_path / "labels.sqlite")
    stopped, threads = threading.Event(), []

    def busy() -> None:
        index = 0
        while not stopped.is_set():
            store.put(f"{index}", CANARY, "dog")
            store.tend()
            index += 1
            time.sleep(0.001)  # as the store's own thread does: a lock that is taken again at once is not seen free

    threads = [threading.Thread(target=busy) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        ends = [child(lambda: 0 if take(store, "nobody") == ["unknown"] else 1, 60) for _ in range(5)]
    finally:
        stopped.set()
        for thread in threads:
            thread.join()
    assert ends == [0] * 5


def test_a_child_whose_parent_was_within_sqlite_does_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("makeweight_monitors.observe.pending._FORK_PATIENCE", 0.01)
    store, ear = opened(tmp_path / "labels.sqlite")
    told = lambda: int(take(store, "a") != ["rejected"] or "was forked" not in ear.failures[0])  # noqa: E731
    with held(store):
        assert child(told) == 0
    assert take(store, "a") == ["unknown"], "the parent goes on"


names = st.sampled_from("abcdef")
actions = st.lists(
    st.tuples(st.just("put"), names) | st.tuples(st.just("label"), names)
    | st.tuples(st.sampled_from(["tend", "wait", "restart"]), st.just("")),
    max_size=30,
)  # fmt: skip


@given(actions)
def test_whatever_happens_every_prediction_is_accounted_for(tmp_path_factory: pytest.TempPathFactory, done) -> None:
    clock, path = Clock(), tmp_path_factory.mktemp("store") / "labels.sqlite"
    store, ear = opened(path, clock)
    gone, put, matched, doubled = 0, 0, 0, 0
    for action, name in done:
        if action == "put":
            refused = store.put(name, CANARY, "dog")
            put += 1
            doubled += refused == "duplicate_id"
        elif action == "label":
            matched += take(store, name) == ["matched"]
        elif action == "tend":
            store.tend()
        elif action == "wait":
            clock.now += 30
        else:
            store.close()
            gone, doubled = gone + ear.gone[CANARY], doubled + ear.reasons["duplicate_id"]
            store, ear = opened(path, clock)
    store.tend()
    waiting = sum(store.waiting().values())
    gone, doubled = gone + ear.gone[CANARY], doubled + ear.reasons["duplicate_id"]
    assert put == waiting + matched + gone + doubled
    assert not ear.failures
