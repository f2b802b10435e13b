"""Argo Rollouts and KServe as targets, beside a double of the API server with controllers that do as theirs."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

import cluster
from controlled import CANARY, Controlled
from makeweight import registry
from makeweight_base.errors import EnvironmentFailed, MissingExtra, UsageError
from makeweight_monitors.rollback import kubernetes
from makeweight_monitors.rollback.case import Canary
from makeweight_monitors.rollback.seen import Placement
from makeweight_monitors.rollback.targets.argo_rollouts import ArgoRolloutsOptions, ArgoRolloutsTarget
from makeweight_monitors.rollback.targets.kserve import KserveOptions, KserveTarget
from makeweight_monitors.rollback.targets.target import Moved, Rehearsing, Target

SHA = CANARY.sha256
ON_TRIAL = Canary("prod", "digits", SHA, "1", "r2")


@pytest.fixture(scope="module")
def shared() -> Iterator[cluster.ApiServer]:
    # every client reads the system's certificates, which takes longer than all else here
    with cluster.running() as server, pytest.MonkeyPatch.context() as patched:
        patched.setattr(httpx2, "create_ssl_context", functools.cache(httpx2.create_ssl_context))
        yield server


@pytest.fixture
def server(shared: cluster.ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[cluster.ApiServer]:
    shared.reset()
    shared.kubeconfig(tmp_path / "kubeconfig")
    monkeypatch.setattr(kubernetes, "SETTLES", 0.0)
    yield shared
    assert shared.managers <= {kubernetes.FIELD_MANAGER}


def argo(folder: Path, **given: str) -> ArgoRolloutsTarget:
    return ArgoRolloutsTarget(ArgoRolloutsOptions(name="digits", kubeconfig="kubeconfig", **given), folder)


def kserve(folder: Path, **given: str) -> KserveTarget:
    return KserveTarget(KserveOptions(name="digits", kubeconfig="kubeconfig", **given), folder)


def put(server: cluster.ApiServer, kind: str, folder: Path, **given: Any) -> Target:
    """A canary at 5 %, and the target for it."""
    if kind == "argo-rollouts":
        server.put(cluster.rollout(SHA, **given), cluster.argo)
        return argo(folder)
    server.put(cluster.inference_service(SHA, **given), cluster.kserve)
    return kserve(folder)


BOTH = pytest.mark.parametrize("kind", ["argo-rollouts", "kserve"])


def plural(kind: str) -> str:
    return "rollouts" if kind == "argo-rollouts" else "inferenceservices"


def of(server: cluster.ApiServer, kind: str) -> dict[str, Any]:
    return server.objects[plural(kind), "digits"]


@BOTH
def test_a_canary_is_rolled_back_once(server: cluster.ApiServer, tmp_path: Path, kind: str) -> None:
    target = put(server, kind, tmp_path)
    seen = target.get()
    assert (seen.share, seen.sha256) == (0.05, SHA)
    target.set(seen, 0.0)
    target.verify(0.0)
    version = of(server, kind)["metadata"]["resourceVersion"]
    target.set(target.get(), 0.0)
    target.finalize(ON_TRIAL, False, "")
    assert of(server, kind)["metadata"]["resourceVersion"] == version
    assert (target.get().share, target.get().sha256) == (0.0, SHA)
    if kind == "argo-rollouts":
        assert of(server, kind)["status"]["abort"] is True
    else:
        assert of(server, kind)["spec"]["predictor"]["canaryTrafficPercent"] == 0
    with pytest.raises(EnvironmentFailed, match=r"was to have 50\.0% of the traffic, and has 0\.0%"):
        target.verify(0.5)


@BOTH
def test_a_canary_is_given_more_and_becomes_stable(server: cluster.ApiServer, tmp_path: Path, kind: str) -> None:
    target = put(server, kind, tmp_path)
    for share in (0.25, 0.5):
        target.set(target.get(), share)
        target.verify(share)
        assert target.get().share == share
    target.set(target.get(), 1.0)
    target.verify(1.0)
    for _ in range(2):
        target.finalize(ON_TRIAL, True, "")
    assert target.get() == Placement(
        0.0, "", "", target.get().mark, model="" if kind == "argo-rollouts" else "digits", stable=SHA
    )
    if kind == "kserve":
        assert "canaryTrafficPercent" not in of(server, kind)["spec"]["predictor"]
    server.used.clear()
    target.set(target.get(), 0.0)  # what is stable cannot be taken off
    assert [verb for _, _, verb in server.used] == ["get", "get"]


@BOTH
def test_a_share_between_two_hundredths_is_the_nearest_that_is_neither_none_nor_all(
    server: cluster.ApiServer, tmp_path: Path, kind: str
) -> None:
    target = put(server, kind, tmp_path, **({"weights": (5, 1, 99)} if kind == "argo-rollouts" else {}))
    for share, nearest in ((0.004, 0.01), (0.997, 0.99)):
        target.set(target.get(), share)
        target.verify(share)
        assert target.get().share == nearest


@pytest.mark.usefixtures("proxy_that_is_down")
def test_an_api_server_on_this_machine_is_not_asked_through_a_proxy(server: cluster.ApiServer, tmp_path: Path) -> None:
    assert put(server, "kserve", tmp_path).get().share == 0.05


@BOTH
def test_a_dry_run_asks_the_server_and_changes_nothing(server: cluster.ApiServer, tmp_path: Path, kind: str) -> None:
    target = put(server, kind, tmp_path)
    before = of(server, kind)
    one = Controlled(tmp_path, dry=True)
    one.controller.target = target
    one.prometheus.asks(attempt="1" if kind == "argo-rollouts" else "")
    one.tick()
    assert one.lines("dry run")[0].endswith("; the target would take it")
    assert of(server, kind) is before
    assert server.used[-1][2] == "patch"
    server.role = [{"apiGroups": [server.used[0][0]], "resources": [plural(kind)], "verbs": ["get"]}]
    assert isinstance(target, Rehearsing)
    with pytest.raises(EnvironmentFailed, match=r"forbidden: the API server refuses to patch (rollouts/status|infer)"):
        target.rehearse(target.get(), 0.0)
    one.end()


@BOTH
def test_who_writes_beside_us_loses_nothing(server: cluster.ApiServer, tmp_path: Path, kind: str) -> None:
    target = put(server, kind, tmp_path)
    seen = target.get()
    server.before_patch = [lambda: server.touch(plural(kind), "digits")]
    target.set(seen, 0.0)  # of no account: it is tried once more
    assert target.get().share == 0.0
    with pytest.raises(Moved, match="and was at"):
        target.set(seen, 0.25)
    target = put(server, kind, tmp_path)
    seen = target.get()
    other = cluster.rollout("b" * 64) if kind == "argo-rollouts" else cluster.inference_service("b" * 64)
    server.before_patch = [lambda: server.put(other)]
    with pytest.raises(Moved, match="b" * 64):
        target.set(seen, 0.0)


def test_who_never_stops_to_write_is_waited_for(server: cluster.ApiServer, tmp_path: Path) -> None:
    target = put(server, "kserve", tmp_path)
    seen = target.get()
    server.before_patch = [lambda: server.touch("inferenceservices", "digits")] * 3
    with pytest.raises(Moved, match="conflict: the API server refuses to patch inferenceservices: the object has been"):
        target.set(seen, 0.0)


JSON = "application/json"
FAULTS = {
    "unauthorized": (401, JSON, b'{"message": "Unauthorized"}', r"unauthorized: .* \(401: Unauthorized\)\n.*token"),
    "forbidden": (
        403,
        JSON,
        b'{"message": "no"}',
        r"forbidden: .* \(403: no\)\n.*Role of docs/monitors/kubernetes\.md",
    ),
    "not found": (404, JSON, b"{}", r"not found: there is nothing to get inferenceservices\n.*CustomResourceDef"),
    "conflict": (409, JSON, b'{"message": "old"}', r"conflict: the API server refuses to get inferenceservices: old"),
    "invalid": (422, JSON, b'{"message": "bad"}', r"invalid: .* \(422: bad\)\n.*another version"),
    "too many": (429, JSON, b"{}", r"busy: .* \(429\)\n.*tried again"),
    "a fault": (500, JSON, b'{"message": "etcd"}', r"busy: .* \(500: etcd\)"),
    "a proxy": (502, "text/html", b"<html>", r"busy: .* \(502\)"),
    "a proxy that says nothing": (503, "", b"", r"no answer to `get inferenceservices` that can be read: KeyError"),
    "somewhere else": (302, JSON, b"{}", r"no answer: .* \(302\)"),
    "no JSON": (200, JSON, b"<html>", r"no answer to `get inferenceservices` that can be read: DecodeError"),
    "no object": (200, JSON, b"[]", r"no answer to `get inferenceservices` that can be read"),
}


@pytest.mark.parametrize(("status", "content", "body", "said"), FAULTS.values(), ids=FAULTS)
def test_each_refusal_has_a_name(
    server: cluster.ApiServer, tmp_path: Path, status: int, content: str, body: bytes, said: str
) -> None:
    target = put(server, "kserve", tmp_path)
    server.fault = (status, content, body)
    with pytest.raises(EnvironmentFailed, match=rf"InferenceService shop/digits: {said}"):
        target.get()


def test_a_server_that_is_slow_or_not_there(
    server: cluster.ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kubernetes, "SECONDS", 0.05)
    target = put(server, "kserve", tmp_path)
    server.hangs = 0.3
    with pytest.raises(EnvironmentFailed, match="no answer to `get inferenceservices` within"):
        target.get()
    server.hangs = 0.0
    (tmp_path / "kubeconfig").write_text((tmp_path / "kubeconfig").read_text().replace(str(server.server_port), "1"))
    with pytest.raises(EnvironmentFailed, match="no answer to `get inferenceservices`: ConnectError"):
        kserve(tmp_path).get()


KUBECONFIGS = {
    "none": (None, "kubeconfig.*not found"),
    "no YAML": ("{", "the cluster is not known"),
    "an empty one": ("", "the cluster is not known: AttributeError"),
    "no clusters": ("{}", "the cluster is not known: KeyError"),
    "no context": ("{clusters: [], contexts: []}", "No current context set"),
    "no user": (
        "{clusters: [{name: c, cluster: {server: 'http://x'}}], current-context: a,"
        " contexts: [{name: a, context: {cluster: c}}]}",
        "the cluster is not known: AssertionError: Missing user",
    ),
}


@pytest.mark.parametrize(("text", "said"), KUBECONFIGS.values(), ids=KUBECONFIGS)
def test_a_cluster_that_is_not_known(tmp_path: Path, text: str | None, said: str) -> None:
    if text is not None:
        (tmp_path / "kubeconfig").write_text(text)
    with pytest.raises(UsageError, match=said):
        argo(tmp_path)


def test_a_context_that_is_not_there(server: cluster.ApiServer, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Context 'there' not found"):
        argo(tmp_path, context="there")
    assert argo(tmp_path, context="here", namespace="other").where == "Rollout other/digits"


def changed(rollout: cluster.Object, path: str, value: Any) -> cluster.Object:
    *into, last = path.split(".")
    at = rollout
    for key in into:
        at = at.setdefault(key, {})
    at[last] = value
    return rollout


UNREADABLE = {
    "blue and green": ("spec.strategy", {"blueGreen": {}}, "its strategy is not `canary`"),
    "a file that is not named": (
        "spec.template.metadata.annotations",
        {},
        r"it does not tell which file it serves\n.*`spec.template.metadata.annotations` with `makeweight/sha256`",
    ),
    "half a hash": ("spec.template.metadata.annotations", {"makeweight/sha256": "abc"}, "which file it serves"),
    "another's template": ("spec.template", None, r"which file it serves\n.*`metadata.annotations`"),
    "nothing deployed": ("status.stableRS", "", "Argo has not deployed anything stable of it yet"),
    "a controller that sleeps": ("status.observedGeneration", "0", "Argo's controller has not taken note of its last"),
}


@pytest.mark.parametrize(("path", "value", "said"), UNREADABLE.values(), ids=UNREADABLE)
def test_a_rollout_that_cannot_be_read(
    server: cluster.ApiServer, tmp_path: Path, path: str, value: Any, said: str
) -> None:
    told = changed(changed(cluster.rollout(SHA), "status.observedGeneration", "1"), path, value)
    if value is None:
        told["spec"] = {"strategy": told["spec"]["strategy"], "workloadRef": {}}
    server.put(told)
    with pytest.raises(EnvironmentFailed, match=said):
        argo(tmp_path).get()


def test_a_rollout_of_anothers_template_is_annotated_itself(server: cluster.ApiServer, tmp_path: Path) -> None:
    told = cluster.rollout(SHA)
    told["spec"] = {"strategy": told["spec"]["strategy"], "workloadRef": {}}
    told["metadata"]["annotations"] = {"makeweight/sha256": SHA, "makeweight/attempt": "0"}
    server.put(told, cluster.argo)
    assert (argo(tmp_path).get().sha256, argo(tmp_path).get().attempt) == (SHA, "")


def test_shares_that_argo_has_no_step_for(server: cluster.ApiServer, tmp_path: Path) -> None:
    target = put(server, "argo-rollouts", tmp_path)
    with pytest.raises(EnvironmentFailed, match=r"no step of it has `setWeight: 10`, .*; there is 5, 25, 50\n.*steps"):
        target.set(target.get(), 0.1)
    target.set(target.get(), 0.0)
    with pytest.raises(EnvironmentFailed, match="it was aborted, and is left so"):
        target.set(target.get(), 0.25)


def test_weights_that_are_not_hundredths(server: cluster.ApiServer, tmp_path: Path) -> None:
    told = cluster.rollout(SHA, weights=(50, 250))
    told["spec"]["strategy"]["canary"]["trafficRouting"]["maxTrafficWeight"] = 1000
    server.put(told, cluster.argo)
    target = argo(tmp_path)
    assert target.get().share == 0.05
    target.set(target.get(), 0.25)
    target.verify(0.25)


def test_without_a_router_argo_counts_in_pods(server: cluster.ApiServer, tmp_path: Path) -> None:
    told = cluster.rollout(SHA)
    del told["spec"]["strategy"]["canary"]["trafficRouting"]

    def pods(told: cluster.Object) -> None:
        cluster.argo(told)
        told["status"]["canary"] = {}

    server.put(told, pods)
    target = argo(tmp_path)
    for share in (0.05, 0.25, 0.0):
        target.set(target.get(), share)
        target.verify(share)


def test_what_argo_has_not_done_yet(server: cluster.ApiServer, tmp_path: Path) -> None:
    target = put(server, "argo-rollouts", tmp_path)

    def stuck(told: cluster.Object) -> None:
        told["status"]["observedGeneration"] = str(told["metadata"]["generation"])
        told["status"]["message"] = "waits for pods"

    server.controllers["rollouts", "digits"] = stuck
    target.set(target.get(), 0.25)
    said = r"shop/digits \(waits for pods\): the canary was to have 25.0% of the traffic, and has 5.0%"
    with pytest.raises(EnvironmentFailed, match=said):
        target.verify(0.25)
    target.set(target.get(), 0.25)  # it was told already
    target.set(target.get(), 0.0)
    with pytest.raises(EnvironmentFailed, match=r"was to have 0\.0% of the traffic, and has 5\.0%"):
        target.verify(0.0)
    told = of(server, "argo-rollouts")
    told["status"]["canary"]["weights"]["verified"] = False
    with pytest.raises(EnvironmentFailed, match="the router does not have the weights that Argo gave it"):
        target.verify(0.05)
    with pytest.raises(EnvironmentFailed, match="Argo has not made prod: digits r2 stable yet"):
        target.finalize(ON_TRIAL, True, "")


def test_what_has_settled_is_waited_for(
    server: cluster.ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kubernetes, "SETTLES", 5.0)
    target = put(server, "argo-rollouts", tmp_path)
    del server.controllers["rollouts", "digits"]
    target.set(target.get(), 0.0)
    server.controllers["rollouts", "digits"] = cluster.argo

    def later(_: float) -> None:
        server.touch("rollouts", "digits")

    monkeypatch.setattr(kubernetes.time, "sleep", later)
    target.verify(0.0)


KSERVE = {
    "a mode without revisions": (
        lambda told: changed(told, "status.deploymentMode", "Standard"),
        r"in the mode Standard, in which `canaryTrafficPercent` moves nothing",
    ),
    "a file that is not named": (
        lambda told: changed(told, "spec.predictor.annotations", {}),
        r"which file it serves\n.*`spec.predictor.annotations` with",
    ),
}


@pytest.mark.parametrize(("change", "said"), KSERVE.values(), ids=KSERVE)
def test_a_service_that_cannot_be_read(server: cluster.ApiServer, tmp_path: Path, change: Any, said: str) -> None:
    server.put(change(cluster.inference_service(SHA)), cluster.kserve)
    with pytest.raises(EnvironmentFailed, match=said):
        kserve(tmp_path).get()


SERVING = {
    "no split": ({"percent": None}, 0.0, ""),
    "a percentage before there is a canary": ({"latestRolledoutRevision": "digits-2"}, 0.0, ""),
    "a revision that is not ready": ({"percent": 20, "latestReadyRevision": "digits-1"}, 0.0, SHA),
    "all of it": ({"percent": 100}, 1.0, SHA),
}


@pytest.mark.parametrize(("given", "share", "sha256"), SERVING.values(), ids=SERVING)
def test_who_serves_in_kserve(
    server: cluster.ApiServer, tmp_path: Path, given: dict[str, Any], share: float, sha256: str
) -> None:
    seen = put(server, "kserve", tmp_path, **given).get()
    assert (seen.share, seen.sha256) == (share, sha256)


def test_a_first_revision_has_none_to_go_back_to(server: cluster.ApiServer, tmp_path: Path) -> None:
    target = put(server, "kserve", tmp_path, percent=100, latestRolledoutRevision="")
    server.objects["inferenceservices", "digits"]["status"]["components"]["predictor"]["latestRolledoutRevision"] = ""
    with pytest.raises(EnvironmentFailed, match="no revision of it ever had all of the traffic"):
        target.set(target.get(), 0.0)


def test_a_promotion_that_was_overtaken_is_told(server: cluster.ApiServer, tmp_path: Path) -> None:
    target = put(server, "kserve", tmp_path)
    with pytest.raises(EnvironmentFailed, match="prod: digits r2 does not have all of the traffic any more"):
        target.finalize(ON_TRIAL, True, "")


def test_a_service_that_is_not_ready_says_why(server: cluster.ApiServer, tmp_path: Path) -> None:
    target = put(server, "kserve", tmp_path)
    failed = {"type": "PredictorReady", "status": "False", "message": "no image"}
    of(server, "kserve")["status"]["conditions"] = [failed]
    with pytest.raises(EnvironmentFailed, match=r"shop/digits \(PredictorReady: no image\): the canary was to have"):
        target.verify(0.5)


def test_the_controller_rolls_a_rollout_back_and_leaves_it_to_people(server: cluster.ApiServer, tmp_path: Path) -> None:
    one = Controlled(tmp_path)
    one.controller.target = put(server, "argo-rollouts", tmp_path)
    one.prometheus.asks()
    one.tick()
    one.tick(later=11.0)
    assert (one.stages, of(server, "argo-rollouts")["status"]["abort"]) == (["rolled_back"], True)
    server.put(cluster.rollout(SHA))  # `kubectl argo rollouts retry`
    one.tick()
    assert one.controller.target.get().share == 0.05
    assert "somebody let it in again" in one.lines()[-1]
    one.end()


def test_who_promotes_by_hand_is_taken_note_of(server: cluster.ApiServer, tmp_path: Path) -> None:
    one = Controlled(tmp_path)
    one.controller.target = put(server, "argo-rollouts", tmp_path)
    one.tick()
    server.put(cluster.rollout(SHA, stableRS="new"))
    one.tick()
    assert (one.stages, one.lines()[-1]) == (["promoted"], "prod: digits r2 is promoted: it is stable now")
    one.end()


def test_what_was_made_stable_in_the_midst_of_a_rollback_has_failed(server: cluster.ApiServer, tmp_path: Path) -> None:
    one = Controlled(tmp_path)
    one.controller.target = put(server, "argo-rollouts", tmp_path)
    one.prometheus.asks()
    one.tick()
    server.put(cluster.rollout(SHA, stableRS="new"))
    one.tick(later=11.0)
    assert one.stages == ["failed"]
    assert "made stable by somebody else, and has all of the traffic" in one.lines()[-1]
    one.end()


def test_the_extra_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    found = registry.importlib.util.find_spec
    monkeypatch.setattr(registry.importlib.util, "find_spec", lambda name: None if name == "lightkube" else found(name))
    with pytest.raises(MissingExtra, match=r"target `kserve` needs `pip install 'makeweight\[kubernetes\]'`"):
        registry.ready("target", "kserve")
