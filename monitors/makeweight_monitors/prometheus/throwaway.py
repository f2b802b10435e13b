"""A Prometheus that lives as long as a block: on loopback, in a folder of its own, ended by its own pid."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from makeweight_base.errors import EnvironmentFailed, UsageError
from makeweight_monitors import program
from makeweight_monitors.prometheus.queries import Client

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
    programs = {}
    for name in ("prometheus", "promtool"):
        path = shutil.which(name, path=None if folder is None else str(folder))
        if path is None:
            raise UsageError(
                f"no `{name}` {'on the PATH' if folder is None else f'in {folder}'}",
                do="Install Prometheus (Debian: apt install prometheus), or name its folder.",
            )
        programs[name] = Path(path)
    return Programs(programs["prometheus"], programs["promtool"])


@contextlib.contextmanager
def running(
    programs: Programs,
    folder: Path,
    *,
    rules: Sequence[Path] = (),
    targets: Mapping[str, Sequence[str]] | None = None,
    alerts_to: Sequence[str] = (),
    scrape: str = "1s",
    evaluate: str | None = None,
    lookback: str = "5m",
    options: Sequence[str] = (),
) -> Iterator[Client]:
    """A client of a Prometheus that keeps its data in `folder/data`, where blocks may lie already.

    Args:
        targets: `host:port` to scrape, by job.
        alerts_to: `host:port` of those that alerts are sent to, as to an Alertmanager.
        scrape: how often; `evaluate`, how often rules are, is the same unless given.
        lookback: how old a sample an instant query takes.
        options: what else stands on its command line.

    Raises:
        EnvironmentFailed: it does not start; what it said is part of the error.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "prometheus.json"  # JSON is YAML
    config.write_text(json.dumps(configuration(rules, targets or {}, alerts_to, scrape, evaluate or scrape), indent=1))
    with contextlib.ExitStack() as stack:
        for left in reversed(range(_TRIES)):
            try:
                client = stack.enter_context(_started(programs, folder, config, lookback, options))
                break
            except EnvironmentFailed as error:
                # between asking for a free port and taking it, somebody else may have
                if not left or "address already in use" not in error.what:
                    raise
        yield client


def configuration(
    rules: Sequence[Path],
    targets: Mapping[str, Sequence[str]],
    alerts_to: Sequence[str],
    scrape: str,
    evaluate: str,
) -> dict[str, object]:
    """What Prometheus reads, by the arguments of `running`."""
    return {
        "global": {"scrape_interval": scrape, "scrape_timeout": scrape, "evaluation_interval": evaluate},
        "rule_files": [str(path.resolve()) for path in rules],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": list(alerts_to)}]}] if alerts_to else []},
        "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": list(addresses)}]} for job, addresses in targets.items()
        ],
    }


@contextlib.contextmanager
def _started(programs: Programs, folder: Path, config: Path, lookback: str, options: Sequence[str]) -> Iterator[Client]:
    port = program.free_port()
    command = [
        str(programs.prometheus),
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        "--storage.tsdb.retention.time=100y",  # blocks made from old records are not to be swept away
        f"--query.lookback-delta={lookback}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--web.enable-lifecycle",
        "--log.level=warn",
        *options,
    ]
    client = Client(f"http://127.0.0.1:{port}")
    with program.running("Prometheus", command, f"{client.url}/-/ready", folder / "prometheus.log"):
        yield client
