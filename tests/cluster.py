"""A double of a Kubernetes API server: objects with resource versions, merge patches, status as a resource of its own,
dry runs, roles. What is sent is validated against `cluster_schemas.yaml`; unknown fields are refused, as with strict
field validation. Controllers are functions of the object, called after each change.

    with cluster.running() as server:
        server.put({"apiVersion": …, "kind": "Rollout", …}, controller=cluster.argo)
        server.kubeconfig(folder / "kubeconfig")

Sources: kubernetes.io/docs/reference/using-api/api-concepts; RFC 7396; what a controller does: Argo Rollouts
rollout/{canary,trafficrouting}.go, KServe reconcilers/knative/ksvc_reconciler.go and inference_service_status.go.
"""

from __future__ import annotations

import contextlib
import copy
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jsonschema
import yaml

SCHEMAS = yaml.load((Path(__file__).parent / "cluster_schemas.yaml").read_text(), yaml.CSafeLoader)
TOKEN = "who may ask"  # noqa: S105
Object = dict[str, Any]
Controller = Callable[[Object], None]
Used = tuple[str, str, str]
"""Group, resource (with its part) and verb."""


def problems(told: Mapping[str, Any], whole: bool = True) -> list[str]:
    """What is wrong with an object, or with a merge patch of one (`whole` is false)."""
    kinds = {schema["kind"]: schema for name, schema in SCHEMAS.items() if name != "$defs"}
    schema = kinds[told["kind"]]
    parts = {"spec": schema["spec"]} | ({"status": schema["status"]} if schema["status"] else {})
    written = {
        "$defs": SCHEMAS["$defs"],
        "type": "object",
        "additionalProperties": False,
        "required": ["apiVersion", "kind", "metadata", *(schema["required"] if whole else ())],
        "properties": {
            "apiVersion": {"const": schema["apiVersion"]},
            "kind": {"const": schema["kind"]},
            "metadata": {"$ref": "#/$defs/metadata"},
            **parts,
        },
    }
    found = jsonschema.Draft202012Validator(written).iter_errors(told)
    return [f"{error.json_path}: {error.message}" for error in found]


