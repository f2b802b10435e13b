"""What tells Grafana, when it starts, which data source there is and where the dashboards lie. Plain data, and as YAML.

Format: grafana.com/docs, "Provision Grafana".
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any


def datasources(uid: str, url: str) -> dict[str, Any]:
    return {
        "apiVersion": 1,
        "datasources": [
            {
                "name": "Prometheus (makeweight)",
                "uid": uid,
                "type": "prometheus",
                "access": "proxy",
                "orgId": 1,
                "url": url.replace("$", "$$"),
                # POST: the e-values are longer than an address may be; `timeInterval` is the interval of scrapes
                "jsonData": {"httpMethod": "POST", "timeInterval": "15s", "manageAlerts": True},
                "editable": False,
            }
        ],
    }


def dashboards(model: str, place: Path) -> dict[str, Any]:
    return {
        "apiVersion": 1,
        "providers": [
            {
                "name": f"makeweight {model}".replace("$", "$$"),
                "orgId": 1,
                "folder": "Makeweight",
                "type": "file",
                "disableDeletion": False,
                "updateIntervalSeconds": 60,
                "allowUiUpdates": False,
                "options": {"path": str(place).replace("$", "$$"), "foldersFromFilesStructure": False},
            }
        ],
    }


def text(content: dict[str, Any], heading: Iterable[str]) -> str:
    """As YAML, the same bytes for the same content; expressions of several lines as blocks."""
    import yaml

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, _: Any) -> bool:
            return True

    def block(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
        style = "|" if "\n" in value else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)

    Dumper.add_representer(str, block)
    written: str = yaml.dump(
        content, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=110, default_flow_style=False
    )
    return "".join(f"# {line}".rstrip() + "\n" for line in heading) + written
