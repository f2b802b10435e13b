"""A canary that is fine until the light changes, and what Prometheus makes of it.

    python -m examples.monitoring.run build/demo

Starts the exporter, a model server with a canary in the stable model's shadow, traffic with labels that come later,
and a Prometheus with the rules that `makeweight-monitors rules` makes of the project's makeweight.yaml. Then a shadow
falls on the top of every page: values run to 1.5, where the calibration of the int8 model saw none above 1. The next
canary answers every fifth request with NaN. Exit code 0: no alarm while all was well, and both rollbacks were asked
for, the second before any label came; else 1.
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from examples.digits import data
from examples.monitoring import package
from examples.monitoring.shadow import REVISION
from examples.monitoring.story import say, watched
from examples.monitoring.traffic import Traffic
from makeweight_base.errors import EnvironmentFailed, Exit, MakeweightError, UsageError
from makeweight_monitors import program
from makeweight_monitors import reference as references
from makeweight_monitors.metrics import PREDICTIONS
from makeweight_monitors.prometheus import throwaway
from makeweight_monitors.prometheus.queries import Client

_FIRST_SCRAPE = 30.0
_INTERRUPTED = threading.Event()
"""What a signal's handler raises is dropped where it comes in the middle of a finalizer; that it came is not."""


def main() -> int:
    options = _arguments()
    for asked in (signal.SIGINT, signal.SIGTERM):
        signal.signal(asked, _interrupted)
    try:
        return _demo(options)
    except MakeweightError as error:
        print(f"error: {error}", file=sys.stderr)
        return int(error.exit_code)
    except KeyboardInterrupt:
        print("interrupted; every part is stopped", file=sys.stderr)
        return int(Exit.INTERRUPTED)


def _interrupted(*_: object) -> None:
    """Also where it was started in the background, with Ctrl-C ignored: every part is ended on the way out."""
    for asked in (signal.SIGINT, signal.SIGTERM):
        signal.signal(asked, signal.SIG_IGN)  # a second Ctrl-C is not to keep it from ending them
    _INTERRUPTED.set()
    raise KeyboardInterrupt


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
    project: Path = options.project.resolve()
    stable, canary = project / "artifacts" / "baseline", project / "artifacts" / options.variant
    for artifact in (stable, canary):
        if not (artifact / "model.onnx").is_file():
            raise UsageError("no model here", where=str(artifact), do="Run `make monitor-demo`, which builds it.")
    model = references.read(_reference(project, options.variant)).model
    repository = Path(__file__).resolve().parents[2]
    programs = package.programs(repository / "build" / "prometheus")
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="makeweight-monitoring-")))
        rules = _rules(project, options.variant, folder)
        exporter = _exporter(project, options.variant, folder, stack)
        server = f"http://127.0.0.1:{program.free_port()}"
        command = [sys.executable, "-m", "examples.monitoring.serve", "--port", server.rpartition(":")[2]]
        command += ["--stable", str(stable), "--canary", str(canary), "--events", f"{exporter}/v1/events"]
        stack.enter_context(
            program.running(
                "the model server", command, f"{server}/-/ready", folder / "server.log", at=repository, apart=True
            )
        )
        client = stack.enter_context(
            throwaway.running(
                programs, folder, rules=[rules], targets={"digits": [exporter.removeprefix("http://")]}, scrape="1s"
            )
        )
        images, digits = data.load("test")
        traffic = Traffic(
            server, f"{exporter}/v1/events", images, digits, data.slices("test"), rate=options.rate, delay=options.delay
        )
        stack.callback(traffic.stop)
        say(f"exporter      {exporter}/metrics")
        say(f"model server  {server}/predict: baseline answers, {options.variant} in its shadow")
        say(f"Prometheus    {client.url}/alerts")
        _scraped(client)
        good = watched(
            client, model, traffic, quiet=options.healthy, patience=options.patience, interrupted=_INTERRUPTED
        )
        if options.keep:
            say(f"\nall parts go on; look at {client.url}/alerts and {exporter}/metrics. Ctrl-C ends them.")
            with contextlib.suppress(KeyboardInterrupt):
                signal.pause()
    say("every part is stopped")
    return 0 if good else 1


def _scraped(client: Client) -> None:
    """Wait until Prometheus has the series at zero: it cannot know how much they had grown before."""
    end = time.monotonic() + _FIRST_SCRAPE
    while not client.query(PREDICTIONS.series):
        if time.monotonic() > end:
            raise EnvironmentFailed(f"Prometheus has not reached the exporter in {_FIRST_SCRAPE:g} s", where=client.url)
        time.sleep(0.2)


def _reference(project: Path, made: str) -> Path:
    return project / "reports" / made / "reference.json"


def _rules(project: Path, variant: str, folder: Path) -> Path:
    """The rules of the project's budget, looked at every second."""
    command = [_verb(), "rules", "--project", str(project), "--variant", variant, "--interval", "1"]
    command += ["--out", str(folder)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise EnvironmentFailed(f"rules failed: {(done.stderr or done.stdout).strip()}", where=" ".join(command))
    return folder / "makeweight.rules.yaml"


def _exporter(project: Path, variant: str, folder: Path, stack: contextlib.ExitStack) -> str:
    """Start it; its address."""
    address = f"http://127.0.0.1:{program.free_port()}"
    command = [_verb(), "exporter", "--port", address.rpartition(":")[2], "--revision", REVISION]
    for arm, made in (("stable", "baseline"), ("canary", variant)):
        command += ["--reference", f"{arm}={_reference(project, made)}"]
        command += ["--manifest", f"{arm}={project / 'artifacts' / made / 'manifest.json'}"]
    command += ["--slices", f"{data.LIGHT},{data.HEAVY}", "--labels", str(folder / "labels.sqlite"), "--linger", "0"]
    stack.enter_context(
        program.running("the exporter", command, f"{address}/-/ready", folder / "exporter.log", apart=True)
    )
    return address


def _verb() -> str:
    return str(Path(sys.executable).with_name("makeweight-monitors"))


if __name__ == "__main__":
    sys.exit(main())
