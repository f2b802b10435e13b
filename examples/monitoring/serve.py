"""A small model server: the stable model answers, the canary answers the same in its shadow.

    python -m examples.monitoring.serve --stable artifacts/baseline --canary artifacts/int8 --events http://...

`POST /predict` with `{"id": ..., "image": [64 numbers]}` is answered `{"id": ..., "class": ...}`, and `GET /-/ready` as
soon as both models are open. `POST /-/canary` with `{"revision": ..., "nan": 0.2}` begins the trial of another canary,
which answers so many requests with NaN: a fault to be found. What the canary does, and whether anybody counts it, never
delays an answer: shadow.py.
"""

from __future__ import annotations

import argparse
import json
import signal
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import onnxruntime as ort

from examples.monitoring.shadow import REVISION, Request, Shadow


class Model:
    """An ONNX model on one thread: [1, ...] of the shape that it declares in, scores out."""

    def __init__(self, artifact: Path) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = ort.InferenceSession(artifact / "model.onnx", options, providers=["CPUExecutionProvider"])
        (declared,) = self._session.get_inputs()
        self._name, self.shape = declared.name, [1, *declared.shape[1:]]

    def __call__(self, image: np.ndarray) -> tuple[list[float], float]:
        """The scores of one image, and the seconds they took."""
        began = time.perf_counter()
        (scores,) = self._session.run(None, {self._name: image.reshape(self.shape)})
        return scores[0].tolist(), time.perf_counter() - began


class Canary:
    """A model that may be made to answer NaN, as an overflow in half precision would."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._random = np.random.default_rng(0)
        self.revision = REVISION
        self.nan = 0.0
        """The share of its answers that are NaN."""

    def __call__(self, image: np.ndarray) -> tuple[list[float], float]:
        scores, seconds = self._model(image)
        return ([float("nan")] * len(scores) if self._random.random() < self.nan else scores), seconds


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # connections stay open
    disable_nagle_algorithm = True
    stable: Model
    canary: Canary
    shadow: Shadow

    def do_GET(self) -> None:
        self._answer(200 if self.path == "/-/ready" else 404, {})

    def do_POST(self) -> None:
        try:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            if self.path == "/-/canary":
                self.canary.revision, self.canary.nan = str(asked["revision"]), float(asked["nan"])
                self._answer(200, {})
                return
            image = np.array(asked["image"], np.float32)
            scores, seconds = self.stable(image)
        except Exception as error:  # noqa: BLE001 - whatever a client sent, the server goes on
            self._answer(400, {"error": f"not understood: {error}"})
            return
        self._answer(200, {"id": asked.get("id"), "class": int(np.argmax(scores))})
        self.shadow.put(Request(asked.get("id"), image, scores, seconds, self.canary.revision))

    def _answer(self, status: int, content: dict[str, object]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *values: object) -> None:
        """Nothing: a line for each request says nothing here."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, required=True, help="on 127.0.0.1")
    parser.add_argument("--stable", type=Path, required=True, help="the artifact's folder")
    parser.add_argument("--canary", type=Path, required=True)
    parser.add_argument("--events", required=True, help="where the exporter takes events")
    options = parser.parse_args()
    canary = Canary(Model(options.canary))
    shadow = Shadow(canary, options.events)
    handler = type("OwnHandler", (Handler,), {"stable": Model(options.stable), "canary": canary, "shadow": shadow})
    server = ThreadingHTTPServer(("127.0.0.1", options.port), handler)
    server.daemon_threads = True
    signal.signal(signal.SIGTERM, _interrupted)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        server.server_close()
        shadow.close()
        print(
            f"{shadow.told} pairs told, {shadow.failed} with a canary that failed and {shadow.lost} that it had no "
            f"time for among them; {shadow.untold} that nobody took"
        )


def _interrupted(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
