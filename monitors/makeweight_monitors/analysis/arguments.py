"""The arguments of `makeweight-monitors analysis`, apart from the verb: a parser needs them at every start."""

from __future__ import annotations

import argparse

from makeweight_monitors.rules.arguments import add_arguments as add_rules_arguments

KINDS = ("argo", "flagger")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Those of `rules`, which decide what there is to be asked, whom it is for, and where that finds Prometheus."""
    add_rules_arguments(parser)
    parser.add_argument("--as", dest="kind", choices=KINDS, required=True, help="who is to decide")
    parser.add_argument("--prometheus", required=True, metavar="URL", help="where that finds Prometheus")
