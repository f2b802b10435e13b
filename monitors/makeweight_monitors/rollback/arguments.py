"""The arguments of the controller's verbs, apart from the verbs: a parser needs them at every start."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from makeweight_base.commandline import whole
from makeweight_monitors import durations
from makeweight_monitors.rollback.logs import FORMS

PORT = 9465
STATE = Path("monitoring") / "controller"
LONGEST = 20.0
"""Seconds between two looks: after a minute without one that was scraped `MakeweightControllerGone` fires."""
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
_LABEL = re.compile(r"([a-zA-Z_][a-zA-Z0-9_]*)=(.*)")


def add_controller(parser: argparse.ArgumentParser) -> None:
    """`rollback`: serve; with `--reason`, ask a controller that runs."""
    parser.set_defaults(asked="serve")
    parser.add_argument("--prometheus", metavar="URL", help="the Prometheus that evaluates the rules")
    parser.add_argument("--prometheus-bearer-file", type=Path, metavar="FILE", help="the token that it wants")
    parser.add_argument(
        "--state",
        type=Path,
        metavar="DIR",
        help=f"journal, audit log and lease, on a disk of this machine (default: {STATE} of the project)",
    )
    parser.add_argument(
        "--environment",
        type=_scope,
        action="append",
        metavar="LABEL=VALUE",
        help="whose canary it is: repeat for each label that tells environments apart "
        "(default: environment=, as MAKEWEIGHT_ENVIRONMENT says)",
    )
    parser.add_argument(
        "--every", type=durations.seconds, default=5.0, metavar="T", help="between two looks (default: 5s)"
    )
    parser.add_argument(
        "--lease",
        type=_lease,
        metavar="[NAMESPACE/]NAME",
        help="the Kubernetes Lease that controllers on several machines share (default: a lock on a file of --state)",
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    parser.add_argument("--log", choices=FORMS, default="text", help="how it is logged, on stderr (default: text)")
    server = parser.add_argument_group("server")
    server.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="where to listen (default: 127.0.0.1)")
    server.add_argument(
        "--port", type=whole(0, 65535), default=PORT, metavar="N", help=f"default: {PORT}; 0: any that is free"
    )
    server.add_argument("--bearer-file", type=Path, metavar="FILE", help="the token that alerts need")
    server.add_argument("--metrics-bearer-file", type=Path, metavar="FILE", help="the token that /metrics needs")
    server.add_argument(
        "--tls-cert", type=Path, metavar="PEM", help="serve by TLS with this certificate chain; an order shows it"
    )
    server.add_argument("--tls-key", type=Path, metavar="PEM", help="its private key")
    server.add_argument("--tls-client-ca", type=Path, metavar="PEM", help="let in only clients that this CA signed")
    order = parser.add_argument_group("an order, to a controller that runs")
    order.add_argument("--reason", metavar="TEXT", help="roll the canary back now, for this reason")
    _add_asked(order)


def add_order(parser: argparse.ArgumentParser, asked: str) -> None:
    """`hold`, `resume`, `status`."""
    parser.set_defaults(asked=asked)
    if asked != "status":
        parser.add_argument("--reason", metavar="TEXT", required=True, help="why; it stands in the audit log")
    parser.add_argument("--tls-cert", type=Path, metavar="PEM", help="the certificate to show, where one is wanted")
    parser.add_argument("--tls-key", type=Path, metavar="PEM", help="its private key")
    _add_asked(parser)


def add_audit(parser: argparse.ArgumentParser) -> None:
    """`audit verify`."""
    parser.set_defaults(asked="audit")
    parser.add_argument(
        "what", choices=["verify"], help="every line against the one before it, and against the journal"
    )
    parser.add_argument(
        "--state", type=Path, default=STATE, metavar="DIR", help=f"the controller's folder (default: {STATE})"
    )
    parser.add_argument("--log", type=Path, metavar="FILE", help="a log alone, without its journal")


def _add_asked(parser: argparse._ActionsContainer) -> None:
    default = f"http://127.0.0.1:{PORT}"
    parser.add_argument("--controller", default=default, metavar="URL", help=f"whom to ask (default: {default})")
    parser.add_argument(
        "--secret-file", type=Path, metavar="FILE", help="what orders are signed with (or MAKEWEIGHT_SIGNING_SECRET)"
    )
    parser.add_argument(
        "--tls-ca", type=Path, metavar="PEM", help="who signed its certificate (default: whom this machine believes)"
    )
    parser.add_argument("--who", metavar="NAME", help="who asks (default: who is logged in)")


def _lease(text: str) -> tuple[str | None, str]:
    namespace, slash, name = text.rpartition("/")
    if not _NAME.fullmatch(name) or (slash and not _NAME.fullmatch(namespace)):
        raise argparse.ArgumentTypeError(f"`{text}` is no [NAMESPACE/]NAME, in small letters, digits, `-` and `.`")
    return namespace or None, name


def _scope(text: str) -> tuple[str, str]:
    found = _LABEL.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"`{text}` is not LABEL=VALUE, such as namespace=shop")
    return found[1], found[2]
