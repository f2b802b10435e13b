"""The arguments of `makeweight-monitors exporter`, apart from the verb: a parser needs them at every start."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from makeweight_base.numbers import whole
from makeweight_monitors import durations
from makeweight_monitors.exporter.limits import MOST_REVISIONS, Bounds

PORT = 9464
_SIZES = {"": 1, "k": 1000, "m": 1_000_000, "g": 1_000_000_000}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    model = parser.add_argument_group("which model (one by flags, several by a file)")
    model.add_argument("--models", type=Path, metavar="FILE", help="YAML: the same keys by model, under `models:`")
    model.add_argument("--model", metavar="NAME", help="its name (default: as its reference says)")
    model.add_argument("--revision", metavar="R", help="of events that name none; its series are there from the start")
    model.add_argument(
        "--reference",
        type=_of_variant,
        action="append",
        metavar="VARIANT=FILE",
        help="reports/<variant>/reference.json",
    )
    model.add_argument(
        "--manifest",
        type=_of_variant,
        action="append",
        metavar="VARIANT=FILE",
        help="artifacts/<variant>/manifest.json",
    )
    model.add_argument("--task", metavar="KIND", help="classification or regression, where no reference says it")
    model.add_argument("--classes", type=_names, metavar="A,B", help="in the order of the scores; unsaid, learnt")
    model.add_argument("--scores", metavar="KIND", help="softmax, probability or sigmoid; unsaid, found out")
    model.add_argument("--tolerance", type=float, metavar="X", help="regression: how far off is still right")
    model.add_argument(
        "--error-edges", type=_numbers, metavar="X,Y", help="regression: inner edges of the error's bins"
    )
    model.add_argument(
        "--feature",
        type=_feature,
        action="append",
        metavar="NAME=X,Y",
        help="an input to watch, by inner edges of bins",
    )
    model.add_argument("--slices", type=_names, metavar="A,B", help="groups whose accuracy is counted apart")
    model.add_argument("--weight", type=float, metavar="SHARE", help="the canary's, where traffic is split at random")
    model.add_argument("--labels", metavar="FILE", help="where predictions wait for labels (default: in memory)")
    model.add_argument("--label-timeout", type=durations.seconds, metavar="T", help="how long they wait (default: 1d)")
    model.add_argument("--most-waiting", type=int, metavar="N", help="how many may wait (default: 1,000,000)")
    model.add_argument("--service", metavar="NAME", help="what payload logging calls the model (default: its name)")

    inputs = parser.add_argument_group("further inputs, beside POST /v1/events and /v1/cloudevents")
    inputs.add_argument("--tail", type=Path, metavar="FILE", help="follow a log of events, one JSON object a line")
    inputs.add_argument("--tail-offset", type=Path, metavar="FILE", help="how far it was read (default: beside it)")
    inputs.add_argument(
        "--endpoint", type=_pair, action="append", metavar="NAME=VARIANT", help="payload logging: a predictor's name"
    )

    server = parser.add_argument_group("server")
    server.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="where to listen (default: 127.0.0.1)")
    server.add_argument(
        "--port", type=whole(0, 65535), default=PORT, metavar="N", help=f"default: {PORT}; 0: any that is free"
    )
    server.add_argument("--bearer-file", type=Path, metavar="FILE", help="the token that events need")
    server.add_argument("--metrics-bearer-file", type=Path, metavar="FILE", help="the token that /metrics needs")
    server.add_argument("--tls-cert", type=Path, metavar="PEM", help="serve by TLS with this certificate chain")
    server.add_argument("--tls-key", type=Path, metavar="PEM", help="its private key")
    server.add_argument("--tls-client-ca", type=Path, metavar="PEM", help="let in only clients that this CA signed")
    server.add_argument(
        "--insecure", action="store_true", help="listen beyond this machine though nobody needs a token to send events"
    )
    server.add_argument(
        "--linger",
        type=_linger,
        default=1.0,
        metavar="T",
        help="go on serving so long after SIGTERM, not ready any more, for a last scrape (default: 1s)",
    )
    server.add_argument(
        "--most-body",
        type=size,
        default=Bounds.body,
        metavar="SIZE",
        help=f"of a body (default: {Bounds.body // 1_000_000}MB)",
    )
    server.add_argument(
        "--most-inflight",
        type=size,
        default=Bounds.inflight,
        metavar="SIZE",
        help=f"of all bodies at once (default: {Bounds.inflight // 1_000_000}MB)",
    )
    server.add_argument(
        "--most-requests",
        type=_rate,
        default=Bounds.requests,
        metavar="N",
        help=f"that bring events, a second (default: {Bounds.requests:g})",
    )
    server.add_argument(
        "--most-revisions",
        type=whole(1, 1_000_000),
        default=MOST_REVISIONS,
        metavar="N",
        help=f"of a model that are told apart (default: {MOST_REVISIONS})",
    )


def size(text: str) -> int:
    """Bytes from a number with or without kB, MB or GB."""
    parts = re.fullmatch(r"([0-9]+) ?([kKmMgG]?)[bB]?", text)
    if parts is None or not int(parts[1]):
        raise argparse.ArgumentTypeError(f"`{text}` is no size such as 500kB or 10MB")
    return int(parts[1]) * _SIZES[parts[2].lower()]


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise argparse.ArgumentTypeError(f"`{text}` is not NAME=VALUE")
    return name, value


def _of_variant(text: str) -> tuple[str, str]:
    """(variant, file); a file alone is the canary's."""
    return _pair(text) if "=" in text else ("canary", text)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


def _numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"`{text}` are no numbers such as 0.2,0.4") from None


def _feature(text: str) -> tuple[str, list[float]]:
    name, edges = _pair(text)
    return name, _numbers(edges)


def _linger(text: str) -> float:
    return 0.0 if text in ("0", "0s") else durations.seconds(text)


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 1 <= rate < 1e9:
        raise argparse.ArgumentTypeError(f"`{text}` is no number of requests of at least 1")
    return rate
