"""Counters are exact, no matter what adds to them, and read back as they were described."""

from __future__ import annotations

import os
import sys
import threading

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from makeweight_base.errors import UsageError
from makeweight_monitors import metrics
from makeweight_monitors.observe import counters
from makeweight_monitors.observe.arena import CELLS, Arena
from makeweight_monitors.observe.counters import Counters

ARM = {"model": "digits", "revision": "r1", "variant": "canary"}


def samples(counted: Counters) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in counted.collect()
        for sample in family.samples
    }


def test_a_block_counts_by_its_axes_and_is_the_same_when_asked_for_again() -> None:
    counted = Counters()
    axes = {"class": ["cat", "dog"], "outcome": ["right", "wrong"]}
    block = counted.block(metrics.LABELLED_CLASS, ARM, axes)
    assert counted.block(metrics.LABELLED_CLASS, ARM, axes) is block
    counted.cells[block.at + 3] += 7
    found = samples(counted)
    boot = ("boot", counted.boot)
    labels = {*ARM.items(), boot, ("class", "dog"), ("outcome", "wrong")}
    assert found[("makeweight_labelled_class_total", frozenset(labels))] == 7
    assert sum(found.values()) == 7
    assert len(found) == 4, "all are there from the start"


def test_the_same_series_with_other_values_are_refused() -> None:
    counted = Counters()
    counted.block(metrics.SCORE_BIN, ARM, {"bin": ["00"]})
    with pytest.raises(UsageError, match=r"makeweight_score_bin_total.*other values of bin"):
        counted.block(metrics.SCORE_BIN, ARM, {"bin": ["00", "01"]})


def test_the_first_axis_grows_while_there_is_room() -> None:
    counted = Counters()
    by_class = counted.block(metrics.PREDICTED_CLASS, ARM, {"class": ["other"]}, room=3)
    pairs = counted.block(metrics.LABELLED_CLASS, ARM, {"class": ["other"], "outcome": ["right", "wrong"]}, room=2)
    behind = counted.block(metrics.PREDICTIONS, ARM)
    with counted.lock:
        assert counted.extend([by_class, pairs], "cat")
        assert not counted.extend([by_class, pairs], "dog"), "for all or for none"
        counted.cells[by_class.at + 1] = 5
    assert behind.at == pairs.at + 4
    counts = {dict(key[1]).get("class"): value for key, value in samples(counted).items() if "predicted" in key[0]}
    assert counts == {"other": 0, "cat": 5}


def test_more_series_than_there_is_memory_for_are_refused() -> None:
    counted = Counters()
    with pytest.raises(UsageError, match="does not fit"):
        counted.block(metrics.PREDICTED_CLASS, ARM, {"class": ["other"]}, room=CELLS + 1)
    counted.block(metrics.PREDICTIONS, ARM)


def test_a_reader_of_the_memory_learns_what_was_added_since() -> None:
    arena = Arena.private()
    block = arena.allot(metrics.PREDICTED_CLASS, ARM, {"class": ["a"]}, 5)
    assert block is not None
    arena.cells[block.at] = 3
    reader = Arena(arena._memory)
    assert [found.axes for found in reader.read()] == [{"class": ["a"]}]
    arena.extend([block], "b")
    arena.allot(metrics.PREDICTIONS, ARM, {}, 1)
    assert [found.axes for found in reader.read()] == [{"class": ["a", "b"]}, {}]
    assert reader.cells[block.at] == 3


def test_two_memories_add_up_by_label_not_by_place() -> None:
    one, two = Arena.private(), Arena.private()
    for arena, classes in ((one, ["a", "b"]), (two, ["b", "c"])):
        block = arena.allot(metrics.PREDICTED_CLASS, ARM, {"class": [classes[0]]}, 5)
        assert block is not None
        arena.extend([block], classes[1])
        arena.cells[block.at], arena.cells[block.at + 1] = 1, 10
    total = Arena.private()
    assert total.add(one)
    assert total.add(two)
    (block,) = total.read()
    assert dict(zip(block.axes["class"], total.cells[block.at : block.at + 3].tolist(), strict=True)) == {
        "a": 1, "b": 11, "c": 10,
    }  # fmt: skip


