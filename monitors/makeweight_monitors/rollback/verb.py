"""`makeweight-monitors rollback`, and what people ask of it: `hold`, `resume`, `status`, `audit`, a rollback."""

from __future__ import annotations

import argparse
import getpass
import json
import math
import os
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from makeweight_base.errors import Exit, MissingExtra, UsageError
from makeweight_base.loopback import is_loopback
from makeweight_monitors.rollback import asking, audit, logs, signing
from makeweight_monitors.rollback.arguments import LONGEST, STATE

if TYPE_CHECKING:
    from makeweight_monitors.rollback.controller import Controller
    from makeweight_monitors.rollback.journal import Journal
    from makeweight_monitors.rollback.leases.lease import Lease


def run(options: argparse.Namespace) -> Exit:
    """One of the verbs.

    Raises:
        UsageError: what is asked for cannot be; EnvironmentFailed: the controller, or the machine, does not.
    """
    match options.asked:
        case "audit":
            return _verify(options)
        case "status":
            return _status(options)
        case "serve" if options.reason is None:
            return _serve(options)
        case asked:
            return _order("rollback" if asked == "serve" else asked, options)


def _order(order: str, options: argparse.Namespace) -> Exit:
    print(asking.order(_asked(options), order, options.who or _logged_in(), options.reason))
    return Exit.PASS


def _logged_in() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError) as error:  # a container's user need have no name
        raise UsageError("who asks? The user of this process has no name", do="Name yourself with `--who`.") from error


def _asked(options: argparse.Namespace) -> asking.Asked:
    certificate, key = options.tls_cert, options.tls_key
    if (certificate is None) != (key is None):
        raise UsageError("a certificate is shown with its key", do="Name both `--tls-cert` and `--tls-key`.")
    shown = None if certificate is None else (certificate, key)
    return asking.Asked(options.controller, signing.secret(options.secret_file), options.tls_ca, shown)


def _status(options: argparse.Namespace) -> Exit:
    told = asking.status(_asked(options))
    if options.json:
        print(json.dumps(told, indent=2))
        return Exit.PASS
    health = told["health"]
    known = health["trouble"] or (f"nothing is known: {health['blind']}" if health["blind"] else "looks well")
    leads = "leads" if health["leads"] else "stands by"
    print(f"{told['model']}: {leads}; {known}{' (dry run)' if told['dry_run'] else ''}")
    if told["hold"]:
        print(f"held by {told['hold']['who']}: {told['hold']['reason']}")
    for case in told["canaries"]:
        named = case["canary"]["revision"] or case["canary"]["sha256"][:12]
        print(f"{named} {case['stage']} at {case['share']:.0%}: {case['why'] or 'nothing yet'}")
    return Exit.PASS


def _verify(options: argparse.Namespace) -> Exit:
    from makeweight_monitors.rollback.journal import Journal

    known = None
    log = options.log
    if log is None:
        if not (options.state / "journal.sqlite").exists():
            raise UsageError("no journal there", where=str(options.state), do="Name its folder with `--state`.")
        journal = Journal(options.state)
        known, log = journal.head(), journal.log
        journal.close()
    if not log.exists() and known in (None, audit.Head()):
        raise UsageError("there is no audit log", where=str(log))
    found = audit.verify(log, known)
    if isinstance(found, audit.Break):
        print(f"{log}:{found.line}: {found.what}")
        return Exit.FAIL
    print(f"{log}: {found.number} lines, all as they were written; the last hash is {found.hash}")
    return Exit.PASS


def _serve(options: argparse.Namespace) -> Exit:
    try:
        import orjson  # noqa: F401
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise MissingExtra("the controller", "exporter") from error
    from makeweight_monitors.http import server, tls
    from makeweight_monitors.http.bearer import Bearer
    from makeweight_monitors.rollback.app import build
    from makeweight_monitors.rollback.running import Running

    logs.to_stderr(options.log)
    if options.prometheus is None:
        raise UsageError("which Prometheus evaluates the rules?", do="Name it with `--prometheus URL`.")
    if "@" in urlsplit(options.prometheus).netloc:
        # the address stands in the audit log, as part of a link
        raise UsageError("an address with a password in it", do="Give a token with `--prometheus-bearer-file FILE`.")
    if options.every > LONGEST:
        raise UsageError(
            "a controller that looks so seldom is taken for gone",
            where="--every",
            do=f"Let it look every {LONGEST:.0f} s, or more often.",
        )
    bearer = None if options.bearer_file is None else Bearer(options.bearer_file)
    metrics_bearer = None if options.metrics_bearer_file is None else Bearer(options.metrics_bearer_file)
    secret = None
    if options.secret_file is not None or os.environ.get(signing.SECRET):
        secret = signing.secret(options.secret_file)
    if not is_loopback(options.host) and bearer is None and options.tls_client_ca is None:
        raise UsageError(
            "anybody who reaches this address could send alerts",
            where=f"--host {options.host}",
            do="Give a token with `--bearer-file FILE`, or let in clients by certificate with `--tls-client-ca PEM`.",
        )
    shown = tls.of(options.tls_cert, options.tls_key, options.tls_client_ca)
    controller = _controller(options)
    running = Running(controller, bearer, metrics_bearer, secret, options.every)
    try:
        listening = server.listen(options.host, options.port)
        dry = "; a dry run: nothing is done" if options.dry_run else ""
        print(f"watching {controller.looking.model}; listening on {server.address(listening, shown)}{dry}", flush=True)
        server.serve(build(running), listening, shown, 0.0, running.ask_to_end, running.every_second)
    finally:
        running.close()
    print("what was begun is in the journal", flush=True)
    return Exit.PASS


def _controller(options: argparse.Namespace) -> Controller:
    from makeweight.project import reading
    from makeweight_monitors.prometheus.queries import Client
    from makeweight_monitors.rollback import declared
    from makeweight_monitors.rollback.controller import Controller
    from makeweight_monitors.rollback.journal import Journal
    from makeweight_monitors.rollback.looking import Looking

    project = reading.load(options.project)
    target, policy = declared.target(project), declared.policy(project)
    scope = dict(options.environment or [("environment", os.environ.get("MAKEWEIGHT_ENVIRONMENT", ""))])
    client = Client(options.prometheus, options.prometheus_bearer_file, seconds=10)
    state = options.state or options.project / STATE
    journal = Journal(state)
    looking = Looking(client, project.name, scope)
    lease = _lease(options, journal)
    return Controller(target, looking, journal, lease, policy, time.time, options.dry_run)


def _lease(options: argparse.Namespace, journal: Journal) -> Lease:
    """What is shared with other controllers; a dry run takes nothing from one that acts."""
    from makeweight_monitors.rollback.leases.file import FileLease

    if options.lease is None or options.dry_run:
        return FileLease(journal.path.parent / "lease")
    import socket
    import uuid

    from makeweight.registry import require_extra
    from makeweight_monitors.rollback import handing
    from makeweight_monitors.rollback.kubernetes import Cluster
    from makeweight_monitors.rollback.leases.kubernetes import KubernetesLease

    require_extra("`--lease`", "kubernetes")
    namespace, name = options.lease
    identity = f"{socket.gethostname()}_{uuid.uuid4()}"
    # three looks may fail before another takes it
    lasts = math.ceil(3 * options.every) + 15
    return KubernetesLease(
        Cluster(namespace),
        name,
        identity,
        lasts,
        time.monotonic,
        time.time,
        hands=lambda: handing.told(journal),
        takes_over=lambda text, before: handing.taken_over(journal, text, before, time.time),
    )
