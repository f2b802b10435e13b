"""`makeweight devices`: each device of the project, asked what it is."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from makeweight import registry
from makeweight.bench import bootstrap as furnishing
from makeweight.bench import probe
from makeweight.devices.record import described
from makeweight.project import reading
from makeweight.project.project import Project
from makeweight.report import console
from makeweight_base.errors import Exit, MakeweightError, UsageError


def run(root: Path, bootstrap: str | None, packages: Sequence[str], *, as_json: bool) -> Exit:
    """Exit 4 where one cannot be reached, or cannot be given what it needs.

    Args:
        bootstrap: the device that is first given a private folder with a Python that has what the project needs.
        packages: requirements to install there in place of the versions that are here.
    """
    project = reading.load(root)
    if bootstrap is not None:
        _bootstrap(project, bootstrap, packages)
    elif packages:
        raise UsageError("`--with` says what is installed, and no device is named", do="Name it by `--bootstrap`.")
    asked = list(project.devices) if bootstrap is None else [bootstrap]
    with ThreadPoolExecutor() as beside:
        told = dict(zip(asked, beside.map(lambda name: _asked(project, name), asked), strict=True))
    if as_json:
        print(json.dumps(told))
    else:
        _show(told)
    return Exit.PASS if all("reason" not in each for each in told.values()) else Exit.ENVIRONMENT


def _bootstrap(project: Project, name: str, packages: Sequence[str]) -> None:
    entry = project.device(name)
    runtimes = sorted({project.model.runtime, *(each.runtime for each in project.variants.values())})
    runtimes = [each for each in runtimes if entry.options.unserved(each) is None]
    needed = furnishing.requirements(runtimes, packages, entry.options.execution_provider)
    device = entry.connect()

    def tell(said: str) -> None:
        print(said, file=sys.stderr)

    made = furnishing.furnish(device, needed, runtimes, tell)
    tell(f"{name}: {'made' if made else 'all of it is there already'}")


def _asked(project: Project, name: str) -> dict[str, Any]:
    """Its kind, and what it says of itself or why it does not."""
    entry = project.device(name)
    try:
        facts = probe.facts_in_full(entry.connect(), lambda _: None, entry.options)
    except MakeweightError as error:  # also of one that lacks something here: the others are asked all the same
        return {"kind": entry.kind, "reason": error.what, "do": error.do}
    unavailable, remedies = ({what: lack[part] for what, lack in facts.lacking.items()} for part in (0, 1))
    return {
        "kind": entry.kind,
        "identity": facts.identity,
        "conditions": facts.conditions,
        "unavailable": unavailable,
        "remedies": remedies,
    }


def _show(told: dict[str, dict[str, Any]]) -> None:
    from rich.table import Table

    table = Table("device", "kind", "what it is", "runtimes", box=None, pad_edge=False, padding=(0, 2))
    for name, each in told.items():
        if "reason" in each:
            table.add_row(name, each["kind"], f"unreachable: {each['reason']}. {each['do'] or ''}".strip(), "")
            continue
        identity, load = each["identity"], each["conditions"]["load"]
        what = described(identity)
        what += f", load {load:.2f}" if load is not None else ""
        quota = (each["conditions"].get("throttling") or {}).get("quota")
        what += f", limited to {quota['processors']:.3g} processors" if quota else ""
        runtimes = ", ".join(f"{runtime} {version}" for runtime, version in identity["runtimes"].items())
        none = "none: nothing can be measured there"
        if registry.load("device", each["kind"]).__dict__.get("furnished"):
            none += f" before `makeweight devices --bootstrap {name}`"
        by = identity.get("by")
        runtimes = f"those of `{by}`" if by else runtimes or none
        table.add_row(name, each["kind"], what, runtimes)
    console.show(table, sys.stdout)
    for name, each in told.items():
        if each.get("unavailable"):
            _show_lacking(name, each["unavailable"], each["remedies"])


def _show_lacking(name: str, unavailable: Mapping[str, str], remedies: Mapping[str, str]) -> None:
    from rich.table import Table

    table = Table(f"unavailable on {name}", "", box=None, pad_edge=False, padding=(0, 2))
    for what, reason in unavailable.items():
        table.add_row(what, f"{reason}. {remedies[what]}")
    print()
    console.show(table, sys.stdout)