def test_a_histogram_is_cumulative_and_its_sum_in_seconds() -> None:
    counted = Counters()
    block = counted.block(metrics.LATENCY, ARM, {"le": counters.LATENCY_ROWS})
    counted.cells[block.at] = 2
    counted.cells[block.at + 3] = 1
    counted.cells[block.at + len(counters.LATENCY_ROWS) - 1] = 1_250_000_000
    found = {name.removeprefix("makeweight_latency_seconds_") + dict(labels).get("le", ""): value
             for (name, labels), value in samples(counted).items()}  # fmt: skip
    assert (found["bucket0.0001"], found["bucket0.0005"], found["bucket0.001"], found["bucket+Inf"]) == (2, 2, 3, 3)
    assert (found["count"], found["sum"]) == (3, 1.25)


@pytest.mark.parametrize(
    ("write", "parse"),
    [(generate_latest, parse_text), (openmetrics, parse_openmetrics)],
    ids=["text", "OpenMetrics"],
)
def test_what_is_served_parses_by_the_reference_parser(write, parse) -> None:
    registry = CollectorRegistry(auto_describe=True)
    counted = counters.of(registry)
    counted.block(metrics.PREDICTED_CLASS, ARM, {"class": ['"quoted"\n', "naïve", "x" * 500, "\ud800"]})
    latency = counted.block(metrics.LATENCY, ARM, {"le": counters.LATENCY_ROWS})
    counted.cells[latency.at] = 1
    counted.gauge(metrics.UP, ARM, lambda: 1.5e9)
    families = {family.name: family for family in parse(write(registry).decode())}
    assert {"makeweight_predicted_class", "makeweight_latency_seconds", metrics.UP.name} <= families.keys()
    classes = [sample.labels["class"] for sample in families["makeweight_predicted_class"].samples]
    assert classes[:2] == ['"quoted"\n', "naïve"]
    assert len(classes[2]) == 128
    assert families["makeweight_predicted_class"].type == "counter"


def test_every_label_of_the_catalogue_is_there_and_no_other() -> None:
    for metric in metrics.CATALOGUE:
        if metric.kind == "counter":
            counted = Counters()
            names = [name for name in metric.labels if name != "boot"]
            counted.block(metric, dict.fromkeys(names[:-1], "x"), {names[-1]: ["y"]})
            ((_, labels),) = samples(counted)
            assert {name for name, _ in labels} == set(metric.labels), metric.name


def test_a_registry_has_its_counters_once() -> None:
    registry = CollectorRegistry(auto_describe=True)
    assert counters.of(registry) is counters.of(registry)
    assert counters.of(CollectorRegistry()) is not counters.of(registry)
    assert counters.of(CollectorRegistry()).boot != counters.of(registry).boot


def test_many_threads_lose_nothing() -> None:
    counted = Counters()
    cell = counted.block(metrics.PREDICTIONS, ARM).at
    every = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)

    def add() -> None:
        for _ in range(20_000):
            with counted.lock:
                counted.cells[cell] += 1

    try:
        threads = [threading.Thread(target=add) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(every)
    assert counted.cells[cell] == 160_000


def test_a_child_begins_from_zero_under_a_boot_of_its_own() -> None:
    counted = Counters()
    block = counted.block(metrics.PREDICTED_CLASS, ARM, {"class": ["other"]}, room=3)
    counted.cells[block.at] = 9
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        with counted.lock:
            counted.extend([block], "cat")
            counted.cells[block.at + 1] += 4
        told = sorted(dict(key[1])["class"] + f"={value:.0f}" for key, value in samples(counted).items())
        os.write(write, f"{counted.boot} {' '.join(told)}".encode())
        os._exit(0)
    os.waitpid(child, 0)
    boot, *told = os.read(read, 1000).decode().split()
    assert told == ["cat=4", "other=0"]
    assert boot != counted.boot
    assert list(samples(counted).values()) == [9], "the parent's counts are the parent's"
