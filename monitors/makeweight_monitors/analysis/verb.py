"""`makeweight-monitors analysis`: from the same budget as the rules to what Argo Rollouts or Flagger ask of them."""

from __future__ import annotations

import argparse
import hashlib
import re
import sys
from urllib.parse import urlsplit

from makeweight_base import atomic
from makeweight_base.errors import Exit, UsageError
from makeweight_monitors.rules import verb as rules
from makeweight_monitors.rules import yamltext


def run(options: argparse.Namespace) -> Exit:
    """Write what is asked for into `--out`.

    Raises:
        UsageError: the configuration, a reference or the address cannot be used, or the budget asks for no rollback.
        EnvironmentFailed: the folder cannot be written to.
    """
    if urlsplit(options.prometheus).scheme not in ("http", "https"):
        raise UsageError(
            f"`{options.prometheus}` is no address of a Prometheus",
            where="--prometheus",
            do="Give one such as http://prometheus.monitoring:9090, as it is reached in the cluster.",
        )
    import makeweight
    from makeweight.project import reading
    from makeweight_monitors.analysis import argo, flagger
    from makeweight_monitors.rollback import declared

    project = reading.load(options.project)
    terms, notes = rules.of(project, options)
    if terms.drop is None:
        raise UsageError(
            "the budget states no tolerated drop in accuracy, and so not which canary is good enough",
            do="State one: `canary.max_accuracy_drop`, or `accuracy: {max_drop}` in the budget.",
        )
    policy = declared.policy(project)
    name = object_name(terms.model)
    written = (
        f"For {terms.model}, written by makeweight-monitors {makeweight.__version__}, for the rules of the same budget."
    )
    if options.kind == "argo":
        files = {"makeweight.argo.yaml": (argo.template(terms, policy, name, options.prometheus), argo.heading(policy))}
    else:
        files = {
            "makeweight.flagger.yaml": (flagger.template(terms, name, options.prometheus), flagger.HEADING),
            "makeweight.flagger.canary.yaml": (flagger.entry(terms, name), ["Of the Canary: merge it into yours."]),
        }
    for path, (content, heading) in files.items():
        atomic.write_text(options.out / path, yamltext.document(content, [written, *heading]))
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    for path in files:
        print(options.out / path)
    return Exit.PASS


def object_name(model: str) -> str:
    """What Kubernetes takes as a name (RFC 1123). A digest tells apart models that would be called alike, where one's
    own name is no such name."""
    own = re.sub(r"[^a-z0-9]+", "-", model.lower()).strip("-")
    digest = "" if own == model else hashlib.sha256(model.encode()).hexdigest()[:7]
    return "-".join(part for part in ("makeweight", own, digest) if part)
