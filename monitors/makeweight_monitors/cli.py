"""The command line of the monitors: verbs and their arguments. Thin: each verb is imported when it is called."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from importlib import import_module

from makeweight_base import commandline
from makeweight_base.errors import Exit
from makeweight_monitors.analysis.arguments import add_arguments as add_analysis
from makeweight_monitors.backtest.arguments import add_arguments as add_backtest
from makeweight_monitors.dashboards.arguments import add_arguments as add_dashboards
from makeweight_monitors.exporter.arguments import add_arguments as add_exporter
from makeweight_monitors.rollback.arguments import add_audit, add_controller, add_order
from makeweight_monitors.rules.arguments import add_arguments as add_rules


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; every failure becomes a sentence on standard error and an exit code."""
    options = _parser().parse_args(arguments)
    return commandline.run("makeweight-monitors", options.verb, options)


def _parser() -> argparse.ArgumentParser:
    parser = commandline.parser(
        "makeweight-monitors", "Watch a compressed model in production: what is counted, when it alerts, what is shown."
    )
    add = commandline.Adder(parser)
    add_rules(add("rules", partial(_run, "rules"), "write Prometheus rules from the budget, and their tests"))
    summary = "write Grafana dashboards and provisioning from the budget"
    add_dashboards(add("dashboards", partial(_run, "dashboards"), summary))
    summary = "write what Argo Rollouts or Flagger ask of the rules, to let those decide"
    add_analysis(add("analysis", partial(_run, "analysis"), summary))
    summary = "replay recorded counters: when would each alert have fired?"
    add_backtest(add("backtest", partial(_run, "backtest"), summary, project=False, json=True))
    summary = "count for any server: prediction events in, /metrics out"
    add_exporter(add("exporter", partial(_run, "exporter"), summary, project=False))
    ask = partial(_run, "rollback")
    add_controller(add("rollback", ask, "roll a bad canary back, promote a good one; `--reason`: roll it back now"))
    for asked, summary in (("hold", "let no canary go further, until `resume`"), ("resume", "end a `hold`")):
        add_order(add(asked, ask, summary, project=False), asked)
    add_order(add("status", ask, "what the controller knows and means", project=False, json=True), "status")
    add_audit(add("audit", ask, "verify the controller's audit log", project=False))
    return parser


def _run(room: str, options: argparse.Namespace) -> Exit:
    code: Exit = import_module(f"makeweight_monitors.{room}.verb").run(options)
    return code
