"""Revisions: told apart up to a bound, without ever leaving no place for the next."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from exporter_app import SURE, settings
from observing import Clock

from makeweight_monitors.exporter import models
from makeweight_monitors.exporter.models import Model


class Served:
    """A model whose clock the test moves."""

    def __init__(self, **said: Any) -> None:
        self.clock = Clock()
        said.setdefault("revision", None)
        self.model = Model(settings(**said), lambda *_: None, most_revisions=3, clock=self.clock)

    def count(self, revision: str | None) -> bool:
        observer = self.model.observer(revision, "canary")
        if observer is not None:
            observer.record(SURE)
        return observer is not None

    def counted(self) -> list[tuple[str, str, float]]:
        """(revision, boot as the number of its first appearance, predictions)"""
        boots: dict[str, str] = {}
        return [
            (
                sample.labels["revision"],
                boots.setdefault(sample.labels["boot"], str(len(boots))),
                sample.value,
            )
            for family in self.model.collect()
            for sample in family.samples
            if sample.name == "makeweight_predictions_total" and sample.labels["variant"] == "canary"
        ]


@pytest.fixture
def served() -> Iterator[Served]:
    made = Served()
    yield made
    made.model.close()


def test_an_environment_is_told_apart_like_a_revision(served: Served) -> None:
    for environment in ("staging", "production", None):
        observer = served.model.observer("r1", "canary", environment)
        assert observer is not None
        observer.record(SURE)
    assert served.model.observer("r1", "canary", "a fourth") is None
    assert [revision for revision, _, _ in served.counted()] == ["r1"] * 3


def test_a_revision_too_many_is_refused_until_one_is_out_of_use(served: Served) -> None:
    assert [served.count(f"r{number}") for number in range(4)] == [True, True, True, False]
    assert served.count("r0")
    served.clock.now += models.IDLE + 1
    assert served.count("r2")
    assert served.count("r3"), "r0 and r1 are out of use"
    assert served.counted() == [
        ("r0", "0", 2), ("r1", "0", 1), ("r2", "0", 2),
        ("r3", "1", 1),
    ]  # fmt: skip


def test_old_series_are_shown_for_a_while_and_then_gone(served: Served) -> None:
    served.count("r0")
    served.clock.now += models.AT_LEAST + 1
    served.count("r1")
    assert served.counted() == [("r0", "0", 1), ("r1", "0", 1)], "r1 came first, then r0 was found out of use"
    served.count("r1")
    assert served.counted() == [("r0", "0", 1), ("r1", "0", 1), ("r1", "1", 1)]
    served.clock.now += models.SHOWN + 1
    assert served.counted() == [("r1", "0", 1)]


def test_a_model_does_not_begin_anew_all_the_time(served: Served) -> None:
    """Two revisions with little traffic each, in turn."""
    for _ in range(20):
        for revision in ("r0", "r1"):
            served.clock.now += models.IDLE + 1
            served.count(revision)
    hours = 40 * (models.IDLE + 1) / models.AT_LEAST
    boots = {one.labels["boot"] for family in served.model.collect() for one in family.samples if "boot" in one.labels}
    assert len(boots) <= 2
    assert hours > 6


def test_a_revision_alone_is_never_out_of_use(served: Served) -> None:
    served.count("r0")
    served.clock.now += 10 * models.AT_LEAST
    served.count("r0")
    assert served.counted() == [("r0", "0", 2)]


def test_no_memory_for_more_series_is_a_revision_too_many(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    assert served.count("r0")
    monkeypatch.setattr("makeweight_monitors.observe.arena.CELLS", 0)
    assert not served.count("r1")
    assert served.count("r0")


def test_an_event_without_a_revision_is_of_the_declared_one() -> None:
    served = Served(revision="r7")
    served.count(None)
    assert served.counted() == [("r7", "0", 1)]
    nameless = Served()
    with pytest.raises(LookupError):
        nameless.count(None)
    served.model.close()
    nameless.model.close()
