"""A Prometheus that lives as long as a block: on loopback, in a folder of its own, ended by its own pid."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from makeweight_monitors.errors import EnvironmentFailed, UsageError
from makeweight_monitors.prometheus.queries import Client

_SECONDS = 60
_TRIES = 3


@dataclass(frozen=True)
class Programs:
    """The two programs of one Prometheus release."""

    prometheus: Path
    promtool: Path

    def tool(self, *arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run promtool; what it says is in `stdout`, errors included."""
        return subprocess.run(
            [str(self.promtool), *arguments],
            cwd=folder,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )


def find(folder: Path | None = None) -> Programs:
    """The programs in `folder`, else on the PATH.

    Raises:
        UsageError: one of them is not there.
    """
    found = {}
    for name in ("prometheus", "promtool"):
        program = shutil.which(name, path=None if folder is None else str(folder))
        if program is None:
            raise UsageError(
                f"no `{name}` {'on the PATH' if folder is None else f'in {folder}'}",
                do="Install Prometheus (Debian: apt install prometheus), or name its folder.",
            )
        found[name] = Path(program)
    return Programs(found["prometheus"], found["promtool"])


@contextlib.contextmanager
def running(
    programs: Programs,
    folder: Path,
    *,
    rules: Sequence[Path] = (),
    targets: Mapping[str, Sequence[str]] | None = None,
    scrape: str = "1s",
    evaluate: str | None = None,
    alertmanagers: Sequence[str] = (),
    lookback: str = "5m",
) -> Iterator[Client]:
    """A client of a Prometheus that keeps its data in `folder/data`, where blocks may lie already.

    Args:
        targets: `host:port` to scrape, by job.
        scrape: how often; `evaluate`, how often rules are, is the same unless given.
        lookback: how old a sample an instant query takes.

    Raises:
        EnvironmentFailed: it does not start; what it said is part of the error.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "prometheus.json"  # JSON is YAML
    config.write_text(json.dumps(_config(rules, targets or {}, scrape, evaluate or scrape, alertmanagers), indent=1))
    for left in reversed(range(_TRIES)):
        try:
            process, client = _started(programs, folder, config, lookback)
            break
        except EnvironmentFailed as error:
            # between asking for a free port and taking it, somebody else may have
            if not left or "address already in use" not in error.what:
                raise
    try:
        yield client
    finally:
        _end(process)


def _config(
    rules: Sequence[Path],
    targets: Mapping[str, Sequence[str]],
    scrape: str,
    evaluate: str,
    alertmanagers: Sequence[str],
) -> dict[str, object]:
    return {
        "global": {"scrape_interval": scrape, "scrape_timeout": scrape, "evaluation_interval": evaluate},
        "rule_files": [str(path.resolve()) for path in rules],
        "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": list(addresses)}]} for job, addresses in targets.items()
        ],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": list(alertmanagers)}]}]}
        if alertmanagers
        else {},
    }


def _started(programs: Programs, folder: Path, config: Path, lookback: str) -> tuple[subprocess.Popen[bytes], Client]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = folder / "prometheus.log"
    command = [
        str(programs.prometheus),
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        "--storage.tsdb.retention.time=100y",  # blocks made from old records are not to be swept away
        f"--query.lookback-delta={lookback}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--web.enable-lifecycle",
        "--log.level=warn",
    ]
    with log.open("wb") as written:
        process = subprocess.Popen(command, stdout=written, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    client = Client(f"http://127.0.0.1:{port}")
    try:
        _wait(process, client, log)
    except BaseException:
        _end(process)
        raise
    return process, client


def _wait(process: subprocess.Popen[bytes], client: Client, log: Path) -> None:
    import requests

    end = time.monotonic() + _SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            raise EnvironmentFailed(f"Prometheus ended at once: {_tail(log)}", where=str(log))
        with contextlib.suppress(requests.RequestException):
            if requests.get(f"{client.url}/-/ready", timeout=1).status_code == 200:
                return
        time.sleep(0.05)
    raise EnvironmentFailed(f"Prometheus was not ready after {_SECONDS} s: {_tail(log)}", where=str(log))


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-2000:].strip()


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
