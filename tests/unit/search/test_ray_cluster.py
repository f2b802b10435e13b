"""Trials as tasks of Ray, whose part is played here: what is lost, by whose fault, and how much there is room for."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from makeweight import registry
from makeweight.search.cluster import Cluster
from makeweight.search.executor import Job
from makeweight_base.errors import EnvironmentFailed, UsageError


class RayError(Exception):
    """Of all that Ray raises."""


class RaySystemError(RayError):
    """The cluster is gone."""


class RayTaskError(RayError):
    """What the task itself raised."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


class Ray:
    """A cluster that carries a task out when it is asked for its result."""

    exceptions = SimpleNamespace(RayError=RayError, RaySystemError=RaySystemError, RayTaskError=RayTaskError)

    def __init__(self, *nodes: dict[str, float]) -> None:
        self._nodes, self.asked = nodes, dict[str, Any]()

    def init(self, **_: Any) -> None: ...

    def nodes(self) -> list[dict[str, Any]]:
        return [{"Alive": True, "Resources": each} for each in self._nodes]

    def remote(self, **asked: Any) -> Callable[..., Any]:
        self.asked = asked
        return lambda work: SimpleNamespace(remote=lambda job: (work, tuple(job.items()), object()))

    def wait(self, references: list[Any], **_: Any) -> tuple[list[Any], list[Any]]:
        return references[:1], references[1:]

    def get(self, reference: Any) -> Any:
        work, job, _ = reference
        return work(dict(job))

    def shutdown(self) -> None: ...


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Cluster]:
    monkeypatch.setattr(registry, "require_extra", lambda *_: None)

    def of(work: Callable[[Job], Any], *nodes: dict[str, float], memory: float | None = None) -> Cluster:
        ray = Ray(*(nodes or ({"CPU": 2.0},)))
        monkeypatch.setitem(sys.modules, "ray", ray)
        made = Cluster("auto", 1, memory, work=work)
        # Ray would begin anew without end what it ended for want of memory
        assert ray.asked["max_retries"] == 0
        return made

    return of


def test_a_lost_worker_is_told_and_not_begun_again_by_itself(cluster: Callable[..., Cluster]) -> None:
    begun: list[str] = []

    def work(job: Job) -> str:
        begun.append(job["name"])
        if len(begun) < 2:
            raise RayError("the worker died\nand more")
        return "done"

    one = cluster(work)
    one.submit({"name": "some"})
    (lost,) = one.wait(1)
    assert (lost.result, lost.lost) == (None, "its worker was lost: the worker died")
    assert (one.wait(1), begun) == ([], ["some"])
    one.submit(lost.job)
    (done,) = one.wait(1)
    assert (done.result, begun) == ("done", ["some"] * 2)


def test_a_cluster_of_another_python_is_told_with_both_versions(
    cluster: Callable[..., Cluster], monkeypatch: pytest.MonkeyPatch
) -> None:
    def init(*_: Any, **__: Any) -> None:
        # as Ray 2.60 says it
        raise RuntimeError(
            "Version mismatch: The cluster was started with:\n    Ray: 2.60.0\n    Python: 3.12.1\n"
            "This process on node 10.0.0.2 was started with:\n    Ray: 2.60.0\n    Python: 3.11.7\n"
        )

    monkeypatch.setattr(Ray, "init", init)
    with pytest.raises(EnvironmentFailed, match=r"Python: 3.12.1 This process .* Python: 3.11.7") as told:
        cluster(str)
    assert "Start it with the Python and the Ray that are here" in str(told.value)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        pytest.param(
            RayTaskError(ModuleNotFoundError("No module named 'makeweight'")),
            "a node of the Ray cluster cannot carry trials out: ModuleNotFoundError: No module named 'makeweight'",
            id="a-node-without-makeweight",
        ),
        pytest.param(RaySystemError("gone"), "the Ray cluster was lost: gone", id="the-cluster"),
    ],
)
def test_what_is_no_trials_fault_ends_the_search(cluster: Callable[..., Cluster], error: RayError, words: str) -> None:
    def work(_: Job) -> None:
        raise error

    one = cluster(work)
    one.submit({"name": "any"})
    with pytest.raises(EnvironmentFailed, match=words) as told:
        one.wait(1)
    assert "the search goes on from here" in str(told.value)


def test_there_is_room_where_processors_and_memory_are_on_one_node(cluster: Callable[..., Cluster]) -> None:
    nodes = {"CPU": 8.0, "memory": 3e9}, {"CPU": 1.0, "memory": 9e9}, {"memory": 9e9}
    assert cluster(str, *nodes).slots == 8 + 1
    assert cluster(str, *nodes, memory=2e9).slots == 1 + 1
    with pytest.raises(UsageError, match="no node of the Ray cluster has the 1 processors and the 10,000 MB of memory"):
        cluster(str, *nodes, memory=1e10)
