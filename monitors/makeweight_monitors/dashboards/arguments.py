"""The arguments of `makeweight-monitors dashboards`, apart from the verb: a parser needs them at every start."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from makeweight_monitors.rules.arguments import add_arguments as add_rules_arguments

DATASOURCE = "makeweight-prometheus"
"""The `uid` of the data source that is provisioned, and that Grafana's own alerts ask."""
PROMETHEUS = "http://localhost:9090"
PLACE = Path("/etc/grafana/dashboards/makeweight")
_UID = re.compile(r"[A-Za-z0-9_-]{1,40}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Those of `rules`, which decide what there is to be shown, and where Grafana finds things."""
    add_rules_arguments(parser)
    parser.add_argument(
        "--prometheus",
        default=PROMETHEUS,
        metavar="URL",
        help=f"where Grafana finds Prometheus (default: {PROMETHEUS})",
    )
    parser.add_argument(
        "--datasource",
        type=_uid,
        default=DATASOURCE,
        metavar="UID",
        help=f"the uid of that data source in Grafana (default: {DATASOURCE})",
    )
    parser.add_argument(
        "--place",
        type=Path,
        default=PLACE,
        metavar="DIR",
        help=f"where the dashboards lie on Grafana's machine (default: {PLACE})",
    )


def _uid(text: str) -> str:
    if _UID.fullmatch(text):
        return text
    raise argparse.ArgumentTypeError(f"`{text}` is no uid: 1 to 40 letters, digits, `-` and `_`")