class ApiServer(HTTPServer):
    """Of one namespace, `shop`."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], Object] = {}
        self.controllers: dict[tuple[str, str], Controller] = {}
        self.used: list[Used] = []
        self.managers: set[str] = set()
        self.role: list[Mapping[str, Any]] | None = None
        """Rules; None: everybody may do everything."""
        self.fault: tuple[int, str, bytes] | None = None
        """Status, content type and body of every answer; None: as it should be."""
        self.hangs = 0.0
        """Seconds."""
        self.before_patch: list[Callable[[], None]] = []
        """What others do just before a patch: one of these each time."""
        self._version = 100
        super().__init__(("127.0.0.1", 0), _Request)

    def put(self, told: Object, controller: Controller | None = None) -> None:
        """As somebody else applies it."""
        told = copy.deepcopy(told)
        told["metadata"] |= {"namespace": "shop", "generation": 1}
        key = (_plural(told["kind"]), told["metadata"]["name"])
        if key in self.objects:
            told["metadata"]["generation"] = self.objects[key]["metadata"]["generation"] + 1
            if "status" in self.objects[key]:
                told.setdefault("status", self.objects[key]["status"])
        if controller is not None:
            self.controllers[key] = controller
        self.store(key, told)

    def store(self, key: tuple[str, str], told: Object) -> None:
        if key in self.controllers:
            self.controllers[key](told)
        wrong = problems(told)
        assert not wrong, wrong
        self._version += 1
        told["metadata"]["resourceVersion"] = str(self._version)
        self.objects[key] = told

    def touch(self, plural: str, name: str) -> None:
        """Somebody writes what is of no account here."""
        self.store((plural, name), copy.deepcopy(self.objects[plural, name]))

    def kubeconfig(self, path: Path) -> Path:
        one = {"cluster": "c", "user": "u", "namespace": "shop"}
        path.write_text(
            json.dumps(
                {
                    "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{self.server_port}"}}],
                    "users": [{"name": "u", "user": {"token": TOKEN}}],
                    "contexts": [{"name": "here", "context": one}],
                    "current-context": "here",
                }
            )
        )
        return path

    def reset(self) -> None:
        self.objects, self.controllers, self.used, self.managers = {}, {}, [], set()
        self.role, self.fault, self.hangs, self.before_patch = None, None, 0.0, []


class _Request(BaseHTTPRequestHandler):
    server: ApiServer

    def do_GET(self) -> None:
        self._answer("get")

    def do_PATCH(self) -> None:
        self._answer("patch")

    def do_POST(self) -> None:
        self._answer("create")

    def _answer(self, verb: str) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        time.sleep(self.server.hangs)
        if self.server.fault is not None:
            return self._send(*self.server.fault)
        try:
            status, told = self._done(verb, json.loads(body) if body else {})
        except _Refused as refused:
            status, told = refused.status, {"kind": "Status", "message": str(refused), "code": refused.status}
        return self._send(status, "application/json", json.dumps(told).encode())

    def _done(self, verb: str, sent: Object) -> tuple[int, Object]:
        url = urlsplit(self.path)
        asked = {key: values[0] for key, values in parse_qs(url.query).items()}
        _, api, group, version, _, namespace, plural, *rest = url.path.split("/")
        name, part = [*rest, "", ""][:2]
        if self.headers.get("authorization") != f"Bearer {TOKEN}":
            raise _Refused(401, "Unauthorized")
        resource = f"{plural}/{part}" if part else plural
        self.server.used.append((group, resource, verb))
        if self.server.role is not None and not any(_lets(rule, group, resource, verb) for rule in self.server.role):
            raise _Refused(403, f'{plural}.{group} is forbidden: cannot {verb} resource "{resource}"')
        schema = SCHEMAS.get(plural)
        if (api, namespace) != ("apis", "shop") or schema is None or schema["apiVersion"] != f"{group}/{version}":
            raise _Refused(404, "the server could not find the requested resource")
        if verb != "get":
            assert asked.get("fieldManager"), "a change without a field manager"
            self.server.managers.add(asked["fieldManager"])
        dry = asked.get("dryRun") == "All"
        if verb == "create":
            return 201, self._created(plural, sent, dry)
        found = self.server.objects.get((plural, name))
        if found is None or (part and not (part == "status" and schema["status"])):
            raise _Refused(404, f'{plural}.{group} "{name}" not found')
        if verb == "get":
            return 200, found
        if self.headers["content-type"] != "application/merge-patch+json":
            raise _Refused(415, "the body is of a type that is not known")
        if self.server.before_patch:
            self.server.before_patch.pop()()
        return 200, self._patched((plural, name), sent, part, dry)

    def _created(self, plural: str, sent: Object, dry: bool) -> Object:
        key = (plural, sent["metadata"]["name"])
        if key in self.server.objects:
            raise _Refused(409, f'{plural} "{key[1]}" already exists')
        sent["metadata"] |= {"namespace": "shop", "generation": 1}
        if wrong := problems(sent):
            raise _Refused(422, "; ".join(wrong))
        if not dry:
            self.server.store(key, sent)
        return sent

    def _patched(self, key: tuple[str, str], sent: Object, part: str, dry: bool) -> Object:
        found = self.server.objects[key]
        kind = {"apiVersion": found["apiVersion"], "kind": found["kind"]}
        if wrong := problems({"metadata": {}, **_without_none(sent), **kind}, whole=False):
            raise _Refused(422, "; ".join(wrong))
        version = sent.get("metadata", {}).get("resourceVersion")
        if version is not None and version != found["metadata"]["resourceVersion"]:
            raise _Refused(409, "the object has been modified; please apply your changes to the latest version")
        taken = {"status": sent.get("status", {})} if part else {k: v for k, v in sent.items() if k != "status"}
        merged = _merged(copy.deepcopy(found), taken)
        if wrong := problems(merged):
            raise _Refused(422, "; ".join(wrong))
        if merged["spec"] != found["spec"]:
            merged["metadata"]["generation"] += 1
        if not dry:
            self.server.store(key, merged)
        return merged

    def _send(self, status: int, kind: str, body: bytes) -> None:
        with contextlib.suppress(OSError):  # who asked may be gone
            self.send_response(status)
            if kind:
                self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class _Refused(Exception):
    def __init__(self, status: int, said: str) -> None:
        super().__init__(said)
        self.status = status


def _lets(rule: Mapping[str, Any], group: str, resource: str, verb: str) -> bool:
    return group in rule["apiGroups"] and resource in rule["resources"] and verb in rule["verbs"]


def _merged(target: Any, patch: Any) -> Any:
    """RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    target = target if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        else:
            target[key] = _merged(target.get(key), value)
    return target


