"""A good canary is promoted step by step, and a bad one rolled back, by real Prometheus, Alertmanager and HAProxy.

    python -m examples.monitoring.rollout build/demo

Starts two model servers behind an HAProxy, traffic with labels that come later, a Prometheus with the rules that
`makeweight-monitors rules` makes of the project's makeweight.yaml, an Alertmanager, and `makeweight-monitors rollback`.
The first canary is the int8 model as it was measured; the second was quantized anew, with images of another scale. What
takes hours in production takes seconds here: a step is a matter of four seconds, a label of three. Exit code 0: the
first became stable, and the second lost its traffic; else 1.
"""

from __future__ import annotations

import argparse
import contextlib
import secrets
import sys
import tempfile
from pathlib import Path

from examples.digits import data
from examples.monitoring import alertmanager, package, parts, proxy
from examples.monitoring.interrupted import ended
from examples.monitoring.parts import Built, say
from examples.monitoring.rollout import miscalibrated, picture, timeline
from examples.monitoring.rollout.recorded import Recorded, Untold
from examples.monitoring.rollout.story import Story, Trial
from examples.monitoring.traffic import Traffic
from makeweight_monitors import program
from makeweight_monitors.prometheus import throwaway
from makeweight_monitors.rollback.targets.haproxy import HaproxyOptions, HaproxyTarget

GOOD, BAD = "r2", "r3"
_TAKES = ("reports", "artifacts", "examples", "models", "constraints.txt")
_DECLARED = """
canary:
  traffic: 5 %
  target: {{kind: haproxy, socket: {socket}, backend: {backend}}}
  steps: [5 %, 25 %, 50 %, 100 %]
  step_for: 4 s # an hour, unless said
"""


def main() -> int:
    options = _arguments()
    return ended(lambda: _demo(options))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("project", type=Path, help="where makeweight.yaml, artifacts/ and reports/ are (make demo)")
    parser.add_argument("--rate", type=float, default=120, metavar="N", help="requests a second (default: 120)")
    parser.add_argument("--delay", type=float, default=3, metavar="S", help="until a label comes (default: 3)")
    parser.add_argument("--patience", type=float, default=180, metavar="S", help="seconds to wait for each thing")
    return parser.parse_args()


def _demo(options: argparse.Namespace) -> int:
    """Make the bad canary, start every part, tell the story, stop every part; the exit code."""
    built = Built(options.project.resolve(), "int8")
    build = parts.REPOSITORY / "build"
    programs = package.programs(build / "prometheus")
    commands = package.haproxy(build / "haproxy"), package.alertmanager(build / "alertmanager")
    say("quantizing int8 anew, with images that are divided by 255 in place of 16")
    results = built.project / "rollout"
    bad = miscalibrated.made(built.project, built.variant, results / "miscalibrated")
    say("starting every part")
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="makeweight-rollout-")))
        story, good_trial, bad_trial = _started(stack, folder, built, bad, programs, commands, options)
        told = story.played(good_trial, bad_trial)
        verified = parts.carried_out(parts.verb("audit", "verify", "--state", str(story.audit.parent)))
    return _finish(told, results, verified)


def _started(
    stack: contextlib.ExitStack,
    folder: Path,
    built: Built,
    miscalibrated: Path,
    programs: throwaway.Programs,
    commands: tuple[list[str], list[str]],
    options: argparse.Namespace,
) -> tuple[Story, Trial, Trial]:
    """Everything, up to the first scrape."""
    baseline, int8 = ((built.artifact(made), made) for made in ("baseline", built.variant))
    good = Trial(
        built.release(GOOD, "stable", {"stable": baseline, "canary": int8}),
        built.release(GOOD, "canary", {"canary": int8}),
    )
    bad = Trial(
        built.release(BAD, "stable", {"stable": int8}),
        built.release(BAD, "canary", {"canary": (miscalibrated, built.variant)}),  # it has no reference of its own
    )
    servers: dict[str, str] = {one.variant: parts.server(stack, folder, one) for one in (good.stable, good.canary)}
    haproxy, alerting = commands
    front = stack.enter_context(proxy.running(haproxy, folder, servers, "/-/ready"))
    project = _project(built, folder)
    rules = parts.rules(project, built.variant, folder)
    token = folder / "token"
    token.write_text(secrets.token_urlsafe())
    controller = f"http://127.0.0.1:{program.free_port()}"
    webhook = f"{controller}/v1/alertmanager"
    alerts = stack.enter_context(alertmanager.running(alerting, folder, webhook, token))
    targets = {"digits": [address.removeprefix("http://") for address in servers.values()]}
    targets["controller"] = [controller.removeprefix("http://")]
    client = stack.enter_context(
        throwaway.running(programs, folder, rules=[rules], targets=targets, alerts_to=[alerts.removeprefix("http://")])
    )
    for variant in ("stable", "canary"):
        parts.scraped(client, GOOD, variant)
    say("waiting up to a minute for all rules: those of slices and classes are evaluated once a minute")
    parts.evaluated(client)
    state = folder / "state"
    command = parts.verb("rollback", "--project", str(project), "--prometheus", client.url, "--state", str(state))
    command += ["--port", controller.rpartition(":")[2], "--environment", "environment=", "--bearer-file", str(token)]
    ready = f"{controller}/healthz"
    stack.enter_context(program.running("the controller", command, ready, folder / "controller.log", apart=True))
    traffic = Traffic(front, servers, *data.load("test"), data.slices("test"), rate=options.rate, delay=options.delay)
    stack.callback(traffic.stop)
    target = HaproxyTarget(HaproxyOptions(socket=proxy.SOCKET, backend=proxy.BACKEND), folder)
    say(f"HAProxy {front}, Prometheus {client.url}, Alertmanager {alerts}, controller {controller}")
    say(f"{options.rate:g} requests a second, their labels {options.delay:g} s later; four seconds stand for an hour\n")
    story = Story(client, target, traffic, servers, alerts, state / "audit.jsonl", options.patience)
    return story, good, bad


def _project(built: Built, folder: Path) -> Path:
    """The project as it is, with a canary declared."""
    project = folder / "project"
    project.mkdir()
    for name in _TAKES:
        if (built.project / name).exists():
            (project / name).symlink_to(built.project / name)
    declared = _DECLARED.format(socket=folder / proxy.SOCKET, backend=proxy.BACKEND)
    (project / "makeweight.yaml").write_text((built.project / "makeweight.yaml").read_text() + declared)
    return project


def _finish(told: Recorded, results: Path, verified: str) -> int:
    """Print and draw the timeline; whether all came as it was to."""
    (results / "timeline.json").write_text(told.dumps())
    try:
        say("\n" + timeline.text(told))
        (results / "timeline.svg").write_text(picture.draw(told))
    except Untold as error:
        say(f"\n{error}")
        return 1
    say(f"\naudit log: {verified.rpartition('audit.jsonl: ')[2]}")
    say(f"drawn: {results / 'timeline.svg'}")
    say("every part is stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
