"""The arguments of `makeweight-monitors rules`, apart from the verb: a parser needs them at every start."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from makeweight_base.commandline import whole

RUNBOOKS = "docs/monitors/runbooks.md"
"""The page that alerts point at, unless an address is given: relative to the repository's root."""
ENVIRONMENT = ("environment", "namespace")
"""What an observer was told, and what Prometheus adds to a target in Kubernetes; where neither is, neither matters."""
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_DURATION = re.compile(r"[1-9][0-9]*[mhdw]")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--variant", metavar="V", help="the variant that is the canary (default: the one that ships)")
    parser.add_argument("--out", type=Path, default=Path("monitoring"), metavar="DIR", help="default: monitoring")
    parser.add_argument("--device", metavar="D", help="whose limits on latency hold in production")
    parser.add_argument(
        "--interval",
        type=whole(1, 300, " of seconds"),
        default=15,
        metavar="S",
        help="seconds between looks at the e-values (default: 15)",
    )
    parser.add_argument(
        "--history", type=_duration, default="7d", metavar="T", help="at least as long as a canary lives (default: 7d)"
    )
    parser.add_argument(
        "--environment",
        type=_labels,
        default=ENVIRONMENT,
        metavar="LABELS",
        help=f"labels that tell environments apart (default: {','.join(ENVIRONMENT)})",
    )
    parser.add_argument(
        "--models",
        type=whole(1, 100_000),
        default=1,
        metavar="N",
        help="how many models share the rate of false rollbacks",
    )
    parser.add_argument(
        "--runbooks", default=RUNBOOKS, metavar="URL", help=f"the page alerts point at (default: {RUNBOOKS})"
    )


def _duration(text: str) -> str:
    if _DURATION.fullmatch(text):
        return text
    raise argparse.ArgumentTypeError(f"`{text}` is no time such as 12h, 7d or 2w")


def _labels(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    if len(set(names)) < len(names) or not all(map(_LABEL.fullmatch, names)):
        raise argparse.ArgumentTypeError(f"`{text}` are no labels such as namespace,cluster")
    return names
