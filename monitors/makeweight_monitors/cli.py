"""The command line of the monitors: verbs and their arguments. Thin: each verb is imported when it is called."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from makeweight_base import commandline
from makeweight_base.errors import Exit


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; every failure becomes a sentence on standard error and an exit code."""
    options = _parser().parse_args(arguments)
    return commandline.run("makeweight-monitors", options.verb, options)


def _parser() -> argparse.ArgumentParser:
    parser = commandline.parser(
        "makeweight-monitors", "Watch a compressed model in production: what is counted, when it alerts, what is shown."
    )
    add = commandline.adder(parser)

    from makeweight_monitors.rules.arguments import add_arguments as add_rules_arguments

    add_rules_arguments(add("rules", _rules, "write Prometheus rules from the budget, and their tests"))

    from makeweight_monitors.dashboards.arguments import add_arguments as add_dashboards_arguments

    add_dashboards_arguments(
        add("dashboards", _dashboards, "write Grafana dashboards and provisioning from the budget")
    )

    from makeweight_monitors.backtest.arguments import add_arguments as add_backtest_arguments

    add_backtest_arguments(
        add(
            "backtest",
            _backtest,
            "replay recorded counters: when would each alert have fired?",
            project=False,
            json=True,
        )
    )

    from makeweight_monitors.exporter.arguments import add_arguments as add_exporter_arguments

    add_exporter_arguments(
        add("exporter", _exporter, "count for any server: prediction events in, /metrics out", project=False)
    )
    return parser


def _rules(options: argparse.Namespace) -> Exit:
    from makeweight_monitors.rules.verb import run

    return run(options)


def _dashboards(options: argparse.Namespace) -> Exit:
    from makeweight_monitors.dashboards.verb import run

    return run(options)


def _backtest(options: argparse.Namespace) -> Exit:
    from makeweight_monitors.backtest.verb import run

    return run(options)


def _exporter(options: argparse.Namespace) -> Exit:
    from makeweight_monitors.exporter.verb import run

    return run(options)
