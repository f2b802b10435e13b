"""An observer inside real servers: gunicorn's workers behind one scrape, uvicorn, ONNX Runtime, and Prometheus."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from wsgiref.simple_server import WSGIRequestHandler, make_server

import numpy as np
import pytest
import requests
from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.parser import text_string_to_metric_families as parse

import prometheus
from makeweight_monitors import metrics, program
from makeweight_monitors.observe.observer import Observer
from makeweight_monitors.observe.onnx_session import watch
from makeweight_monitors.prometheus import throwaway

WSGI = """
import json, os
from prometheus_client import CollectorRegistry, make_wsgi_app
from makeweight_monitors.observe.middleware.exchange import json_fields
from makeweight_monitors.observe.middleware.wsgi import ObserverMiddleware
from makeweight_monitors.observe.observer import Observer

registry = CollectorRegistry()
observer = Observer(
    "digits", "r1", "canary", classes=["cat", "dog"], registry=registry,
    shared=os.environ["MAKEWEIGHT_SHARED"], labels="labels.sqlite",
)
metrics = make_wsgi_app(registry)

def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/metrics":
        return metrics(environ, start_response)
    if path.startswith("/label/"):
        answer = {"result": observer.label(path.split("/")[2], "dog")}
    else:
        answer = {"scores": [0.0, 5.0], "pid": os.getpid()}
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(answer).encode()]

app = ObserverMiddleware(application, observer, json_fields(scores="scores"), paths=["/predict"])
"""

ASGI = """
import json
from prometheus_client import CollectorRegistry, make_asgi_app
from makeweight_monitors.observe.middleware.asgi import ObserverMiddleware
from makeweight_monitors.observe.middleware.exchange import json_fields
from makeweight_monitors.observe.observer import Observer

registry = CollectorRegistry()
observer = Observer("digits", "r1", "canary", classes=["cat", "dog"], registry=registry)
metrics = make_asgi_app(registry)

async def application(scope, receive, send):
    if scope["path"] == "/metrics":
        await metrics(scope, receive, send)
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps({"scores": [[0.0, 5.0], [5.0, 0.0]]}).encode()})

