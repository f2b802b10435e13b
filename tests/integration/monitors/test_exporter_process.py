"""The exporter as a process: ended, killed, started again, attacked, and on a full disk, it counts what it accepted."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import resource
import signal
import socket
import sqlite3
import subprocess
import threading
import time
from pathlib import Path

import pytest
import requests

import prometheus
from certificates import certificate
from exporting import COMMAND, after, label, prediction, running
from makeweight_monitors import metrics
from makeweight_monitors.cli import main
from makeweight_monitors.prometheus import throwaway

MODEL = ("--model", "digits", "--classes", "cat,dog,owl", "--revision", "r1")


def stored(store: Path) -> set[str]:
    """Ids of the predictions in a label store."""
    with contextlib.closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as connection:
        return {id for (id,) in connection.execute("SELECT id FROM prediction")}


def fails(*arguments: str) -> tuple[int, str]:
    """The exit code of an exporter that does not start, and what it said."""
    done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=60)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


def test_what_was_accepted_is_counted_and_kept_when_it_is_asked_to_end(tmp_path: Path) -> None:
    accepted: set[str] = set()
    totals: list[float] = []
    with running(tmp_path, *MODEL, "--labels", "labels.sqlite", "--linger", "1s") as exporter:
        stop = threading.Event()

        def send(sender: int) -> None:
            number = 0
            with requests.Session() as session:
                while not stop.is_set():
                    ids = [f"{sender}-{number}-{index}" for index in range(200)]
                    number += 1
                    body = "\n".join(json.dumps(prediction(id=id)) for id in ids)
                    headers = {"Content-Type": "application/x-ndjson"}
                    try:
                        answer = session.post(f"{exporter.address}/v1/events", body, headers=headers, timeout=60)
                    except requests.ConnectionError:
                        return
                    if answer.status_code == 200:
                        assert answer.json()["accepted"] == 200
                        accepted.update(ids)

        senders = [threading.Thread(target=send, args=(sender,)) for sender in range(4)]
        for thread in senders:
            thread.start()
        prometheus.until(lambda: len(accepted) > 2000)
        exporter.process.send_signal(signal.SIGTERM)
        address = exporter.address

        def not_ready() -> bool:
            with contextlib.suppress(requests.ConnectionError):
                return requests.get(f"{address}/-/ready", timeout=5).status_code == 503
            return exporter.process.poll() is not None

        prometheus.until(not_ready, every=0.02)
        with contextlib.suppress(requests.ConnectionError):
            totals += exporter.counts("predictions_total").values()
        assert exporter.process.wait(60) == 0, exporter.log.read_text()
        stop.set()
        for thread in senders:
            thread.join()
    assert totals, "it goes on serving for a last scrape"
    assert accepted <= stored(tmp_path / "labels.sqlite")
    assert "everything that was taken is counted" in exporter.log.read_text()


def test_killed_and_started_again_labels_match_and_sums_are_exact(tmp_path: Path) -> None:
    programs = prometheus.install()
    exact = f"sum(max by (boot) (last_over_time({metrics.PREDICTIONS.series}[1h])))"
    labels = ("--labels", "labels.sqlite")
    with running(tmp_path, *MODEL, *labels) as exporter:
        port = int(exporter.address.rpartition(":")[2])
        targets = {"exporter": [f"127.0.0.1:{port}"]}
        with throwaway.running(programs, tmp_path / "prometheus", targets=targets, scrape="200ms") as client:

            def sum_is(wanted: float) -> None:
                prometheus.until(lambda: [sample.value for sample in client.query(exact)] == [wanted])

            exporter.send(*(prediction(id=f"a{number}") for number in range(300)))
            sum_is(300)
            prometheus.until(lambda: len(stored(tmp_path / "labels.sqlite")) == 300)
            assert exporter.end(signal.SIGKILL) == -signal.SIGKILL
            with running(tmp_path, *MODEL, *labels, port=port) as again:
                again.send(*(prediction(id=f"b{number}") for number in range(50)))
                said = again.send(*(label(f"a{number}", "dog") for number in range(300))).json()
                assert said["labels"] == {"matched": 300}
                sum_is(350)
                right = f'sum(max by (boot) (last_over_time({metrics.LABELLED.series}{{outcome="right"}}[1h])))'
                prometheus.until(lambda: [sample.value for sample in client.query(right)] == [300])
                assert again.send(label("a0", "dog")).json()["labels"] == {"duplicate": 1}


def test_a_full_disk_keeps_predictions_in_memory_until_there_is_room(tmp_path: Path) -> None:
    with running(tmp_path, *MODEL, "--labels", "labels.sqlite", most_file=120_000) as exporter:
        exporter.send(*(prediction(id=f"{number}-{'x' * 50}") for number in range(10_000)))
        prometheus.until(lambda: exporter.counts("label_store_failures_total"))
        said = exporter.send(prediction(id="after"), label("after", "dog")).json()
        assert said["accepted"] == 2
        assert exporter.counts("predictions_total", "variant") == {"canary": 10_001}
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.prlimit(exporter.process.pid, resource.RLIMIT_FSIZE, before)
        prometheus.until(lambda: len(stored(tmp_path / "labels.sqlite")) == 10_001)
        said = exporter.send(label(f"7-{'x' * 50}", "dog")).json()
        assert said["labels"] == {"matched": 1}
        assert exporter.end() == 0


def test_a_body_of_more_than_ten_megabytes_is_refused_and_its_sender_sees_why(
    tmp_path: Path, preloaded_monitors: Path
) -> None:
    with running(tmp_path, *MODEL, python=preloaded_monitors) as exporter:
        line = json.dumps(prediction()).encode() + b"\n"
        answer = exporter.send(line * (10_000_001 // len(line) + 1))
        assert answer.status_code == 413
        assert "10,000,000 bytes" in answer.json()["error"]
        assert exporter.counts("predictions_total") == {}
        most = line * (10_000_000 // len(line))
        assert exporter.send(most).json()["accepted"] == most.count(b"\n")
        assert exporter.counts("exporter_requests_total", "outcome") == {"too_large": 1, "counted": 1}
        chunks = (line for _ in range(10_000_001 // len(line) + 1))
        url = f"{exporter.address}/v1/events"
        with contextlib.suppress(requests.ConnectionError):  # sent in chunks, cut off in the midst
            headers = {"Content-Type": "application/x-ndjson"}
            assert requests.post(url, chunks, headers=headers, timeout=60).status_code == 413
        assert exporter.counts("exporter_requests_total", "outcome") == {"too_large": 2, "counted": 1}
        assert exporter.counts("exporter_inflight_bytes") == {}


def test_clients_that_let_their_request_drip_in_are_left(tmp_path: Path) -> None:
    script = "from makeweight_monitors.http import patience; patience.SECONDS = 0.5"
    with running(tmp_path, *MODEL, script=script) as exporter, contextlib.ExitStack() as stack:
        port = int(exporter.address.rpartition(":")[2])
        slow = []
        for sent in (b"", b"POST /v1/ev", b"POST /v1/events HTTP/1.1\r\nHost: x\r\nX-Slow: "):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
            client.sendall(sent)
            slow.append((client, b"a" if sent else b""))
        for _ in range(20):
            time.sleep(0.1)
            for client, more in slow:
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    client.sendall(more)
        for client, _ in slow:
            with contextlib.suppress(ConnectionResetError):
                while client.recv(1000):
                    pass
        kept = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        for _ in range(3):  # one that is kept open between its requests is not left
            kept.request("GET", "/-/healthy")
            assert kept.getresponse().read() == b"healthy\n"
            time.sleep(0.7)
        kept.close()


def test_a_followed_log_is_counted_once_over_rotation_kill_and_end(tmp_path: Path) -> None:
    log = tmp_path / "events.log"

    def write(count: int, more: str = "\n") -> None:
        with log.open("a") as file:
            file.write("\n".join(json.dumps(prediction()) for _ in range(count)) + more)

    tail = (*MODEL, "--tail", str(log))
    totals = []
    with running(tmp_path, *tail) as exporter:
        write(3000)
        prometheus.until(lambda: exporter.counts("predictions_total") == {"": 3000})
        log.rename(tmp_path / "events.log.1")
        write(500, more="")
        prometheus.until(lambda: exporter.counts("predictions_total") == {"": 3499})
        assert exporter.counts("exporter_tail_lag_bytes") == {"": len(json.dumps(prediction()))}
        totals.append(3499)
        exporter.end(signal.SIGKILL)
    write(0)
    write(10)
    with running(tmp_path, *tail) as exporter:
        prometheus.until(lambda: exporter.counts("predictions_total") == {"": 11})
        totals.append(11)
        exporter.send(prediction())
        assert exporter.counts("exporter_events_total", "input", "outcome") == {"tail accepted": 11, "http accepted": 1}
        assert exporter.end() == 0
    write(5)
    with running(tmp_path, *tail) as exporter:
        prometheus.until(lambda: exporter.counts("predictions_total") == {"": 5})
        totals.append(5)
    assert sum(totals) == 3000 + 500 + 10 + 5


def test_tls_with_and_without_certificates_of_clients(tmp_path: Path, preloaded_monitors: Path) -> None:
    certificate(tmp_path)
    tls = ("--tls-cert", "server.pem", "--tls-key", "server.key")
    with running(tmp_path, *MODEL, *tls, python=preloaded_monitors) as exporter:
        assert exporter.address.startswith("https://")
        exporter.session.verify = str(tmp_path / "server.pem")
        assert exporter.send(prediction()).json()["accepted"] == 1
        with pytest.raises(requests.exceptions.SSLError):
            requests.get(f"{exporter.address}/-/healthy", timeout=10)
        with pytest.raises(requests.exceptions.RequestException):
            requests.get(f"{exporter.address.replace('https', 'http')}/-/healthy", timeout=10)
    ca = ("--tls-client-ca", "server.pem")
    with running(tmp_path, *MODEL, *tls, *ca, python=preloaded_monitors) as exporter:
        exporter.session.verify = str(tmp_path / "server.pem")
        with pytest.raises(requests.exceptions.RequestException):
            exporter.send(prediction())
        exporter.session.cert = (str(tmp_path / "server.pem"), str(tmp_path / "server.key"))
        assert exporter.send(prediction()).json()["accepted"] == 1


def test_a_token_over_the_wire(tmp_path: Path, preloaded_monitors: Path) -> None:
    (tmp_path / "token").write_text("s3cret\n")
    token = ("--bearer-file", "token", "--metrics-bearer-file", "token")
    with running(tmp_path, *MODEL, *token, python=preloaded_monitors) as exporter:
        assert exporter.send(prediction()).status_code == 401
        assert exporter.send(prediction(), headers={"Authorization": "Bearer wrong"}).status_code == 401
        assert exporter.send(prediction(), headers={"Authorization": "Bearer s3cret"}).status_code == 200
        assert requests.get(f"{exporter.address}/metrics", timeout=10).status_code == 401
        assert requests.get(f"{exporter.address}/-/ready", timeout=10).status_code == 200
        assert "s3cret" not in exporter.log.read_text()


def test_it_listens_beyond_this_machine_only_with_a_token(tmp_path: Path, preloaded_monitors: Path) -> None:
    code, said = fails(*MODEL, "--host", "0.0.0.0", "--port", "0")  # noqa: S104
    assert code == 2
    assert "--bearer-file" in said
    assert "--insecure" in said
    anywhere = ("--host", "0.0.0.0", "--insecure")  # noqa: S104
    with running(tmp_path, *MODEL, *anywhere, python=preloaded_monitors) as exporter:
        port = exporter.address.rpartition(":")[2]
        assert requests.get(f"http://127.0.0.1:{port}/-/ready", timeout=10).ok


def test_what_does_not_start_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "labels.sqlite").write_text("this is no database, and long enough to be seen as none" * 20)
    late = [
        (["--tail", str(tmp_path)], "this is a folder or a pipe"),
        (["--host", "no-such-host.invalid", "--insecure"], "there is no such address"),
    ]
    early = [
        (["--labels", str(tmp_path / "labels.sqlite")], "this is no label store"),
        (["--tls-cert", "cert.pem"], "--tls-key"),
        (["--tls-cert", "cert.pem", "--tls-key", "key.pem"], "no certificate with its key"),
        (["--bearer-file", str(tmp_path / "none")], "the token cannot be read"),
        (["--models", "none.yaml"], "`--models` describes all models"),
    ]
    for arguments, expected in late:
        code, said = fails(*MODEL, "--port", "0", *arguments)
        assert (code, expected in said) == (2, True), said
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        code, said = fails(*MODEL, "--port", port)
        assert code == 4
        assert re.match(rf"error: 127.0.0.1:{port}: cannot listen there: .*\n  Something listens there already", said)
        # refused before it listens, so this process can ask; were one not refused, the taken port would end it
        for arguments, expected in early:
            code = main(["exporter", *MODEL, "--port", port, *arguments])
            said = capsys.readouterr().err
            assert (code, expected in said) == (2, True), said


def test_the_servers_own_extra_is_named_where_it_is_missing(tmp_path: Path) -> None:
    (tmp_path / "uvicorn.py").write_text("raise ImportError(name='uvicorn')")
    command = after(f"import sys; sys.path.insert(0, {str(tmp_path)!r})")
    done = subprocess.run([*command, *MODEL], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "pip install 'makeweight[exporter]'" in done.stderr


def test_it_imports_nothing_of_the_plugin(tmp_path: Path) -> None:
    (tmp_path / "models.yaml").write_text("models: {digits: {revision: r1}}")
    script = (
        "import atexit, sys\n"
        "heavy = {'makeweight', 'torch', 'onnx', 'onnxruntime', 'dvc', 'pydantic', 'rich'}\n"
        "atexit.register(lambda: print('imported:', *sorted(heavy & set(sys.modules))))\n"
    )
    with running(tmp_path, "--models", "models.yaml", script=script) as exporter:
        assert exporter.send(prediction()).json()["accepted"] == 1
        assert exporter.end() == 0
    assert "imported:\n" in exporter.log.read_text()
