"""The canary's traffic, given and taken by the real HAProxy, while clients keep asking."""

from __future__ import annotations

import collections
import contextlib
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests

from examples.monitoring import package
from lacking import lacking
from makeweight_base.errors import EnvironmentFailed
from makeweight_monitors import program
from makeweight_monitors.rollback.targets.haproxy import HaproxyOptions, HaproxyTarget
from makeweight_monitors.rollback.targets.target import Moved

BUILD = Path(__file__).resolve().parents[3] / "build" / "haproxy"
CONFIG = """
global
  stats socket {folder}/admin.sock mode 600 level admin
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
frontend front
  bind 127.0.0.1:{port}
  default_backend models
backend models
  balance roundrobin
  server stable 127.0.0.1:{stable} weight 243
  server canary 127.0.0.1:{canary} weight 13
"""


class Answer(BaseHTTPRequestHandler):
    """Who answers."""

    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16  # head and body go out as one

    def do_GET(self) -> None:
        body = str(self.server.server_address[1]).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def answering() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def haproxy() -> list[str]:
    try:
        return package.haproxy(BUILD)
    except EnvironmentFailed as error:
        lacking(str(error))


def test_shares_of_a_real_haproxy(haproxy: list[str], tmp_path: Path) -> None:
    port, config = program.free_port(), tmp_path / "haproxy.cfg"
    with answering() as stable, answering() as canary:
        config.write_text(CONFIG.format(folder=tmp_path, port=port, stable=stable, canary=canary))
        address = f"http://127.0.0.1:{port}/"
        with program.running("HAProxy", [*haproxy, "-f", str(config)], address, tmp_path / "log"):
            target = HaproxyTarget(HaproxyOptions(socket="admin.sock", backend="models"), tmp_path)
            first = target.get()
            with requests.Session() as client:
                for share, times in ((0.5, 50), (1.0, 100), (0.25, 25), (0.0, 0)):
                    target.set(target.get(), share)
                    target.verify(share)
                    answers = collections.Counter(client.get(address, timeout=30).text for _ in range(100))
                    assert answers[str(canary)] == pytest.approx(times, abs=1)
                    assert sum(answers.values()) == answers[str(canary)] + answers[str(stable)]
            with pytest.raises(Moved, match=f"are 0:256 by now, and were {first.mark}"):
                target.set(first, 0.5)
            for names, said in (({"backend": "none"}, "No such backend"), ({"canary": "none"}, "No such server")):
                options = HaproxyOptions(**{"socket": "admin.sock", "backend": "models"} | names)
                with pytest.raises(EnvironmentFailed, match=said):
                    HaproxyTarget(options, tmp_path).get()
    assert first.share == first.configured == pytest.approx(0.05, abs=0.001)
    assert first.began is not None
    assert abs(time.time() - first.began) < 600
