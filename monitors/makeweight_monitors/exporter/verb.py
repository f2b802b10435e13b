"""`makeweight-monitors exporter`: prediction events in, metrics out, beside any server."""

from __future__ import annotations

import argparse
import logging
import sys

from makeweight_base.errors import Exit, MissingExtra, UsageError
from makeweight_base.loopback import is_loopback
from makeweight_monitors.exporter.described import described
from makeweight_monitors.exporter.limits import Bounds


def run(options: argparse.Namespace) -> Exit:
    """Serves until it is asked to end (SIGTERM, SIGINT); what it took until then is counted and written.

    Raises:
        UsageError: what is to be served, or how, cannot be; EnvironmentFailed: the port is taken.
    """
    try:
        import orjson  # noqa: F401
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise MissingExtra("the exporter", "exporter") from error
    from makeweight_monitors.exporter.app import build
    from makeweight_monitors.exporter.running import Running
    from makeweight_monitors.http import server, tls
    from makeweight_monitors.http.bearer import Bearer

    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s", level=logging.WARNING)
    models = described(options)
    bearer = None if options.bearer_file is None else Bearer(options.bearer_file)
    if not is_loopback(options.host) and bearer is None and not options.insecure:
        raise UsageError(
            "anybody who reaches this address could send events, which decide on rollbacks",
            where=f"--host {options.host}",
            do="Give a token with `--bearer-file FILE`; or `--insecure`, where the network lets in only your servers.",
        )
    shown = tls.of(options.tls_cert, options.tls_key, options.tls_client_ca)
    bounds = Bounds(options.most_body, max(options.most_inflight, options.most_body), options.most_requests)
    metrics_bearer = None if options.metrics_bearer_file is None else Bearer(options.metrics_bearer_file)
    endpoints = dict(options.endpoint or ())
    running = Running(
        models,
        bounds,
        bearer,
        metrics_bearer,
        endpoints,
        options.most_revisions,
        options.source or (),
        options.response_timeout,
    )
    if options.tail is not None:
        running.follow(options.tail, options.tail_offset)
    listening = server.listen(options.host, options.port)
    names = ", ".join(one.name for one in models)
    print(f"counting for {names}; listening on {server.address(listening, shown)}", flush=True)
    running.start()
    try:
        app = build(running)
        server.serve(app, listening, shown, options.linger, running.not_ready, running.every_second)
    finally:
        running.close()
    print("everything that was taken is counted", flush=True)
    return Exit.PASS
