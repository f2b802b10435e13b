"""The Lease in a cluster, beside a double of the API server: who has it, by which clock, and what is handed on."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from canary_trials import OBSERVED

import cluster
from controlled import CANARY, STABLE, Controlled
from makeweight_base.errors import EnvironmentFailed
from makeweight_monitors.cli import main
from makeweight_monitors.rollback import handing
from makeweight_monitors.rollback.case import Deed
from makeweight_monitors.rollback.journal import Hold, Journal
from makeweight_monitors.rollback.kubernetes import Cluster
from makeweight_monitors.rollback.leases.kubernetes import JOURNAL, KubernetesLease
from makeweight_monitors.serving import pointer
from makeweight_monitors.serving.pointer import Pointer

LASTS = 30
ROLLING = replace(OBSERVED, stage="rolling_back", deed=Deed("rollback", 0.0, 1.5))
Contender = Callable[..., KubernetesLease]


class Clock:
    """Of one machine: what is monotonic goes with the test, what tells the day is off by years."""

    now = 0.0

    def __init__(self, off: float = 0.0) -> None:
        self.off = off

    def monotonic(self) -> float:
        return Clock.now

    def time(self) -> float:
        return 1_700_000_000.0 + self.off + Clock.now


@pytest.fixture(scope="module")
def shared() -> Iterator[cluster.ApiServer]:
    with cluster.running() as server:
        yield server


@pytest.fixture
def server(shared: cluster.ApiServer) -> cluster.ApiServer:
    shared.reset()
    Clock.now = 0.0
    return shared


@pytest.fixture
def contender(server: cluster.ApiServer, tmp_path: Path) -> Contender:
    reached = Cluster(None, server.kubeconfig(tmp_path / "kubeconfig"))

    def one(identity: str, off: float = 0.0, journal: Journal | None = None) -> KubernetesLease:
        clock = Clock(off)

        def takes_over(text: str, before: str) -> None:
            if journal is not None:
                handing.taken_over(journal, text, before, clock.time)

        given = (reached, "digits", identity, LASTS, clock.monotonic, clock.time)
        return KubernetesLease(*given, lambda: "" if journal is None else handing.told(journal), takes_over)

    return one


def spec(server: cluster.ApiServer) -> dict[str, Any]:
    told: dict[str, Any] = server.objects["leases", "digits"]["spec"]
    return told


def test_it_is_made_renewed_and_taken_when_it_stands_still(server: cluster.ApiServer, contender: Contender) -> None:
    a, b = contender("a"), contender("b", off=-1e9)  # the other's clock is thirty years behind
    assert (a.take(), b.take()) == (True, False)
    assert spec(server) == {
        "holderIdentity": "a",
        "leaseDurationSeconds": LASTS,
        "acquireTime": "2023-11-14T22:13:20.000000Z",
        "renewTime": "2023-11-14T22:13:20.000000Z",
        "leaseTransitions": 0,
    }
    for _ in range(10):
        Clock.now += 10.0
        assert (a.take(), b.take()) == (True, False)
    assert spec(server)["renewTime"] == "2023-11-14T22:15:00.000000Z"
    Clock.now += 29.9
    assert not b.take()
    Clock.now += 0.1
    assert b.take()
    assert (spec(server)["holderIdentity"], spec(server)["leaseTransitions"]) == ("b", 1)
    assert not a.take()
    assert server.managers == {"makeweight-monitors"}


def test_one_that_was_held_before_we_came_is_waited_for(server: cluster.ApiServer, contender: Contender) -> None:
    held = {"holderIdentity": "gone", "leaseDurationSeconds": 5, "renewTime": "1999-01-01T00:00:00.000000Z"}
    meta = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "digits"}}
    server.put({**meta, "spec": held})
    a = contender("a")
    Clock.now = 1000.0
    assert not a.take()  # it may have been renewed a moment ago, by a clock that is wrong
    Clock.now = 1004.9
    assert not a.take()
    Clock.now = 1005.0
    assert a.take()
    server.put({**meta, "spec": {}})  # whose, nobody knows: it is nobody's
    assert contender("b").take()


def test_whoever_gives_it_back_lets_another_in_at_once(server: cluster.ApiServer, contender: Contender) -> None:
    a, b = contender("a"), contender("b")
    a.take()
    a.give_back()
    assert spec(server)["holderIdentity"] == ""
    assert (b.take(), a.take()) == (True, False)
    a.give_back()  # it is not a's
    assert spec(server)["holderIdentity"] == "b"
    server.fault = (500, "application/json", b"{}")
    b.give_back()


def test_of_two_at_the_same_time_one_gets_it(server: cluster.ApiServer, contender: Contender) -> None:
    a, b = contender("a"), contender("b")
    a.take()
    b.take()
    Clock.now = 30.0

    def faster() -> None:
        told = copy.deepcopy(server.objects["leases", "digits"])
        told["spec"]["holderIdentity"] = "c"
        server.store(("leases", "digits"), told)

    server.before_patch = [faster]
    assert not b.take()
    assert spec(server)["holderIdentity"] == "c"
    Clock.now = 59.9
    assert not b.take()  # c's time began when it took it


def test_an_api_server_that_is_away_ends_it_in_time(server: cluster.ApiServer, contender: Contender) -> None:
    a, b = contender("a"), contender("b")
    a.take()
    b.take()
    server.fault = (503, "application/json", b"{}")
    with pytest.raises(EnvironmentFailed, match="busy"):
        b.take()
    Clock.now = 19.9
    assert a.take()
    Clock.now = 20.0  # ten seconds before anybody else may have it
    with pytest.raises(EnvironmentFailed, match=r"not renewed for 20 s, and another may take it: nothing is done here"):
        a.take()
    server.fault = None
    assert a.take()  # nobody else came


def test_a_controller_that_lost_it_acts_no_more(
    server: cluster.ApiServer, contender: Contender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    one, other = Controlled(tmp_path / "one"), Controlled(tmp_path / "other")
    one.controller.lease, other.controller.lease = contender("one"), contender("other")
    other.controller.target = one.controller.target
    one.tick()
    other.tick()
    assert (one.controller.health.leads, other.controller.health.leads) == (True, False)
    with pytest.raises(EnvironmentFailed, match="another controller leads"):
        other.controller.order("rollback", "Ada", "odd", ("n", 9e9))
    looked = one.controller.looking.look

    def slow(*given: Any) -> Any:
        """Prometheus takes a minute, in which the other takes over."""
        Clock.now += 60.0
        other.tick()
        return looked(*given)

    one.prometheus.asks()
    with monkeypatch.context() as patched:
        patched.setattr(one.controller.looking, "look", slow)
        one.tick()
    assert (one.share, other.controller.health.leads) == (0.05, True)
    one.tick()
    assert one.controller.health.leads is False
    other.prometheus.asks()
    other.tick()
    assert one.share == 0.0
    for each in (one, other):
        each.controller.lease.give_back()
        each.end()


@pytest.fixture
def two(contender: Contender, tmp_path: Path) -> Iterator[tuple[Controlled, Controlled]]:
    """Two machines, each with a journal of its own, of which the first leads; the target is one."""
    both = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        each = Controlled(tmp_path / name)
        each.controller.lease = contender(name, journal=each.journal)
        both.append(each)
    one, other = both
    other.controller.target, other.file = one.target, one.file
    one.tick()
    other.tick()
    assert (one.controller.health.leads, other.controller.health.leads) == (True, False)
    yield one, other
    for each in both:
        each.controller.lease.give_back()
        each.end()


def test_what_one_had_latched_and_who_holds_is_known_to_the_next(two: tuple[Controlled, Controlled]) -> None:
    one, other = two
    one.prometheus.asks()
    one.tick()
    one.tick(later=11.0)
    assert one.stages == ["rolled_back"]
    assert one.controller.order("hold", "Ada", "a demo", ("n" * 16, 9e9)) is not None
    pointer.write(one.file, Pointer(STABLE, CANARY, pointer.load(one.file).epoch))  # a person lets it in again
    Clock.now += 30.0
    other.prometheus.asks()
    other.tick()
    assert (other.controller.health.leads, other.stages, other.share) == (True, ["rolled_back"], 0.05)
    assert other.lines("lease") == ["leads after one, who knew of 1 canaries; held by Ada (a demo)"]
    assert other.journal.hold() == Hold("Ada", "a demo", 1011.0)
    assert other.journal.last_rollback() == 1000.0
    assert other.controller.order("hold", "Ada", "a demo", ("n" * 16, 9e9)) is None  # overheard, and sent again


class Killed(BaseException):
    """What ends a process."""


def test_what_one_had_begun_the_next_goes_on_with(
    two: tuple[Controlled, Controlled], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = two
    one.prometheus.asks()

    def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(one.target, "set", killed)
        with pytest.raises(Killed):
            one.tick()
    Clock.now += 30.0
    other.tick()  # nothing asks for it there: the word of the one before is enough
    other.tick(later=11.0)
    assert (other.share, other.stages, other.epoch) == (0.0, ["rolled_back"], 2)


def test_of_two_accounts_that_counts_which_has_come_further(tmp_path: Path) -> None:
    far = replace(OBSERVED, stage="rolled_back")
    for own, theirs, comes in ((far, OBSERVED, far), (OBSERVED, far, far), (OBSERVED, ROLLING, ROLLING)):
        a, b = Journal(tmp_path / f"{own.stage}{theirs.stage}"), Journal(tmp_path / f"{own.stage}{theirs.stage}b")
        a.note(case=own, last_rollback=7.0)
        b.note(case=theirs)
        handing.taken_over(a, handing.told(b), "", lambda: 1.0)
        assert (a.cases(), a.last_rollback()) == ([comes], 7.0)
        a.close()
        b.close()


HELD = {"who": "Ada", "reason": "a demo", "time": 5.0}


@pytest.mark.parametrize(("own", "theirs", "held"), [(5.0, 4.0, True), (5.0, 6.0, False)], ids=["here", "there"])
def test_the_last_word_on_a_hold_counts(tmp_path: Path, own: float, theirs: float, held: bool) -> None:
    a, b = Journal(tmp_path / "a"), Journal(tmp_path / "b")
    a.note(hold=HELD, hold_changed=own)
    b.note(hold=None, hold_changed=theirs)
    handing.taken_over(a, handing.told(b), "b", lambda: 1.0)
    assert (a.hold() is not None, a.hold_changed()) == (held, max(own, theirs))
    a.close()
    b.close()


def test_no_more_is_handed_on_than_an_annotation_holds(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    for number in range(50):
        canary = replace(OBSERVED.canary, sha256=f"{number:064}")
        why = {"why": "w" * 1000, "topic": "t" * 1000}
        journal.note(case=replace(OBSERVED, canary=canary, stage="rolled_back", since=float(number), **why))
    journal.note(case=replace(OBSERVED, since=-1.0))
    told = handing.told(journal)
    assert len(told) < 200_000
    kept = [case["canary"]["sha256"] for case in json.loads(told)["cases"]]
    assert OBSERVED.canary.sha256 in kept  # it may still come to something
    assert kept[:2] != [f"{0:064}", f"{1:064}"]
    assert f"{49:064}" in kept
    journal.close()


OURS = {"format": 1, "cases": [], "hold": None, "hold_changed": 0.0, "last_rollback": None, "nonces": []}
STRANGE = {
    "nothing": ("", "Invalid JSON"),
    "no JSON": ("{", "Invalid JSON"),
    "no object": ("[]", "Input should be an object"),
    "a part": ("{}", "format: Field required"),
    "a later format": (json.dumps({**OURS, "format": 2}), "format: Input should be 1"),
    "no case": (json.dumps({**OURS, "cases": [{}]}), r"cases\.0\.canary: Field required"),
    "a stage that there is not": (
        json.dumps({**OURS, "cases": [{"canary": asdict(OBSERVED.canary), "stage": "x"}]}),
        r"cases\.0\.stage: Input should be 'observing'",
    ),
    "no time": (json.dumps({**OURS, "last_rollback": "soon"}), "last_rollback: Input should be a valid number"),
}


@pytest.mark.parametrize(("text", "said"), STRANGE.values(), ids=STRANGE)
def test_what_is_no_word_of_ours_stops_it(
    server: cluster.ApiServer, contender: Contender, tmp_path: Path, text: str, said: str
) -> None:
    a = contender("a")
    a.take()
    server.objects["leases", "digits"]["metadata"]["annotations"] = {JOURNAL: text}
    journal = Journal(tmp_path)
    b = contender("b", journal=journal)
    b.take()
    Clock.now += 30.0
    for _ in range(2):
        with pytest.raises(
            EnvironmentFailed, match=rf"makeweight/journal: what a .* read: {said}.*\n.*Delete that annot"
        ):
            b.take()
    del server.objects["leases", "digits"]["metadata"]["annotations"]
    assert b.take()
    journal.close()


NAMES = ["", "A", "a/b/c", "/a", "a/", "a_b", "-a"]


@pytest.mark.parametrize("name", NAMES)
def test_a_lease_is_named_as_kubernetes_names_it(name: str, capsys: Any) -> None:
    with pytest.raises(SystemExit):
        main(["rollback", f"--lease={name}"])
    assert "is no [NAMESPACE/]NAME" in capsys.readouterr().err
