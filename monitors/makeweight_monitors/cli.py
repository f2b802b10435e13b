"""The command line of the monitors: verbs and their arguments. Thin: each verb is imported when it is called."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from makeweight_monitors.errors import Exit, MonitorError

Verb = Callable[[argparse.Namespace], Exit]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; every failure becomes a sentence on standard error and an exit code."""
    options = _parser().parse_args(arguments)
    verb: Verb = options.verb
    try:
        code = int(verb(options))
        with contextlib.suppress(BrokenPipeError):
            sys.stdout.flush()
            return code
        return _leave_quietly(code)
    except MonitorError as error:
        print(f"error: {error}", file=sys.stderr)
        return int(error.exit_code)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return int(Exit.INTERRUPTED)
    except BrokenPipeError:
        return _leave_quietly(int(Exit.ENVIRONMENT))
    except Exception as error:
        if os.environ.get("MAKEWEIGHT_TRACEBACK"):
            raise
        if isinstance(error, OSError) and error.strerror is not None:  # the machine failed, not makeweight
            print(f"error: {error.filename or 'this machine'}: {error.strerror}", file=sys.stderr)
            return int(Exit.ENVIRONMENT)
        print(
            f"error: makeweight-monitors itself failed: {type(error).__name__}: {error}\n"
            "  Run again with MAKEWEIGHT_TRACEBACK=1 and report what it prints.",
            file=sys.stderr,
        )
        return int(Exit.ENVIRONMENT)


def _leave_quietly(code: int) -> int:
    """The reader (`head`, `less`) has gone; Python would complain when it flushes the rest at its own end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="makeweight-monitors",
        description="Watch a compressed model in production: what is counted, when it alerts, what is shown.",
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=16),
    )
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)

    def add(name: str, verb: Verb, summary: str, *, project: bool = False) -> argparse.ArgumentParser:
        own = verbs.add_parser(name, help=summary, description=summary)
        own.set_defaults(verb=verb)
        if project:
            own.add_argument(
                "--project", type=Path, default=Path(), metavar="DIR", help="the folder of makeweight.yaml (default: .)"
            )
        return own

    from makeweight_monitors.rules.arguments import add_arguments as add_rules_arguments

    add_rules_arguments(add("rules", _rules, "write Prometheus rules from the budget, and their tests", project=True))

    from makeweight_monitors.dashboards.arguments import add_arguments as add_dashboards_arguments

    add_dashboards_arguments(
        add("dashboards", _dashboards, "write Grafana dashboards and provisioning from the budget", project=True)
    )

    from makeweight_monitors.backtest.arguments import add_arguments as add_backtest_arguments

    add_backtest_arguments(add("backtest", _backtest, "replay recorded counters: when would each alert have fired?"))

    from makeweight_monitors.exporter.arguments import add_arguments as add_exporter_arguments

    add_exporter_arguments(add("exporter", _exporter, "count for any server: prediction events in, /metrics out"))
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