def _without_none(told: Any) -> Any:
    if isinstance(told, dict):
        return {key: _without_none(value) for key, value in told.items() if value is not None}
    return told


def _plural(kind: str) -> str:
    return next(name for name, schema in SCHEMAS.items() if schema.get("kind") == kind)


@contextlib.contextmanager
def running() -> Iterator[ApiServer]:
    """A server on a free port of loopback."""
    server = ApiServer()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def rollout(sha256: str, weights: tuple[int, ...] = (5, 25, 50), **status: Any) -> Object:
    """A Rollout at its first weight, between two Services that a router tells apart."""
    steps = [step for weight in weights for step in ({"setWeight": weight}, {"pause": {}})]
    annotations = {"makeweight/sha256": sha256, "makeweight/attempt": "1", "makeweight/revision": "r2"}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": "digits"},
        "spec": {
            "strategy": {"canary": {"steps": steps, "trafficRouting": {"nginx": {}}}},
            "template": {"metadata": {"annotations": annotations}},
        },
        "status": {"currentPodHash": "new", "stableRS": "old", "currentStepIndex": 0, **status},
    }


def argo(told: Object) -> None:
    """What Argo's controller comes to, at once."""
    status, steps = told["status"], told["spec"]["strategy"]["canary"]["steps"]
    status["observedGeneration"] = str(told["metadata"]["generation"])
    index, weight = status.get("currentStepIndex", 0), 0
    if status["currentPodHash"] == status["stableRS"]:
        index = len(steps)
    elif status.get("abort"):
        index, status["message"] = 0, "RolloutAborted: Rollout aborted update"
    elif index >= len(steps):
        status["stableRS"] = status["currentPodHash"]
    else:
        if "setWeight" in steps[index]:
            index += 1
        weight = next(step["setWeight"] for step in reversed(steps[:index]) if "setWeight" in step)
        status["pauseConditions"] = [{"reason": "CanaryPauseStep", "startTime": "2030-01-01T00:00:00Z"}]
        status["controllerPause"] = True
    status["currentStepIndex"] = index
    status["canary"] = {"weights": {"canary": {"weight": weight}, "stable": {"weight": 100 - weight}}}


def inference_service(sha256: str, percent: int | None = 5, **component: Any) -> Object:
    """One whose second revision is on trial."""
    predictor: Object = {"annotations": {"makeweight/sha256": sha256, "makeweight/model": "digits"}}
    if percent is not None:
        predictor["canaryTrafficPercent"] = percent
    revisions = {"latestCreatedRevision": "digits-2", "latestReadyRevision": "digits-2"}
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": "digits"},
        "spec": {"predictor": predictor},
        "status": {
            "deploymentMode": "Knative",
            "components": {"predictor": {**revisions, "latestRolledoutRevision": "digits-1", **component}},
        },
    }


def kserve(told: Object) -> None:
    """What KServe's controller comes to, with Knative's, at once."""
    component = told["status"]["components"]["predictor"]
    newest, full = component["latestReadyRevision"], component.get("latestRolledoutRevision", "")
    percent = told["spec"]["predictor"].get("canaryTrafficPercent")
    if percent is None or not full:
        percent = 100
    component["traffic"] = [{"latestRevision": True, "revisionName": newest, "percent": percent}]
    if percent < 100:
        rest = {"latestRevision": False, "revisionName": full, "percent": 100 - percent, "tag": "prev"}
        component["traffic"].append(rest)
    elif full != newest:
        component |= {"previousRolledoutRevision": full, "latestRolledoutRevision": newest}
