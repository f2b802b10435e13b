"""The arguments of `makeweight-monitors backtest`, apart from the verb: a parser needs them at every start."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path

from makeweight_monitors import durations


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rules", type=Path, required=True, metavar="FILE", help="rules as Prometheus reads them")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--prometheus", metavar="URL", help="replay what this Prometheus has recorded")
    source.add_argument("--file", type=Path, metavar="JSON", help="replay the saved answer of a range query")
    parser.add_argument("--start", type=moment, metavar="T", help="such as 2030-12-31T08:00Z, or Unix time")
    parser.add_argument("--end", type=moment, metavar="T", help="default: now; with --file, its last sample")
    parser.add_argument(
        "--step", type=durations.seconds, metavar="T", help="between two evaluations (default: 1m, or the file's)"
    )
    parser.add_argument(
        "--lead",
        type=durations.seconds,
        default=6 * 3600,
        metavar="T",
        help="read so far ahead of --start, for windows (default: 6h)",
    )
    parser.add_argument(
        "--programs", type=Path, metavar="DIR", help="where prometheus and promtool are, if not on PATH"
    )
    parser.add_argument(
        "--bearer-file", type=Path, metavar="FILE", help="a file with the token that --prometheus wants"
    )


def moment(text: str) -> float:
    """Unix time from itself, or from ISO 8601; without an offset, UTC is meant."""
    try:
        return float(text)
    except ValueError:
        pass
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"`{text}` is no time such as 2030-12-31T08:00Z") from None
    return (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()
