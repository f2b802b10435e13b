"""`makeweight-monitors rules`: read the budget and the reference, write the rules and their tests."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

from makeweight_base import atomic
from makeweight_base.errors import Exit, UsageError, reason
from makeweight_monitors import reference as references
from makeweight_monitors.rules import declared, generate, text
from makeweight_monitors.rules.terms import Terms

if TYPE_CHECKING:
    from makeweight.project.project import Project

RULES = "makeweight.rules.yaml"
TESTS = "makeweight.tests.yaml"


def run(options: argparse.Namespace) -> Exit:
    """Write both files into `--out`.

    Raises:
        UsageError: the configuration, or a reference, cannot be used.
        EnvironmentFailed: the folder cannot be written to.
    """
    import makeweight
    from makeweight_monitors.rules.trials import unit_tests
    from makeweight_monitors.rules.trials.cases import cases
    from makeweight_monitors.rules.trials.together import together

    terms, notes = read(options)
    groups = generate.groups(terms)
    heading = generate.heading(terms, makeweight.__version__)
    atomic.write_text(options.out / RULES, text.render(groups, heading, terms.runbooks))
    tried = cases(terms)
    about = [f"What {RULES} does on made-up fleets: promtool test rules {TESTS}"]
    atomic.write_text(options.out / TESTS, unit_tests.render(together(tried, groups), RULES, about))
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    alerts = generate.alerts(groups)
    recordings = sum(len(group.rules) for group in groups) - len(alerts)
    print(f"{options.out / RULES}: {recordings} recording rules, {len(alerts)} alerts for {terms.model}")
    print(f"{options.out / TESTS}: {len(tried)} cases")
    return Exit.PASS


def read(options: argparse.Namespace) -> tuple[Terms, list[str]]:
    """The terms that the arguments stand for, and notes about them; dashboards begin with the same."""
    from makeweight.project import reading

    return of(reading.load(options.project), options)


def of(project: Project, options: argparse.Namespace) -> tuple[Terms, list[str]]:
    """Likewise, where the project was read already."""
    variant = _variant(project, options.variant)
    if options.device is not None:
        project.device(options.device)
    baseline = project.layout.reference("baseline")
    return declared.terms(
        project,
        references.read(project.layout.reference(variant)),
        references.read(baseline) if baseline.exists() else None,
        device=options.device,
        interval=options.interval,
        history=options.history,
        environment=options.environment,
        models=options.models,
        runbooks=options.runbooks,
    )


def _variant(project: Project, named: str | None) -> str:
    """The variant that serves as canary: the one named, or that ships by name, or by the verdict."""
    if named is None and project.ship != "best":
        named = project.ship
    if named is not None:
        return project.variant(named).name
    path = project.layout.verdict
    try:
        shipped = json.loads(path.read_text())["ship"]
    except FileNotFoundError:
        shipped = None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"this is no verdict: {reason(error)}", where=str(path), do="Run `makeweight report` again."
        ) from error
    if not isinstance(shipped, str):
        raise UsageError(
            "which variant is the canary is not known: none ships",
            where=str(path),
            do="Name it with `--variant`, or run `dvc repro` until one passes its budget.",
        )
    return project.variant(shipped).name
