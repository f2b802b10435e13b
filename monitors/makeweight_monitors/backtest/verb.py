"""`makeweight-monitors backtest`: recorded counters through a file of rules, before anyone enables them."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from makeweight_base.errors import Exit, UsageError
from makeweight_monitors.backtest import recorded as records
from makeweight_monitors.backtest import rulefile, summary
from makeweight_monitors.backtest.clustering import clustering
from makeweight_monitors.backtest.recorded import Recorded
from makeweight_monitors.backtest.replay import replay
from makeweight_monitors.prometheus import throwaway
from makeweight_monitors.prometheus.queries import Client

_STEP = 60.0


def run(options: argparse.Namespace) -> Exit:
    """Exits FOUND where something that may act alone (kind `rollback`) would have fired.

    Raises:
        UsageError: the rules, the file or the arguments cannot be used.
        EnvironmentFailed: a Prometheus cannot be asked, or ours does not run.
    """
    rules = rulefile.read(options.rules)
    programs = throwaway.find(options.programs)
    recorded = _recorded(options, rules)
    with tempfile.TemporaryDirectory(prefix="makeweight-backtest-") as folder:
        outcomes = replay(rules, recorded, programs, Path(folder), lambda text: print(text, file=sys.stderr))
    alike = clustering(recorded)
    if options.json:
        print(json.dumps(summary.data(outcomes, recorded, alike)))
    else:
        print(summary.table(outcomes, recorded, alike))
    return Exit.FAIL if summary.fired(outcomes, "rollback") else Exit.PASS


def _recorded(options: argparse.Namespace, rules: list[rulefile.Loaded]) -> Recorded:
    if options.file is not None:
        recorded = records.load(options.file, options.start, options.end, options.step)
    else:
        if options.start is None:
            raise UsageError("`--prometheus` needs `--start`: from when on is the past to be replayed?")
        end = time.time() if options.end is None else options.end
        if end <= options.start:
            raise UsageError("`--end` is not after `--start`")
        client = Client(options.prometheus, options.bearer_file)
        recorded = records.ask(client, rulefile.raw(rules), options.start, end, options.step or _STEP, options.lead)
    if recorded.end <= recorded.start:
        raise UsageError("there is nothing between --start and --end")
    return recorded