app = ObserverMiddleware(application, observer, json_fields(scores="scores"), paths=["/predict"])
"""


@contextlib.contextmanager
def serving(folder: Path, app: str, *command: str) -> Iterator[str]:
    """A server of `app` as a process of its own; its address."""
    (folder / "served.py").write_text(app)
    port = program.free_port()
    log = (folder / "server.log").open("wb")
    environment = {name: value for name, value in os.environ.items() if name != "MAKEWEIGHT_SHARED"}
    process = subprocess.Popen(
        [sys.executable, "-m", *(part.format(port=port) for part in command)],
        cwd=folder,
        env=environment,
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    address = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        assert process.poll() is None, (folder / "server.log").read_text()
        with contextlib.suppress(requests.ConnectionError):
            return requests.get(f"{address}/metrics", timeout=5).ok
        return False

    try:
        prometheus.until(answers)
        yield address
    finally:
        process.terminate()
        process.wait(30)
        log.close()


def counts(address: str, name: str, label: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for family in parse(requests.get(f"{address}/metrics", timeout=10).text):
        for sample in family.samples:
            if sample.name == f"makeweight_{name}":
                found[sample.labels[label]] = found.get(sample.labels[label], 0) + sample.value
    return found


@pytest.mark.parametrize("preload", [False, True], ids=["each worker loads", "preloaded"])
def test_gunicorn_workers_are_counted_together_and_so_are_those_that_were_killed(tmp_path: Path, preload: bool) -> None:
    (tmp_path / "gunicorn.conf.py").write_text(
        f"from makeweight_monitors.observe import prefork\nprefork.fresh()\nworkers = 3\npreload_app = {preload}\n"
    )
    command = ("gunicorn", "--bind", "127.0.0.1:{port}", "--no-control-socket", "served:app")
    with serving(tmp_path, WSGI, *command) as address:

        def ask(number: int) -> int:
            headers = {"X-Request-Id": f"id-{number}"}
            answer = requests.get(f"{address}/predict", headers=headers, timeout=30).json()
            return int(answer["pid"])

        with ThreadPoolExecutor(6) as pool:
            workers = list(pool.map(ask, range(120)))
        assert len(set(workers)) > 1
        # an answer is counted once it has been sent, so a moment after it is there
        prometheus.until(lambda: counts(address, "predictions_total", "variant") == {"canary": 120})
        boots = counts(address, "observer_start_time_seconds", "boot").keys()
        killed = max(set(workers), key=workers.count)
        os.kill(killed, signal.SIGKILL)

        def ask_again(number: int) -> int | None:
            with contextlib.suppress(requests.ConnectionError):
                return ask(number)
            return None  # the connection was the killed worker's

        with ThreadPoolExecutor(6) as pool:
            again = [pid for pid in pool.map(ask_again, range(120, 240)) if pid is not None]
        assert killed not in again
        expected = {"cat": 0, "dog": 120 + len(again)}
        prometheus.until(lambda: counts(address, "predicted_class_total", "class") == expected)
        for _ in range(5):
            assert counts(address, "predicted_class_total", "class") == expected, "whichever worker is asked"
        assert counts(address, "observer_start_time_seconds", "boot").keys() == boots

        def label(number: int) -> str:
            return str(requests.get(f"{address}/label/id-{number}", timeout=30).json()["result"])

        with ThreadPoolExecutor(4) as pool:
            assert set(pool.map(label, range(200, 220))) <= {"matched", "unknown"}
            prometheus.until(lambda: counts(address, "labels_pending", "variant")["canary"] > 0)
        shared = [name for name in Path("/dev/shm").glob("makeweight-*") if list(name.glob(f"{killed}-*"))]
        assert not shared, "the killed worker's file was taken over"


def test_uvicorn(tmp_path: Path) -> None:
    with serving(tmp_path, ASGI, "uvicorn", "--port", "{port}", "served:app") as address:
        for _ in range(5):
            assert len(requests.get(f"{address}/predict", timeout=10).json()["scores"]) == 2
        prometheus.until(lambda: counts(address, "predicted_class_total", "class") == {"cat": 5, "dog": 5})
        assert counts(address, "latency_seconds_count", "variant") == {"canary": 10}


def test_a_session_of_onnx_runtime(tmp_path: Path) -> None:
    import onnx
    import onnxruntime

    made = onnx.helper.make_model(
        onnx.helper.make_graph(
            [onnx.helper.make_node("MatMul", ["x", "w"], ["scores"])],
            "net",
            [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", 3])],
            [onnx.helper.make_tensor_value_info("scores", onnx.TensorProto.FLOAT, ["n", 3])],
            [onnx.numpy_helper.from_array(np.eye(3, dtype=np.float32) * 9, "w")],
        ),
        opset_imports=[onnx.helper.make_opsetid("", 17)],
        ir_version=9,
    )
    registry = CollectorRegistry()
    observer = Observer("net", "r1", "stable", classes=["a", "b", "c"], scores="softmax", registry=registry)
    session = watch(onnxruntime.InferenceSession(made.SerializeToString()), observer)
    outputs = session.run(None, {"x": np.eye(3, dtype=np.float32)[[0, 1, 1]]})
    assert outputs[0].shape == (3, 3)
    assert session.get_inputs()[0].name == "x"
    found = {sample.labels["class"]: sample.value for family in registry.collect() for sample in family.samples
             if sample.name == "makeweight_predicted_class_total"}  # fmt: skip
    assert found == {"a": 1, "b": 2, "c": 0}


class Silent(WSGIRequestHandler):
    def log_message(self, *_: object) -> None: ...


def test_prometheus_scrapes_and_sums_over_a_replica_that_started_again(tmp_path: Path) -> None:
    """Exact over restarts: no series ever falls, a new process is a new series."""
    programs = prometheus.install()
    registries = [CollectorRegistry()]
    server = make_server("127.0.0.1", 0, lambda *asked: make_wsgi_app(registries[-1])(*asked), handler_class=Silent)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    exact = f"sum(max by (boot) (last_over_time({metrics.PREDICTIONS.series}[1h])))"
    try:
        targets = {"model": [f"127.0.0.1:{server.server_port}"]}
        with throwaway.running(programs, tmp_path / "prometheus", targets=targets, scrape="200ms") as client:
            for more, total in ((3, 3), (4, 7)):
                observer = Observer("digits", "r1", "canary", classes=["cat", "dog"], registry=registries[-1])
                observer.record(predictions=[0] * more)
                prometheus.until(lambda wanted=total: [s.value for s in client.query(exact)] == [wanted])
                registries.append(CollectorRegistry())
            (target,) = client.targets()
            assert target["health"] == "up", json.dumps(target)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
