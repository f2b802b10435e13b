"""What tells Grafana, when it starts, which data source there is and where the dashboards lie. Plain data.

Format: grafana.com/docs, "Provision Grafana".
"""

from __future__ import annotations

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
