"""What is marked on every graph: a rollback that is asked for, a canary that stopped, a promotion, a new build."""

from __future__ import annotations

from dataclasses import dataclass

from makeweight_monitors.dashboards.look import BAD
from makeweight_monitors.dashboards.query import of_alerts, of_model
from makeweight_monitors.metrics import BUILD_INFO, PREDICTIONS

_AGO = "5m"


@dataclass(frozen=True)
class Mark:
    """A question whose answers are marked on every graph."""

    name: str
    expression: str
    title: str
    text: str
    color: str


def marks() -> list[Mark]:
    stable, canary = (of_model(BUILD_INFO.series, f'variant="{variant}"') for variant in ("stable", "canary"))
    traffic = of_model(PREDICTIONS.series, 'variant="canary"')
    build = of_model(BUILD_INFO.series)
    firing = of_alerts('alertstate="firing"', 'kind="rollback"')
    served = f"sum by (model, revision) (rate({traffic}[{_AGO}]"
    what = "model, variant, compressed, sha256"
    return [
        Mark(
            "Rollback asked for",
            f"count by (model, revision, alertname) ({firing})",
            "Rollback asked for: {{model}} {{revision}}",
            "{{alertname}}",
            BAD,
        ),
        Mark(
            "Canary stopped",
            f"{served} offset {_AGO})) > 0\nunless\n{served})) > 0",
            "{{model}} {{revision}} gets no requests any more",
            "Rolled back, promoted, or ended; a promotion is marked beside it.",
            "purple",
        ),
        Mark(
            "Promoted",
            f"count by (model, compressed, sha256) ({stable})\n"
            f"and on (model, sha256)\ncount by (model, sha256) (last_over_time({canary}[1d] offset {_AGO}))\n"
            f"unless on (model, sha256)\ncount by (model, sha256) ({stable} offset {_AGO})",
            "Promoted: {{model}} {{compressed}}",
            "What was the canary is served as stable. sha256 {{sha256}}",
            "green",
        ),
        Mark(
            "New build",
            f"count by ({what}) ({build})\nunless\ncount by ({what}) ({build} offset {_AGO})",
            "New build: {{model}} {{variant}} is {{compressed}}",
            "sha256 {{sha256}}",
            "blue",
        ),
    ]
