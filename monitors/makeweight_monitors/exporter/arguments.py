"""The arguments of `makeweight-monitors exporter`, apart from the verb: a parser needs them at every start."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from makeweight_base.commandline import whole
from makeweight_monitors import durations
from makeweight_monitors.exporter.limits import MOST_REVISIONS, RESPONSE_TIMEOUT, Bounds

PORT = 9464
LOGGED = ("stable", "canary", "shadow")
"""What payload logging may be of; a shadow is a canary whose answers do not go out."""
_SIZES = {"": 1, "k": 1000, "m": 1_000_000, "g": 1_000_000_000}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    model = partial(_add, parser.add_argument_group("which model (one by flags, several by a file)"))
    model("--models", "FILE", "YAML: the same keys by model, under `models:`", Path)
    model("--model", "NAME", "its name (default: as its reference says)")
    model("--revision", "R", "of events that name none; its series are there from the start")
    model("--environment", "E", "of events that name none, such as staging (default: MAKEWEIGHT_ENVIRONMENT)")
    model("--attempt", "N", "which try of the revision this is; each is judged afresh")
    model("--reference", "VARIANT=FILE", "reports/<variant>/reference.json", _of_variant, action="append")
    model("--manifest", "VARIANT=FILE", "artifacts/<variant>/manifest.json", _of_variant, action="append")
    model("--task", "KIND", "classification or regression, where no reference says it")
    model("--classes", "A,B", "in the order of the scores; unsaid, learnt", _names)
    model("--scores", "KIND", "softmax, probability or sigmoid; unsaid, found out")
    model("--tolerance", "X", "regression: how far off is still right", float)
    model("--error-edges", "X,Y", "regression: inner edges of the error's bins", _numbers)
    watched = "an input to watch, by inner edges of bins"
    model("--feature", "NAME=X,Y", watched, _feature, action="append", dest="features")
    model("--slices", "A,B", "groups whose accuracy is counted apart", _names)
    model("--weight", "SHARE", "the canary's, where traffic is split at random", float)
    model("--labels", "FILE", "where predictions wait for labels (default: in memory)")
    model("--label-timeout", "T", "how long they wait (default: 1d)", durations.seconds)
    model("--most-waiting", "N", "how many may wait (default: 1,000,000)", int)
    model("--service", "NAME", "what payload logging calls the model, as NAME or NAMESPACE/NAME (default: its name)")

    inputs = partial(_add, parser.add_argument_group("further inputs, beside POST /v1/events and /v1/cloudevents"))
    inputs("--tail", "FILE", "follow a log of events, one JSON object a line", Path)
    inputs("--tail-offset", "FILE", "how far it was read (default: beside it)", Path)
    inputs("--endpoint", "NAME=VARIANT", "payload logging: a predictor's name", _whose, action="append")
    by_pod = "payload logging: a pattern for `source`, such as '*-00002-*=canary'"
    inputs("--source", "PATTERN=VARIANT", by_pod, _whose, action="append")
    waits = "payload logging: in which a response has to come, else its request has failed"
    waits += f" (default: {RESPONSE_TIMEOUT:g}s)"
    inputs("--response-timeout", "T", waits, durations.seconds, RESPONSE_TIMEOUT)

    group = parser.add_argument_group("server")
    server = partial(_add, group)
    server("--host", "ADDRESS", "where to listen (default: 127.0.0.1)", default="127.0.0.1")
    server("--port", "N", f"default: {PORT}; 0: any that is free", whole(0, 65535), PORT)
    server("--bearer-file", "FILE", "the token that events need", Path)
    server("--metrics-bearer-file", "FILE", "the token that /metrics needs", Path)
    server("--tls-cert", "PEM", "serve by TLS with this certificate chain", Path)
    server("--tls-key", "PEM", "its private key", Path)
    server("--tls-client-ca", "PEM", "let in only clients that this CA signed", Path)
    alone = "listen beyond this machine though nobody needs a token to send events"
    group.add_argument("--insecure", action="store_true", help=alone)
    last = "go on serving so long after SIGTERM, not ready any more, for a last scrape (default: 1s)"
    server("--linger", "T", last, _linger, 1.0)
    server("--most-body", "SIZE", f"of a body (default: {_megabytes(Bounds.body)})", size, Bounds.body)
    at_once = f"of all bodies at once (default: {_megabytes(Bounds.inflight)})"
    server("--most-inflight", "SIZE", at_once, size, Bounds.inflight)
    a_second = f"that bring events, a second (default: {Bounds.requests:g})"
    server("--most-requests", "N", a_second, _rate, Bounds.requests)
    told_apart = f"of a model that are told apart (default: {MOST_REVISIONS})"
    server("--most-revisions", "N", told_apart, whole(1, 1_000_000), MOST_REVISIONS)


def _add(
    group: argparse._ArgumentGroup,
    flag: str,
    metavar: str,
    help: str,
    read: Callable[[str], Any] = str,
    default: Any = None,
    **more: Any,
) -> None:
    group.add_argument(flag, metavar=metavar, help=help, type=read, default=default, **more)


def _megabytes(count: int) -> str:
    return f"{count // 1_000_000}MB"


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


def _whose(text: str) -> tuple[str, str]:
    name, variant = _pair(text)
    if variant not in LOGGED:
        raise argparse.ArgumentTypeError(f"`{variant}` is none of {', '.join(LOGGED)}")
    return name, variant


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
