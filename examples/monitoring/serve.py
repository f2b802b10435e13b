"""A small model server: it answers, counts what it answers, and may have a canary answer the same in its shadow.

    python -m examples.monitoring.serve --port 8500 --release '{"model": "digits", "variant": "stable", ...}'

`POST /predict` with `{"id": ..., "image": [64 numbers]}` is answered `{"id": ..., "class": ..., "variant": ...}`, and
`POST /labels` takes `[{"id": ..., "truth": ..., "slice": ...}, ...]`; `/metrics` has the counts. `POST /-/release` says
what it serves from now on (`Release`), and counts it afresh. What a proxy in front says of the canary's weight, in the
header `x-canary-weight`, is counted with each answer; a canary that has traffic of its own has none in the shadow.
"""

from __future__ import annotations

import argparse
import json
import signal
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import onnxruntime as ort
from prometheus_client import CollectorRegistry, generate_latest

from examples.monitoring.shadow import Request, Shadow
from makeweight_monitors.metrics import Variant
from makeweight_monitors.observe.observer import Observer
from makeweight_monitors.observe.pending import Pending
from makeweight_monitors.rollback.targets.haproxy import WHOLE


@dataclass(frozen=True)
class Release:
    """What a server serves, and as what."""

    model: str
    revision: str
    """The release on trial: both arms bear it."""
    variant: Variant
    artifact: Mapping[Variant, str]
    """By variant, the folder of a model and its manifest: the server's own, and a canary for its shadow, if any."""
    reference: Mapping[Variant, str]
    """By variant, reports/<variant>/reference.json."""
    slices: list[str] = field(default_factory=list)
    nan: float = 0.0
    """The share of the answers in the shadow that are NaN, as an overflow in half precision would make them."""


class Model:
    """An ONNX model on one thread: [1, ...] of the shape that it declares in, scores out."""

    def __init__(self, artifact: str) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = ort.InferenceSession(Path(artifact) / "model.onnx", options, providers=["CPUExecutionProvider"])
        (declared,) = self._session.get_inputs()
        self._name, self.shape = declared.name, [1, *declared.shape[1:]]

    def __call__(self, image: np.ndarray) -> tuple[list[float], float]:
        """The scores of one image, and the seconds they took."""
        began = time.perf_counter()
        (scores,) = self._session.run(None, {self._name: image.reshape(self.shape)})
        return scores[0].tolist(), time.perf_counter() - began


class Overflowing:
    """A model that answers some requests with NaN."""

    def __init__(self, model: Model, share: float) -> None:
        self._model, self._share = model, share
        self._random = np.random.default_rng(0)

    def __call__(self, image: np.ndarray) -> tuple[list[float], float]:
        scores, seconds = self._model(image)
        return ([float("nan")] * len(scores) if self._random.random() < self._share else scores), seconds


class Served:
    """A release with its models open and its counters at zero."""

    def __init__(self, release: Release) -> None:
        self.release = release
        self.registry = CollectorRegistry()
        self._model = Model(release.artifact[release.variant])
        beside: Variant | None = "canary" if release.variant == "stable" and "canary" in release.artifact else None
        self._observer = Observer(
            release.model,
            release.revision,
            release.variant,
            reference=release.reference,
            manifest={arm: Path(artifact) / "manifest.json" for arm, artifact in release.artifact.items()},
            slices=release.slices,
            labels=Pending(),
            shadow=beside is not None,
            environment="",
            registry=self.registry,
        )
        self._shadow = None
        if beside is not None:
            self._shadow = Shadow(Overflowing(Model(release.artifact[beside]), release.nan), self._observer)
        self._step, self._share = 0, 0.0
        self._stepping = threading.Lock()

    def answer(self, id: str | None, image: np.ndarray, share: float) -> int:
        """The class of one image; `share` of the requests go to the canary."""
        scores, seconds = self._model(image)
        if share != self._share:
            self._follow(share)
        if self._shadow is not None and not share:
            self._shadow.put(Request(id, image, scores, seconds))
        else:
            self._observer.record(scores, seconds, id=id)
        return int(np.argmax(scores))

    def label(self, labels: list[dict[str, str]]) -> None:
        ids, truths, slices = ([one[key] for one in labels] for key in ("id", "truth", "slice"))
        self._observer.label_many(ids, truths, slices)

    def close(self) -> None:
        if self._shadow is not None:
            self._shadow.close()

    def _follow(self, share: float) -> None:
        with self._stepping:
            if share != self._share:
                self._step, self._share = self._step + 1, share
                self._observer.follow(self._step, share if 0 < share < 1 else None)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # connections stay open
    disable_nagle_algorithm = True
    served: list[Served]
    """The one that serves now, for all requests to come."""

    def do_GET(self) -> None:
        if self.path == "/metrics":
            self._answer(200, generate_latest(self.served[0].registry), "text/plain; version=0.0.4")
        else:
            self._answer(200 if self.path == "/-/ready" else 404, b"")

    def do_POST(self) -> None:
        served = self.served[0]
        try:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            told: dict[str, object] = {}
            if self.path == "/predict":
                share = round(int(self.headers.get("x-canary-weight", 0)) / WHOLE, 2)
                found = served.answer(asked.get("id"), np.array(asked["image"], np.float32), share)
                told = {"id": asked.get("id"), "class": found, "variant": served.release.variant}
            elif self.path == "/labels":
                served.label(asked)
            else:
                self.served[0] = Served(Release(**asked))
                served.close()
        except Exception as error:  # noqa: BLE001 - whatever a client sent, the server goes on
            self._answer(400, json.dumps({"error": f"not understood: {error}"}).encode())
            return
        self._answer(200, json.dumps(told).encode())

    def _answer(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *values: object) -> None:
        """Nothing: a line for each request says nothing here."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, required=True, help="on 127.0.0.1")
    parser.add_argument("--release", type=json.loads, required=True, help="what it begins with, as JSON")
    options = parser.parse_args()
    served = [Served(Release(**options.release))]
    server = ThreadingHTTPServer(("127.0.0.1", options.port), type("OwnHandler", (Handler,), {"served": served}))
    server.daemon_threads = True
    signal.signal(signal.SIGTERM, _interrupted)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        server.server_close()
        served[0].close()


def _interrupted(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
