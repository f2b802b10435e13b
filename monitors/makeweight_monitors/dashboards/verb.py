"""`makeweight-monitors dashboards`: read the budget and the reference, write what Grafana shows and how it finds it."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from urllib.parse import urlsplit

from makeweight_base import atomic
from makeweight_base.errors import Exit, MissingExtra, UsageError
from makeweight_monitors.dashboards.arguments import PROMETHEUS
from makeweight_monitors.rules import verb as rules


def run(options: argparse.Namespace) -> Exit:
    """Write all files below `--out`.

    Raises:
        UsageError: the extra is not installed; or the configuration, a reference or an address cannot be used.
        EnvironmentFailed: the folder cannot be written to.
    """
    if importlib.util.find_spec("grafana_foundation_sdk") is None:
        raise MissingExtra("the verb `dashboards`", "dashboards")
    if urlsplit(options.prometheus).scheme not in ("http", "https"):
        raise UsageError(
            f"`{options.prometheus}` is no address of a Prometheus",
            where="--prometheus",
            do=f"Give one such as {PROMETHEUS}, as Grafana reaches it.",
        )
    import makeweight
    from makeweight_monitors.dashboards import board, generate

    terms, notes = rules.read(options)
    files = generate.files(
        terms, makeweight.__version__, prometheus=options.prometheus, datasource=options.datasource, place=options.place
    )
    for path, text in files.items():
        atomic.write_text(options.out / path, text)
    if not board.published(terms.runbooks):
        notes.append("no link leads to the runbooks: name the page that Grafana's users can open with `--runbooks URL`")
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    for path in files:
        print(options.out / path)
    return Exit.PASS
