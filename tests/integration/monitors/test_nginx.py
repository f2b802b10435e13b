"""The canary's traffic, given and taken by the real nginx, while clients keep asking."""

from __future__ import annotations

import collections
import contextlib
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import requests

from examples.monitoring import package
from lacking import lacking
from makeweight_base.errors import EnvironmentFailed
from makeweight_monitors import program
from makeweight_monitors.rollback.targets.nginx import NginxOptions, NginxTarget
from makeweight_monitors.rollback.targets.target import Moved

BUILD = Path(__file__).resolve().parents[3] / "build" / "nginx"
CONFIG = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
worker_processes 2;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  include {folder}/models.conf;
  server {{
    listen 127.0.0.1:{port};
    location / {{ return 200 $model; }}
    location /slow {{ proxy_pass http://127.0.0.1:{slow}; }}
  }}
}}
"""
BLOCK = "split_clients $arg_user $model {\n    5% canary;\n    * stable;\n}\n"
USERS = range(60)


class Slow(BaseHTTPRequestHandler):
    """Answers when it is let."""

    came, goes = threading.Event(), threading.Event()

    def do_GET(self) -> None:
        self.came.set()
        self.goes.wait(60)
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@dataclass
class Served:
    """A nginx that runs."""

    target: NginxTarget
    address: str

    def arms(self) -> dict[int, str]:
        """Who answers whom."""
        with requests.Session() as client:
            return {user: client.get(f"{self.address}?user={user}", timeout=30).text for user in USERS}

    def share(self) -> float:
        return collections.Counter(self.arms().values())["canary"] / len(USERS)


@pytest.fixture(scope="module")
def nginx() -> Path:
    if (found := shutil.which("nginx")) is not None:
        return Path(found)
    try:
        return package.unpacked(BUILD, "usr/sbin/nginx", "nginx")
    except EnvironmentFailed as error:
        lacking(str(error))


@pytest.fixture(scope="module")
def served(nginx: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder, port = tmp_path_factory.mktemp("nginx"), program.free_port()
    with HTTPServer(("127.0.0.1", 0), Slow) as slow:
        threading.Thread(target=slow.handle_request, daemon=True).start()
        config = folder / "nginx.conf"
        config.write_text(CONFIG.format(folder=folder, port=port, slow=slow.server_port))
        (folder / "models.conf").write_text(BLOCK)
        command = (str(nginx), "-c", str(config), "-p", str(folder))
        options = NginxOptions(include="models.conf", command=command, pid="nginx.pid")
        address = f"http://127.0.0.1:{port}/"
        with program.running("nginx", command, address, folder / "log"):
            yield Served(NginxTarget(options, folder), address)


@contextlib.contextmanager
def asking(address: str) -> Iterator[list[str]]:
    """A client that asks without end, by a connection of its own each time; what it was answered."""
    answers: list[str] = []
    over = threading.Event()

    def ask() -> None:
        while not over.wait(0.005):
            try:
                answer = requests.get(f"{address}?user={len(answers)}", timeout=30)
                answers.append(answer.text if answer.status_code == 200 else str(answer.status_code))
            except requests.RequestException as error:
                answers.append(type(error).__name__)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield answers
    finally:
        over.set()
        thread.join()


def test_shares_of_a_real_nginx_and_no_request_lost(served: Served) -> None:
    target, before = served.target, served.arms()
    assert target.get().share == 0.05
    slow: list[int] = []
    in_flight = threading.Thread(
        target=lambda: slow.append(requests.get(f"{served.address}slow", timeout=60).status_code)
    )
    in_flight.start()
    assert Slow.came.wait(30)
    with asking(served.address) as answers:
        for share in (0.5, 1.0, 0.25, 0.0):
            began = len(answers)
            target.set(target.get(), share)
            target.verify(share)
            # in force at once: nobody is answered by what was before
            assert served.share() == pytest.approx(share, abs=0.12)
            if share == 0.5:
                kept = {user for user, arm in served.arms().items() if arm == "canary"}
                assert {user for user, arm in before.items() if arm == "canary"} < kept
            assert len(answers) > began
    assert set(answers) == {"canary", "stable"}
    assert slow == []  # it was taken before four reloads, and its worker waits for it
    Slow.goes.set()
    in_flight.join()
    assert slow == [200]


def test_a_change_by_somebody_else_and_one_that_nginx_refuses(served: Served) -> None:
    target, seen = served.target, served.target.get()
    theirs = BLOCK.replace("5%", "7%")
    target.include.write_text(theirs)
    with pytest.raises(Moved, match="were changed since they were seen"):
        target.set(seen, 0.5)
    assert target.include.read_text() == theirs
    target.include.write_text(broken := f"{theirs}nonsense;\n")
    with pytest.raises(EnvironmentFailed, match=r"-t -q` refuses: .*unknown directive \"nonsense\""):
        target.set(target.get(), 0.5)
    assert target.include.read_text() == broken
    assert not target.kept.exists()
    target.include.write_text(theirs)
    target.set(target.get(), 0.0)
    assert served.share() == 0.0


@pytest.mark.parametrize("command", ["-t", "-s"], ids=["before it is tried", "before nginx is told"])
def test_killed_on_the_way_what_is_written_is_not_taken_for_what_is_in_force(
    served: Served, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    target = served.target
    target.set(target.get(), 0.5)
    whole = NginxTarget._run

    def killed(self: NginxTarget, *more: str) -> None:
        if more[0] == command:
            raise KeyboardInterrupt
        whole(self, *more)

    with monkeypatch.context() as patched:
        patched.setattr(NginxTarget, "_run", killed)
        with pytest.raises(KeyboardInterrupt):
            target.set(target.get(), 0.0)
    assert "* stable;" in target.include.read_text()
    assert "%" not in target.include.read_text()
    assert target.get().share == 0.5  # by the workers, as it is
    assert served.share() == pytest.approx(0.5, abs=0.12)
    with pytest.raises(EnvironmentFailed, match=r"was to have 0.0% of the traffic, and has 50.0%"):
        target.verify(0.0)
    target.set(target.get(), 0.0)
    target.verify(0.0)
    assert served.share() == 0.0


def test_a_reload_by_somebody_else_puts_in_force_what_was_begun(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = served.target
    target.set(target.get(), 0.5)
    with monkeypatch.context() as patched:
        patched.setattr(NginxTarget, "_run", lambda *_: None)  # told, and it does not take it
        patched.setattr("makeweight_monitors.rollback.targets.nginx._TAKEN_WITHIN", 0.05)
        with pytest.raises(EnvironmentFailed, match="workers that were there before still serve"):
            target.set(target.get(), 1.0)
    assert target.get().share == 0.5
    target._run("-s", "reload")
    for _ in range(1000):
        if target.get().share == 1.0:
            break
        threading.Event().wait(0.01)
    assert served.share() == 1.0
