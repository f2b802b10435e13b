"""An Alertmanager that lives as long as a block: on loopback, telling one webhook what asks for a rollback, at once."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from makeweight_monitors import program


@contextlib.contextmanager
def running(command: Sequence[str], folder: Path, webhook: str, token: Path, repeat: str = "1h") -> Iterator[str]:
    """Its address.

    Args:
        webhook: where the controller takes alerts; token: the file of the bearer token that it wants.
        repeat: after how long an alert that still fires is sent again.

    Raises:
        EnvironmentFailed: it does not start; what it said is part of the error.
    """
    config = folder / "alertmanager.json"  # JSON is YAML
    config.write_text(json.dumps(_config(webhook, token, repeat), indent=1))
    address = f"127.0.0.1:{program.free_port()}"
    started = [
        *command,
        f"--config.file={config}",
        f"--storage.path={folder / 'alertmanager'}",
        f"--web.listen-address={address}",
        "--cluster.listen-address=",  # else it listens to other machines
        "--log.level=warn",
    ]
    with program.running("Alertmanager", started, f"http://{address}/-/ready", folder / "alertmanager.log", apart=True):
        yield f"http://{address}"


def _config(webhook: str, token: Path, repeat: str) -> dict[str, object]:
    """Alerts wait for no others: of the kind `rollback` there is no heap to be bundled."""
    authorization = {"authorization": {"credentials_file": str(token)}}
    return {
        "route": {
            "receiver": "nobody",
            "routes": [
                {
                    "matchers": ['kind="rollback"'],
                    "receiver": "controller",
                    "group_by": ["..."],
                    "group_wait": "0s",
                    "group_interval": "1s",
                    "repeat_interval": repeat,
                }
            ],
        },
        "receivers": [
            {"name": "nobody"},
            {"name": "controller", "webhook_configs": [{"url": webhook, "http_config": authorization}]},
        ],
    }
