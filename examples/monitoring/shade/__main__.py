"""A canary that is fine until the light changes, and what Prometheus makes of it.

    python -m examples.monitoring.shade build/demo

Starts a model server with a canary in the stable model's shadow, traffic with labels that come later, and a Prometheus
with the rules that `makeweight-monitors rules` makes of the project's makeweight.yaml. Then a shadow falls on the top
of every page: values run to 1.5, where the calibration of the int8 model saw none above 1. The next canary answers
every fifth request with NaN. Exit code 0: no alarm while all was well, and both rollbacks were asked for, the second
before any label came; else 1.
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from examples.digits import data
from examples.monitoring import package, parts
from examples.monitoring.interrupted import ended
from examples.monitoring.parts import Built, say
from examples.monitoring.shade.story import FIRST, watched
from examples.monitoring.traffic import Traffic
from makeweight_monitors.prometheus import throwaway


def main() -> int:
    options = _arguments()
    return ended(lambda: _demo(options))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("project", type=Path, help="where makeweight.yaml, artifacts/ and reports/ are (make demo)")
    parser.add_argument("--variant", default="int8", help="the canary (default: int8)")
    parser.add_argument("--healthy", type=float, default=30, metavar="S", help="seconds before the shadow falls")
    parser.add_argument("--patience", type=float, default=180, metavar="S", help="seconds to wait for the alert after")
    parser.add_argument("--rate", type=float, default=100, metavar="N", help="requests a second (default: 100)")
    parser.add_argument("--delay", type=float, default=8, metavar="S", help="until a label comes (default: 8)")
    parser.add_argument("--keep", action="store_true", help="leave all running afterwards, until Ctrl-C")
    return parser.parse_args()


def _demo(options: argparse.Namespace) -> int:
    """Start every part, tell the story, stop every part; the exit code."""
    built = Built(options.project.resolve(), options.variant)
    programs = package.programs(parts.REPOSITORY / "build" / "prometheus")
    baseline, canary = ((built.artifact(made), made) for made in ("baseline", built.variant))
    first = built.release(FIRST, "stable", {"stable": baseline, "canary": canary})
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="makeweight-monitoring-")))
        rules = parts.rules(built.project, built.variant, folder)
        server = parts.server(stack, folder, first)
        targets = {"digits": [server.removeprefix("http://")]}
        client = stack.enter_context(throwaway.running(programs, folder, rules=[rules], targets=targets))
        traffic = Traffic(
            server, {"stable": server}, *data.load("test"), data.slices("test"), rate=options.rate, delay=options.delay
        )
        stack.callback(traffic.stop)
        say(f"model server  {server}/predict: baseline answers, {built.variant} in its shadow; /metrics")
        say(f"Prometheus    {client.url}/alerts")
        parts.scraped(client, FIRST, "stable")

        def another(revision: str, nan: float) -> None:
            parts.serve(server, replace(first, revision=revision, nan=nan))

        good = watched(client, built.model, traffic, another, quiet=options.healthy, patience=options.patience)
        if options.keep:
            say(f"\nall parts go on; look at {client.url}/alerts and {server}/metrics. Ctrl-C ends them.")
            with contextlib.suppress(KeyboardInterrupt):
                signal.pause()
    say("every part is stopped")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
